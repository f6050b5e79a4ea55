# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks for image pairs, found by name in the NETWORKS table; needs PyTorch.

Nothing is downloaded: weights come from files that the user names, or from training.
"""

from __future__ import annotations

from relloc_ros.errors import MissingDependencyError

try:
    from relloc_ros.networks.base import PairBatch, PairNetwork, Prediction
except ImportError as error:
    raise MissingDependencyError(
        f"networks need {error.name}: pip install 'relloc_ros[learn]'"
    ) from error

__all__ = ['NETWORKS', 'PairBatch', 'PairNetwork', 'Prediction']

NETWORKS: dict[str, type[PairNetwork]] = {}
