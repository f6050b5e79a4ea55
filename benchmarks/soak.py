# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Twenty thousand images through the node: memory, open files, threads and latency stay flat.

    python benchmarks/soak.py --map MAP --images DIR --list FILE --json OUT [--picture PNG]

Each image is shown when the answer to the one before has come, so that none is dropped and the
node never rests. The images of examples/fr3_office, in a map of it, take a quarter of an hour.
The exit code is 1 if something has grown, or the last thousand took longer than the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
import json
import os
from pathlib import Path
import time
from typing import Annotated, Any, Optional

from node_load import wait_for_node
from node_overhead import ANSWER_TIMEOUT_S, MAX_IMAGES, PatientRobot, show, warm_up
from node_process import (
    cpu_s,
    keep_to_this_machine,
    memory_kib,
    num_threads,
    open_files,
    running_node,
)
import numpy as np
from numpy.typing import NDArray
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rich.progress import track
from scipy.stats import ks_2samp
from stopwatch import machine, percentile, ratio
import typer

from relloc_ros.map.sources import read_source

MARKS = 100
"""So often the node is looked at."""
ENDS = 20
"""The first and the last of so many parts are compared."""
WARM_UP_PARTS = 2
"""Memory is compared from the end of the second part."""
BLOCKS = 40
"""Latency is summed up in so many parts."""
LIMITS = {
    'images_lost': 0,
    'memory_growth_mib': 10.0,
    'open_files_growth': 0,
    'threads_growth': 0,
    'last_per_first_p50': 1.1,
    'kolmogorov_smirnov': 0.25,
}
"""Largest values of figures. Of memory, half a KiB an image: rclpy takes half of that."""


@dataclass
class Record:
    """What the node did and took.

    Attributes:
        latency_ms: from an image to its status; nan where it was lost.
        core_ms: the localizer's part of it.
        marks: what the node took, from time to time.
    """

    latency_ms: list[float] = field(default_factory=list)
    core_ms: list[float] = field(default_factory=list)
    marks: list[dict[str, float]] = field(default_factory=list)


def main(
    map_folder: Annotated[Path, typer.Option('--map', help='Folder of the map.')],
    images: Annotated[Path, typer.Option(help='Folder of the images.')],
    list_file: Annotated[Path, typer.Option('--list', help='Names of the images shown in turn.')],
    output: Annotated[Path, typer.Option('--json', help='File to write.')],
    count: Annotated[int, typer.Option(min=100, help='Images to show.')] = 20000,
    scale: Annotated[
        float, typer.Option(min=0.1, max=1.0, help='Smaller images take less time.')
    ] = 0.4,
    picture: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Picture to draw, too; it needs matplotlib.'),
    ] = None,
) -> None:
    """Run the node, and write OUT; exit code 1 if a limit is exceeded."""
    keep_to_this_machine()
    load_before, start = os.getloadavg(), time.monotonic()
    posed = read_source(images.parent, images, list_file)[:MAX_IMAGES]
    rclpy.init(args=[])
    robot = PatientRobot(posed, raw=True, scale=scale)
    executor = SingleThreadedExecutor()
    executor.add_node(robot)
    try:
        with running_node(map_folder, max_rate=0.0, resized_images=scale != 1.0) as process:
            wait_for_node(executor, robot, process)
            warm_up(executor, robot)
            record = _show_all(executor, robot, process.pid, count)
    finally:
        executor.shutdown()
        robot.destroy_node()
        rclpy.try_shutdown()
    result = {
        **summarize(record),
        'images_accepted': len(robot.accepted),
        'seconds': round(time.monotonic() - start, 1),
        'machine': machine(),
        'load_average_before': load_before,
        'load_average_after': os.getloadavg(),
    }
    output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    if picture is not None:
        from plot_soak import draw

        draw(result, picture)
    exceeded = {name: result[name] for name in LIMITS if name not in result['within_limits']}
    for name, value in exceeded.items():
        print(f'{name} is {value}, the limit {LIMITS[name]}')
    print(f'{count} images, {result["images_lost"]} lost, in {result["seconds"]:.0f} s')
    raise typer.Exit(int(bool(exceeded)))


