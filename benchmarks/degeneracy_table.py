# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of degenerate cases, from the figures of `degeneracy.py --json`.

    python benchmarks/degeneracy_table.py FIGURES docs/degeneracy.md

The page keeps its text; what is between its two marks is written anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
import json
from pathlib import Path
import re
import sys
from typing import Annotated, Any

import numpy as np
import typer

__all__ = ['HEADINGS', 'LIMIT', 'read_page', 'row', 'write_page']

Figures = Mapping[str, Any]

HEADINGS = (
    'what',
    'case',
    'wanted',
    'method',
    'says',
    'median error',
    'inside 99 %',
    'worst',
    'std along / across',
    'verdict',
)
LIMIT = 4.1002
"""Mahalanobis distance within which 99 % of the errors of six dimensions are."""
START, END = '<!-- figures -->\n', '<!-- end of figures -->'


def main(
    figures: Annotated[Path, typer.Argument(help='Figures that degeneracy.py has written.')],
    page: Annotated[Path, typer.Argument(help='Page with the two marks.')],
) -> None:
    """Write the table into a page."""
    write_page(json.loads(figures.read_text('utf-8')), page)


def write_page(outcomes: Sequence[Figures], page: Path) -> None:
    """Put the table between the marks of a page.

    Args:
        outcomes: of all cases and methods.
        page: Markdown with the two marks.
    """
    text = read_page(page)
    pattern = re.escape(START) + '.*?' + re.escape(END)
    filled = START + _summary(outcomes) + '\n' + _table(outcomes) + END
    page.write_text(re.sub(pattern, lambda _: filled, text, flags=re.DOTALL), 'utf-8')


def read_page(page: Path) -> str:
    """Give the text of a page, or end the program if it has no place for the table."""
    text = page.read_text('utf-8') if page.is_file() else ''
    if START not in text or END not in text:
        sys.exit(f'{page} has no place for the table: add the lines {START.strip()} and {END}')
    return text


def row(outcome: Figures) -> list[str]:
    """Give the columns of a case and method."""
    statuses = sorted(outcome['statuses'].items(), key=lambda item: -item[1])
    method = outcome['method'] + (', calibrated' if outcome['calibrated'] else '')
    head = [outcome[key] for key in ('group', 'case', 'wanted')]
    head += [method, ', '.join(f'{count} {status}' for status, count in statuses)]
    if not outcome['errors']:
        return [*head, '', '', '', '', outcome['verdict']]
    distance, angle = np.median(outcome['errors'], axis=0)
    along, across = np.median(outcome['spreads'], axis=0)
    distances = np.array(outcome['mahalanobis'])
    return [
        *head,
        f'{distance:.3f} / {angle:.2f}°',
        f'{np.count_nonzero(distances <= LIMIT)} of {len(distances)}',
        f'{distances.max():.2g}',
        f'{along:.3f} / {across:.3f}',
        outcome['verdict'],
    ]


def _summary(outcomes: Sequence[Figures]) -> str:
    verdicts = Counter(outcome['verdict'] for outcome in outcomes)
    counts = ', '.join(f'{count} {verdict}' for verdict, count in verdicts.most_common())
    seconds = {outcome['case']: outcome['case_seconds'] for outcome in outcomes}
    minutes = sum(seconds.values()) / 60.0
    return (
        f'{len(seconds)} cases, {len(outcomes)} by case and method: {counts}. '
        f'Measured in {minutes:.0f} minutes.\n'
    )


def _table(outcomes: Sequence[Figures]) -> str:
    groups = list(dict.fromkeys(outcome['group'] for outcome in outcomes))
    ordered = sorted(outcomes, key=lambda outcome: groups.index(outcome['group']))
    lines = [HEADINGS, ['---'] * len(HEADINGS), *map(row, ordered)]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


if __name__ == '__main__':
    typer.run(main)
