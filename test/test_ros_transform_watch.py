# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who else publishes our transform, and frames with two parents."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import deserialize_message, serialize_message
from tf2_msgs.msg import TFMessage

from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.ros.conversions import transform_message
from relloc_ros.ros.health import Problem
from relloc_ros.ros.transform_watch import MAX_SENT, MEMORY_S, TransformWatch

NS = 1_000_000_000
PLACE = RigidTransform(exp_so3(np.array([0.1, 0.2, 0.3])), np.array([1 / 3, 2.0, 1e-9]))


class SteadyClock:
    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def watch(clock: SteadyClock) -> TransformWatch:
    return TransformWatch('odom', clock)


def transform(parent: str, child: str, stamp_ns: int = 0) -> TFMessage:
    return TFMessage(transforms=[transform_message(parent, child, stamp_ns, PLACE)])


def problems(watch: TransformWatch) -> list[Problem]:
    return list(watch.problems(['/tf', '/tf_static'], lambda: ['/amcl', '/ekf'], 'stop'))


def test_what_we_send_comes_back(watch: TransformWatch) -> None:
    for i in range(10):
        watch.sent(transform('map', 'odom', i))
    for i in range(10):
        over_the_wire = serialize_message(transform('map', 'odom', i))
        watch.received(deserialize_message(over_the_wire, TFMessage), static=False)
    watch.received(transform('odom', 'base_link', 3), static=False)
    assert problems(watch) == []
    assert watch.frames == {'map', 'odom', 'base_link'}


@pytest.mark.parametrize('static', [False, True])
@pytest.mark.parametrize(('parent', 'stamp_ns'), [('map', 7), ('world', 5), ('/map', 8)])
def test_second_publisher(
    watch: TransformWatch, clock: SteadyClock, parent: str, stamp_ns: int, static: bool
) -> None:
    watch.sent(transform('map', 'odom', 5))
    watch.received(transform('map', 'odom', 5), static=False)
    watch.received(transform(parent, 'odom', stamp_ns), static=static)
    (problem,) = problems(watch)
    assert (problem.kind, problem.level) == ('tf_publisher', DiagnosticStatus.ERROR)
    assert f'{parent.lstrip("/")} -> odom' in problem.text
    assert 'one of /amcl, /ekf; switch it off there, or stop here' in problem.text
    clock.now_s += MEMORY_S
    assert len(problems(watch)) == (1 if static else 0)


def test_twin_that_sends_the_very_same(watch: TransformWatch) -> None:
    watch.sent(transform('map', 'odom', 5))
    watch.received(transform('map', 'odom', 5), static=False)
    assert problems(watch) == []
    watch.received(transform('map', 'odom', 5), static=False)
    assert [problem.kind for problem in problems(watch)] == ['tf_publisher']


def test_who_publishes_nothing_has_no_rival() -> None:
    watch = TransformWatch('')
    watch.received(transform('map', 'odom'), static=False)
    assert problems(watch) == []


def test_two_parents(watch: TransformWatch, clock: SteadyClock) -> None:
    watch.received(transform('odom', 'base_link'), static=False)
    clock.now_s += 1.0
    watch.received(transform('odom_combined', 'base_link'), static=False)
    (problem,) = problems(watch)
    assert (problem.kind, problem.level) == ('parents:base_link', DiagnosticStatus.WARN)
    assert "'odom' and 'odom_combined'" in problem.text
    clock.now_s += MEMORY_S - 0.5
    watch.received(transform('odom_combined', 'base_link'), static=False)
    assert problems(watch) == []


def test_memory_is_bounded(watch: TransformWatch) -> None:
    for i in range(3 * MAX_SENT):
        watch.sent(transform('map', 'odom', i))
    assert len(watch._sent) == MAX_SENT
    watch.received(transform('map', 'odom', 3 * MAX_SENT - 1), static=False)
    assert problems(watch) == []
