# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a second worker process is worth: features and matches of a map by one and by two.

    python benchmarks/workers.py SET --list SET/map.txt --json OUT

Each worker has one thread. The runs alternate, so that a busy machine slows both alike. Where
other programs want the processors, wall times say little: processor time is given beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import statistics
from tempfile import TemporaryDirectory
import time
from typing import Annotated, Any, Optional

import psutil
import typer

from relloc_ros.dask_pool import local_workers
from relloc_ros.map.builder import build_map
from relloc_ros.map.format import Manifest, current_generation
from relloc_ros.map.sources import PosedImage, read_source
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.parallel import TaskPool

STAGES = ('features', 'matching')
TRAINING_IMAGES = 50


@dataclass
class Stage:
    """One stage of a run, from its first item done to its last.

    Attributes:
        items: done in this time.
        wall_s: time that passed.
        workers_cpu_s: processor time of all workers.
        main_cpu_s: of the process that hands out the items and writes the map.
    """

    items: int
    wall_s: float
    workers_cpu_s: float
    main_cpu_s: float


class Clock:
    """Takes the time when the first item and the last of each stage are done."""

    def __init__(self) -> None:
        self._workers = psutil.Process().children(recursive=True)
        self._first: dict[str, tuple[float, float, float]] = {}
        self.stages: dict[str, Stage] = {}

    def __call__(self, done: int, total: int, stage: str) -> None:
        """Take note of an item that is done."""
        if stage not in STAGES or done not in (1, total):
            return
        now = time.perf_counter(), self._workers_cpu(), time.process_time()
        if done == 1:
            self._first[stage] = now
        else:
            spent = [end - start for start, end in zip(self._first[stage], now, strict=True)]
            self.stages[stage] = Stage(total - 1, *spent)

    def _workers_cpu(self) -> float:
        times = [worker.cpu_times() for worker in self._workers]
        return sum(item.user + item.system for item in times)


def main(
    source: Annotated[Path, typer.Argument(help='Posed images, as for relloc map build.')],
    output: Annotated[Path, typer.Option('--json', help='File to write.')],
    list_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--list', help='Names of the images to take; all by default.'),
    ] = None,
    rounds: Annotated[int, typer.Option(help='Runs of each; the medians count.')] = 3,
) -> None:
    """Measure and write OUT."""
    posed = read_source(source, list_file=list_file)
    runs: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    with TemporaryDirectory() as folder:
        few = posed[:: max(1, len(posed) // TRAINING_IMAGES)]
        vocabulary = current_generation(build_map(few, Path(folder) / 'few')).vocabulary
        for number in range(rounds):
            for workers in (1, 2) if number % 2 == 0 else (2, 1):
                path = Path(folder) / f'{workers}-{number}'
                runs[workers].append(measure(posed, path, vocabulary, workers))
                print(workers, json.dumps(runs[workers][-1]), flush=True)
    result = {'images': len(posed), 'cores': os.cpu_count(), **summarize(runs), 'runs': runs}
    output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    print(json.dumps({key: value for key, value in result.items() if key != 'runs'}, indent=2))


def measure(
    posed: Sequence[PosedImage], path: Path, vocabulary: Path, workers: int
) -> dict[str, Any]:
    """Build and triangulate a map by so many workers."""
    load = os.getloadavg()[0]
    with local_workers(workers) as pool:
        started = time.perf_counter()
        stages = make_map(posed, path, vocabulary, pool)
        whole_s = time.perf_counter() - started
    return {
        'load_before': round(load, 1),
        'load_after': round(os.getloadavg()[0], 1),
        'map_id': Manifest.read(current_generation(path).manifest).map_id,
        'whole_s': round(whole_s, 2),
        **{
            stage: {key: round(value, 3) for key, value in asdict(taken).items()}
            for stage, taken in stages.items()
        },
    }


def make_map(
    posed: Sequence[PosedImage], path: Path, vocabulary: Path, pool: TaskPool
) -> dict[str, Stage]:
    """Give the times of the stages."""
    clock = Clock()
    build_map(posed, path, vocabulary=vocabulary, progress=clock, pool=pool)
    triangulate_map(path, progress=clock, pool=pool)
    return clock.stages


def summarize(runs: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """Compare the medians, stage by stage and both together."""
    result: dict[str, Any] = {
        'same_map': len({run['map_id'] for taken in runs.values() for run in taken}) == 1
    }
    for name, stages in (*((stage, (stage,)) for stage in STAGES), ('both', STAGES)):
        wall, workers_cpu, main_cpu = (
            {
                workers: statistics.median(
                    sum(run[stage][key] for stage in stages) for run in taken
                )
                for workers, taken in runs.items()
            }
            for key in ('wall_s', 'workers_cpu_s', 'main_cpu_s')
        )
        result[name] = {
            'wall_s': wall,
            'workers_cpu_s': workers_cpu,
            'main_cpu_s': main_cpu,
            'wall_ratio': round(wall[1] / wall[2], 3),
            # If two cores had nothing else to do: one worker keeps the first busy, and two share
            # both with the process that writes the map.
            'cpu_ratio': round(2 * workers_cpu[1] / (workers_cpu[2] + main_cpu[2]), 3),
        }
    return result


if __name__ == '__main__':
    typer.run(main)
