# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""initialpose: what the node makes of one, and what it tells AMCL."""

from __future__ import annotations

from collections.abc import Iterator
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from ros_harness import BASE_FROM_CAM, MAP_FROM_CAM, NS, Harness, values

from relloc_ros.frames import stamp_to_ns, transform_from_pose
from relloc_ros.geometry import RigidTransform
from relloc_ros.ros.conversions import pose_message
from relloc_ros.structures import PoseEstimate

MAP_FROM_BASE = MAP_FROM_CAM @ BASE_FROM_CAM.inverse()
GIVEN = np.diag([0.25, 0.25, 0.25, 0.07, 0.07, 0.07])


def odom_from_base(x: float) -> RigidTransform:
    """A robot that drives straight ahead."""
    return RigidTransform(np.eye(3), np.array([x, 0.0, 0.0]))


def moved(transform: RigidTransform, *offset: float) -> RigidTransform:
    """The same, somewhere else in the map."""
    return RigidTransform(transform.rotation, transform.translation + offset)


class Desk(Harness):
    """A node beside somebody who gives poses, and an AMCL that takes them."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(
            max_rate=0.0, transform_timeout=0.3, mahalanobis_threshold=22.46, **parameters
        )
        self.given = self.robot.create_publisher(PoseWithCovarianceStamped, 'initialpose', 1)
        self.amcl = self.robot.create_publisher(PoseWithCovarianceStamped, 'amcl_pose', 1)
        self.taken: list[PoseWithCovarianceStamped] = []
        self.now_ns = time.time_ns()

    def listen(self) -> None:
        """Take poses as AMCL does."""
        self.robot.create_subscription(
            PoseWithCovarianceStamped,
            '/localization_node/initialpose',
            self.taken.append,
            QoSProfile(depth=10),
        )

    def begin(self) -> None:
        """Start with camera, extrinsics, and odometry of the last seconds and the next."""
        self.start()
        self.robot.send_camera_info()
        self.robot.send_extrinsics()
        for second in range(-5, 6):
            self.robot.send_odometry(self.now_ns + second * NS, odom_from_base(0.1 * second))
        self.spin(0.3)

    def give(
        self, map_from_base: RigidTransform, stamp_ns: int = 0, frame_id: str = 'map'
    ) -> None:
        """Click in RViz."""
        self.spin_until(self.given.get_subscription_count)
        self.given.publish(pose_message(PoseEstimate(map_from_base, GIVEN), stamp_ns, frame_id))
        self.spin(0.6)

    def answer(self, map_from_base: RigidTransform, stamp_ns: int, frame_id: str = 'map') -> None:
        """Say where AMCL is."""
        self.spin_until(self.amcl.get_subscription_count)
        self.amcl.publish(pose_message(PoseEstimate(map_from_base, GIVEN), stamp_ns, frame_id))
        self.spin(0.2)


@pytest.fixture
def desk(ros: None) -> Iterator[Desk]:
    """An active node that listens to initialpose."""
    with Desk() as desk:
        desk.begin()
        yield desk


@pytest.fixture
def teller(ros: None) -> Iterator[Desk]:
    """An active node that tells AMCL."""
    with Desk(publish_initial_pose=True, initial_pose_timeout=2.5) as teller:
        teller.begin()
        yield teller


class TestInput:
    """The topic initialpose."""

    def test_restricts_the_search(self, desk: Desk) -> None:
        desk.localize(desk.now_ns - NS)
        assert values(desk.next_diagnostic())['state'] == 'LOCALIZED'
        desk.give(MAP_FROM_BASE)
        assert values(desk.next_diagnostic())['state'] == 'SEARCHING'
        desk.localize(desk.now_ns)
        area = desk.stub.search_areas[-1]
        assert area is not None
        # The area is the base's and as large as doubt and the way to the camera.
        assert np.linalg.norm(area.centre - MAP_FROM_BASE.translation) < 0.5
        assert area.radius > 3 * 0.5 + np.linalg.norm(BASE_FROM_CAM.translation)
        assert len(desk.robot.poses) == 2
        desk.localize(desk.now_ns + NS)
        assert desk.stub.search_areas[-1] is None

    def test_moves_along_with_the_robot(self, desk: Desk) -> None:
        desk.give(MAP_FROM_BASE, desk.now_ns - 4 * NS)
        desk.localize(desk.now_ns)
        area = desk.stub.search_areas[-1]
        assert area is not None
        driven = MAP_FROM_BASE @ odom_from_base(0.4)
        np.testing.assert_allclose(area.centre, driven.translation, atol=0.01)

    def test_tf_waits_for_an_image(self, desk: Desk) -> None:
        desk.localize(desk.now_ns - 2 * NS)
        desk.spin_until(lambda: desk.robot.corrections)
        before = desk.robot.corrections[-1].transform.translation.x
        desk.give(moved(MAP_FROM_BASE, 0.8, 0.0, 0.0))
        desk.robot.corrections.clear()
        desk.spin_until(lambda: len(desk.robot.corrections) > 3)
        assert desk.robot.corrections[-1].transform.translation.x == pytest.approx(before)
        assert len(desk.robot.poses) == 1

    def test_an_image_that_contradicts_it_is_not_believed(self, desk: Desk) -> None:
        desk.give(moved(MAP_FROM_BASE, 30.0, 0.0, 0.0))
        desk.localize(desk.now_ns)
        assert not desk.robot.poses
        assert 'initial pose' in values(desk.robot.frames[-1].status[0])['reason']

    def test_global_localization_forgets_it(self, desk: Desk) -> None:
        desk.give(moved(MAP_FROM_BASE, 30.0, 0.0, 0.0))
        session = desk.node._session
        assert session is not None
        session.reset_tracking()
        desk.localize(desk.now_ns)
        assert desk.stub.search_areas[-1] is None
        assert desk.robot.poses

    @pytest.mark.parametrize('offset_s', [-100.0, 1e6, 0.0])
    def test_any_stamp_is_taken(self, desk: Desk, offset_s: float) -> None:
        desk.give(MAP_FROM_BASE, desk.now_ns + round(offset_s * NS))
        desk.localize(desk.now_ns + NS)
        assert desk.robot.poses

    def test_without_odometry(self, ros: None) -> None:
        with Desk(tf_mode='map_to_base') as desk:
            desk.start()
            desk.robot.send_camera_info()
            desk.robot.send_extrinsics()
            desk.spin(0.3)
            desk.give(MAP_FROM_BASE)
            desk.localize(desk.now_ns)
            assert desk.stub.search_areas[-1] is not None
            assert desk.robot.poses

    def test_another_frame_is_refused_by_both_names(
        self, desk: Desk, capfd: pytest.CaptureFixture[str]
    ) -> None:
        desk.give(MAP_FROM_BASE, frame_id='odom')
        desk.localize(desk.now_ns)
        assert desk.stub.search_areas[-1] is None
        log = capfd.readouterr().err
        assert 'initialpose is ignored' in log
        assert "'odom'" in log
        assert "'map'" in log

    def test_a_parked_robot_is_localized_again(self, desk: Desk) -> None:
        desk.node.set_parameters(
            [Parameter('update_min_d', value=1.0), Parameter('update_min_a', value=1.0)]
        )
        desk.localize(desk.now_ns - 2 * NS)
        desk.give(MAP_FROM_BASE)
        desk.localize(desk.now_ns)
        assert len(desk.robot.poses) == 2

    def test_inactive_and_unwanted(self, desk: Desk, capfd: pytest.CaptureFixture[str]) -> None:
        desk.node.trigger_deactivate()
        desk.give(MAP_FROM_BASE)
        assert 'not active' in capfd.readouterr().err
        desk.node.set_parameters([Parameter('use_initial_pose', value=False)])
        desk.node.trigger_cleanup()
        desk.node.trigger_configure()
        desk.node.trigger_activate()
        desk.spin(0.3)
        assert desk.given.get_subscription_count() == 0


class TestOutput:
    """The topic ~/initialpose."""

    def test_is_told_until_amcl_agrees(self, teller: Desk) -> None:
        teller.listen()
        teller.spin(0.5)
        teller.localize(teller.now_ns)
        teller.spin_until(lambda: len(teller.taken) >= 2)
        message = teller.taken[0]
        assert message.header.frame_id == 'map'
        assert stamp_to_ns(message.header.stamp) == teller.now_ns
        covariance = np.array(message.pose.covariance).reshape(6, 6)
        np.testing.assert_array_equal(covariance, np.diag(np.diag(covariance)))
        assert (np.diag(covariance) > 0.0).all()
        np.testing.assert_allclose(
            transform_from_pose(message.pose.pose).matrix, MAP_FROM_BASE.matrix, atol=1e-9
        )
        quaternion = message.pose.pose.orientation
        norm = sum(value**2 for value in (quaternion.x, quaternion.y, quaternion.z, quaternion.w))
        assert norm == pytest.approx(1.0, abs=1e-9)
        # The robot has driven on, and AMCL knows.
        there = MAP_FROM_BASE @ odom_from_base(0.3)
        teller.answer(there, teller.now_ns + 3 * NS)
        count = len(teller.taken)
        teller.spin(1.5)
        assert len(teller.taken) == count

    def test_once_for_each_beginning(self, teller: Desk) -> None:
        teller.listen()
        teller.spin(0.5)
        teller.localize(teller.now_ns - 4 * NS)
        teller.spin_until(lambda: teller.taken)
        teller.answer(MAP_FROM_BASE, teller.now_ns - 4 * NS)
        count = len(teller.taken)
        teller.stub.map_from_cam = MAP_FROM_BASE @ odom_from_base(0.1) @ BASE_FROM_CAM
        teller.localize(teller.now_ns - 3 * NS)
        teller.spin(1.2)
        assert len(teller.robot.poses) == 2
        assert len(teller.taken) == count
        session = teller.node._session
        assert session is not None
        session.reset_tracking()
        teller.localize(teller.now_ns - 2 * NS)
        teller.spin_until(lambda: len(teller.taken) > count)

    def test_disagreement_is_told_in_the_end(
        self, teller: Desk, capfd: pytest.CaptureFixture[str]
    ) -> None:
        teller.listen()
        teller.spin(0.5)
        teller.localize(teller.now_ns)
        teller.spin_until(lambda: teller.taken)
        teller.answer(moved(MAP_FROM_BASE, 3.0, 0.0, 0.0), teller.now_ns)
        teller.answer(MAP_FROM_BASE, teller.now_ns, frame_id='odom')
        teller.spin(4.0)
        count = len(teller.taken)
        assert 2 <= count <= 4
        assert '/amcl_pose did not agree' in capfd.readouterr().err
        teller.spin(1.5)
        assert len(teller.taken) == count

    def test_waits_for_amcl_and_says_so(self, teller: Desk) -> None:
        teller.localize(teller.now_ns - 2 * NS)
        teller.localize(teller.now_ns)
        status = teller.next_diagnostic()
        assert status.level == DiagnosticStatus.WARN
        assert 'nobody listens to /localization_node/initialpose' in status.message
        teller.spin(3.0)
        teller.listen()
        teller.spin_until(lambda: teller.taken)
        assert stamp_to_ns(teller.taken[0].header.stamp) == teller.now_ns

    def test_without_patience_it_is_told_once(
        self, teller: Desk, capfd: pytest.CaptureFixture[str]
    ) -> None:
        teller.node.set_parameters([Parameter('initial_pose_timeout', value=0.0)])
        teller.listen()
        teller.spin(0.5)
        teller.localize(teller.now_ns)
        teller.spin(2.5)
        assert len(teller.taken) == 1
        assert 'did not agree' not in capfd.readouterr().err

    def test_deactivation_ends_it(self, teller: Desk) -> None:
        teller.listen()
        teller.spin(0.5)
        teller.localize(teller.now_ns)
        teller.spin_until(lambda: teller.taken)
        teller.node.trigger_deactivate()
        count = len(teller.taken)
        teller.spin(1.5)
        assert len(teller.taken) == count

    def test_is_off_by_default(self, desk: Desk) -> None:
        desk.localize(desk.now_ns)
        assert desk.robot.count_publishers('/localization_node/initialpose') == 0

    def test_is_told_once_to_whom_does_not_answer(
        self, teller: Desk, capfd: pytest.CaptureFixture[str]
    ) -> None:
        timeout = Parameter('initial_pose_timeout', value=0.0)
        assert teller.node.set_parameters([timeout])[0].successful
        teller.listen()
        teller.spin(0.5)
        teller.localize(teller.now_ns)
        teller.spin_until(lambda: teller.taken)
        teller.spin(2.5)
        assert len(teller.taken) == 1
        assert 'did not agree' not in capfd.readouterr().err
