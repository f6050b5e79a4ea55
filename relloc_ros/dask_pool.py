# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tasks on Dask: worker processes of our own, or those of a scheduler that runs somewhere.

Dask sends tasks and results by pickle between its processes, so whoever can reach a scheduler can
run code on its workers. Our own talk by TLS with keys that only they have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import logging
import platform
import secrets
import signal
from tempfile import TemporaryDirectory
from threading import Lock
import time
from typing import TYPE_CHECKING, Any

from relloc_ros import __version__
from relloc_ros.errors import MissingDependencyError, RellocError, WorkerError
from relloc_ros.parallel import Item, Result, Task, TaskPool, Tools, do_batch

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ['DaskTasks', 'dask_setup', 'local_workers', 'scheduled_workers']

EXTRA = 'relloc_ros[scale]'

RETRIES = 2
"""Of a task that fails over something else than its input, a file server perhaps."""

PATIENCE_S = 60.0
"""Without any worker for so long, we give up."""

GONE = 'the scheduler has gone, and the tasks with it: start it and its workers again'
CONNECT_S = 15.0
LOOK_AGAIN_S = 5.0

NO_PAGES: dict[str, list[str]] = {
    'distributed.scheduler.http.routes': [],
    'distributed.worker.http.routes': [],
}
"""Nobody looks at the web pages of workers that are gone in an hour."""

VERSIONS_OF = ('numpy', 'cv2')
"""Other versions of these give other features."""

_tools_lock = Lock()
_tools: tuple[str, Any] | None = None


class DaskTasks(TaskPool):
    """Tasks on the workers of a scheduler."""

    def __init__(self, client: Client) -> None:
        """Take a connected client."""
        self._client = client

    def parallelism(self) -> int:
        """Count the threads of all workers that are there now."""
        return max(1, sum(self._client.nthreads().values()))

    def submitting(self, task: Task[Any, Item, Any]) -> Callable[[list[Item]], Future]:
        """Give the function that starts a task for a batch of items."""
        name = secrets.token_hex(8)

        def submit(batch: list[Item]) -> Future:
            return self._client.submit(
                _work, name, task.make_tools, task.do, batch, pure=False, retries=RETRIES
            )

        return submit

    def results(self, pending: Future) -> list[Any]:
        """Wait for what was started, and give its results or raise its error.

        Raises:
            RellocError: the task's own.
            WorkerError: there are no workers for a minute, or they die over this task.
        """
        found, error = self._wait(pending)
        if error is not None:
            raise error
        return found

    def _wait(self, pending: Future) -> tuple[list[Any], RellocError | None]:
        from concurrent.futures import CancelledError  # noqa: PLC0415

        from distributed import TimeoutError  # noqa: PLC0415  optional
        from distributed.scheduler import KilledWorker  # noqa: PLC0415  optional

        seen = time.monotonic()
        try:
            while True:
                try:
                    return pending.result(timeout=LOOK_AGAIN_S)
                except TimeoutError:
                    if pending.done():
                        return pending.result()
                if self._has_workers():
                    seen = time.monotonic()
                elif time.monotonic() - seen > PATIENCE_S:
                    raise WorkerError(
                        f'{self._client.scheduler.address} has had no worker for '
                        f'{PATIENCE_S:.0f} s: start some with `dask worker`'
                    )
        except KilledWorker as error:
            raise WorkerError(
                f'{error.allowed_failures + 1} workers died over one task: too little memory, or '
                'an image that makes a library crash; without --workers and --scheduler you see '
                'where'
            ) from error
        except CancelledError as error:
            raise WorkerError(GONE) from error

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.nthreads())
        except OSError as error:
            raise WorkerError(GONE) from error


