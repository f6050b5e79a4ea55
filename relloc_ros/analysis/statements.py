# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What an analysis says, in sentences and as a page in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
import math

import numpy as np

from relloc_ros.analysis.condition import Reach
from relloc_ros.analysis.model_analysis import PART_SIZE, Analysis, NetworkLimits
from relloc_ros.evaluation.report.scales import count_of
from relloc_ros.evaluation.wording import angle_text, length_text, share_text
from relloc_ros.geometry import Array

__all__ = ['REACH_NAMES', 'limits_said', 'queries_said', 'summary']

REACH_NAMES = {
    'weights': 'any image',
    'relevant': 'coefficients like those of training images',
    'mixtures': 'weighted means of training images',
}
"""What each reach of `NetworkLimits` is of."""


def limits_said(limits: NetworkLimits, units: str) -> str:
    """Say what the network cannot leave, before any query is seen."""
    reach = limits.binding
    if reach is None:
        return (
            'Nothing keeps predictions of this network to a point, a line or a plane: its base '
            'poses span all directions, and so do its predictions of the training images.'
        )
    flat = reach.flat.said(units)
    if reach is limits.weights:
        return f'Predictions of this network cannot leave {flat}, whatever the image.'
    leeway = length_text(reach.leeway, units)
    if reach is limits.relevant:
        return (
            f'Predictions of this network cannot leave {flat} by more than {leeway}, as long as '
            'images use the relevant base poses alone, with coefficients no further from their '
            'mean than those of the training images.'
        )
    return (
        f'Predictions of this network cannot leave {flat} by more than {leeway}, as long as '
        'embeddings are weighted means of those of training images (without the 5 % furthest '
        'off). Its base poses alone span all directions.'
    )


def queries_said(analysis: Analysis, units: str) -> list[str]:
    """Say what became of the queries: the condition, then the closeness to retrieval."""
    limits, figures = analysis.limits, analysis.figures
    count = len(analysis.queries.names)
    lines = []
    if limits.mixtures.flat.rank < 3:
        lines.append(_off_flat(analysis, units))
    if limits.signs_matter or limits.weights.flat.rank < 3:
        outside = int((figures.off_weights > limits.tolerance).sum())
        lines.append(f'{outside} of {count} queries are where no image can be predicted.')
    lines.append(
        f'{_beyond(figures.stretch)} of {count} queries need coefficients further from the mean '
        f'than any training image has them, {_beyond(figures.part_stretch)} further than any of '
        f'the {PART_SIZE} training images most like them.'
    )
    lines.append(
        f'Median errors {length_text(_median(figures.position_errors), units)} and '
        f'{_degrees(figures.rotation_errors)}; the pose of the training image with the nearest '
        f'embedding is {length_text(_median(figures.retrieval_position_errors), units)} and '
        f'{_degrees(figures.retrieval_rotation_errors)} off.'
    )
    lines.append(_close(analysis))
    return lines


def summary(analysis: Analysis, units: str, title: str, remarks: list[str]) -> str:
    """Write the page.

    Args:
        analysis: what came out.
        units: of the map.
        title: of the network.
        remarks: sentences about how it was made.
    """
    limits = analysis.limits
    sign = 'conical (none is negative)' if limits.conical else 'signed'
    half_spaces = (
        ' Conical combinations of the base poses do not reach all that signed ones do.'
        if limits.signs_matter
        else ''
    )
    lines = [
        f'# What {title} can predict',
        '',
        f'**{limits_said(limits, units)}**',
        '',
        f'{count_of(len(analysis.training.names), "training image")}, '
        f'{count_of(len(analysis.queries.names), "query", "queries")}. '
        f'Coefficients are {sign}.{half_spaces} Lengths up to '
        f'{length_text(limits.tolerance, units)} (2 % of the extent of the training positions) '
        'count as none.',
        '',
        '## Before any query is seen',
        '',
        '| predictions of | spanned by | cannot leave | reach along its axes, and off it |',
        '| --- | --- | --- | --- |',
        *_reach_rows(limits, units),
        '',
        '## Queries',
        '',
        *(f'- {line}' for line in queries_said(analysis, units)),
    ]
    if remarks:
        lines += ['', '## Remarks', '', *(f'- {remark}' for remark in remarks)]
    return '\n'.join(lines) + '\n'


def _reach_rows(limits: NetworkLimits, units: str) -> Iterator[str]:
    for key, name in REACH_NAMES.items():
        reach: Reach = getattr(limits, key)
        spans = 'training images' if key == 'mixtures' else 'base poses'
        lengths = ', '.join(
            'unbounded' if math.isinf(length) else length_text(length, units)
            for length in reach.lengths
        )
        flat = reach.flat.said(units) if reach.flat.rank < 3 else '–'
        yield f'| {name} | {reach.count} {spans} | {flat} | {lengths} |'


def _off_flat(analysis: Analysis, units: str) -> str:
    limits, figures = analysis.limits, analysis.figures
    off, predicted = figures.off_mixtures, figures.predicted_off_mixtures
    outside = off > limits.tolerance
    flat = limits.mixtures.flat.kind
    if not outside.any():
        return f'All {len(off)} queries were taken on the {flat} of the training images.'
    return (
        f'{int(outside.sum())} of {len(off)} queries were taken off the {flat} of the training '
        f'images, by {length_text(_median(off[outside]), units)} in the median and '
        f'{length_text(float(off.max()), units)} at most. Their predictions are off it by '
        f'{length_text(_median(predicted[outside]), units)} in the median.'
    )


def _close(analysis: Analysis) -> str:
    figures = analysis.figures
    known = figures.position_closeness[np.isfinite(figures.position_closeness)]
    explained = (
        f', and {share_text(figures.explained)} of their variance is that of these images'
        if math.isfinite(figures.explained)
        else ''
    )
    if not len(known):
        return 'Predictions, truth and the nearest training images are the same.'
    nearer = int((known > 0.5).sum())
    return (
        f'{nearer} of {len(known)} predictions are nearer to the position of the training image '
        'with the nearest embedding than to the true one (closeness to retrieval, median '
        f'{_median(known):.2f}; 0 is the truth, 1 is retrieval){explained}.'
    )


def _beyond(stretch: Array) -> int:
    # A training image itself may come out a rounding error beyond 1.
    return int((stretch > 1.0 + 1e-6).sum())


def _median(values: Array) -> float:
    return float(np.median(values))


def _degrees(angles: Array) -> str:
    return angle_text(math.degrees(_median(angles)))
