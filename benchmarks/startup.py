# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long it takes until something happens: import, help, and a node that is active.

python benchmarks/startup.py [--map MAP] [--json OUT]
"""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Annotated, Any, Optional

from rich.console import Console
from stopwatch import percentile
import typer

COMMANDS = {
    'python': ('-c', 'pass'),
    'import_relloc_ros': ('-c', 'import relloc_ros'),
    'relloc_help': ('-c', 'from relloc_ros.cli.main import main; main()', '--help'),
}
RUNS = 5
NODE_RUNS = 3


def main(
    map_folder: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--map', help='Start the node with this map as well.'),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File to write.'),
    ] = None,
) -> None:
    """Print seconds, medians of some starts."""
    result = measure_start(map_folder)
    if output is not None:
        output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    Console().print_json(data=result)


def measure_start(map_folder: Path | None) -> dict[str, Any]:
    """Start programs some times, in turn, after a first time that does not count.

    Args:
        map_folder: of the node; None starts none.
    """
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for run in range(RUNS + 1):
        for name, command in COMMANDS.items():
            sample = run_command([sys.executable, *command])
            if run:
                samples[name].append(sample)
    result: dict[str, Any] = {name: _summarize(values) for name, values in samples.items()}
    if map_folder is not None:
        result['node_active'] = _start_node(map_folder)
    return result


def run_command(command: Sequence[str]) -> tuple[float, float]:
    """Run a command to its end; returns wall and processor seconds, its children's as well.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user - before.children_user
    return wall, cpu + after.children_system - before.children_system


def _start_node(map_folder: Path) -> dict[str, Any]:
    try:
        from node_start import seconds_until_active
    except ImportError as error:
        return {'left_out': f'{error.name} is not installed'}
    return _summarize([seconds_until_active(map_folder) for _ in range(NODE_RUNS)])


def _summarize(samples: Sequence[tuple[float, float]]) -> dict[str, Any]:
    walls, cpus = zip(*samples, strict=True)
    return {
        's_p50': percentile(walls, 50),
        's_max': percentile(walls, 100),
        'cpu_s_p50': percentile(cpus, 50),
    }


if __name__ == '__main__':
    typer.run(main)