@contextmanager
def local_workers(count: int) -> Iterator[DaskTasks]:
    """Start worker processes with one thread each; leaving the block ends them.

    They start by importing the main script again: there, this must be called below
    ``if __name__ == '__main__':``. One that dies is replaced.

    Args:
        count: number of processes.

    Raises:
        MissingDependencyError: Dask is not installed.
    """
    distributed = _distributed()
    import dask  # noqa: PLC0415  comes with distributed

    with (
        TemporaryDirectory(prefix='relloc-') as folder,
        dask.config.set(NO_PAGES),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address='127.0.0.1:0',
            local_directory=folder,
            preload=__name__,
            security=True,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        _only_our_messages(),
        distributed.Client(cluster, direct_to_workers=True) as client,
    ):
        yield DaskTasks(client)


def dask_setup(worker: Any) -> None:
    """Let the process that has started a worker decide when it ends; Dask calls this in workers.

    A terminal sends Ctrl-C to all.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def scheduled_workers(address: str) -> Iterator[DaskTasks]:
    """Use the workers of a scheduler; leaving the block takes back what is not done.

    Args:
        address: of the scheduler, ``tcp://host:port`` or ``tls://host:port``.

    Raises:
        MissingDependencyError: Dask is not installed.
        WorkerError: no scheduler there, without workers, or workers whose versions are others.
    """
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=CONNECT_S)
    except (OSError, ValueError, TypeError) as error:
        raise WorkerError(
            f'no scheduler answers at {address!r} ({error}): start `dask scheduler`, and give the '
            'address that it prints'
        ) from error
    with _only_our_messages(), client:
        if not client.nthreads():
            raise WorkerError(f'{address} has no workers: start some with `dask worker {address}`')
        _check_versions(client)
        yield DaskTasks(client)


def _distributed() -> Any:
    try:
        import cryptography  # noqa: F401, PLC0415  optional
        import distributed  # noqa: PLC0415  optional
    except ImportError as error:
        raise MissingDependencyError(
            f'worker processes need {error.name}: pip install {EXTRA}'
        ) from error
    return distributed


@contextmanager
def _only_our_messages() -> Iterator[None]:
    """Leave it to the errors raised to say what is wrong: Dask logs traces beside."""
    handlers = logging.getLogger('distributed').handlers
    levels = [handler.level for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for handler, level in zip(handlers, levels, strict=True):
            handler.setLevel(level)


def _check_versions(client: Client) -> None:
    ours = _versions()
    try:
        found = client.run(_versions)
    except Exception as error:
        raise WorkerError(
            f'the workers of {client.scheduler.address} cannot be asked for their versions '
            f'({error}): install relloc_ros {__version__} on every machine'
        ) from error
    for worker, theirs in found.items():
        different = [name for name in ours if theirs[name] != ours[name]]
        if different:
            told = ', '.join(f'{name} {theirs[name]}, here {ours[name]}' for name in different)
            raise WorkerError(
                f'worker {worker} has {told}: its results may be others; install the same versions'
            )


def _versions() -> dict[str, str]:
    from importlib import import_module  # noqa: PLC0415

    versions = {name: str(import_module(name).__version__) for name in VERSIONS_OF}
    return {'relloc_ros': __version__, 'machine': platform.machine(), **versions}


def _work(
    name: str,
    make_tools: Callable[[], Tools],
    do: Callable[[Tools, Item], Result],
    batch: list[Item],
) -> tuple[list[Result], RellocError | None]:
    """Do a task in a worker. What the input is to blame for is no reason to try again."""
    try:
        return do_batch(do, _tools_of(name, make_tools), batch), None
    except RellocError as error:
        return [], error


def _tools_of(name: str, make_tools: Callable[[], Tools]) -> Tools:
    """Make the tools of a task, or give those of before; only the last ones are kept."""
    global _tools  # noqa: PLW0603  a worker has no other place
    with _tools_lock:
        if _tools is None or _tools[0] != name:
            _use_one_thread()
            _tools = None
            _tools = name, make_tools()
        tools: Tools = _tools[1]
        return tools


def _use_one_thread() -> None:
    import cv2  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    cv2.setNumThreads(1)
    threadpool_limits(1)
