# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long the stages of a localization take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import time

__all__ = ['StageTimer']


class StageTimer:
    """Wall milliseconds of named stages."""

    def __init__(self) -> None:
        """Start with no stage."""
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = 1e3 * (time.perf_counter() - start)
            self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + elapsed
