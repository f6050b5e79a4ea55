# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network for absolute poses is trained on, and how far off it is: posed images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
import torch
from torch import Tensor

from relloc_ros.geometry import Array
from relloc_ros.networks.apr.absolute_pose_net import AbsolutePoseNet
from relloc_ros.networks.apr.losses import AbsolutePoseBatch
from relloc_ros.networks.preprocessing import crop_square, to_tensor
from relloc_ros.networks.training.examples import Batch, Objective
from relloc_ros.networks.training.images import ResizedImages
from relloc_ros.networks.training.scene import Scene
from relloc_ros.networks.training.synthetic_views import draw_motion, warp

__all__ = ['NUM_POINTS', 'PoseExamples', 'PoseObjective']

DTYPES = {'position': torch.float64, 'points': torch.float64, 'rotation': torch.float32}
"""Places may be far from the map's origin."""
NUM_POINTS = 100
"""Of the scene that an example has of each image, at most; drawn anew each time."""


@dataclass(frozen=True, slots=True, eq=False)
class PoseExamples:
    """Windows of posed images; single images are windows of one.

    An example of training may have a second window, without poses in the map: of a sequence with
    odometry, so that each batch has as many of both.

    Attributes:
        images: those of the map, and after them those with odometry.
        windows: (E, T) indices in `images`, in the order of time.
        unlabelled: (U, T) likewise, of images with odometry; None where the network learns from
            none.
        crop: side of the square that the network sees, pixels.
        scene: what the map's images show; None where nothing needs to know.
        num_points: of the scene in an example of each image.
        num_views: made of each image by warping it; each is an example more.
    """

    images: ResizedImages
    windows: NDArray[np.int64]
    unlabelled: NDArray[np.int64] | None
    crop: int
    scene: Scene | None = None
    num_points: int = 0
    num_views: int = 0

    def __len__(self) -> int:
        """Count windows and views."""
        return len(self.windows) * (1 + self.num_views)

    def read(self, index: int, seed: Sequence[int] | None) -> dict[str, Tensor]:
        """Read the fields of an `AbsolutePoseBatch`, for one or two windows of T images each.

        Raises:
            DataError: an image is not readable, or not the one that its map was built from.
        """
        generator = None if seed is None else np.random.default_rng([*seed, index])
        view, window = divmod(index, len(self.windows))
        frames = [
            self._frame(image, generator, is_view=view > 0)
            for image in self.windows[window].tolist()
        ]
        if self.unlabelled is not None and generator is not None:
            other = self.unlabelled[generator.integers(len(self.unlabelled))]
            frames += [self._frame(image, generator) for image in other.tolist()]
        example = {name: torch.stack([each[name] for each in frames]) for name in frames[0]}
        if self.unlabelled is not None:
            example['is_labelled'] = torch.arange(len(frames)) < self.windows.shape[1]
        return example

    def _frame(
        self, index: int, generator: np.random.Generator | None, *, is_view: bool = False
    ) -> dict[str, Tensor]:
        image, intrinsics = self.images.read(index)
        cam_from_map = self.images.images[index].posed.cam_from_map
        if is_view and generator is not None and self.scene is not None:
            plane = self.scene.planes[index]
            motion = draw_motion(generator, plane)
            image = warp(image, intrinsics, plane, motion)
            cam_from_map = motion @ cam_from_map
        x, y = (0.5, 0.5) if generator is None else generator.random(2).tolist()
        square, _ = crop_square(image, intrinsics, self.crop, (x, y))
        map_from_cam = cam_from_map.inverse()
        numbers = {'position': map_from_cam.translation, 'rotation': map_from_cam.rotation}
        if self.num_points and self.scene is not None:
            numbers['points'] = _some(self.scene.points[index], self.num_points, generator)
        return {
            'image': to_tensor(square),
            **{name: torch.tensor(each, dtype=DTYPES[name]) for name, each in numbers.items()},
        }


def _some(points: Array, count: int, generator: np.random.Generator | None) -> Array:
    """Take so many points (count, 3), at random or spread over all; repeated if they are fewer."""
    if generator is None:
        return points[np.linspace(0, len(points) - 1, count).astype(int)]
    return points[generator.choice(len(points), count, replace=len(points) < count)]


class PoseObjective(Objective):
    """A network for absolute poses and its loss."""

    network: AbsolutePoseNet

    def forward(self, examples: Batch) -> dict[str, Tensor]:
        """Give the network's losses, scalars by name, for the fields of an `AbsolutePoseBatch`."""
        fields = {name: each.flatten(0, 1) for name, each in examples.tensors.items()}
        batch = AbsolutePoseBatch(**fields)
        prediction = self.network.predict(batch)
        # Errors are small differences: not in the half precision of the layers before.
        with torch.autocast(batch.image.device.type, enabled=False):
            exact = {name: value.float() for name, value in prediction.items()}
            return self.network.loss(exact, batch)
