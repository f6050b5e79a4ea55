# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How large the study of absolute pose regression is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ['SCALES', 'AprScale']

VARIANTS = ('posenet_learned', 'mapnet')
"""Those of the experiments of Sattler et al., CVPR 2019, section 4."""


@dataclass(frozen=True)
class AprScale:
    """Sizes.

    Attributes:
        what: in words.
        size: of the images, pixels.
        map_images: of a way, without those of a grid.
        queries: of a way; of real sets at most so many.
        settings: of networks and trainings.
        variants: that are trained.
    """

    what: str
    size: str
    map_images: int
    queries: int
    settings: Mapping[str, str | int | float]
    variants: tuple[str, ...] = VARIANTS


SMALL: Mapping[str, str | int | float] = {
    'backbone': 'small',
    'shorter_side': 104,
    'crop': 96,
    'embedding_size': 256,
    'learning_rate': 0.001,
    'reading_threads': 1,
    # The default is for video; a way has two images a second.
    'window_step': 1,
}
SCALES: Mapping[str, AprScale] = {
    'tiny': AprScale(
        'a test of the study itself, whose figures mean nothing',
        '128x96',
        24,
        4,
        {**SMALL, 'embedding_size': 32, 'batch_size': 8, 'max_epochs': 2},
    ),
    'cpu': AprScale(
        'small networks and images, for the cores of a laptop',
        '192x144',
        200,
        40,
        {**SMALL, 'max_epochs': 160, 'patience': 160},
    ),
    'gpu': AprScale(
        'networks and crops as large as the papers have them, from random weights; wants a GPU, '
        'and has not been run yet',
        '640x480',
        1000,
        200,
        {
            'backbone': 'resnet34',
            'shorter_side': 256,
            'crop': 224,
            'precision': 'bfloat16',
            'reading_threads': 12,
            'window_step': 1,
            'max_epochs': 300,
            'patience': 300,
        },
    ),
}
