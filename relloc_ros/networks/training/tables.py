# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of a run as CSV files that grow with it, and their curve."""

from __future__ import annotations

from collections.abc import Mapping
import csv
from pathlib import Path

__all__ = ['LossTable', 'draw_losses']


class LossTable:
    """A CSV file, a row for each step or epoch; the first column counts from 1."""

    def __init__(self, path: Path) -> None:
        """Take the path of a file that may exist."""
        self.path = path

    def append(self, count: int, values: Mapping[str, float]) -> None:
        """Add a row: its number and its values; the first row gives the file its heading."""
        is_new = not self.path.exists()
        with self.path.open('a', encoding='utf-8', newline='') as file:
            writer = csv.writer(file, lineterminator='\n')
            if is_new:
                writer.writerow([self.path.stem, *values])
            writer.writerow([count, *(repr(value) for value in values.values())])

    def keep(self, count: int) -> None:
        """Drop all rows beyond the first `count`, and what a kill has left of a row."""
        if self.path.exists():
            lines = self.path.read_text('utf-8').splitlines(keepends=True)
            self.path.write_text(''.join(lines[: count + 1]), 'utf-8')

    def rows(self) -> list[dict[str, float]]:
        """Read all rows."""
        if not self.path.exists():
            return []
        with self.path.open(encoding='utf-8', newline='') as file:
            return [
                {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
            ]


def draw_losses(epochs: LossTable, path: Path) -> None:
    """Draw training and validation loss over the epochs as a PNG."""
    from matplotlib.figure import Figure  # noqa: PLC0415  slow to import

    rows = epochs.rows()
    figure = Figure(figsize=(6, 4), layout='constrained')
    axes = figure.add_subplot()
    numbers = range(1, len(rows) + 1)
    for kind in ('training', 'validation'):
        values = [row[f'{kind}_loss'] for row in rows]
        axes.plot(numbers, values, label=kind, marker='.' if len(rows) < 20 else '')
    if rows:
        best = min(range(len(rows)), key=lambda index: rows[index]['validation_loss'])
        axes.axvline(best + 1, color='0.7', zorder=0, label=f'best: epoch {best + 1}')
    axes.set_xlabel('epoch')
    axes.set_ylabel('loss')
    axes.legend()
    figure.savefig(path, dpi=120)
