# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a study was begun with, kept in its folder, and the real sets that take part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

from study_runs import Places

from relloc_ros.errors import DataError

__all__ = ['find_sets', 'keep_choice', 'known_scale', 'read_choice', 'spread']

CHOICE = 'study.json'
Choice = TypeVar('Choice')


def read_choice(results: Path, kind: type[Choice]) -> Choice | None:
    """Read what a study was begun with; None if there is none.

    Raises:
        DataError: it is damaged, or of another study.
    """
    file = results / CHOICE
    if not file.exists():
        return None
    try:
        values: dict[str, Any] = json.loads(file.read_text('utf-8'))
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise DataError(f'{file} is damaged ({error}): choose another folder') from error


def keep_choice(choice: Any, sets: Iterable[str], places: Places, most_queries: int) -> None:
    """Keep a choice, and choose the queries of real sets, spread over their lists.

    Args:
        choice: a dataclass.
        sets: names of real sets.
        places: of files.
        most_queries: of a set.
    """
    places.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(choice), indent=2) + '\n'
    (places.results / CHOICE).write_text(text, 'utf-8')
    if places.data is None:
        return
    folder = places.results / 'queries'
    folder.mkdir(exist_ok=True)
    for name in sets:
        file = places.data / name / 'query.txt'
        if file.exists():
            lines = [line for line in file.read_text('utf-8').splitlines() if line.strip()]
            chosen = spread(lines, most_queries)
            (folder / f'{name}.txt').write_text('\n'.join(chosen) + '\n', 'utf-8')


def known_scale(name: str, scales: Mapping[str, object]) -> str:
    """Give the name of a scale.

    Raises:
        DataError: there is no such scale.
    """
    if name not in scales:
        raise DataError(f"unknown scale '{name}'; scales: {', '.join(scales)}")
    return name


def find_sets(data: Path, names: Iterable[str]) -> list[str]:
    """Find real sets in a folder.

    Raises:
        DataError: there is none.
    """
    found = [name for name in names if (data / name).is_dir()]
    if not found:
        raise DataError(f'{data} has none of the sets {", ".join(names)}: leave out --data')
    return found


def spread(lines: Sequence[str], most: int) -> list[str]:
    """Choose at most so many lines, evenly."""
    count = min(most, len(lines))
    return [lines[index * len(lines) // count] for index in range(count)]
