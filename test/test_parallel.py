# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One task for many items: in order, a few at a time, and with the first error."""

from __future__ import annotations

from itertools import count, islice
import os
import sys
import threading
import time
from types import ModuleType

import pytest

from relloc_ros import dask_pool
from relloc_ros.errors import MissingDependencyError
from relloc_ros.parallel import (
    UNDER_WAY,
    Task,
    ThreadTasks,
    begin_quickly,
    do_quickly,
    kept_threads,
)


def slow_first(tools, item):
    time.sleep(0.05 if item == 0 else 0.0)
    return tools * item


def test_results_come_in_order():
    with ThreadTasks(2) as tasks:
        assert list(tasks.map(Task(slow_first, 10, int), range(20))) == list(range(0, 200, 10))


@pytest.mark.parametrize('batch', [3, 50])
def test_batches_change_nothing(batch):
    with ThreadTasks(2) as tasks:
        results = tasks.map(Task(slow_first, 10, int, batch), iter(range(20)))
        assert list(results) == list(range(0, 200, 10))


def test_only_some_items_are_under_way():
    taken = []
    items = (taken.append(item) or item for item in count())
    with ThreadTasks(3) as tasks:
        first = list(islice(tasks.map(Task(slow_first, 1, int), items), 5))
    assert first == list(range(5))
    assert len(taken) < 5 + 3 * UNDER_WAY


def test_the_first_error_ends_it():
    started = []

    def fail(tools, item):
        started.append(item)
        raise ValueError(f'item {item}')

    with ThreadTasks(2) as tasks, pytest.raises(ValueError, match='item 0'):
        list(tasks.map(Task(fail, None, int), range(1000)))
    assert len(started) <= 2 * UNDER_WAY


def test_no_thread_is_left():
    before = threading.active_count()
    with ThreadTasks(2) as tasks:
        results = tasks.map(Task(slow_first, 1, int), range(100))
        next(results)
    assert threading.active_count() == before


@pytest.mark.parametrize('package', ['distributed', 'cryptography'])
def test_workers_without_their_packages(monkeypatch, package):
    for name in ('distributed', 'cryptography'):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, package, None)
    with (
        pytest.raises(
            MissingDependencyError, match=rf'{package}: pip install relloc_ros\[scale\]'
        ),
        dask_pool.local_workers(2),
    ):
        pass


def test_kept_threads_are_kept_and_made_anew_in_a_child():
    def thread():
        return threading.get_ident()

    pool = kept_threads()
    assert kept_threads() is pool
    used = {pool.submit(thread).result() for _ in range(20)}
    assert threading.get_ident() not in used
    assert used <= {each.ident for each in threading.enumerate()}
    child = os.fork()
    if child == 0:
        os._exit(kept_threads().submit(lambda: 7).result(timeout=60.0))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


@pytest.mark.parametrize('count', [0, 1, 2, 7])
def test_quick_results_come_in_the_order_of_the_items(count):
    assert do_quickly(lambda item: -item, range(count)) == [-item for item in range(count)]


def test_errors_of_what_is_done_quickly_come_out():
    with pytest.raises(ZeroDivisionError):
        do_quickly(lambda item: 1 // item, [1, 2, 0])


def test_what_is_begun_goes_on_by_itself_and_is_waited_for():
    done = threading.Event()
    results = begin_quickly(lambda item: done.set() or -item, range(5))
    assert done.wait(10.0)
    assert results() == [0, -1, -2, -3, -4]
    assert begin_quickly(str, [])() == []
    failing = begin_quickly(lambda item: 1 // item, [1, 0, 2])
    with pytest.raises(ZeroDivisionError):
        failing()
