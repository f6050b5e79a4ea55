# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of the training of a network, whatever the network."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from relloc_ros.config_schema import STRICT, setting

__all__ = ['TrainingConfig']


@dataclass(frozen=True, slots=True, config=STRICT)
class TrainingConfig:
    """Settings of the training of a network; kept in the run, which is resumed with them."""

    batch_size: int = setting(16, 'Examples in a step, over all devices.', ge=1, le=65536)
    learning_rate: float = setting(1e-4, 'Of the optimizer, Adam.', gt=0, le=1)
    weight_decay: float = setting(1e-6, 'Of the optimizer.', ge=0, le=1)
    max_epochs: int = setting(200, 'Training ends after so many epochs.', ge=1, le=10**6)
    patience: int = setting(
        20,
        'It ends earlier after so many epochs without a better validation loss.',
        ge=1,
        le=10**6,
    )
    pairs_per_image: int = setting(
        20, 'Pairs made of each image at most, spread over those retrieved.', ge=1, le=100
    )
    min_overlap: float = setting(
        0.3, 'Least part of the view that the images of a pair share.', ge=0, le=1
    )
    precision: Literal['float32', 'bfloat16'] = setting(
        'float32', 'bfloat16 is mixed precision: faster on newer GPUs, weights stay float32.'
    )
    accelerator: Literal['auto', 'cpu', 'cuda'] = setting(
        'auto', 'Where the network runs; auto takes GPUs if there are any.'
    )
    devices: int = setting(1, 'GPUs, or processes on a CPU, that share each batch.', ge=1, le=1024)
    reading_threads: int = setting(4, 'Threads of each process that read images.', ge=1, le=256)
    checkpoint_steps: int = setting(
        200, 'A killed run goes back to the last of these, or of an epoch.', unit='steps', ge=1
    )
    random_seed: int = setting(0, 'Seed of first weights, order and crops.', ge=0, le=2**31 - 1)
