# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Wall and processor time of steps that are to be compared with each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
import os
import platform
import time
from typing import Any

import cv2
import numpy as np

from relloc_ros.vision.mutual_ratio import CompiledMatching, quickest_matching


class Stopwatch:
    """Milliseconds of steps, by name.

    Wall time is what a robot waits. On a machine that others use as well it says little; the
    processor time of this process, all its threads, still does.

    Attributes:
        wall_ms: samples by the name of the step.
        cpu_ms: the same, processor time.
    """

    def __init__(self) -> None:
        self.wall_ms: defaultdict[str, list[float]] = defaultdict(list)
        self.cpu_ms: defaultdict[str, list[float]] = defaultdict(list)

    def time(self, name: str, step: Callable[[], Any]) -> Any:
        """Do a step once, and return what it returns."""
        wall, cpu = time.perf_counter(), time.process_time()
        answer = step()
        self.cpu_ms[name].append(1e3 * (time.process_time() - cpu))
        self.wall_ms[name].append(1e3 * (time.perf_counter() - wall))
        return answer

    def time_in_turn(
        self, steps: Sequence[tuple[str, Callable[[], Any]]], turn: int
    ) -> dict[str, Any]:
        """Do steps once each, and return what they return.

        Args:
            steps: names and what to do.
            turn: counts up; each step comes first now and then, who does finds colder caches.
        """
        first = turn % len(steps)
        return {name: self.time(name, step) for name, step in (*steps[first:], *steps[:first])}


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Percentile to the microsecond; None of nothing."""
    return round(float(np.percentile(values, percent)), 3) if len(values) else None


def ratio(numerator: float | None, denominator: float | None) -> float | None:
    """Quotient to three digits; None where one is not known."""
    if numerator is None or not denominator:
        return None
    return round(numerator / denominator, 3)


def added(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """Sums of two steps of the same turns."""
    return [a + b for a, b in zip(first, second, strict=True)]


def machine() -> dict[str, Any]:
    """Say what the figures depend on besides the code."""
    return {
        'processor': _processor(),
        'cores': os.cpu_count(),
        'usable_cores': len(os.sched_getaffinity(0)),
        'opencv_threads': cv2.getNumThreads(),
        'python': platform.python_version(),
        'opencv': cv2.__version__,
        'numpy': np.__version__,
        'matching': 'compiled'
        if isinstance(quickest_matching(), CompiledMatching)
        else 'in NumPy',
        'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS'),
    }


def _processor() -> str:
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            names = [line.split(':', 1)[1].strip() for line in file if 'model name' in line]
    except OSError:
        names = []
    return names[0] if names else platform.machine()
