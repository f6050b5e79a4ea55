# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far predictions are from the truth; each loss is a mean over the batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from relloc_ros.networks.rigid_motion import log_se3

__all__ = [
    'LearnedWeights',
    'epipolar_error',
    'essential_distance',
    'essential_distance_up_to_sign',
    'overlap_error',
    'se3_distance',
    'vector_distance',
]

VIRTUAL_GRID = 5
VIRTUAL_DEPTHS = (2.0, 4.0, 8.0, 16.0)
"""Of virtual points before image A, in baselines."""
TINY = 1e-12


def vector_distance(predicted: Tensor, truth: Tensor) -> Tensor:
    """Euclidean distance of (B, N) vectors."""
    return torch.linalg.vector_norm(predicted - truth, dim=1).mean()


def essential_distance(predicted: Tensor, truth: Tensor) -> Tensor:
    """Euclidean distance of (B, 3, 3) matrices as vectors (Zhou et al., equation 2)."""
    return vector_distance(predicted.flatten(1), truth.flatten(1))


def essential_distance_up_to_sign(predicted: Tensor, truth: Tensor) -> Tensor:
    """Euclidean distance of (B, 3, 3) matrices, to the nearer of E and -E: both are the truth."""
    predicted, truth = predicted.flatten(1), truth.flatten(1)
    same = torch.linalg.vector_norm(predicted - truth, dim=1)
    opposite = torch.linalg.vector_norm(predicted + truth, dim=1)
    return torch.minimum(same, opposite).mean()


def epipolar_error(
    essential: Tensor,
    rotation: Tensor,
    translation: Tensor,
    intrinsics_a: Tensor,
    image_size: tuple[int, int],
) -> Tensor:
    """Sampson error, on the plane z = 1, of points that lie before both cameras.

    Indifferent to sign and length of E. The points are seen on a grid over image A, at depths of
    2 to 16 baselines.

    Args:
        essential: (B, 3, 3) predicted.
        rotation: (B, 3, 3) true, b_from_a.
        translation: (B, 3) true, b_from_a.
        intrinsics_a: (B, 3, 3).
        image_size: width and height of image A, pixels.
    """
    rays_a = _grid_rays(intrinsics_a, image_size)
    depths = torch.tensor(VIRTUAL_DEPTHS, dtype=rays_a.dtype, device=rays_a.device)
    baseline = torch.linalg.vector_norm(translation, dim=1).clamp(min=TINY)
    points = rays_a[:, :, None, :] * (depths * baseline[:, None])[:, None, :, None]
    points_b = points.flatten(1, 2) @ rotation.transpose(1, 2) + translation[:, None]
    rays_a = rays_a.repeat_interleave(len(VIRTUAL_DEPTHS), dim=1)
    depth_b = points_b[:, :, 2]
    in_front = depth_b > 0.1 * baseline[:, None]
    safe_depth = torch.where(in_front, depth_b, torch.ones_like(depth_b))
    rays_b = points_b / safe_depth[:, :, None]
    errors = _sampson(essential, rays_a, rays_b)
    return (errors * in_front).sum() / in_front.sum().clamp(min=1)


def _grid_rays(intrinsics: Tensor, image_size: tuple[int, int]) -> Tensor:
    """(B, N, 3) rays with z = 1 of a grid over the image."""
    width, height = image_size
    steps = (torch.arange(VIRTUAL_GRID, dtype=intrinsics.dtype) + 0.5) / VIRTUAL_GRID
    y, x = torch.meshgrid(steps * height, steps * width, indexing='ij')
    pixels = torch.stack([x, y, torch.ones_like(x)]).flatten(1).to(intrinsics.device)
    rays = torch.linalg.solve(intrinsics, pixels.expand(len(intrinsics), -1, -1))
    return rays.transpose(1, 2)


def _sampson(essential: Tensor, rays_a: Tensor, rays_b: Tensor) -> Tensor:
    """(B, N) errors, not negative."""
    lines_b = rays_a @ essential.transpose(1, 2)
    lines_a = rays_b @ essential
    gradient = (lines_a[:, :, :2] ** 2).sum(dim=2) + (lines_b[:, :, :2] ** 2).sum(dim=2)
    return (rays_b * lines_b).sum(dim=2).abs() / (gradient + TINY).sqrt()


def se3_distance(
    rotation: Tensor, translation: Tensor, true_rotation: Tensor, true_translation: Tensor
) -> Tensor:
    """Length of the twist from the true motion to the predicted one.

    RelocNet's loss: Balntas et al., ECCV 2018.

    Args:
        rotation: (B, 3, 3).
        translation: (B, 3).
        true_rotation: (B, 3, 3).
        true_translation: (B, 3).
    """
    inverse = true_rotation.transpose(1, 2)
    difference = inverse @ (translation - true_translation)[:, :, None]
    twist = log_se3(inverse @ rotation, difference[:, :, 0])
    return torch.linalg.vector_norm(twist, dim=1).mean()


def overlap_error(descriptor_a: Tensor, descriptor_b: Tensor, overlap: Tensor) -> Tensor:
    """Squared difference of descriptors' distance and the part of the view not shared.

    Args:
        descriptor_a: (B, D) of unit length.
        descriptor_b: likewise.
        overlap: (B,) of the frusta, in [0, 1].
    """
    distance = torch.linalg.vector_norm(descriptor_a - descriptor_b, dim=1)
    return ((distance - (1 - overlap)) ** 2).mean()


class LearnedWeights(nn.Module):
    """Losses weighed by learned uncertainties (Kendall and Cipolla, CVPR 2017).

    The sum of ``exp(-s) L + s`` over the losses L, each with an s of its own.
    """

    def __init__(self, initial: tuple[float, ...]) -> None:
        super().__init__()
        self.log_variances = nn.Parameter(torch.tensor(initial))

    def forward(self, losses: Tensor) -> Tensor:
        """Weigh (N,) losses."""
        return (torch.exp(-self.log_variances) * losses + self.log_variances).sum()
