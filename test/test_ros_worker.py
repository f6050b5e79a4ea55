# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker: newest item only, rate limit, discarded results, prompt end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import threading
import time

import pytest

from relloc_ros.ros.worker import Worker


class Doubling:
    """Work that can be held up."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.start_times: list[float] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.notified = threading.Semaphore(0)
        self.closed = threading.Event()

    def __call__(self, item: int) -> int:
        self.start_times.append(time.monotonic())
        self.started.append(item)
        self.go_on.wait(5.0)
        return 2 * item

    def wait_started(self, count: int) -> None:
        wait_until(lambda: len(self.started) >= count)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def work() -> Doubling:
    return Doubling()


@pytest.fixture
def worker(work: Doubling) -> Iterator[Worker[int, int]]:
    worker: Worker[int, int] = Worker(work, notify=work.notified.release, close=work.closed.set)
    yield worker
    work.go_on.set()
    assert worker.stop(5.0)


def test_result_is_announced(work: Doubling, worker: Worker[int, int]) -> None:
    assert not worker.put(3)
    assert work.notified.acquire(timeout=5.0)
    assert worker.results() == [6]
    assert worker.results() == []


def test_newest_item_replaces_the_waiting_one(work: Doubling, worker: Worker[int, int]) -> None:
    work.go_on.clear()
    worker.put(1)
    work.wait_started(1)
    assert [worker.put(item) for item in (2, 3, 4)] == [False, True, True]
    work.go_on.set()
    for _ in range(2):
        assert work.notified.acquire(timeout=5.0)
    assert worker.results() == [2, 8]


def test_discard_forgets_waiting_running_and_finished(
    work: Doubling, worker: Worker[int, int]
) -> None:
    worker.put(1)
    assert work.notified.acquire(timeout=5.0)
    work.go_on.clear()
    worker.put(2)
    work.wait_started(2)
    worker.put(3)
    assert worker.num_pending == 3
    assert worker.discard() == 3
    assert worker.num_pending == 0
    assert worker.results() == []
    work.go_on.set()
    worker.put(4)
    assert work.notified.acquire(timeout=5.0)
    assert worker.num_pending == 1
    assert worker.results() == [8]
    assert worker.num_pending == 0
    assert work.started == [1, 2, 4]


def test_rate_is_limited_and_the_limit_can_be_lifted(
    work: Doubling, worker: Worker[int, int]
) -> None:
    worker.set_max_rate(10.0)
    for item in (1, 2):
        worker.put(item)
        work.wait_started(item)
    assert work.start_times[1] - work.start_times[0] >= 0.099
    worker.set_max_rate(0.01)
    worker.put(3)
    time.sleep(0.05)
    assert work.started == [1, 2]
    worker.set_max_rate(0.0)
    work.wait_started(3)


def test_stop_does_not_wait_for_slow_work_which_closes_later(work: Doubling) -> None:
    worker: Worker[int, int] = Worker(work, notify=work.notified.release, close=work.closed.set)
    work.go_on.clear()
    worker.put(1)
    work.wait_started(1)
    start_s = time.monotonic()
    assert not worker.stop(0.1)
    assert time.monotonic() - start_s < 1.0
    assert not work.closed.is_set()
    work.go_on.set()
    assert work.closed.wait(5.0)
    assert not work.notified.acquire(blocking=False)


def test_stop_ends_a_worker_that_waits_for_its_rate(work: Doubling) -> None:
    worker: Worker[int, int] = Worker(
        work, notify=work.notified.release, close=work.closed.set, max_rate=0.01
    )
    worker.put(1)
    work.wait_started(1)
    worker.put(2)
    assert worker.stop(5.0)
    assert work.closed.is_set()
    assert work.started == [1]
