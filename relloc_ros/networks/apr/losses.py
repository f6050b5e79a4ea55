# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far predicted poses are from the true ones; each loss is a mean over the batch."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import normalize

from relloc_ros.errors import DataError
from relloc_ros.networks.base import Prediction
from relloc_ros.networks.losses import vector_distance
from relloc_ros.networks.rigid_motion import log_se3

__all__ = [
    'AbsolutePoseBatch',
    'Truth',
    'gaussian_error',
    'pose_errors',
    'relative_errors',
    'relative_poses',
    'reprojection_error',
]


@dataclass(frozen=True, slots=True, eq=False)
class AbsolutePoseBatch:
    """B images with their poses. Windows of W images are W rows after each other, in order.

    Attributes:
        image: (B, 3, H, W) float32, prepared by `preprocessing`.
        position: (B, 3) camera centres, map frame and units; float64 where a map is far from its
            origin.
        rotation: (B, 3, 3) map_from_cam.
        points: (B, M, 3) points of the map that each image sees, for reprojection errors; None
            where no loss takes them.
        is_labelled: (B,) bool; False where the poses are an odometer's, in a frame of its own, of
            which only those relative to the others of the window count. None is True for all.
    """

    image: Tensor
    position: Tensor
    rotation: Tensor
    points: Tensor | None = None
    is_labelled: Tensor | None = None

    def __post_init__(self) -> None:
        """Check that the shapes belong together."""
        count = len(self.image)
        shapes: dict[str, tuple[int, ...]] = {
            'position': (count, 3),
            'rotation': (count, 3, 3),
            'is_labelled': (count,),
        }
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and tuple(value.shape) != shape:
                raise DataError(
                    f'{name} of a batch of {count} images has shape {tuple(value.shape)}: {shape}'
                )
        if self.points is not None and (
            self.points.ndim != 3 or len(self.points) != count or self.points.shape[2] != 3
        ):
            raise DataError(
                f'points of a batch of {count} images have shape {tuple(self.points.shape)}: '
                f'({count}, M, 3)'
            )

    def to(self, device: torch.device | str) -> AbsolutePoseBatch:
        """Return the batch on a device."""
        values = (getattr(self, field.name) for field in fields(self))
        return AbsolutePoseBatch(*(None if each is None else each.to(device) for each in values))


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The poses of a batch as the network gives them.

    Attributes:
        position: (B, 3), centred and scaled.
        rotation: (B, 3, 3) map_from_cam.
        numbers: (B, R) of the rotations, as near to those predicted as can be.
        is_labelled: (B,) bool, see `AbsolutePoseBatch`.
        points: (B, M, 3), centred and scaled, that each image sees.
    """

    position: Tensor
    rotation: Tensor
    numbers: Tensor
    is_labelled: Tensor
    points: Tensor | None


def pose_errors(prediction: Prediction, truth: Truth) -> tuple[Tensor, Tensor]:
    """Mean distances of positions, scaled, and of the numbers of rotations."""
    position = torch.linalg.vector_norm(prediction['position_numbers'] - truth.position, dim=1)
    rotation = torch.linalg.vector_norm(prediction['rotation_numbers'] - truth.numbers, dim=1)
    return _mean(position, truth.is_labelled), _mean(rotation, truth.is_labelled)


def relative_errors(prediction: Prediction, truth: Truth, window: int) -> tuple[Tensor, Tensor]:
    """Mean distances of positions, scaled, and half rotation vectors between images of windows.

    Brahmbhatt et al., CVPR 2018, equations 2 and 3.
    """
    predicted = relative_poses(prediction['position_numbers'], prediction['rotation'], window)
    known = relative_poses(truth.position, truth.rotation, window)
    return vector_distance(predicted[0], known[0]), vector_distance(predicted[1], known[1])


def gaussian_error(prediction: Prediction, truth: Truth) -> Tensor:
    """Mean negative log density of the truth, normal with the predicted means and variances."""
    total = torch.zeros(len(truth.position), device=truth.position.device)
    for group, (name, known) in enumerate(
        (('position_numbers', truth.position), ('rotation_numbers', truth.numbers))
    ):
        variance = prediction['variances'][:, group, None]
        squared = (prediction[name] - known) ** 2
        total = total + 0.5 * (squared / variance + variance.log()).sum(dim=1)
    return _mean(total, truth.is_labelled)


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of those that count; zero where none does."""
    return (values * counts).sum() / counts.sum().clamp(min=1)


def reprojection_error(prediction: Prediction, truth: Truth) -> Tensor:
    """Mean distance of the unit rays to the points, seen from predicted and from true poses.

    The geometric loss of Kendall and Cipolla (CVPR 2017, equation 4), on the unit sphere in place
    of the image: the same for small errors, in radians, and finite for points that lie behind the
    predicted camera, so that training can begin with it.
    """
    assert truth.points is not None
    offset = truth.points - prediction['position_numbers'][:, None]
    rays = normalize(offset @ prediction['rotation'], dim=2)
    true_offset = truth.points - truth.position[:, None]
    true_rays = normalize(true_offset @ truth.rotation, dim=2)
    return torch.linalg.vector_norm(rays - true_rays, dim=2).mean()


def relative_poses(position: Tensor, rotation: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Poses of all pairs of images of a window relative to each other (MapNet, equation 3).

    In the frame of the earlier camera, so that they are the same in the map's frame and in an
    odometer's.

    Args:
        position: (B, 3) camera centres, B a multiple of the window.
        rotation: (B, 3, 3) map_from_cam.
        window: W.

    Returns:
        Positions and halves of rotation vectors, both (P, 3).
    """
    first, second = torch.triu_indices(window, window, 1).unbind()
    positions, rotations = position.unflatten(0, (-1, window)), rotation.unflatten(0, (-1, window))
    inverse = rotations[:, first].flatten(0, 1).transpose(1, 2)
    offset = (positions[:, second] - positions[:, first]).flatten(0, 1)
    turned = inverse @ rotations[:, second].flatten(0, 1)
    vectors = log_se3(turned, torch.zeros_like(offset))[:, :3]
    return (inverse @ offset[:, :, None])[:, :, 0], vectors / 2
