# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people see: results on stdout, progress, warnings and errors on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import logging

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = [
    'print_error',
    'print_note',
    'print_warning',
    'progress_bar',
    'show_notes',
    'show_warnings',
    'stderr',
    'stdout',
]

ProgressReport = Callable[[int, int, str], None]

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)


def print_error(message: str) -> None:
    """Print one red line, however long."""
    # Unwrapped, so that paths can be copied and logs have one line an error.
    stderr.print(Text(f'error: {_one_line(message)}', style='red'), soft_wrap=True)


def print_warning(message: str) -> None:
    """Print one yellow line."""
    stderr.print(Text(f'warning: {_one_line(message)}', style='yellow'), soft_wrap=True)


def print_note(message: str) -> None:
    """Print a line that is no result."""
    stderr.print(Text(_one_line(message)), soft_wrap=True)


def show_warnings() -> None:
    """Print the library's warnings as yellow lines."""
    logger = logging.getLogger('relloc_ros')
    if not any(isinstance(handler, _WarningHandler) for handler in logger.handlers):
        logger.addHandler(_WarningHandler(logging.WARNING))


def show_notes(name: str) -> None:
    """Print what a module of the library has to say, its warnings aside, as plain lines."""
    logger = logging.getLogger(name)
    if not any(isinstance(handler, _NoteHandler) for handler in logger.handlers):
        logger.addHandler(_NoteHandler(logging.INFO))
        logger.setLevel(logging.INFO)


@contextmanager
def progress_bar(title: str) -> Iterator[ProgressReport]:
    """Show a bar while the block runs; gives the function to call with (done, total, detail).

    Where stderr is no terminal, nothing is shown.
    """
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn('[dim]{task.fields[detail]}'),
    )
    with Progress(
        *columns, console=stderr, transient=True, disable=not stderr.is_terminal
    ) as progress:
        task = progress.add_task(title, total=None, detail='')

        def report(done: int, total: int, detail: str) -> None:
            progress.update(task, completed=done, total=total, detail=detail)

        yield report


def _one_line(message: str) -> str:
    return ' '.join(message.split())


class _WarningHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print_warning(record.getMessage())


class _NoteHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            print_note(record.getMessage())
