# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with a stub for the map: lifecycle, outputs, TF, bad input, jumps of time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_harness import (
    BASE_FROM_CAM,
    MAP_FROM_CAM,
    NS,
    Harness,
    values,
)

from relloc_ros.errors import MapError
from relloc_ros.frames import stamp_to_ns, transform_from_message, transform_from_pose
from relloc_ros.geometry import RigidTransform, exp_so3

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
MAP_FROM_BASE = MAP_FROM_CAM @ BASE_FROM_CAM.inverse()
START_NS = 1_000 * NS


def odom_from_base(second: float) -> RigidTransform:
    """A robot that drives and turns."""
    return RigidTransform(
        exp_so3(np.array([0.0, 0.0, 0.2 * second])), np.array([0.5 * second, 0.1, 0.0])
    )


def send_odometry(harness: Harness, seconds: np.ndarray) -> None:
    for second in seconds:
        stamp_ns = START_NS + round(float(second) * NS)
        harness.robot.send_odometry(stamp_ns, odom_from_base(float(second)))
    harness.spin(0.1)


@pytest.fixture
def harness(ros: None) -> Iterator[Harness]:
    """An inactive node with a short patience for TF."""
    with Harness(max_rate=0.0, transform_timeout=0.05) as harness:
        yield harness


@pytest.fixture
def active(harness: Harness) -> Harness:
    """An active node that knows camera, extrinsics and odometry."""
    harness.start()
    harness.robot.send_camera_info()
    harness.robot.send_extrinsics()
    send_odometry(harness, np.arange(0.0, 3.01, 0.5))
    return harness


def test_lifecycle_walk(harness: Harness) -> None:
    node = harness.node
    assert harness.next_diagnostic().message == 'UNCONFIGURED'
    for transition in (
        node.trigger_configure,
        node.trigger_activate,
        node.trigger_deactivate,
        node.trigger_activate,
        node.trigger_deactivate,
        node.trigger_cleanup,
    ):
        assert transition() == SUCCESS
    assert harness.stub.closed.is_set()
    assert node.trigger_configure() == SUCCESS
    assert node.trigger_shutdown() == SUCCESS


def test_failed_configure_is_told_and_can_be_tried_again(harness: Harness) -> None:
    def fail(*_: object) -> None:
        raise MapError('map /nowhere is missing')

    load, harness.node._load = harness.node._load, fail
    assert harness.node.trigger_configure() == FAILURE
    status = harness.next_diagnostic()
    assert status.level == DiagnosticStatus.ERROR
    assert 'cannot configure: map /nowhere is missing' in status.message
    harness.node._load = load
    assert harness.node.trigger_configure() == SUCCESS
    assert harness.next_diagnostic().level == DiagnosticStatus.OK


def test_settings_that_do_not_go_together_are_told_at_configure(harness: Harness) -> None:
    harness.node.set_parameters([Parameter('consensus_count', value=6)])
    assert harness.node.trigger_configure() == FAILURE
    assert 'larger than consensus_window 5' in harness.next_diagnostic().message
    assert harness.stub.closed.is_set()
    harness.node.set_parameters([Parameter('consensus_window', value=6)])
    assert harness.node.trigger_configure() == SUCCESS


def test_unexpected_failure_of_a_transition_is_told_too(harness: Harness) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError('oops')

    harness.node._load = fail
    assert harness.node.trigger_configure() == FAILURE
    assert 'ZeroDivisionError: oops' in harness.next_diagnostic().message


def test_autostart(ros: None) -> None:
    with Harness(autostart=True) as harness:
        harness.spin_until(harness.robot.images.get_subscription_count)


def test_unknown_parameter_is_a_diagnostic(ros: None) -> None:
    with Harness(max_rat=3.0) as harness:
        status = harness.next_diagnostic()
        assert status.level == DiagnosticStatus.WARN
        assert "did you mean 'max_rate'" in status.message


def test_parameters_changed_while_inactive_are_taken_on_activation(harness: Harness) -> None:
    harness.node.trigger_configure()
    harness.node.set_parameters([Parameter('tf_mode', value='none')])
    harness.node.trigger_activate()
    assert harness.stub.closed.is_set()
    assert values(harness.next_diagnostic())['tf'] == 'off'
    (result,) = harness.node.set_parameters([Parameter('tf_mode', value='map_to_odom')])
    assert not result.successful


