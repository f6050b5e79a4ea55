# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One thread that works on the newest item only."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
from typing import Generic, TypeVar

__all__ = ['Worker']

Item = TypeVar('Item')
Result = TypeVar('Result')


class Worker(Generic[Item, Result]):
    """A one-slot buffer and a thread that takes from it: what is not taken in time is replaced.

    Results wait until they are asked for, so that the thread itself touches nothing else.
    """

    def __init__(
        self,
        process: Callable[[Item], Result],
        *,
        notify: Callable[[], None],
        close: Callable[[], None],
        max_rate: float = 0.0,
    ) -> None:
        """Start the thread.

        Args:
            process: the work; must not raise.
            notify: called from the thread when there is a result; not after `stop`.
            close: called from the thread when it ends, frees what `process` needs.
            max_rate: items per second at most, 0 is no limit.
        """
        self._process, self._notify, self._close = process, notify, close
        self._max_rate = max_rate
        self._last_start_s = float('-inf')
        self._slot: Item | None = None
        self._results: list[Result] = []
        self._num_running = 0
        self._generation = 0
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name='relloc_worker', daemon=True)
        self._thread.start()

    def put(self, item: Item) -> bool:
        """Offer an item; return whether it replaced one that was still waiting."""
        with self._changed:
            replaced = self._slot is not None
            self._slot = item
            self._changed.notify()
        return replaced

    def results(self) -> list[Result]:
        """Take the results that have come since the last call, oldest first."""
        with self._changed:
            results, self._results = self._results, []
        return results

    @property
    def num_pending(self) -> int:
        """Items taken in whose results were not taken out yet."""
        with self._changed:
            return self._num_pending()

    def discard(self) -> int:
        """Forget the waiting item, the results, and the result of the work going on.

        Returns:
            How many items are lost by that.
        """
        with self._changed:
            num_lost = self._num_pending()
            self._generation += 1
            self._slot = None
            self._num_running = 0
            self._results = []
        return num_lost

    def set_max_rate(self, max_rate: float) -> None:
        """Change the limit at once."""
        with self._changed:
            self._max_rate = max_rate
            self._changed.notify()

    def stop(self, timeout_s: float) -> bool:
        """End the thread after the work going on, whose result is lost.

        Args:
            timeout_s: how long to wait for the end.

        Returns:
            Whether the thread has ended; if not, it will, and closes then.
        """
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self.discard()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while (taken := self._take()) is not None:
                generation, item = taken
                self._deliver(generation, self._process(item))
        finally:
            self._close()

    def _take(self) -> tuple[int, Item] | None:
        with self._changed:
            while not self._stopped:
                wait_s = self._wait_s()
                if self._slot is not None and wait_s <= 0.0:
                    item, self._slot = self._slot, None
                    self._num_running = 1
                    self._last_start_s = time.monotonic()
                    return self._generation, item
                self._changed.wait(None if self._slot is None else wait_s)
        return None

    def _num_pending(self) -> int:
        return (self._slot is not None) + self._num_running + len(self._results)

    def _wait_s(self) -> float:
        if self._max_rate <= 0.0:
            return 0.0
        return self._last_start_s + 1.0 / self._max_rate - time.monotonic()

    def _deliver(self, generation: int, result: Result) -> None:
        with self._changed:
            if generation == self._generation and not self._stopped:
                self._num_running = 0
                self._results.append(result)
                self._notify()
