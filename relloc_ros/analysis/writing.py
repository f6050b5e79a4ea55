# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The files of an analysis: summary, numbers, figures and animation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relloc_ros.analysis.animation import Pictures, animation
from relloc_ros.analysis.embedding import (
    Image,
    SeenQueries,
    base_translations,
    embedded_training,
)
from relloc_ros.analysis.figures import base_plot, coefficient_plot, position_plot
from relloc_ros.analysis.model_analysis import Analysis, analyse
from relloc_ros.analysis.numbers import analysis_numbers
from relloc_ros.analysis.reach_figures import reach_plot, retrieval_plot
from relloc_ros.analysis.statements import limits_said, queries_said, summary
from relloc_ros.analysis.top_view import Views, views_of
from relloc_ros.errors import DataError
from relloc_ros.evaluation.json_values import to_json
from relloc_ros.evaluation.report.theme import Plot, drawing, png, svg
from relloc_ros.evaluation.wording import length_text
from relloc_ros.geometry import Array
from relloc_ros.map.reference_map import ReferenceMap

if TYPE_CHECKING:
    from relloc_ros.networks.apr import BasePoses, TrainingEmbeddings

__all__ = ['AnalysedNetwork', 'prepare_folder', 'write_analysis']

SUMMARY, NUMBERS, ANIMATION, FIGURES = 'summary.md', 'analysis.json', 'animation.html', 'figures'
FILES = (SUMMARY, NUMBERS, ANIMATION)
"""Names of what is written; NUMBERS comes last and stands for completeness."""
FIGURE_NAMES = ('base_translations', 'coefficients', 'positions', 'reach', 'retrieval')
LINEAR = 1e-3
"""Part of the tolerance that predictions may differ from ``b + P alpha`` by rounding."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, eq=False)
class AnalysedNetwork:
    """A trained network and what it belongs to.

    Attributes:
        title: for people.
        base_poses: of the network.
        embeddings: of its training images.
        reference_map: it was trained on.
        localizer: name of the one it is compared with.
    """

    title: str
    base_poses: BasePoses
    embeddings: TrainingEmbeddings
    reference_map: ReferenceMap
    localizer: str


def prepare_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Make the folder, before the work begins.

    Raises:
        DataError: it holds an analysis already, or cannot be written.
    """
    figures = [f'{FIGURES}/{name}.{kind}' for name in FIGURE_NAMES for kind in ('png', 'svg')]
    found = [name for name in (*FILES, *figures) if (folder / name).exists()]
    if found and not overwrite:
        raise DataError(
            f'{folder} already holds {found[0]}: choose another folder, or replace what it holds '
            'with --overwrite'
        )
    try:
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
        for name in found:
            (folder / name).unlink()
    except OSError as error:
        raise DataError(f'cannot write to {folder}: {error.strerror}') from error


def write_analysis(
    network: AnalysedNetwork, seen: SeenQueries, folder: Path, *, progress: Progress | None = None
) -> list[str]:
    """Analyse and write all files.

    Args:
        network: the network.
        seen: what it and another localizer made of the queries.
        folder: of `prepare_folder`.
        progress: called with (files done, all files, detail).

    Returns:
        What came out, in sentences.

    Raises:
        DataError: the folder cannot be written.
        MissingDependencyError: Matplotlib or Jinja2 is not installed.
    """
    analysis = analyse(
        base_translations(network.base_poses),
        embedded_training(network.embeddings),
        seen.images,
        seen.positions,
        seen.rotations,
    )
    units = network.reference_map.units
    views = views_of(analysis)
    try:
        _write_figures(analysis, views, network, seen, folder / FIGURES, progress)
        pictures = Pictures(seen.pictures, _thumbnails(network))
        page = animation(analysis, views, units, network.title, pictures)
        (folder / ANIMATION).write_text(page, encoding='utf-8')
        text = summary(analysis, units, network.title, _remarks(analysis, seen, network))
        (folder / SUMMARY).write_text(text, encoding='utf-8')
        numbers = analysis_numbers(analysis, units, network.base_poses.rotations, seen.estimates)
        text = to_json({'network': network.title, **numbers}, indent=1)
        (folder / NUMBERS).write_text(f'{text}\n', encoding='utf-8')
    except OSError as error:
        raise DataError(f'cannot write to {folder}: {error.strerror}') from error
    return [limits_said(analysis.limits, units), *queries_said(analysis, units)]


def _write_figures(
    analysis: Analysis,
    views: Views,
    network: AnalysedNetwork,
    seen: SeenQueries,
    folder: Path,
    progress: Progress | None,
) -> None:
    with drawing():
        plots = _plots(analysis, views, network, seen)
        for done, plot in enumerate(plots, start=1):
            (folder / f'{plot.name}.png').write_bytes(png(plot.figure))
            (folder / f'{plot.name}.svg').write_text(svg(plot.figure), encoding='utf-8')
            if progress is not None:
                progress(done, len(plots), plot.title)


def _plots(
    analysis: Analysis, views: Views, network: AnalysedNetwork, seen: SeenQueries
) -> list[Plot]:
    units = network.reference_map.units
    estimates = _estimated(seen)
    localizer = '' if estimates is None else network.localizer
    return [
        base_plot(analysis, views, units),
        coefficient_plot(analysis, views, units),
        position_plot(analysis, views, units, estimates, localizer),
        reach_plot(analysis, units),
        retrieval_plot(analysis, units, estimates, localizer),
    ]


def _estimated(seen: SeenQueries) -> Array | None:
    """Positions (Q, 3) by the other localizer, NaN where it gave none."""
    if seen.estimates is None:
        return None
    nowhere = np.full(3, np.nan)
    return np.array([nowhere if pose is None else pose.translation for pose in seen.estimates])


def _thumbnails(network: AnalysedNetwork) -> Callable[[int], Image | None]:
    """Give what finds the picture of a training image."""
    reference_map, names = network.reference_map, network.embeddings.names

    def thumbnail(index: int) -> Image | None:
        found = reference_map.index_of(names[index])
        return None if found is None else reference_map.thumbnail(found)

    return thumbnail


def _remarks(analysis: Analysis, seen: SeenQueries, network: AnalysedNetwork) -> list[str]:
    units = network.reference_map.units
    remarks = []
    if seen.left_out:
        remarks.append(
            f'{len(seen.left_out)} queries are left out: they are in the map, have no true pose, '
            f'or cannot be decoded. The first is {seen.left_out[0]}.'
        )
    linear = analysis.base.predict(analysis.queries.alphas)
    gap = float(np.linalg.norm(linear - analysis.predicted_positions, axis=1).max())
    if gap > LINEAR * max(analysis.limits.tolerance, np.finfo(float).tiny):
        remarks.append(
            f'Predictions differ from b + P α by up to {length_text(gap, units)}: the last layer '
            'is not linear alone, and what is said of it holds to within that.'
        )
    if seen.estimates is not None:
        errors = [
            float(np.linalg.norm(pose.translation - truth))
            for pose, truth in zip(seen.estimates, analysis.queries.positions, strict=True)
            if pose is not None
        ]
        median = f', their median error {length_text(float(np.median(errors)), units)}'
        remarks.append(
            f'{network.localizer} localizes {len(errors)} of {len(seen.estimates)} queries'
            f'{median if errors else ""}.'
        )
    return remarks