def test_pose_and_status_of_an_image(active: Harness) -> None:
    stamp_ns = START_NS + NS
    active.localize(stamp_ns)
    active.spin_until(lambda: active.robot.poses)
    pose = active.robot.poses[-1]
    assert stamp_to_ns(pose.header.stamp) == stamp_ns
    assert pose.header.frame_id == 'map'
    assert np.allclose(transform_from_pose(pose.pose.pose).matrix, MAP_FROM_BASE.matrix)
    covariance = np.reshape(pose.pose.covariance, (6, 6))
    assert np.allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    frame = active.robot.frames[-1]
    assert stamp_to_ns(frame.header.stamp) == stamp_ns
    assert frame.status[0].level == DiagnosticStatus.OK
    assert values(frame.status[0]) == {
        'state': 'LOCALIZED',
        'status': 'LOCALIZED',
        'accepted': 'true',
        'event': 'LOCALIZED',
        'reason': '',
        'inliers': '30',
        'confidence': '',
        'innovation': '',
        'ms': '5.0',
        'map_id': 'abc',
    }


def test_map_to_odom_uses_odometry_at_the_stamp_of_the_image(active: Harness) -> None:
    active.localize(START_NS + 1_250_000_000)
    active.spin_until(lambda: len(active.robot.corrections) > 5)
    expected = MAP_FROM_BASE @ odom_from_base(1.25).inverse()
    stamps_ns = [stamp_to_ns(item.header.stamp) for item in active.robot.corrections]
    assert all(earlier < later for earlier, later in pairwise(stamps_ns))
    assert abs(stamps_ns[-1] - (time.time_ns() + NS // 10)) < NS // 2
    for correction in active.robot.corrections:
        assert correction.child_frame_id == 'odom'
        found = transform_from_message(correction.transform)
        assert np.allclose(found.matrix, expected.matrix, atol=1e-3)
    active.localize(START_NS + 2_000_000_000)
    active.robot.corrections.clear()
    active.spin_until(lambda: active.robot.corrections)
    expected = MAP_FROM_BASE @ odom_from_base(2.0).inverse()
    found = transform_from_message(active.robot.corrections[-1].transform)
    assert np.allclose(found.matrix, expected.matrix, atol=1e-9)


def test_nothing_is_broadcast_before_a_fix_and_while_inactive(active: Harness) -> None:
    active.spin(0.2)
    assert active.robot.corrections == []
    active.localize(START_NS + NS)
    active.spin_until(lambda: active.robot.corrections)
    active.node.trigger_deactivate()
    active.spin(0.1)
    active.robot.corrections.clear()
    active.spin(0.2)
    active.node.trigger_activate()
    active.spin(0.2)
    assert active.robot.corrections == []


def test_map_to_base(ros: None) -> None:
    with Harness(max_rate=0.0, tf_mode='map_to_base') as harness:
        harness.start()
        harness.robot.send_camera_info()
        harness.robot.send_extrinsics()
        harness.spin(0.1)
        for second in (1, 1, 2):
            harness.localize(START_NS + second * NS)
        harness.spin(0.2)
        assert [
            (item.child_frame_id, stamp_to_ns(item.header.stamp))
            for item in harness.robot.corrections
        ] == [('base_link', START_NS + NS), ('base_link', START_NS + 2 * NS)]
        found = transform_from_message(harness.robot.corrections[0].transform)
        assert np.allclose(found.matrix, MAP_FROM_BASE.matrix)


def test_tf_broadcast_off(ros: None) -> None:
    with Harness(max_rate=0.0, tf_broadcast=False) as harness:
        harness.start()
        harness.robot.send_camera_info()
        harness.robot.send_extrinsics()
        harness.spin(0.1)
        harness.localize(START_NS)
        harness.spin_until(lambda: harness.robot.poses)
        assert harness.robot.corrections == []


def test_images_before_camera_info_are_not_processed(harness: Harness) -> None:
    harness.start()
    harness.robot.send_extrinsics()
    harness.robot.send_image(START_NS)
    harness.spin(0.2)
    assert harness.stub.stamps == []
    assert 'camera_info missing on topic /camera_info' in harness.next_diagnostic().message
    harness.robot.send_camera_info()
    harness.spin(0.1)
    harness.localize(START_NS)


def test_uncalibrated_camera_is_one_warning_and_no_work(active: Harness) -> None:
    active.robot.send_camera_info(focal_length=0.0)
    active.spin(0.1)
    active.robot.send_image(START_NS + NS)
    active.spin(0.2)
    assert active.stub.stamps == []
    status = active.next_diagnostic()
    assert status.level == DiagnosticStatus.ERROR
    assert 'K[0]' in status.message
    active.robot.send_camera_info()
    active.spin(0.1)
    active.localize(START_NS + NS)


@pytest.mark.parametrize(
    ('image', 'words'),
    [
        ({'width': 16}, 'size 16x24'),
        ({'encoding': 'nonsense'}, "'nonsense'"),
        ({'encoding': 'rgb8'}, 'step'),
    ],
)
def test_bad_image_is_an_error_and_the_node_goes_on(
    active: Harness, image: dict[str, object], words: str
) -> None:
    active.robot.send_image(START_NS + NS, **image)
    active.spin_until(lambda: active.robot.frames)
    frame = active.robot.frames[-1].status[0]
    assert frame.level == DiagnosticStatus.ERROR
    assert values(frame)['status'] == 'ERROR'
    assert words in values(frame)['reason']
    assert words in active.next_diagnostic().message
    active.localize(START_NS + NS)
    assert values(active.robot.frames[-1].status[0])['status'] == 'LOCALIZED'
    active.spin_until(lambda: len(active.robot.poses) == 1)


def test_compressed_image_that_cannot_be_decoded(ros: None) -> None:
    from sensor_msgs.msg import CompressedImage

    with Harness(max_rate=0.0, image_transport='compressed') as harness:
        harness.start()
        harness.robot.send_camera_info()
        harness.spin(0.1)
        harness.robot.compressed.publish(CompressedImage(format='jpeg', data=b'no jpeg'))
        harness.spin_until(lambda: harness.robot.frames)
        frame = harness.robot.frames[-1].status[0]
        assert frame.level == DiagnosticStatus.ERROR
        assert 'neither JPEG nor PNG' in frame.message


def test_defect_of_the_localizer_does_not_end_the_node(active: Harness) -> None:
    active.stub.failure = ZeroDivisionError('oops')
    active.localize(START_NS + NS)
    assert 'ZeroDivisionError' in active.robot.frames[-1].status[0].message
    active.stub.failure = None
    active.localize(START_NS + NS)
    assert active.robot.frames[-1].status[0].level == DiagnosticStatus.OK


def test_no_pose_without_extrinsics(harness: Harness) -> None:
    harness.start()
    harness.robot.send_camera_info()
    send_odometry(harness, np.arange(0.0, 3.01, 0.5))
    harness.localize(START_NS + NS)
    frame = harness.robot.frames[-1].status[0]
    assert values(frame)['status'] == 'ERROR'
    assert 'base_link <- camera' in frame.message
    assert harness.robot.poses == []
    assert harness.robot.corrections == []


@pytest.mark.parametrize(
    ('offset_s', 'reason'), [(500.0, 'no odometry at its time'), (-500.0, 'out of order')]
)
def test_odometry_missing_at_the_time_leaves_tf_alone(
    active: Harness, offset_s: float, reason: str
) -> None:
    active.localize(START_NS + NS)
    active.spin_until(lambda: active.robot.corrections)
    before = transform_from_message(active.robot.corrections[-1].transform)
    active.localize(START_NS + round(offset_s * NS))
    assert reason in values(active.robot.frames[-1].status[0])['reason']
    assert len(active.robot.poses) == 1
    active.robot.corrections.clear()
    active.spin_until(lambda: active.robot.corrections)
    after = transform_from_message(active.robot.corrections[-1].transform)
    assert np.array_equal(before.matrix, after.matrix)
    assert 'odom TF missing' in active.next_diagnostic().message


def test_an_image_that_comes_twice_is_refused(active: Harness) -> None:
    for _ in range(2):
        active.localize(START_NS + NS)
    active.spin_until(lambda: len(active.robot.corrections) > 3)
    first, second = (values(frame.status[0]) for frame in active.robot.frames)
    assert (first['accepted'], second['accepted']) == ('true', 'false')
    assert second['reason'].startswith('out of order')
    assert len(active.robot.poses) == 1


def test_newest_image_wins_while_the_worker_is_busy(active: Harness) -> None:
    active.stub.go_on.clear()
    for i in range(5):
        active.robot.send_image(START_NS + i)
        active.spin(0.1)
    assert active.stub.stamps == [START_NS]
    active.stub.go_on.set()
    active.spin_until(lambda: len(active.robot.frames) == 2)
    assert active.stub.stamps == [START_NS, START_NS + 4]
    assert values(active.next_diagnostic())['images_dropped'] == '3'


def test_deactivate_is_prompt_and_loses_the_running_result(active: Harness) -> None:
    active.stub.go_on.clear()
    active.robot.send_image(START_NS + NS)
    active.spin_until(lambda: active.stub.stamps)
    start_s = time.monotonic()
    active.node.trigger_deactivate()
    assert time.monotonic() - start_s < 1.0
    active.stub.go_on.set()
    active.spin(0.3)
    assert active.robot.frames == []
    assert active.robot.poses == []


def test_cleanup_is_prompt_and_the_map_is_freed_after_the_running_image(active: Harness) -> None:
    active.stub.go_on.clear()
    active.robot.send_image(START_NS + NS)
    active.spin_until(lambda: active.stub.stamps)
    active.node.trigger_deactivate()
    start_s = time.monotonic()
    active.node.trigger_cleanup()
    assert time.monotonic() - start_s < 2.0
    assert not active.stub.closed.is_set()
    active.stub.go_on.set()
    assert active.stub.closed.wait(5.0)


def test_live_parameters_are_taken_while_active(active: Harness) -> None:
    (result,) = active.node.set_parameters([Parameter('max_rate', value=2)])
    assert result.successful
    start_s = time.monotonic()
    active.localize(START_NS + NS)
    active.localize(START_NS + 2 * NS)
    assert time.monotonic() - start_s > 0.45


def test_silence_is_a_diagnostic(ros: None) -> None:
    with Harness(image_timeout=0.2) as harness:
        harness.start()
        harness.spin(0.3)
        status = harness.next_diagnostic()
        assert status.level == DiagnosticStatus.ERROR
        assert 'no images in' in status.message
        assert 'topic /image' in status.message


def test_stamps_of_another_clock_are_a_diagnostic(active: Harness) -> None:
    active.localize(START_NS + NS)
    assert 's from node time' in active.next_diagnostic().message


def test_backward_jump_of_time(ros: None) -> None:
    with Harness(max_rate=0.0, transform_timeout=0.05, use_sim_time=True) as harness:
        harness.start()
        assert 'nothing comes on /clock' in harness.next_diagnostic().message
        harness.robot.send_camera_info()
        harness.robot.send_extrinsics()
        send_odometry(harness, np.arange(0.0, 3.01, 0.5))
        harness.robot.send_clock(START_NS + 3 * NS)
        harness.spin(0.1)
        harness.localize(START_NS + 2 * NS)
        harness.spin_until(lambda: harness.robot.corrections)
        harness.robot.send_clock(START_NS + NS)
        harness.spin(0.1)
        harness.robot.corrections.clear()
        for i in range(10):
            harness.robot.send_clock(START_NS + NS + i * NS // 10)
            harness.spin(0.02)
        assert harness.robot.corrections == []
        assert values(harness.next_diagnostic())['state'] == 'WAITING'
        # Odometry is forgotten, extrinsics are not.
        harness.localize(START_NS + 2 * NS)
        harness.spin_until(lambda: len(harness.robot.poses) == 2)
        assert harness.robot.corrections == []
        send_odometry(harness, np.arange(0.0, 3.01, 0.5))
        harness.localize(START_NS + 5 * NS // 2)
        harness.spin_until(lambda: harness.robot.corrections)


def test_core_log_reaches_ros(harness: Harness, capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    logging.getLogger('relloc_ros.frames').warning('said by the core')
    harness.spin(0.05)
    assert 'said by the core' in capfd.readouterr().err
