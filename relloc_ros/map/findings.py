# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a check has to say about a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ['Finding', 'Level', 'some_of']

MAX_LISTED = 8


class Level(str, Enum):
    """How bad it is. The value is the printed name."""

    ERROR = 'error'
    WARNING = 'warning'
    NOTE = 'note'

    def __str__(self) -> str:
        """Print the bare name."""
        return self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a map, or good to know about it.

    Attributes:
        level: error where poses of the map or from it are wrong, warning where they may be.
        kind: short name that stays the same, for programs.
        message: a sentence with the figure.
        subjects: names of images, or `camera ID`, all of them.
        figure: how much, in `unit`; None where nothing is measured.
        unit: of the figure.
        std: standard error of the figure; None where it has none.
        remedy: what to do about it.
    """

    level: Level
    kind: str
    message: str
    subjects: tuple[str, ...] = ()
    figure: float | None = None
    unit: str = ''
    std: float | None = None
    remedy: str = ''

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            'level': self.level.value,
            'kind': self.kind,
            'message': self.message,
            'subjects': list(self.subjects),
            'figure': self.figure,
            'unit': self.unit,
            'std': self.std,
            'remedy': self.remedy,
        }


def some_of(names: Sequence[str], most: int = MAX_LISTED) -> str:
    """List names for a sentence; where there are many, the first, and how many more."""
    shown = ', '.join(names[:most])
    return shown if len(names) <= most else f'{shown} and {len(names) - most} more'
