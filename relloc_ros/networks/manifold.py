# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The essential manifold: matrices with two equal singular values and one that is zero."""

from __future__ import annotations

import torch
from torch import Tensor

from relloc_ros.errors import DataError

__all__ = ['essential_from_pose', 'project_to_essential', 'skew']

LEAST_GAP = 1e-3
"""Of singular values, as a part of the largest: gradients grow no further where they meet."""
TINY = 1e-20


def project_to_essential(matrices: Tensor) -> Tensor:
    """Replace the two largest singular values by their mean and the third by zero.

    The gradient is that of the projection itself, which singular vectors that may turn into each
    other do not disturb: two equal largest values, as every essential matrix has, are no special
    case. Where the second and the third meet, the projection jumps; there the gradient is bounded.

    Args:
        matrices: (B, 3, 3); half precision becomes float32, as there is no decomposition for it.

    Raises:
        DataError: another shape or dtype.
    """
    if matrices.ndim != 3 or matrices.shape[1:] != (3, 3) or not matrices.is_floating_point():
        raise DataError(
            f'matrices have shape {tuple(matrices.shape)} and {matrices.dtype}: the projection '
            'takes (B, 3, 3) floating point'
        )
    if matrices.dtype in (torch.float16, torch.bfloat16):
        matrices = matrices.float()
    return _Projection.apply(matrices)


class _Projection(torch.autograd.Function):
    """U diag(m, m, 0) V^T with m = (s1 + s2) / 2 of A = U diag(s1, s2, s3) V^T.

    With M = U^T dA V and d = (m, m, 0), the differential in the bases U and V multiplies the
    symmetric part of M off the diagonal by (d_i - d_j) / (s_i - s_j) and the antisymmetric by
    (d_i + d_j) / (s_i + s_j); on the diagonal it is (mean of the first two, the same, 0). This map
    is its own adjoint, so that it serves for gradients as it is.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, matrices: Tensor) -> Tensor:
        u, s, vt = torch.linalg.svd(matrices)
        ctx.save_for_backward(u, s, vt)
        mean = s[:, :2].mean(dim=1)
        return mean[:, None, None] * (u[:, :, :2] @ vt[:, :2])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        u, s, vt = ctx.saved_tensors
        inner = u.transpose(1, 2) @ gradient @ vt.transpose(1, 2)
        mean = s[:, :2].mean(dim=1)
        least = LEAST_GAP * s[:, 0] + TINY
        result = torch.zeros_like(inner)
        along = (inner[:, 0, 0] + inner[:, 1, 1]) / 2
        result[:, 0, 0] = result[:, 1, 1] = along
        # Between the first two: (m - m) / (s1 - s2) is zero, 2 m / (s1 + s2) is one.
        turn = (inner[:, 0, 1] - inner[:, 1, 0]) / 2
        result[:, 0, 1], result[:, 1, 0] = turn, -turn
        for i in (0, 1):
            symmetric = (inner[:, i, 2] + inner[:, 2, i]) / 2
            turn = (inner[:, i, 2] - inner[:, 2, i]) / 2
            symmetric = symmetric * mean / torch.maximum(s[:, i] - s[:, 2], least)
            turn = turn * mean / torch.maximum(s[:, i] + s[:, 2], least)
            result[:, i, 2], result[:, 2, i] = symmetric + turn, symmetric - turn
        return u @ result @ vt


def essential_from_pose(rotation: Tensor, translation: Tensor) -> Tensor:
    """E = [t]x R of unit translations, of b_from_a poses: ``x_b^T E x_a = 0``.

    Args:
        rotation: (B, 3, 3).
        translation: (B, 3), of any length; without a baseline E is zero.
    """
    length = torch.linalg.vector_norm(translation, dim=1, keepdim=True)
    return skew(translation / length.clamp(min=TINY)) @ rotation


def skew(vectors: Tensor) -> Tensor:
    """(B, 3, 3) matrices S with ``S @ x == cross(vector, x)``, of (B, 3) vectors."""
    x, y, z = vectors.unbind(dim=1)
    zero = torch.zeros_like(x)
    rows = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1)
    return rows.unflatten(1, (3, 3))
