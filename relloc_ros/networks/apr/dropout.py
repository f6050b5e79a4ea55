# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Dropout that goes on after training: each time another network gives its opinion.

Gal and Ghahramani, ICML 2016; for poses Kendall and Cipolla, ICRA 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ['FeatureDropout', 'leaving_out']

SEED = 0


class FeatureDropout(nn.Dropout):
    """Leaves out features before they are embedded."""


@contextmanager
def leaving_out(network: nn.Module, kind: type[nn.Dropout] = nn.Dropout) -> Iterator[None]:
    """Let the dropout of a kind in a network leave out parts, the same ones each time."""
    layers = [each for each in network.modules() if isinstance(each, kind)]
    modes = [each.training for each in layers]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        try:
            for layer in layers:
                layer.train()
            yield
        finally:
            for layer, mode in zip(layers, modes, strict=True):
                layer.train(mode)
