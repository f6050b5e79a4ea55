# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Windows of neighbouring images, and which images of a map are held out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from relloc_ros.networks.training.images import TrainingImage
from relloc_ros.networks.training.pairs import held_out

__all__ = ['held_out_of_sequences', 'make_windows', 'sequence_order']


def sequence_order(images: Sequence[TrainingImage]) -> NDArray[np.int64]:
    """Indices (N,) of images by sequence, which is the folder in their names, and time."""
    keys = [_key(image) for image in images]
    return np.array(sorted(range(len(images)), key=keys.__getitem__), dtype=np.int64)


def held_out_of_sequences(images: Sequence[TrainingImage]) -> NDArray[np.bool_]:
    """Tell which images (N,) are for validation: one in six, in stretches of neighbours."""
    result = np.zeros(len(images), dtype=bool)
    result[sequence_order(images)] = held_out(len(images))
    return result


def make_windows(
    images: Sequence[TrainingImage], chosen: NDArray[np.bool_], length: int, step: int
) -> NDArray[np.int64]:
    """Make a window that ends with each of the images chosen.

    A stretch of neighbours ends where the sequence does, and where images are not chosen. At the
    beginning of a stretch its first image takes the places of those before it.

    Args:
        images: of any number of sequences.
        chosen: (N,) which of them windows may have.
        length: images of a window.
        step: each comes so many after the one before.

    Returns:
        (E, length) indices in `images`, in the order of time, for E images chosen.
    """
    order = sequence_order(images)
    folders = [_key(images[index])[0] for index in order]
    offsets = step * np.arange(1 - length, 1)
    windows: list[NDArray[np.int64]] = []
    begin = 0
    for end in range(1, len(order) + 1):
        goes_on = (
            end < len(order)
            and folders[end] == folders[begin]
            and chosen[order[end]] == chosen[order[begin]]
        )
        if goes_on:
            continue
        if chosen[order[begin]]:
            places = np.arange(end - begin)[:, None] + offsets
            windows.append(order[begin:end][places.clip(min=0)])
        begin = end
    return np.concatenate([np.empty((0, length), dtype=np.int64), *windows])


def _key(image: TrainingImage) -> tuple[str, int, str]:
    posed = image.posed
    return str(PurePosixPath(posed.name).parent), posed.stamp_ns, posed.name
