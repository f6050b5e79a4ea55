# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""All kinds of corruptions, by name."""

from __future__ import annotations

from collections.abc import Sequence

from fuzz_images import IMAGE_KINDS
from fuzz_maps import MAP_KINDS
from fuzz_messages import CAMERA_KINDS, MESSAGE_KINDS
from fuzz_settings import SETTING_KINDS
from fuzz_transforms import TRANSFORM_KINDS
from fuzz_world import Case, Kind

__all__ = ['KINDS', 'choose_cases']

KINDS: dict[str, Kind] = {
    **IMAGE_KINDS,
    **MESSAGE_KINDS,
    **CAMERA_KINDS,
    **TRANSFORM_KINDS,
    **SETTING_KINDS,
    **MAP_KINDS,
}


def choose_cases(count: int, first_seed: int = 0, only: Sequence[str] = ()) -> list[Case]:
    """Share cases among the kinds.

    Args:
        count: of all cases; each kind has one at least.
        first_seed: of each kind.
        only: beginnings of the names of kinds; none is all.
    """
    kinds = {
        name: kind for name, kind in KINDS.items() if not only or name.startswith(tuple(only))
    }
    total = sum(kind.share for kind in kinds.values())
    return [
        Case(name, first_seed + number)
        for name, kind in kinds.items()
        for number in range(max(1, round(count * kind.share / total)))
    ]
