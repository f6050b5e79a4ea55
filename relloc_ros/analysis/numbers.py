# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All numbers of an analysis, in plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy as np

from relloc_ros.analysis.condition import Reach
from relloc_ros.analysis.model_analysis import Analysis
from relloc_ros.analysis.statements import REACH_NAMES, limits_said, queries_said
from relloc_ros.evaluation.json_values import pose_to_rows
from relloc_ros.geometry import Array, RigidTransform

__all__ = ['analysis_numbers', 'plain']


def analysis_numbers(
    analysis: Analysis,
    units: str,
    base_rotations: Array,
    estimates: Sequence[RigidTransform | None] | None,
) -> dict[str, Any]:
    """Give everything but the coefficients, which the network's file holds.

    None stands for what is infinite or of nothing.

    Args:
        analysis: what came out.
        units: of the map.
        base_rotations: (R, N) of the network.
        estimates: poses map_from_cam by another localizer; None where it gave none.
    """
    limits, base = analysis.limits, analysis.base
    return {
        'units': units,
        'statement': limits_said(limits, units),
        'queries_said': queries_said(analysis, units),
        'training_images': len(analysis.training.names),
        'coefficients': 'conical' if limits.conical else 'signed',
        'cone_is_smaller_than_span': limits.signs_matter,
        'tolerance': limits.tolerance,
        'offset': plain(base.offset),
        'base_translations': plain(base.translations.T),
        'mean_weights': plain(np.abs(analysis.training.alphas).mean(axis=0)),
        'rotation_singular_values': plain(np.linalg.svd(base_rotations, compute_uv=False)),
        **{key: _reach(getattr(limits, key)) for key in REACH_NAMES},
        'explained_by_nearest': plain(analysis.figures.explained),
        'median_position_closeness': _median(analysis.figures.position_closeness),
        'median_rotation_closeness': _median(analysis.figures.rotation_closeness),
        'queries': [
            _query(analysis, index, None if estimates is None else estimates[index])
            for index in range(len(analysis.queries.names))
        ],
    }


def plain(values: Any) -> Any:
    """Turn numbers and arrays into lists of floats, with None for what is not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim:
        return [plain(each) for each in array]
    return float(array) if math.isfinite(array) else None


def _reach(reach: Reach) -> dict[str, Any]:
    flat = reach.flat
    figures = {
        'kind': flat.kind,
        'rank': flat.rank,
        'origin': plain(flat.origin),
        'axes': plain(flat.axes),
        'singular_values': plain(reach.singular_values),
        'lengths': plain(reach.lengths),
        'spanned_by': reach.count,
    }
    if flat.rank == 1:
        figures['direction'] = plain(flat.direction)
    if flat.rank == 2:
        figures |= {'normal': plain(flat.normal), 'normal_offset': flat.offset}
    return figures


def _query(analysis: Analysis, index: int, estimate: RigidTransform | None) -> dict[str, Any]:
    figures, tolerance = analysis.figures, analysis.limits.tolerance
    return {
        'name': analysis.queries.names[index],
        'truth': plain(analysis.queries.positions[index]),
        'prediction': plain(analysis.predicted_positions[index]),
        'position_error': plain(figures.position_errors[index]),
        'rotation_error_deg': math.degrees(figures.rotation_errors[index]),
        'outside': bool(figures.off_mixtures[index] > tolerance),
        'off_any_prediction': plain(figures.off_weights[index]),
        'off_relevant': plain(figures.off_relevant[index]),
        'off_mixtures': plain(figures.off_mixtures[index]),
        'prediction_off_mixtures': plain(figures.predicted_off_mixtures[index]),
        'stretch': plain(figures.stretch[index]),
        'part_stretch': plain(figures.part_stretch[index]),
        'nearest_training_image': analysis.training.names[figures.nearest[index]],
        'embedding_distance': plain(figures.embedding_distances[index]),
        'offset_from_nearest': plain(figures.offsets[index]),
        'retrieval_position_error': plain(figures.retrieval_position_errors[index]),
        'retrieval_rotation_error_deg': math.degrees(figures.retrieval_rotation_errors[index]),
        'position_closeness': plain(figures.position_closeness[index]),
        'rotation_closeness': plain(figures.rotation_closeness[index]),
        'localizer_pose': None if estimate is None else pose_to_rows(estimate),
    }


def _median(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None
