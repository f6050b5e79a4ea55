# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Arrival of images and their stamps."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')

from diagnostic_msgs.msg import DiagnosticStatus

from relloc_ros.ros.health import Problem
from relloc_ros.ros.image_watch import ImageWatch

NS = 1_000_000_000
NOW_NS = 1_700_000_000 * NS


def problem_of(watch: ImageWatch) -> Problem | None:
    problems = list(watch.problems('/image'))
    assert len(problems) < 2
    return problems[0] if problems else None


def test_silence() -> None:
    now_s = 100.0
    watch = ImageWatch(lambda: now_s)
    now_s = 103.0
    assert (watch.waited_s, watch.silence_s) == (3.0, 3.0)
    watch.received(NOW_NS, NOW_NS)
    now_s = 104.0
    assert (watch.waited_s, watch.silence_s) == (4.0, 1.0)


@pytest.mark.parametrize(
    ('offset_s', 'words'),
    [(-10.0, '10.0 s from node time, in its past'), (5.5, '5.5 s from node time, in its future')],
)
def test_stamps_of_another_clock(offset_s: float, words: str) -> None:
    watch = ImageWatch()
    watch.received(NOW_NS, NOW_NS)
    assert problem_of(watch) is None
    watch.received(NOW_NS + round(offset_s * NS), NOW_NS)
    assert watch.stamp_offset_s == offset_s
    problem = problem_of(watch)
    assert problem is not None
    assert (problem.kind, problem.level) == ('stamp:/image', DiagnosticStatus.WARN)
    assert words in problem.text
    assert '/image' in problem.text


def test_no_time_yet_is_no_other_clock() -> None:
    watch = ImageWatch()
    watch.received(NOW_NS, 0)
    assert problem_of(watch) is None


@pytest.mark.parametrize('step_ns', [0, -NS // 10])
def test_stamps_that_do_not_advance(step_ns: int) -> None:
    watch = ImageWatch()
    watch.received(NOW_NS, NOW_NS)
    for i in range(1, 3):
        watch.received(NOW_NS + i * step_ns, NOW_NS)
    assert problem_of(watch) is None
    watch.received(NOW_NS + 3 * step_ns, NOW_NS)
    problem = problem_of(watch)
    assert problem is not None
    assert (problem.kind, problem.level) == ('stamps:/image', DiagnosticStatus.ERROR)
    assert 'do not advance beyond 1700000000.000 s' in problem.text
    watch.received(NOW_NS + 1, NOW_NS)
    assert problem_of(watch) is None


def test_older_stamps_after_a_jump_of_time_advance_again() -> None:
    watch = ImageWatch()
    watch.received(NOW_NS + NS, NOW_NS)
    watch.forget_time()
    for i in range(5):
        watch.received(NOW_NS + i, NOW_NS)
    assert problem_of(watch) is None
