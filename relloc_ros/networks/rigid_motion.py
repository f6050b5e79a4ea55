# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rotations and rigid motions of batches, differentiable; quaternions are w, x, y, z."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from relloc_ros.networks.manifold import skew

__all__ = ['exp_se3', 'log_se3', 'quaternion_from_rotation', 'rotation_from_quaternion']

SMALL_ANGLE = 1e-3
"""Radians; below, series serve: the closed forms lose digits, and their gradients are 0/0."""
TINY = 1e-12


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """(B, 3, 3) rotations of (B, 4) quaternions of any length; the identity for zeros."""
    w, x, y, z = normalize(quaternion, dim=1).unbind(dim=1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, dim=1).unflatten(1, (3, 3))


def quaternion_from_rotation(rotation: Tensor) -> Tensor:
    """(B, 4) unit quaternions, w not negative, of (B, 3, 3) rotations; not differentiable.

    The largest eigenvector of a symmetric matrix of the elements (Bar-Itzhack, 2000), which is
    exact at every angle.
    """
    r = rotation.detach().double()
    trace = r.diagonal(dim1=1, dim2=2).sum(dim=1)
    matrix = torch.zeros(len(r), 4, 4, dtype=r.dtype, device=r.device)
    matrix[:, 0, 0] = trace
    vector = torch.stack(
        [r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]], dim=1
    )
    matrix[:, 0, 1:] = matrix[:, 1:, 0] = vector
    identity = torch.eye(3, dtype=r.dtype, device=r.device)
    matrix[:, 1:, 1:] = r + r.transpose(1, 2) - trace[:, None, None] * identity
    quaternion = torch.linalg.eigh(matrix).eigenvectors[:, :, -1]
    sign = torch.where(quaternion[:, :1] < 0, -1.0, 1.0)
    return (quaternion * sign).to(rotation.dtype)


def exp_se3(twist: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations (B, 3, 3) and translations (B, 3) of twists (B, 6): rotation vector first."""
    omega, velocity = twist[:, :3], twist[:, 3:]
    squared = (omega**2).sum(dim=1)
    is_small = squared < SMALL_ANGLE**2
    safe = torch.where(is_small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    first = torch.where(is_small, 1 - squared / 6, angle.sin() / angle)
    second = torch.where(is_small, 0.5 - squared / 24, (1 - angle.cos()) / safe)
    third = torch.where(is_small, 1 / 6 - squared / 120, (angle - angle.sin()) / (safe * angle))
    cross = skew(omega)
    cross_twice = cross @ cross
    identity = torch.eye(3, dtype=twist.dtype, device=twist.device)
    rotation = identity + first[:, None, None] * cross + second[:, None, None] * cross_twice
    spread = identity + second[:, None, None] * cross + third[:, None, None] * cross_twice
    return rotation, (spread @ velocity[:, :, None])[:, :, 0]


def log_se3(rotation: Tensor, translation: Tensor) -> Tensor:
    """Twists (B, 6), rotation vector first, of rigid motions; finite gradients at every angle.

    Args:
        rotation: (B, 3, 3).
        translation: (B, 3).
    """
    difference = (rotation - rotation.transpose(1, 2)) / 2
    sine_axis = torch.stack([difference[:, 2, 1], difference[:, 0, 2], difference[:, 1, 0]], dim=1)
    cosine = (rotation.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2
    squared_sine = (sine_axis**2).sum(dim=1)
    is_small = (squared_sine < SMALL_ANGLE**2) & (cosine > 0)
    safe = torch.where(is_small, torch.ones_like(squared_sine), squared_sine + TINY)
    sine = safe.sqrt()
    angle = torch.atan2(sine, cosine)
    factor = torch.where(is_small, 1 + squared_sine / 6, angle / sine)
    omega = factor[:, None] * sine_axis
    # theta / 2 cot(theta / 2) = theta (1 + cos) / (2 sin)
    half_cotangent = angle * (1 + cosine) / (2 * sine)
    third = torch.where(is_small, torch.full_like(angle, 1 / 12), (1 - half_cotangent) / angle**2)
    cross = torch.linalg.cross(omega, translation)
    twice = torch.linalg.cross(omega, cross)
    velocity = translation - cross / 2 + third[:, None] * twice
    return torch.cat([omega, velocity], dim=1)
