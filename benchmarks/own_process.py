# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a localizer takes when it has a process of its own: time of each stage, largest memory."""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

from relloc_ros.map.sources import PosedImage, read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage

__all__ = ['PROCESSOR', 'ask', 'medians', 'peak_mb', 'read_queries', 'run_alone']

PROCESSOR = 'processor'
"""Among the stages: processor time of all of them, all threads."""


def run_alone(script: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run a script that prints JSON in a process of its own, with one thread everywhere.

    Raises:
        SystemExit: it fails; with what it said.
    """
    command = [sys.executable, script, *arguments]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f'{" ".join(command)} failed:\n{done.stderr}')
    return dict(json.loads(done.stdout))


def read_queries(data_set: Path, count: int) -> list[PosedImage]:
    """Name queries of a set, so many at most, spread over its list."""
    posed = read_source(data_set, list_file=data_set / 'query.txt')
    return list(posed[:: max(1, len(posed) // count)][:count])


def ask(relocalizer: Relocalizer, posed: Sequence[PosedImage]) -> list[dict[str, float]]:
    """Localize images; give the milliseconds of the stages of each."""
    timings = []
    for each in posed:
        query = QueryImage(read_image(each), each.camera, each.stamp_ns, '', each.name)
        start = time.process_time()
        timings_ms = relocalizer.process(query).timings_ms
        processor_ms = 1000 * (time.process_time() - start)
        timings.append({**timings_ms, PROCESSOR: processor_ms})
    return timings


def peak_mb() -> float:
    """Give the largest memory so far, MiB; `getrusage` counts that of the parent, too."""
    status = Path('/proc/self/status').read_text(encoding='ascii')
    line = next(line for line in status.splitlines() if line.startswith('VmHWM'))
    return int(line.split()[1]) / 1024


def medians(timings: Sequence[dict[str, float]]) -> dict[str, float]:
    """Give the median time of each stage that occurs; one that an image did not come to took 0."""
    names = dict.fromkeys(name for each in timings for name in each)
    middle = len(timings) // 2
    return {name: sorted(each.get(name, 0.0) for each in timings)[middle] for name in names}
