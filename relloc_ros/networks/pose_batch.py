# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images with their poses, as networks for absolute poses learn from them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from relloc_ros.errors import DataError

__all__ = ['PoseBatch']


@dataclass(frozen=True, slots=True, eq=False)
class PoseBatch:
    """B images with what is known of them, in windows of neighbours of one sequence.

    Row ``k * window + i`` is image i, in the order of time, of window k; a window is repeated
    images where its sequence begins. Losses between images, and the features of the image before,
    stay within a window.

    Attributes:
        image: (B, 3, H, W) float32, prepared by `preprocessing`.
        position: (B, 3) camera centres, map units.
        rotation: (B, 3, 3) map_from_cam.
        intrinsics: (B, 3, 3) of the prepared image, COLMAP's pixel convention.
        points: (B, P, 3) points of the scene in the map; P is 0 where no loss needs them.
        seen: (B, P) bool, which of them the image shows; the others are zeros.
        is_posed: (B,) bool; False where position and rotation are those of odometry, in a frame of
            its own, so that only relative poses within the window mean something.
        window: images of a window.
    """

    image: Tensor
    position: Tensor
    rotation: Tensor
    intrinsics: Tensor
    points: Tensor
    seen: Tensor
    is_posed: Tensor
    window: int = 1

    def __post_init__(self) -> None:
        """Check that the shapes belong together."""
        count = len(self.image)
        num_points = self.points.shape[1]
        for name, shape in (
            ('position', (count, 3)),
            ('rotation', (count, 3, 3)),
            ('intrinsics', (count, 3, 3)),
            ('points', (count, num_points, 3)),
            ('seen', (count, num_points)),
            ('is_posed', (count,)),
        ):
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise DataError(f'{name} of a batch of {count} images has shape {found}: {shape}')
        if count % self.window:
            raise DataError(f'{count} images make no whole number of windows of {self.window}')
