# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who does the work of long commands: this process, worker processes, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from relloc_ros.parallel import TaskPool

__all__ = ['NumWorkers', 'SchedulerAddress', 'worker_pool']

PANEL = 'Many processes, many machines (docs/scale.md)'

NumWorkers = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        '--workers',
        metavar='N',
        min=1,
        help='Share the work among N processes with one thread each; one that dies is replaced. '
        'By default this process does it.',
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
SchedulerAddress = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        '--scheduler',
        metavar='ADDRESS',
        help='Share the work among the workers of this Dask scheduler, as `tcp://host:8786`. '
        'Images and maps must have the same paths on all machines.',
        show_default=False,
        rich_help_panel=PANEL,
    ),
]


@contextmanager
def worker_pool(workers: int | None, scheduler: str | None) -> Iterator[TaskPool | None]:
    """Start workers, or connect to a scheduler; gives None where neither is asked for.

    Raises:
        typer.BadParameter: both are.
        MissingDependencyError: Dask is not installed.
        WorkerError: the scheduler cannot be reached, or its workers do not fit.
    """
    if workers is not None and scheduler is not None:
        raise typer.BadParameter('--workers starts workers of its own, --scheduler has its own')
    if workers is None and scheduler is None:
        yield None
        return
    from relloc_ros.dask_pool import local_workers, scheduled_workers

    with (
        local_workers(workers or 1) if scheduler is None else scheduled_workers(scheduler) as pool
    ):
        yield pool
