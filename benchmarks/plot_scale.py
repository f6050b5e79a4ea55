# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw how a map's costs grow, from the files of scale.py.

python benchmarks/plot_scale.py OUT_1000.json OUT_10000.json ... --output PNG
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
from matplotlib.figure import Figure
import typer

PANELS = (
    ('open_s', 'time to open, s', 5.0),
    ('query_ms_p50', 'retrieval, ms (median)', 20.0),
    ('resident_bytes_per_image', 'memory, bytes an image', 300.0),
)
LARGE_MAP = 20_000


def main(
    files: Annotated[list[Path], typer.Argument(help='What scale.py wrote.')],
    output: Annotated[Path, typer.Option(help='Picture to write.')],
) -> None:
    """Draw time to open, time of a query and memory over the number of images."""
    results = sorted(
        (json.loads(file.read_text('utf-8')) for file in files), key=lambda each: each['images']
    )
    counts = [result['images'] for result in results]
    mpl.rcParams.update({'svg.fonttype': 'none', 'axes.spines.top': False})
    figure = Figure(figsize=(10, 3), layout='constrained')
    for axes, (key, label, target) in zip(figure.subplots(1, 3), PANELS, strict=True):
        axes.loglog(counts, [result[key] for result in results], marker='o', color='#1f77b4')
        axes.axhline(target, linestyle='--', color='0.5')
        axes.annotate('target at 1 M', (counts[0], target), (0, 3), textcoords='offset points')
        axes.axvline(LARGE_MAP, linestyle=':', color='0.7')
        axes.set(xlabel='images', title=label)
        axes.spines['right'].set_visible(False)
        axes.grid(visible=True, color='0.92')
    figure.savefig(output, dpi=110)


if __name__ == '__main__':
    typer.run(main)
