# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The figure of the soak: memory, open files and threads, and latency over the images shown.

python benchmarks/plot_soak.py OUT --output PNG
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import matplotlib as mpl
from matplotlib.figure import Figure
import typer

PERCENTILES = ((50, '#1f77b4'), (95, '#ff7f0e'), (99, '#d62728'))


def main(
    file: Annotated[Path, typer.Argument(help='What soak.py wrote.')],
    output: Annotated[Path, typer.Option(help='Picture to write.')],
) -> None:
    """Draw what the node took."""
    draw(json.loads(file.read_text('utf-8')), output)


def draw(figures: dict[str, Any], output: Path) -> None:
    """Draw the figures of a soak.

    Args:
        figures: what `soak.summarize` gave.
        output: picture to write.
    """
    mpl.rcParams.update({'axes.spines.top': False, 'axes.spines.right': False})
    figure = Figure(figsize=(11, 3.2), layout='constrained')
    memory, handles, latency = figure.subplots(1, 3)
    marks, blocks = figures['marks'], figures['blocks']
    shown = [mark['images'] for mark in marks]
    memory.plot(shown, [mark['memory_mib'] for mark in marks], color='#1f77b4')
    memory.set(title='memory of the node, MiB')
    for key, label, color in (
        ('open_files', 'open files', '#1f77b4'),
        ('threads', 'threads', '#ff7f0e'),
    ):
        handles.plot(shown, [mark[key] for mark in marks], label=label, color=color)
    handles.set(title='open files and threads')
    ends = [block['images'] for block in blocks]
    for percent, color in PERCENTILES:
        values = [block[f'all_ms_p{percent}'] for block in blocks]
        latency.plot(ends, values, label=f'{percent} %', color=color)
    latency.set(title='image to answer, ms')
    for axes in (memory, handles, latency):
        axes.set(xlabel='images', xlim=(0, figures['images']))
        axes.set_ylim(0, 1.3 * axes.get_ylim()[1])
        axes.grid(visible=True, color='0.92')
    for axes in (handles, latency):
        axes.legend(frameon=False, loc='upper left', ncols=3)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=110)


if __name__ == '__main__':
    typer.run(main)
