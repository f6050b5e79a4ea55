# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The buffers of tf2 and ours answer alike; what is broadcast has the right stamps."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from rclpy.time import Time
from tf2_msgs.msg import TFMessage

from relloc_ros.frames import (
    TransformBuffer,
    TransformError,
    TransformErrorKind,
    stamp_to_ns,
    transform_from_message,
)
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.ros.conversions import transform_message
from relloc_ros.ros.transforms import Broadcaster, Tf2Buffer, Transforms, make_buffer

NS = 1_000_000_000
EXTRINSICS = RigidTransform(exp_so3(np.array([0.3, -0.2, 0.5])), np.array([1.0, 2.0, 3.0]))


def odom_from_base(second: float) -> RigidTransform:
    return RigidTransform(exp_so3(np.array([0.0, 0.0, 0.1 * second])), np.array([second, 0, 0]))


def message(parent: str, child: str, second: float, transform: RigidTransform) -> TFMessage:
    return TFMessage(transforms=[transform_message(parent, child, round(second * NS), transform)])


def fill(buffer: Transforms) -> None:
    buffer.add_message(message('base_link', 'cam', 100, EXTRINSICS), static=True)
    for second in (100, 101, 102):
        odometry = message('odom', 'base_link', second, odom_from_base(second))
        buffer.add_message(odometry, static=False)


@pytest.fixture(params=['ours', 'tf2'])
def buffer(request: pytest.FixtureRequest) -> Transforms:
    if request.param == 'tf2':
        pytest.importorskip('tf2_ros')
        assert isinstance(make_buffer(), Tf2Buffer)
    buffer: Transforms = TransformBuffer() if request.param == 'ours' else Tf2Buffer()
    fill(buffer)
    return buffer


def test_interpolates(buffer: Transforms) -> None:
    found = buffer.wait_for('odom', 'cam', round(101.25 * NS), 0.0)
    expected = odom_from_base(101.25) @ EXTRINSICS
    assert np.allclose(found.matrix, expected.matrix, atol=1e-12)


@pytest.mark.parametrize(
    ('target', 'second', 'kind', 'waits'),
    [
        ('odom', 99, TransformErrorKind.TOO_OLD, False),
        ('odom', 103, TransformErrorKind.IN_FUTURE, True),
        ('map', 101, TransformErrorKind.UNKNOWN_FRAME, True),
    ],
)
def test_says_why_there_is_none(
    buffer: Transforms, target: str, second: int, kind: TransformErrorKind, waits: bool
) -> None:
    start_s = time.monotonic()
    with pytest.raises(TransformError) as raised:
        buffer.wait_for(target, 'cam', second * NS, 0.1)
    assert raised.value.kind is kind
    assert (time.monotonic() - start_s > 0.09) == waits


def test_waits_for_late_data(buffer: Transforms) -> None:
    late = message('odom', 'base_link', 103, odom_from_base(103))
    timer = threading.Timer(0.1, buffer.add_message, [late], {'static': False})
    timer.start()
    start_s = time.monotonic()
    buffer.wait_for('odom', 'cam', 103 * NS, 5.0)
    assert 0.09 < time.monotonic() - start_s < 2.0
    timer.join()


def test_cleared_buffer_keeps_static_transforms(buffer: Transforms) -> None:
    buffer.clear()
    found = buffer.wait_for('base_link', 'cam', 5 * NS, 0.0)
    assert np.allclose(found.matrix, EXTRINSICS.matrix)
    with pytest.raises(TransformError):
        buffer.wait_for('odom', 'base_link', 101 * NS, 0.0)
    fill(buffer)
    buffer.wait_for('odom', 'base_link', 101 * NS, 0.0)


class Extrapolating:
    """tf2's Buffer, as far as it is needed, with data up to second 100."""

    def lookup_transform(self, *_: Any) -> None:
        raise LookupError('Lookup would require extrapolation')

    def get_latest_common_time(self, *_: Any) -> Time:
        return Time(seconds=100)


@pytest.mark.parametrize(
    ('second', 'kind', 'words'),
    [
        (100.25, TransformErrorKind.IN_FUTURE, '100.250, the newest data is 0.250 s older'),
        (99.0, TransformErrorKind.TOO_OLD, 'extrapolation'),
    ],
)
def test_says_by_how_much_tf2_is_late(
    monkeypatch: pytest.MonkeyPatch, second: float, kind: TransformErrorKind, words: str
) -> None:
    tf2 = SimpleNamespace(
        Buffer=Extrapolating, ExtrapolationException=LookupError, TransformException=Exception
    )
    monkeypatch.setattr('relloc_ros.ros.transforms.tf2_ros', tf2)
    with pytest.raises(TransformError, match=words) as raised:
        Tf2Buffer().wait_for('odom', 'base_link', round(second * NS), 0.0)
    assert raised.value.kind is kind


class Publisher:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    def publish(self, message: TFMessage) -> None:
        self.sent += message.transforms

    @property
    def stamps_ns(self) -> list[int]:
        return [stamp_to_ns(transform.header.stamp) for transform in self.sent]


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def broadcaster(publisher: Publisher) -> Broadcaster:
    return Broadcaster(publisher.publish, 'map')


def test_nothing_is_sent_at_first(broadcaster: Broadcaster, publisher: Publisher) -> None:
    assert publisher.sent == []
    assert not broadcaster.has_sent


def test_post_dated_stamps_are_strictly_increasing(
    broadcaster: Broadcaster, publisher: Publisher
) -> None:
    for stamp_ns in (5 * NS, 5 * NS, 4 * NS, 6 * NS):
        broadcaster.send_post_dated('odom', stamp_ns, EXTRINSICS)
    assert publisher.stamps_ns == [5 * NS, 5 * NS + 1, 5 * NS + 2, 6 * NS]
    sent = publisher.sent[0]
    assert (sent.header.frame_id, sent.child_frame_id) == ('map', 'odom')
    assert np.allclose(transform_from_message(sent.transform).matrix, EXTRINSICS.matrix)


def test_measured_transforms_are_sent_once(broadcaster: Broadcaster, publisher: Publisher) -> None:
    for second in (5, 5, 4, 6):
        broadcaster.send('base_link', second * NS, EXTRINSICS)
    assert publisher.stamps_ns == [5 * NS, 6 * NS]
