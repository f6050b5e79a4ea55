# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses and plain values in JSON, written exactly and read with suspicion."""

from __future__ import annotations

from collections.abc import Mapping
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform

__all__ = [
    'covariance_from_rows',
    'covariance_to_rows',
    'of_type',
    'parse_object',
    'pose_from_rows',
    'pose_to_rows',
    'read_text',
    'to_json',
]


def pose_to_rows(transform: RigidTransform) -> list[list[float]]:
    """Give the first three rows of the matrix.

    A quaternion would not give the same rotation to the last bit.
    """
    rows: list[list[float]] = transform.matrix[:3].tolist()
    return rows


def pose_from_rows(rows: Any) -> RigidTransform:
    """Take what `pose_to_rows` gave.

    Raises:
        ValueError: it is something else.
    """
    matrix = np.array(rows, dtype=np.float64)
    if matrix.shape != (3, 4) or not np.isfinite(matrix).all():
        raise ValueError(f'no pose: {rows}')
    return RigidTransform.from_matrix(matrix)


def covariance_to_rows(covariance: Array) -> list[list[float]] | None:
    """Give the rows of a covariance (6, 6); None of one that is not known, NaN."""
    rows: list[list[float]] | None = covariance.tolist() if np.isfinite(covariance).all() else None
    return rows


def covariance_from_rows(rows: Any) -> Array:
    """Take what `covariance_to_rows` gave.

    Raises:
        ValueError: it is something else.
    """
    if rows is None:
        return np.full((6, 6), math.nan)
    covariance = np.array(rows, dtype=np.float64)
    if covariance.shape != (6, 6) or not np.isfinite(covariance).all():
        raise ValueError(f'no covariance: {rows}')
    return covariance


def read_text(path: Path) -> str:
    """Read a file of a run.

    Raises:
        DataError: missing, or not UTF-8.
    """
    try:
        return path.read_text(encoding='utf-8')
    except OSError as error:
        raise DataError(
            f'cannot read {path}: {error.strerror}; a run is a folder that `relloc evaluate` or '
            '`relloc score` wrote'
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f'{path} is damaged: {error}') from error


def parse_object(path: Path, text: str, number: int = 1) -> dict[str, Any]:
    """Parse a JSON object that begins in line `number` of a file.

    Raises:
        DataError: it is none.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f'{path}, line {number} is no JSON: {error}') from error
    if not isinstance(values, dict):
        raise DataError(f'{path}, line {number} holds no JSON object')
    return values


def of_type(value: Any, kind: type) -> Any:
    """Return the value if it is of this type; a bool is no int.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f'{value!r:.40} is no {kind.__name__}')
    return value


def to_json(values: Mapping[str, Any], indent: int | None = None) -> str:
    """Write JSON that every parser reads: without NaN and infinity."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False, indent=indent)
