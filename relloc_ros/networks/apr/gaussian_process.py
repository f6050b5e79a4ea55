# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A sparse Gaussian process between embedding and pose (GPoseNet: Cai et al., BMVC 2018).

Its mean is linear in what the kernel makes of an embedding: the coefficients of the base poses,
which are then the poses at the inducing points. So it is a further step of the second stage.
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
INITIAL_NOISE = 0.1
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
        """Coefficients (B, M) of embeddings (B, D): covariances with the inducing points, solved.

        They are Kzz^-1 k; with the means at the inducing points they give the predicted mean.
        """
        with torch.autocast(embedding.device.type, enabled=False):
            across = self._kernel(embedding.double())
            return torch.cholesky_solve(across.T, self._factor()).T.to(embedding.dtype)

    def variances(self, alpha: Tensor) -> Tensor:
        """Variances (B, 2) of each number of position and rotation, noise included.

        Args:
            alpha: (B, M) coefficients.
        """
        exact = alpha.double()
        explained = ((exact @ self._factor()) ** 2).sum(dim=1)
        unsure = ((exact @ self.root.tril().double()) ** 2).sum(dim=1)
        latent = (1 - explained + unsure).clamp(min=LEAST_VARIANCE)
        scaled = latent[:, None] * (2 * self.log_amplitudes).exp() + (2 * self.log_noises).exp()
        return scaled.to(alpha.dtype)

    def divergence(self, means: tuple[Tensor, Tensor]) -> Tensor:
        """Divergence of what is known at the inducing points from the prior.

        Args:
            means: at the inducing points, (3, M) of positions and (R, M) of rotations.
        """
        factor, root = self._factor(), self.root.tril().double()
        whitened = torch.linalg.solve_triangular(factor, root, upper=False)
        count = len(root)
        each = (whitened**2).sum() - count + _log_determinant(factor) - _log_determinant(root)
        total = each * sum(len(mean) for mean in means)
        for mean, amplitude in zip(means, self.log_amplitudes, strict=True):
            solved = torch.linalg.solve_triangular(factor, mean.double().T, upper=False)
            total = total + (solved**2).sum() * (-2 * amplitude).exp()
        return total / 2

    def _factor(self) -> Tensor:
        """Lower triangular factor of the inducing points' covariances, (M, M) float64."""
        covariances = self._kernel(self.inducing.double())
        identity = torch.eye(len(covariances), dtype=torch.float64, device=covariances.device)
        return torch.linalg.cholesky(covariances + JITTER * identity)

    def _kernel(self, embedding: Tensor) -> Tensor:
        """Covariances (B, M) of unit embeddings with the inducing points, 1 at most."""
        cosine = normalize(embedding, dim=1) @ normalize(self.inducing.double(), dim=1).T
        return torch.exp((cosine - 1) * (-2 * self.log_length_scale.double()).exp())


def _log_determinant(factor: Tensor) -> Tensor:
    """Of the matrix whose triangular factor is given."""
    return 2 * factor.diagonal().abs().clamp(min=TINY).log().sum()
