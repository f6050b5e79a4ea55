# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms by frame and time, and the step from camera to base."""

from __future__ import annotations

import logging
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relloc_ros.errors import DataError
from relloc_ros.frames import TransformBuffer, TransformError, base_pose
from relloc_ros.geometry import Array, RigidTransform, exp_so3, interpolate, log_so3
from relloc_ros.structures import PoseEstimate
from relloc_ros.transform_history import TransformErrorKind

S = 1_000_000_000


def random_transform(rng: np.random.Generator) -> RigidTransform:
    return RigidTransform(exp_so3(rng.normal(size=3)), rng.normal(size=3))


def shift(x: float) -> RigidTransform:
    return RigidTransform(np.eye(3), np.array([x, 0.0, 0.0]))


def assert_close(actual: RigidTransform, expected: RigidTransform) -> None:
    np.testing.assert_allclose(actual.matrix, expected.matrix, atol=1e-12)


def kind_of(
    buffer: TransformBuffer, target: str, source: str, stamp_ns: int
) -> TransformErrorKind:
    with pytest.raises(TransformError) as caught:
        buffer.lookup(target, source, stamp_ns)
    return caught.value.kind


@pytest.fixture
def moving() -> TransformBuffer:
    """Odom -> base_link over 1 s, with a static camera."""
    buffer = TransformBuffer()
    buffer.set_transform('odom', 'base_link', 1 * S, shift(0.0), static=False)
    buffer.set_transform('odom', 'base_link', 2 * S, shift(4.0), static=False)
    buffer.set_transform('base_link', 'camera', 0, shift(0.5), static=True)
    return buffer