def _show_all(
    executor: SingleThreadedExecutor, robot: PatientRobot, pid: int, count: int
) -> Record:
    record = Record()
    step = max(count // MARKS, 1)
    for i in track(range(count), 'showing images to the node', transient=True):
        if i % step == 0:
            record.marks.append(_look_at(pid, i))
        stamp_ns = show(executor, robot, ANSWER_TIMEOUT_S)
        if stamp_ns is None:
            record.latency_ms.append(float('nan'))
            continue
        record.latency_ms.append(1e3 * (robot.statuses_s.pop(stamp_ns) - robot.sent_s))
        record.core_ms.append(robot.core_ms.pop(stamp_ns))
    record.marks.append(_look_at(pid, count))
    return record


def _look_at(pid: int, num_images: int) -> dict[str, float]:
    return {
        'images': num_images,
        'memory_mib': round(memory_kib(pid) / 1024, 1),
        'open_files': open_files(pid),
        'threads': num_threads(pid),
        'cpu_s': cpu_s(pid),
    }


def summarize(record: Record) -> dict[str, Any]:
    """Compare the beginning with the end.

    Args:
        record: of all images.
    """
    latency = np.array(record.latency_ms)
    # A thousand of twenty thousand.
    part = max(len(latency) // ENDS, 1)
    parts = [_known(latency[i : i + part]) for i in range(0, len(latency) - part + 1, part)]
    first, last = parts[0], _known(latency[-part:])
    marks = record.marks
    # Caches and the allocator's arenas fill up in the beginning.
    settled, end = (
        next(mark for mark in marks if mark['images'] >= WARM_UP_PARTS * part),
        marks[-1],
    )
    figures: dict[str, Any] = {
        'images': len(latency),
        'images_lost': int(np.isnan(latency).sum()),
        'core_ms_p50': percentile(record.core_ms, 50),
        'part': part,
        **_percentiles('first', first),
        **_percentiles('last', last),
        'last_per_first_p50': ratio(percentile(last, 50), percentile(first, 50)),
        'last_per_first_p95': ratio(percentile(last, 95), percentile(first, 95)),
        'kolmogorov_smirnov': _distance(first, last),
        # What the machine itself does to latency.
        'kolmogorov_smirnov_any_two': percentile(
            [_distance(*two) for two in combinations(parts, 2)], 50
        ),
        'cpu_ms_per_image_first': _cpu_ms(marks[: 1 + MARKS // ENDS]),
        'cpu_ms_per_image_last': _cpu_ms(marks[-1 - MARKS // ENDS :]),
        'settled_mib': settled['memory_mib'],
        'end_mib': end['memory_mib'],
        'memory_growth_mib': round(end['memory_mib'] - settled['memory_mib'], 1),
        'open_files_growth': end['open_files'] - settled['open_files'],
        'threads_growth': end['threads'] - settled['threads'],
        'blocks': _blocks(latency),
        'marks': marks,
    }
    within = [name for name, limit in LIMITS.items() if (figures[name] or 0.0) <= limit]
    return {**figures, 'limits': LIMITS, 'within_limits': within}


def _distance(first: Sequence[float], second: Sequence[float]) -> float:
    """Largest difference of two distributions; none of what is all lost."""
    if not first or not second:
        return 1.0
    return round(float(ks_2samp(first, second).statistic), 3)


def _blocks(latency: NDArray[np.float64]) -> list[dict[str, float | None]]:
    """Percentiles of parts of the images, by their last."""
    ends = np.linspace(0, len(latency), BLOCKS + 1).astype(int)
    blocks: list[dict[str, float | None]] = []
    for start, end in pairwise(ends):
        values = latency[start:end]
        blocks.append(
            {'images': int(end), **_percentiles('all', values[np.isfinite(values)].tolist())}
        )
    return blocks


def _known(values: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in values[np.isfinite(values)]]


def _percentiles(name: str, values: Sequence[float]) -> dict[str, float | None]:
    return {f'{name}_ms_p{percent}': percentile(values, percent) for percent in (50, 95, 99)}


def _cpu_ms(marks: Sequence[dict[str, float]]) -> float:
    num_images = marks[-1]['images'] - marks[0]['images']
    return round(1e3 * (marks[-1]['cpu_s'] - marks[0]['cpu_s']) / num_images, 2)


if __name__ == '__main__':
    typer.run(main)
