# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Third stage of pose regression: a pose, linear in the coefficients of the embedding.

b and P in Sattler et al. (CVPR 2019, equations 1 to 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from relloc_ros.geometry import Array
from relloc_ros.networks.rigid_motion import (
    quaternion_from_rotation,
    rotation_from_quaternion,
)

__all__ = [
    'NUM_ROTATION',
    'BasePoses',
    'Projection',
    'mean_numbers',
    'nearest_numbers',
    'rotation_from_numbers',
]

NUM_ROTATION = {'quaternion': 4, 'log_quaternion': 3}
"""How many numbers each representation of a rotation has."""
SMALL_WEIGHT = 1e-2
TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class BasePoses:
    """What all predictions of a network are combinations of (S, equations 1 to 4).

    The camera centre of coefficients ``alpha`` (N,) is ``position_offset + positions @ alpha``.

    Attributes:
        position_offset: (3,) float64, map frame and units.
        positions: (3, N) float64, map units; zero where a coefficient is the rotation's alone.
        rotation_offset: (R,) float64, of map_from_cam.
        rotations: (R, N) float64; zero where a coefficient is the position's alone.
        representation: of rotations: `quaternion` (w, x, y, z, normalized afterwards) or
            `log_quaternion` (half the rotation vector).
    """

    position_offset: Array
    positions: Array
    rotation_offset: Array
    rotations: Array
    representation: str


class Projection(nn.Module):
    """Two linear layers, on the same coefficients or each on its own part of them.

    Attributes:
        num_position: coefficients of the position, which come first.
        num_rotation: coefficients of the rotation, which come last; all of both are the same
            where there is one embedding.
    """

    def __init__(self, size: int, num_numbers: int, *, is_shared: bool) -> None:
        super().__init__()
        self.num_position = self.num_rotation = size
        self.is_shared = is_shared
        self.position = nn.Linear(size, 3)
        self.rotation = nn.Linear(size, num_numbers)
        for layer in (self.position, self.rotation):
            nn.init.normal_(layer.weight, std=SMALL_WEIGHT / size**0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """Turn (B, N) into the numbers of positions (B, 3) and rotations (B, R)."""
        position = alpha[:, : self.num_position]
        return self.position(position), self.rotation(alpha[:, -self.num_rotation :])

    def matrices(self) -> tuple[Tensor, Tensor]:
        """Give P: (3, N) and (R, N), zero where a coefficient does not count."""
        position, rotation = self.position.weight.detach(), self.rotation.weight.detach()
        if self.is_shared:
            return position, rotation
        return (
            nn.functional.pad(position, (0, self.num_rotation)),
            nn.functional.pad(rotation, (self.num_position, 0)),
        )


def rotation_from_numbers(numbers: Tensor, representation: str) -> Tensor:
    """(B, 3, 3) rotations of (B, R) numbers."""
    if representation == 'quaternion':
        return rotation_from_quaternion(numbers)
    # TINY: the gradient of a root of zero is infinite.
    half_angle = ((numbers**2).sum(dim=1, keepdim=True) + TINY).sqrt()
    vector = torch.sinc(half_angle / torch.pi) * numbers
    return rotation_from_quaternion(torch.cat([half_angle.cos(), vector], dim=1))


def nearest_numbers(rotation: Tensor, numbers: Tensor, representation: str) -> Tensor:
    """Represent rotations as near as can be to other numbers.

    Of the two quaternions of a rotation no sign is right everywhere: wherever it is chosen, it
    jumps between neighbours somewhere.

    Args:
        rotation: (B, 3, 3).
        numbers: (B, R), those predicted.
        representation: in NUM_ROTATION.
    """
    quaternion = quaternion_from_rotation(rotation).to(numbers.dtype)
    both = torch.stack([quaternion, -quaternion])
    if representation == 'log_quaternion':
        both = torch.stack([_logarithm(each) for each in both])
    distance = torch.linalg.vector_norm(both - numbers.detach(), dim=2)
    return torch.where((distance[0] <= distance[1])[:, None], both[0], both[1])


def mean_numbers(rotation: Tensor, representation: str) -> Tensor:
    """Give the numbers (R,) of the mean of rotations (B, 3, 3)."""
    quaternion = quaternion_from_rotation(rotation.double())
    mean = torch.linalg.eigh(quaternion.T @ quaternion).eigenvectors[:, -1]
    mean = mean * torch.where(mean[0] < 0, -1.0, 1.0)
    return mean if representation == 'quaternion' else _logarithm(mean[None])[0]


def _logarithm(quaternion: Tensor) -> Tensor:
    """Halves (B, 3) of the rotation vectors of unit quaternions (B, 4), as long as pi at most."""
    vector = quaternion[:, 1:]
    length = torch.linalg.vector_norm(vector, dim=1, keepdim=True)
    return torch.atan2(length, quaternion[:, :1]) * normalize(vector, dim=1)