def test_interpolates_between_neighbours(moving: TransformBuffer) -> None:
    assert_close(moving.lookup('odom', 'base_link', 5 * S // 4), shift(1.0))
    assert_close(moving.lookup('odom', 'camera', 3 * S // 2), shift(2.5))
    assert_close(moving.lookup('odom', 'base_link', 1 * S), shift(0.0))
    assert_close(moving.lookup('odom', 'base_link', 2 * S), shift(4.0))


def test_interpolates_rotation_on_the_shortest_way() -> None:
    rng = np.random.default_rng(0)
    first, second = random_transform(rng), random_transform(rng)
    buffer = TransformBuffer()
    buffer.set_transform('a', 'b', 0, first, static=False)
    buffer.set_transform('a', 'b', 10, second, static=False)
    assert_close(buffer.lookup('a', 'b', 3), interpolate(first, second, 0.3))


def test_chains_up_and_down_the_tree() -> None:
    rng = np.random.default_rng(1)
    odom_from_base, base_from_left, base_from_right = (random_transform(rng) for _ in range(3))
    buffer = TransformBuffer()
    buffer.set_transform('odom', 'base', 7, odom_from_base, static=False)
    buffer.set_transform('base', 'left', 0, base_from_left, static=True)
    buffer.set_transform('base', 'right', 0, base_from_right, static=True)
    assert_close(buffer.lookup('odom', 'left', 7), odom_from_base @ base_from_left)
    assert_close(buffer.lookup('left', 'odom', 7), (odom_from_base @ base_from_left).inverse())
    # The common parent is enough: odometry may be missing.
    assert_close(buffer.lookup('left', 'right', 99), base_from_left.inverse() @ base_from_right)
    assert_close(buffer.lookup('left', 'left', 99), RigidTransform.identity())


def test_static_transforms_hold_always_and_slashes_do_not_count(moving: TransformBuffer) -> None:
    assert_close(moving.lookup('/base_link', 'camera', -5), shift(0.5))
    moving.set_transform('/camera', '/lens', 0, shift(0.1), static=True)
    assert_close(moving.lookup('base_link', 'lens', 10**18), shift(0.6))


def test_out_of_order_and_equal_stamps() -> None:
    buffer = TransformBuffer()
    for stamp, x in ((3, 3.0), (1, 1.0), (2, 7.0), (2, 2.0)):
        buffer.set_transform('a', 'b', stamp * S, shift(x), static=False)
    for quarter in range(4, 13):
        assert_close(buffer.lookup('a', 'b', quarter * S // 4), shift(quarter / 4))


def test_never_extrapolates(moving: TransformBuffer) -> None:
    assert kind_of(moving, 'odom', 'camera', S - 1) is TransformErrorKind.TOO_OLD
    assert kind_of(moving, 'odom', 'camera', 2 * S + 1) is TransformErrorKind.IN_FUTURE
    with pytest.raises(
        TransformError, match=r"'base_link' to 'odom'.*newest data is 3.000 s older"
    ):
        moving.lookup('odom', 'camera', 5 * S)


def test_forgets_what_is_older_than_the_cache() -> None:
    buffer = TransformBuffer(cache_ns=2 * S)
    for second in range(10):
        buffer.set_transform('a', 'b', second * S, shift(second), static=False)
    assert_close(buffer.lookup('a', 'b', 7 * S), shift(7.0))
    assert kind_of(buffer, 'a', 'b', 7 * S - 1) is TransformErrorKind.TOO_OLD
    buffer.set_transform('a', 'b', 0, shift(0.0), static=False)
    assert kind_of(buffer, 'a', 'b', 0) is TransformErrorKind.TOO_OLD


def test_unknown_and_unconnected_frames(moving: TransformBuffer) -> None:
    moving.set_transform('map', 'marker', 0, shift(1.0), static=True)
    assert kind_of(moving, 'odom', 'marker', 0) is TransformErrorKind.NOT_CONNECTED
    assert kind_of(moving, 'odom', 'base_lonk', 0) is TransformErrorKind.UNKNOWN_FRAME
    with pytest.raises(TransformError, match="did you mean 'base_link'"):
        moving.lookup('odom', 'base_lonk', 0)
    with pytest.raises(TransformError, match='known: none'):
        TransformBuffer().lookup('a', 'a', 0)
    assert moving.connects('odom', '/camera')
    assert not moving.connects('odom', 'marker')
    assert moving.frames == ('base_link', 'camera', 'map', 'marker', 'odom')


def test_second_parent_replaces_the_first_and_is_reported(
    moving: TransformBuffer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            moving.set_transform('map', 'base_link', 2 * S, shift(9.0), static=False)
            moving.set_transform('odom', 'base_link', 2 * S, shift(4.0), static=False)
        moving.set_transform('map', 'base_link', 2 * S, shift(9.0), static=False)
    assert moving.conflicts == {'base_link': ('odom', 'map')}
    assert len(caplog.records) == 1
    assert_close(moving.lookup('map', 'camera', 2 * S), shift(9.5))
    assert kind_of(moving, 'odom', 'camera', 2 * S) is TransformErrorKind.UNKNOWN_FRAME


def test_loop_of_frames_ends() -> None:
    buffer = TransformBuffer()
    buffer.set_transform('a', 'b', 0, shift(1.0), static=True)
    buffer.set_transform('b', 'a', 0, shift(1.0), static=True)
    buffer.set_transform('c', 'd', 0, shift(1.0), static=True)
    assert kind_of(buffer, 'c', 'a', 0) is TransformErrorKind.NOT_CONNECTED


def test_clear(moving: TransformBuffer) -> None:
    moving.clear()
    assert kind_of(moving, 'odom', 'camera', S) is TransformErrorKind.UNKNOWN_FRAME
    assert_close(moving.lookup('base_link', 'camera', S), shift(0.5))
    moving.clear(keep_static=False)
    assert moving.frames == ()


@pytest.mark.parametrize(
    ('parent', 'child', 'x'),
    [('', 'b', 0.0), ('a', '/', 0.0), ('a', '/a', 0.0), ('a', 'b', np.nan)],
)
def test_senseless_transforms_are_refused(parent: str, child: str, x: float) -> None:
    with pytest.raises(DataError, match='transform from'):
        TransformBuffer().set_transform(parent, child, 0, shift(x), static=False)


def transform_message(child: str, quat_xyzw: tuple[float, ...]) -> Any:
    stamp = SimpleNamespace(sec=2, nanosec=5)
    x, y, z, w = quat_xyzw
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id='/odom'),
        child_frame_id=child,
        transform=SimpleNamespace(
            translation=SimpleNamespace(x=1.0, y=2.0, z=3.0),
            rotation=SimpleNamespace(x=x, y=y, z=z, w=w),
        ),
    )


def test_message_with_a_bad_transform_keeps_the_others(caplog: pytest.LogCaptureFixture) -> None:
    buffer = TransformBuffer()
    transforms = [
        transform_message('zero', (0.0, 0.0, 0.0, 0.0)),
        transform_message('base', (0.0, 0.0, 1.0, 0.0)),
        transform_message('nan', (np.nan, 0.0, 0.0, 1.0)),
    ]
    for _ in range(3):
        buffer.add_message(SimpleNamespace(transforms=transforms), static=False)
    odom_from_base = buffer.lookup('odom', 'base', 2 * S + 5)
    np.testing.assert_allclose(odom_from_base.rotation, np.diag([-1.0, -1.0, 1.0]), atol=1e-12)
    np.testing.assert_allclose(odom_from_base.translation, [1.0, 2.0, 3.0])
    assert buffer.frames == ('base', 'odom')
    assert [record.args[0] for record in caplog.records] == ['zero', 'nan']  # type: ignore[index]


def test_wait_for_a_late_transform(moving: TransformBuffer) -> None:
    def publish() -> None:
        moving.set_transform('odom', 'base_link', 3 * S, shift(8.0), static=False)

    timer = threading.Timer(0.05, publish)
    timer.start()
    start = time.monotonic()
    assert_close(moving.wait_for('odom', 'base_link', 5 * S // 2, 10.0), shift(6.0))
    assert time.monotonic() - start < 5.0
    timer.join()


def test_waiting_ends(moving: TransformBuffer) -> None:
    start = time.monotonic()
    with pytest.raises(TransformError) as caught:
        moving.wait_for('odom', 'base_link', 9 * S, 0.05)
    assert caught.value.kind is TransformErrorKind.IN_FUTURE
    assert 0.04 < time.monotonic() - start < 5.0
    start = time.monotonic()
    with pytest.raises(TransformError):
        moving.wait_for('odom', 'base_link', 0, 60.0)
    assert time.monotonic() - start < 5.0


def test_lookups_while_writing() -> None:
    buffer = TransformBuffer(cache_ns=S)
    buffer.set_transform('a', 'b', 0, shift(0.0), static=False)
    step_ns = S // 100
    errors: list[BaseException] = []

    def read() -> None:
        for i in range(300):
            try:
                transform = buffer.wait_for('a', 'b', i * step_ns, 10.0)
            except TransformError as error:
                if error.kind is not TransformErrorKind.TOO_OLD:
                    errors.append(error)
            else:
                if abs(transform.translation[0] - i) > 1e-9:
                    errors.append(AssertionError(i))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for i in range(300):
        buffer.set_transform('a', 'b', i * step_ns, shift(i), static=False)
    for reader in readers:
        reader.join(20.0)
    assert not errors


def perturbed(pose: RigidTransform, error: Array) -> RigidTransform:
    return RigidTransform(exp_so3(error[3:]) @ pose.rotation, pose.translation + error[:3])


def error_of(pose: RigidTransform, truth: RigidTransform) -> Array:
    return np.concatenate(
        [truth.translation - pose.translation, log_so3(truth.rotation @ pose.rotation.T)]
    )


def test_covariance_of_base_by_numerical_propagation() -> None:
    rng = np.random.default_rng(2)
    map_from_cam, base_from_cam = random_transform(rng), random_transform(rng)
    factor = rng.normal(size=(6, 6))
    camera_pose = PoseEstimate(map_from_cam, factor @ factor.T)
    result = base_pose(camera_pose, base_from_cam)
    cam_from_base = base_from_cam.inverse()
    assert_close(result.map_from_body, map_from_cam @ cam_from_base)
    step = 1e-6
    jacobian = np.empty((6, 6))
    for i, axis in enumerate(np.eye(6)):
        plus, minus = (
            error_of(
                result.map_from_body, perturbed(map_from_cam, sign * step * axis) @ cam_from_base
            )
            for sign in (1, -1)
        )
        jacobian[:, i] = (plus - minus) / (2 * step)
    expected = jacobian @ camera_pose.covariance @ jacobian.T
    np.testing.assert_allclose(result.covariance, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(result.covariance, result.covariance.T)
    np.testing.assert_allclose(result.covariance[3:, 3:], camera_pose.covariance[3:, 3:])


def test_covariance_of_base_by_monte_carlo() -> None:
    rng = np.random.default_rng(3)
    map_from_cam = random_transform(rng)
    base_from_cam = RigidTransform(exp_so3(rng.normal(size=3)), np.array([2.0, -1.0, 0.5]))
    factor = 0.01 * rng.normal(size=(6, 6))
    camera_pose = PoseEstimate(map_from_cam, factor @ factor.T)
    result = base_pose(camera_pose, base_from_cam)
    errors = [
        error_of(
            result.map_from_body,
            perturbed(map_from_cam, factor @ rng.normal(size=6)) @ base_from_cam.inverse(),
        )
        for _ in range(4000)
    ]
    sampled = np.cov(np.transpose(errors))
    scale = np.sqrt(np.diag(result.covariance))
    assert np.abs((sampled - result.covariance) / np.outer(scale, scale)).max() < 0.1
