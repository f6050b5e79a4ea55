# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors a caller can act on: each names the thing, its value and the remedy."""

from __future__ import annotations

__all__ = [
    'ConfigError',
    'DataError',
    'MapError',
    'MissingDependencyError',
    'RellocError',
    'WorkerError',
]


class RellocError(Exception):
    """Base class of every error this package raises on purpose."""


class ConfigError(RellocError):
    """A setting is unknown, has the wrong type or is out of range."""


class MapError(RellocError):
    """A map is missing, damaged, of another format version, or cannot be written."""


class DataError(RellocError):
    """An image, camera, bag, list file or transform is missing or unusable."""


class MissingDependencyError(RellocError):
    """An optional package is needed and not installed; the message names it for pip."""


class WorkerError(RellocError):
    """Worker processes cannot be reached, do not fit, or die over the same task."""
