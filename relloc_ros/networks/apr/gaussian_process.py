# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A sparse Gaussian process between embedding and pose (GPoseNet: Cai et al., BMVC 2018).

Its mean is linear in what the kernel makes of an embedding: these are the coefficients of the base
poses, and the process is a further step of the second stage.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

__all__ = ['GaussianProcess']

LENGTH_SCALE = 0.5
"""To begin with; embeddings are of unit length."""
JITTER = 1e-4
INITIAL_STD = 0.1
INITIAL_NOISE = 0.03
INITIAL_AMPLITUDE = 1.0
LEAST_VARIANCE, TINY = 1e-6, 1e-12


class GaussianProcess(nn.Module):
    """Stochastic variational inference (Hensman et al., UAI 2013), one kernel for all outputs.

    The outputs are numbers of positions and rotations; the two have variances of their own.
    """

    def __init__(self, size: int, num_inducing: int) -> None:
        super().__init__()
        self.inducing = nn.Parameter(normalize(torch.randn(num_inducing, size).abs(), dim=1))
        self.log_length_scale = nn.Parameter(torch.tensor(LENGTH_SCALE).log())
        self.log_amplitudes = nn.Parameter(torch.full((2,), INITIAL_AMPLITUDE).log())
        self.log_noises = nn.Parameter(torch.full((2,), INITIAL_NOISE).log())
        self.root = nn.Parameter(INITIAL_STD * torch.eye(num_inducing))

    def forward(self, embedding: Tensor) -> Tensor:
        """Coefficients (B, M) of embeddings (B, D), as long as 1 at most.

        Covariances with the inducing points, whitened: times the inverse of the triangular factor
        of the inducing points' own.
        """
        with torch.autocast(embedding.device.type, enabled=False):
            points = self.inducing.double()
            identity = torch.eye(len(points), dtype=points.dtype, device=points.device)
            factor = torch.linalg.cholesky(self._kernel(points) + JITTER * identity)
            across = self._kernel(embedding.double())
            solved = torch.linalg.solve_triangular(factor, across.T, upper=False)
            return solved.T.to(embedding.dtype)

    def variances(self, alpha: Tensor) -> Tensor:
        """Variances (B, 2) of each number of position and rotation, noise included.

        Args:
            alpha: (B, M) coefficients.
        """
        explained = (alpha**2).sum(dim=1)
        unsure = ((alpha @ self.root.tril()) ** 2).sum(dim=1)
        latent = (1 - explained + unsure).clamp(min=LEAST_VARIANCE)
        return latent[:, None] * (2 * self.log_amplitudes).exp() + (2 * self.log_noises).exp()

    def divergence(self, weights: tuple[Tensor, Tensor]) -> Tensor:
        """Divergence of what is known at the inducing points from the prior.

        Args:
            weights: base poses, (3, M) of positions and (R, M) of rotations.
        """
        root = self.root.tril()
        determinant = 2 * root.diagonal().abs().clamp(min=TINY).log().sum()
        spread = (root**2).sum() - len(root) - determinant
        total = spread * sum(len(each) for each in weights)
        for each, amplitude in zip(weights, self.log_amplitudes, strict=True):
            total = total + (each**2).sum() * (-2 * amplitude).exp()
        return total / 2

    def _kernel(self, embedding: Tensor) -> Tensor:
        """Covariances (B, M) of unit embeddings with the inducing points, 1 at most."""
        cosine = normalize(embedding, dim=1) @ normalize(self.inducing.double(), dim=1).T
        return torch.exp((cosine - 1) * (-2 * self.log_length_scale.double()).exp())
