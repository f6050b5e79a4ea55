# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where localization works in a map: seen from above, as a table, and as markers for RViz."""

from __future__ import annotations

from collections.abc import Sequence
import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree
import yaml

from relloc_ros.errors import DataError
from relloc_ros.evaluation.map_check.coverage import Place
from relloc_ros.evaluation.map_check.deep import DeepCheck
from relloc_ros.evaluation.report.theme import (
    LOST,
    MUTED,
    drawing,
    new_figure,
    png,
    require_report_packages,
    tidy,
)
from relloc_ros.evaluation.report.trajectory_plot import TopView
from relloc_ros.geometry import Array
from relloc_ros.map.reference_map import ReferenceMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ['prepare_output', 'write_coverage']

PICTURE, TABLE, MARKERS = 'coverage.png', 'coverage.csv', 'coverage.yaml'
CELLS = 160
"""Along the longer side."""
MARGIN = 0.1
REACH = 1.2
"""Cells further than this many typical distances between neighbours from any image stay empty."""
SURE = 0.02
"""Standard deviation of the position, as a share of the map's extent, that counts as useless."""
ARROW = 0.03
SPHERE_LIST = 7
GOOD, THIN, BAD = (0.08, 0.59, 0.48, 1.0), (0.84, 0.45, 0.06, 1.0), (0.78, 0.28, 0.61, 1.0)
GOOD_SCORE = 0.5


def prepare_output(output: Path, *, overwrite: bool) -> None:
    """Make the folder, before the work.

    Raises:
        DataError: it holds results that must not be replaced.
        MissingDependencyError: matplotlib is not installed.
    """
    require_report_packages()
    if (output / PICTURE).exists() and not overwrite:
        raise DataError(f'{output} already holds {PICTURE}: replace it with --overwrite')
    output.mkdir(parents=True, exist_ok=True)


def write_coverage(result: DeepCheck, reference_map: ReferenceMap, output: Path) -> None:
    """Write the picture, the table and the markers."""
    (output / PICTURE).write_bytes(_draw(result.places, reference_map))
    with (output / TABLE).open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, fieldnames=list(result.places[0].to_dict()))
        writer.writeheader()
        writer.writerows(place.to_dict() for place in result.places)
    markers = _markers(result.places, reference_map)
    (output / MARKERS).write_text(yaml.safe_dump(markers, sort_keys=False), 'utf-8')


def _scores(places: Sequence[Place]) -> Array:
    """From 0, where no pose is found, to 1, by the keypoints that support it."""
    inliers = np.array([0.0 if place.lost else place.inliers for place in places])
    scores: Array = np.clip(np.log10(np.maximum(inliers, 1.0) / 10.0) / 1.5, 0.0, 1.0)
    return np.where([place.lost for place in places], 0.0, np.maximum(scores, 0.1))


def _draw(places: Sequence[Place], reference_map: ReferenceMap) -> bytes:
    up = -reference_map.rotations[:, 1].mean(axis=0)
    view = TopView.of(reference_map.centres, up)
    flat = view.flatten(np.array([place.position for place in places]))
    everything = view.flatten(reference_map.centres)
    low, high = everything.min(axis=0), everything.max(axis=0)
    side = float((high - low).max()) or 1.0
    pad = MARGIN * side + np.maximum(0.3 * side - (high - low), 0.0) / 2.0
    low, high = low - pad, high + pad
    height = float(np.clip(3.7 * (high - low)[1] / (high - low)[0] + 1.0, 2.4, 6.5))
    with drawing():
        figure, (axes,) = new_figure(height=height)
        _heat(axes, flat, _scores(places), (low, high))
        axes.scatter(everything[:, 0], everything[:, 1], s=4.0, c=MUTED, linewidths=0, zorder=2)
        _arrows(axes, view, places, flat, ARROW * side)
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(low[1], high[1])
        axes.set_aspect('equal')
        axes.set_xlabel(f'along the first axis [{reference_map.units}]')
        axes.set_ylabel(f'second axis [{reference_map.units}]')
        lost = sum(place.lost for place in places)
        axes.set_title(
            f'{len(places) - lost} of {len(places)} images localized in the rest of the map',
            fontsize=10,
        )
        tidy(axes)
        return png(figure)


def _heat(axes: Axes, flat: Array, scores: Array, limits: tuple[Array, Array]) -> None:
    """Colour the plane around the images by how well those around are localized."""
    low, high = limits
    size = float((high - low).max()) / CELLS
    x = np.arange(low[0], high[0], size)
    y = np.arange(low[1], high[1], size)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    tree = cKDTree(flat)
    distances, _ = tree.query(flat, k=[min(3, len(flat))])
    width = max(float(np.quantile(distances, 0.9)), 3.0 * size)
    distances = np.linalg.norm(grid[:, :, None] - flat, axis=3) / width
    weights = np.exp(-0.5 * distances**2)
    values = (weights * scores).sum(axis=2) / np.maximum(weights.sum(axis=2), 1e-12)
    values = np.where(distances.min(axis=2) <= REACH, values, np.nan)
    from matplotlib.colors import LinearSegmentedColormap  # noqa: PLC0415  optional

    colours = LinearSegmentedColormap.from_list('coverage', [BAD, THIN, GOOD])
    mesh = axes.pcolormesh(
        x, y, values, cmap=colours, vmin=0.0, vmax=1.0, alpha=0.55, linewidth=0, rasterized=True
    )
    bar = axes.figure.colorbar(mesh, ax=axes, fraction=0.035, pad=0.02)
    bar.ax.yaxis.set_ticks([0.0, 0.1, 0.47, 1.0], labels=['lost', '≤ 14', '50', '≥ 316'])
    bar.set_label('keypoints that support the pose')
    bar.outline.set_visible(False)  # type: ignore[operator]


def _arrows(
    axes: Axes, view: TopView, places: Sequence[Place], flat: Array, length: float
) -> None:
    """Show where the images looked; those that are lost in another colour."""
    ahead = np.array([place.direction for place in places]) @ view.axes.T
    ahead *= length / np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-9)
    lost = np.array([place.lost for place in places])
    for mask, colour in ((~lost, '#17202b'), (lost, LOST)):
        if mask.any():
            axes.quiver(
                *flat[mask].T,
                *ahead[mask].T,
                color=colour,
                angles='xy',
                scale_units='xy',
                scale=1.0,
                width=0.003,
                zorder=3,
            )
    if lost.any():
        axes.scatter(
            flat[lost, 0], flat[lost, 1], s=42.0, c=LOST, marker='x', linewidths=1.6, zorder=4
        )


def _markers(places: Sequence[Place], reference_map: ReferenceMap) -> dict[str, Any]:
    """Make a visualization_msgs/MarkerArray: a ball at each image, coloured like the picture."""
    extent = float(np.ptp(reference_map.centres, axis=0).max()) or 1.0
    scores = _scores(places)
    colours = [BAD if score == 0.0 else THIN if score < GOOD_SCORE else GOOD for score in scores]
    names = ('x', 'y', 'z')
    return {
        'markers': [
            {
                'header': {'frame_id': reference_map.frame_id},
                'ns': 'coverage',
                'type': SPHERE_LIST,
                'pose': {'orientation': {'w': 1.0}},
                'scale': dict.fromkeys(names, 0.01 * extent),
                'points': [
                    dict(zip(names, map(float, place.position), strict=True)) for place in places
                ],
                'colors': [dict(zip('rgba', colour, strict=True)) for colour in colours],
            }
        ]
    }
