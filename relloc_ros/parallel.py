# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One task for many items, in threads of this process or on the workers of a Dask cluster.

The results come in the order of the items, whoever is ready first. Only so many items are under
way at once that finished results never fill the memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from itertools import islice
import os
from typing import Any, Generic, Protocol, TypeVar

__all__ = [
    'PendingResult',
    'Task',
    'TaskPool',
    'ThreadTasks',
    'begin_quickly',
    'do_batch',
    'do_quickly',
    'kept_threads',
    'share_quickly',
]

Tools = TypeVar('Tools')
Item = TypeVar('Item')
Result = TypeVar('Result')

UNDER_WAY = 4
"""Batches under way for each that can be worked on at once."""
QUICK_THREADS = 2
"""A robot's computer has other things to do, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Task(Generic[Tools, Item, Result]):
    """What is done for each item, with tools that take long to make.

    Attributes:
        do: called with the tools and an item, in any thread; a function of a module.
        tools: for use in this process.
        make_tools: makes the same in another process, on any machine that sees the same files;
            can be pickled, as items and results can.
        batch: items that are sent together: what takes milliseconds is not worth a message.
    """

    do: Callable[[Tools, Item], Result]
    tools: Tools
    make_tools: Callable[[], Tools]
    batch: int = 1


class PendingResult(Protocol):
    """Results that may not be ready."""

    def cancel(self) -> Any:
        """Do not start what has not been started."""


class TaskPool(ABC):
    """Does tasks."""

    def map(self, task: Task[Any, Item, Result], items: Iterable[Item]) -> Iterator[Result]:
        """Do a task for each item; the results come in the order of the items.

        Raises:
            RellocError: of the first item, in this order, whose task raised one.
            WorkerError: the workers cannot be reached, or die again and again.
        """
        under_way = UNDER_WAY * self.parallelism()
        pending: deque[Any] = deque()
        submit = self.submitting(task)
        try:
            remaining = iter(items)
            while batch := list(islice(remaining, task.batch)):
                pending.append(submit(batch))
                if len(pending) >= under_way:
                    yield from self.results(pending.popleft())
            while pending:
                yield from self.results(pending.popleft())
        finally:
            for result in pending:
                result.cancel()

    @abstractmethod
    def parallelism(self) -> int:
        """Count the batches that can be worked on at once."""

    @abstractmethod
    def submitting(self, task: Task[Any, Item, Any]) -> Callable[[list[Item]], PendingResult]:
        """Give the function that starts a task for a batch of items."""

    @abstractmethod
    def results(self, pending: Any) -> list[Any]:
        """Wait for what was started, and give its results or raise its error."""


class ThreadTasks(TaskPool):
    """Threads of this process; leaving the block waits for what is begun and drops the rest."""

    def __init__(self, num_threads: int) -> None:
        """Start them as they are needed."""
        self._num_threads = num_threads
        self._executor = ThreadPoolExecutor(num_threads)

    def __enter__(self) -> ThreadTasks:
        """Return self."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the threads."""
        self._executor.shutdown(cancel_futures=True)

    def parallelism(self) -> int:
        """Count the threads."""
        return self._num_threads

    def submitting(self, task: Task[Any, Item, Any]) -> Callable[[list[Item]], PendingResult]:
        """Give the function that starts a task for a batch of items."""
        return lambda batch: self._executor.submit(do_batch, task.do, task.tools, batch)

    def results(self, pending: Future[list[Any]]) -> list[Any]:
        """Wait for what was started, and give its results or raise its error."""
        return pending.result()


def do_batch(
    do: Callable[[Tools, Item], Result], tools: Tools, batch: Iterable[Item]
) -> list[Result]:
    """Do a task for each item of a batch."""
    return [do(tools, item) for item in batch]


@cache
def kept_threads() -> ThreadPoolExecutor:
    """Give threads for what takes milliseconds; they stay until the process ends.

    OpenCV never frees some 900 bytes of each thread that has called it: a node that starts threads
    for every image grows by 50 MiB a day. What is submitted must not submit and wait itself.
    """
    return ThreadPoolExecutor(max(os.cpu_count() or 1, 2), 'relloc')


def begin_quickly(
    do: Callable[[Item], Result], items: Sequence[Item]
) -> Callable[[], list[Result]]:
    """Begin to do for each item, in one thread, what the caller can do without for a while.

    Returns:
        Waits for the results, which come in the order of the items.
    """
    return kept_threads().submit(lambda: [do(item) for item in items]).result


def do_quickly(do: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Do for each item what takes a millisecond and lets go of the interpreter, as numpy does.

    The results come in the order of the items.
    """
    return share_quickly(lambda some: [do(item) for item in some], items)


def share_quickly(
    do: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item]
) -> list[Result]:
    """Do for several items at once what lets go of the interpreter, in each thread for its share.

    The results come in the order of the items.
    """
    own, *others = _shares(items)
    begun = [kept_threads().submit(do, share) for share in others]
    try:
        first = do(own)
    finally:
        wait(begun)
    return _in_order([first, *(share.result() for share in begun)])


def _shares(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[start::QUICK_THREADS] for start in range(QUICK_THREADS)]


def _in_order(shares: Sequence[Sequence[Result]]) -> list[Result]:
    count = sum(map(len, shares))
    return [shares[index % QUICK_THREADS][index // QUICK_THREADS] for index in range(count)]


# The threads do not live on in a child.
os.register_at_fork(after_in_child=kept_threads.cache_clear)
