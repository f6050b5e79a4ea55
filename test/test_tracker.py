# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracker on simulated drives: odometry that drifts, wrong poses, robots that are carried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from relloc_ros.config import TrackingConfig, make_config
from relloc_ros.errors import ConfigError
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.structures import PoseEstimate
from relloc_ros.tracker import Observation, Tracker, TrackingEvent, TrackingState, Verdict

NS = 1_000_000_000
PERIOD_NS = NS // 5
COVARIANCE = np.diag([0.01**2] * 3 + [0.005**2] * 3)
LOCALIZED, SEARCHING = TrackingState.LOCALIZED, TrackingState.SEARCHING
SUSPECT, LOST = TrackingState.SUSPECT, TrackingState.LOST


def planar(x: float, y: float, heading: float) -> RigidTransform:
    return RigidTransform(exp_so3(np.array([0.0, 0.0, heading])), np.array([x, y, 0.0]))


@dataclass
class Robot:
    """Drives in circles of 2 m at 0.5 m/s; its odometry drifts, its poses have noise."""

    seed: int = 0
    drift: float = 0.0
    stamp_ns: int = 100 * NS

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.where = planar(0.0, 0.0, 0.0)
        self.odometry = planar(5.0, -3.0, 1.0)

    def drive(self, seconds: float = PERIOD_NS / NS) -> None:
        motion = planar(0.5 * seconds, 0.0, 0.25 * seconds)
        felt = planar(0.5 * seconds * (1.0 + self.drift), 0.0, 0.25 * seconds * (1.0 - self.drift))
        self.where, self.odometry = self.where @ motion, self.odometry @ felt
        self.stamp_ns += round(seconds * NS)

    def see(self, *, wrong: RigidTransform | None = None, odometry: bool = True) -> Observation:
        """Give a pose with noise, or a wrong one."""
        noise = self.random.normal(size=6) * np.sqrt(np.diag(COVARIANCE))
        truth = self.where if wrong is None else wrong
        pose = RigidTransform(exp_so3(noise[3:]) @ truth.rotation, truth.translation + noise[:3])
        odom_from_base = self.odometry if odometry else None
        return Observation(self.stamp_ns, PoseEstimate(pose, COVARIANCE), odom_from_base)

    def see_nothing(self, *, odometry: bool = True) -> Observation:
        odom_from_base = self.odometry if odometry else None
        return Observation(self.stamp_ns, None, odom_from_base, 'too dark')

    def somewhere(self) -> RigidTransform:
        x, y = self.random.uniform(-20.0, 20.0, 2)
        return planar(x, y, self.random.uniform(-3.0, 3.0))


def make_tracker(**settings: Any) -> Tracker:
    return Tracker(make_config(TrackingConfig, settings))


def run(tracker: Tracker, robot: Robot, count: int, **options: Any) -> list[Verdict]:
    verdicts = []
    for _ in range(count):
        robot.drive()
        verdicts.append(tracker.update(robot.see(**options)))
    return verdicts


def accepted(verdicts: Sequence[Verdict]) -> list[bool]:
    return [verdict.accepted for verdict in verdicts]


def events(verdicts: Sequence[Verdict]) -> list[TrackingEvent]:
    return [verdict.event for verdict in verdicts if verdict.event is not None]


def localized(**settings: Any) -> tuple[Tracker, Robot]:
    """Give a tracker that knows where its robot is."""
    tracker, robot = make_tracker(**settings), Robot()
    run(tracker, robot, 5)
    assert tracker.state is LOCALIZED
    return tracker, robot


@pytest.mark.parametrize('count', [1, 2, 3, 5])
def test_the_first_pose_needs_others_that_agree(count: int) -> None:
    tracker = make_tracker(consensus_count=count, consensus_window=5)
    verdicts = run(tracker, Robot(drift=0.05), 8)
    assert accepted(verdicts) == [False] * (count - 1) + [True] * (9 - count)
    assert events(verdicts) == [TrackingEvent.LOCALIZED]
    assert [verdict.state for verdict in verdicts[: count - 1]] == [SEARCHING] * (count - 1)
    for index, verdict in enumerate(verdicts[: count - 1], start=1):
        assert verdict.reason == f'{index} of {count} poses that have to agree'


def test_consensus_looks_at_the_last_images_only() -> None:
    tracker, robot = make_tracker(consensus_count=2, consensus_window=3), Robot()
    for seen in (True, False, False, True, False):
        robot.drive()
        observation = robot.see() if seen else robot.see_nothing()
        assert not tracker.update(observation).accepted
    robot.drive()
    assert tracker.update(robot.see()).accepted


def test_poses_must_agree_with_one_another_too() -> None:
    tracker, robot = make_tracker(), Robot()
    right = robot.where
    for offset, agrees in ((-0.3, False), (0.3, False), (0.0, False), (0.02, True)):
        robot.stamp_ns += PERIOD_NS
        seen = right @ planar(offset, 0.0, 0.0)
        assert tracker.update(robot.see(wrong=seen)).accepted == agrees


def test_more_poses_than_images_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'count 6 .* consensus_window 5'):
        make_tracker(consensus_count=6)


@pytest.mark.parametrize('seed', range(5))
def test_wrong_poses_do_not_get_through(seed: int) -> None:
    tracker, robot = make_tracker(), Robot(seed, drift=0.05)
    num_right = num_wrong = 0
    for _ in range(300):
        robot.drive()
        is_wrong = robot.random.random() < 0.3
        verdict = tracker.update(robot.see(wrong=robot.somewhere() if is_wrong else None))
        num_right += verdict.accepted and not is_wrong
        num_wrong += verdict.accepted and is_wrong
    assert num_wrong == 0
    assert num_right > 190


def test_hardly_a_right_pose_is_refused() -> None:
    tracker, robot = localized()
    verdicts = run(tracker, robot, 2000)
    assert accepted(verdicts).count(False) <= 10


def test_drift_of_odometry_contradicts_nothing() -> None:
    tracker, robot = make_tracker(), Robot(drift=0.05)
    run(tracker, robot, 5)
    for _ in range(20):
        for _ in range(20):
            robot.drive()
            tracker.update(robot.see_nothing())
        assert accepted(run(tracker, robot, 3)) == [True] * 3


def test_a_wrong_pose_makes_suspicious_and_a_right_one_settles_it() -> None:
    tracker, robot = localized()
    robot.drive()
    verdict = tracker.update(robot.see(wrong=robot.where @ planar(3.0, 0.0, 0.0)))
    assert (verdict.accepted, verdict.state) == (False, SUSPECT)
    assert verdict.reason.startswith('contradicts the track: 2.98 m and 0 deg')
    assert verdict.innovation is not None
    assert verdict.innovation > tracker.config.mahalanobis_threshold
    (verdict,) = run(tracker, robot, 1)
    assert (verdict.accepted, verdict.state, verdict.event) == (True, LOCALIZED, None)


def test_a_kidnapped_robot_is_found_announced_and_never_averaged() -> None:
    tracker, robot = localized()
    robot.where = planar(12.0, 7.0, -2.0)
    verdicts = run(tracker, robot, 8)
    assert accepted(verdicts) == [False, False] + [True] * 6
    assert events(verdicts) == [TrackingEvent.KIDNAPPED]
    assert [verdict.state for verdict in verdicts[:3]] == [SUSPECT, SUSPECT, LOCALIZED]
    assert 'kidnapped' in verdicts[2].reason
    fix = tracker.last_fix
    assert fix is not None
    assert fix.pose is not None
    assert pose_error(fix.pose.map_from_body, robot.where)[0] < 0.1


def test_without_consensus_a_contradiction_is_taken_at_once() -> None:
    tracker, robot = localized(consensus_count=1)
    robot.where = planar(12.0, 7.0, -2.0)
    (verdict,) = run(tracker, robot, 1)
    assert verdict.event is TrackingEvent.KIDNAPPED


def test_time_alone_makes_suspect_then_lost() -> None:
    tracker, robot = localized(suspect_timeout=2.0, lost_timeout=10.0)
    stamp_ns = robot.stamp_ns
    assert tracker.tick(stamp_ns + 1 * NS) is LOCALIZED
    assert tracker.tick(stamp_ns + 3 * NS) is SUSPECT
    assert tracker.tick(stamp_ns + 11 * NS) is LOST
    robot.drive(11.0)
    assert tracker.update(robot.see_nothing()).state is LOST
    verdicts = run(tracker, robot, 4)
    assert accepted(verdicts) == [False, False, True, True]
    assert verdicts[0].state is SEARCHING
    assert events(verdicts) == [TrackingEvent.RELOCALIZED]


def test_images_without_poses_make_suspect_and_a_pose_settles_it() -> None:
    tracker, robot = localized(suspect_timeout=2.0, lost_timeout=10.0)
    for _ in range(15):
        robot.drive()
        verdict = tracker.update(robot.see_nothing())
        assert not verdict.accepted
    assert (verdict.state, verdict.reason) == (SUSPECT, 'too dark')
    (verdict,) = run(tracker, robot, 1)
    assert (verdict.accepted, verdict.state) == (True, LOCALIZED)


def test_a_long_way_on_odometry_alone_is_lost() -> None:
    tracker, robot = localized(lost_timeout=1e4, suspect_timeout=1e3, lost_position_std=1.0)
    for _ in range(90):
        robot.drive()
        state = tracker.update(robot.see_nothing()).state
    assert state is LOCALIZED
    for _ in range(20):
        robot.drive()
        state = tracker.update(robot.see_nothing()).state
    assert state is LOST
    assert accepted(run(tracker, robot, 3)) == [False, False, True]


def test_without_odometry_each_pose_stands_alone() -> None:
    tracker, robot = make_tracker(), Robot()
    verdicts = run(tracker, robot, 3, odometry=False)
    robot.where = planar(12.0, 7.0, -2.0)
    verdicts += run(tracker, robot, 2, odometry=False)
    assert accepted(verdicts) == [True] * 5
    assert events(verdicts) == [TrackingEvent.LOCALIZED]


def test_a_pose_without_odometry_is_refused_where_there_was_some() -> None:
    tracker, robot = localized()
    (verdict,) = run(tracker, robot, 1, odometry=False)
    assert not verdict.accepted
    assert 'no odometry at its time' in verdict.reason
    assert accepted(run(tracker, robot, 1)) == [True]


def test_odometry_that_is_gone_for_good_is_done_without() -> None:
    tracker, robot = localized(lost_timeout=5.0)
    verdicts = run(tracker, robot, 30, odometry=False)
    assert not any(accepted(verdicts[:26]))
    assert all(accepted(verdicts[27:]))
    assert events(verdicts) == [TrackingEvent.RELOCALIZED]


def test_odometry_that_comes_later_starts_a_search() -> None:
    tracker, robot = make_tracker(), Robot()
    run(tracker, robot, 3, odometry=False)
    assert accepted(run(tracker, robot, 4)) == [False, False, True, True]


@pytest.mark.parametrize('offset_ns', [0, -1, -NS])
def test_out_of_order_is_refused_and_changes_nothing(offset_ns: int) -> None:
    tracker, robot = localized()
    robot.drive()
    late = robot.see()
    run(tracker, robot, 1)
    late = Observation(robot.stamp_ns + offset_ns, late.pose, late.odom_from_base)
    fix = tracker.last_fix
    verdict = tracker.update(late)
    assert not verdict.accepted
    assert verdict.reason.startswith('out of order')
    assert tracker.last_fix is fix
    assert accepted(run(tracker, robot, 1)) == [True]


def test_the_stamp_of_an_image_without_a_pose_orders_nothing() -> None:
    tracker, robot = localized()
    robot.drive()
    tracker.update(Observation(robot.stamp_ns + 900 * NS, None, None, 'damaged'))
    assert accepted(run(tracker, robot, 3)) == [False, False, True]


def test_images_without_poses_may_come_in_any_order() -> None:
    tracker, robot = localized()
    robot.drive()
    late = robot.see_nothing()
    late_pose = robot.see()
    robot.drive()
    tracker.update(robot.see_nothing())
    assert tracker.update(late).state is LOCALIZED
    assert tracker.update(late_pose).accepted
    assert accepted(run(tracker, robot, 3)) == [True] * 3


@pytest.mark.parametrize(('seconds', 'num_refused'), [(10, 5), (100, 0)])
def test_stamps_that_jump_back_for_good_start_anew(seconds: int, num_refused: int) -> None:
    tracker, robot = localized()
    robot.stamp_ns -= seconds * NS
    verdicts = run(tracker, robot, num_refused + 3)
    assert accepted(verdicts) == [False] * (num_refused + 2) + [True]
    assert 'jumped back' in verdicts[num_refused].reason


@pytest.mark.parametrize('stamp_ns', [0, 1, -5 * NS, 10**19])
def test_one_absurd_stamp_is_no_fix(stamp_ns: int) -> None:
    tracker, robot = localized()
    pose = robot.see().pose
    for _ in range(2):
        assert not tracker.update(Observation(stamp_ns, pose, None)).accepted
    robot.drive()
    assert accepted(run(tracker, robot, 3))[-1]


def test_an_image_that_comes_twice_agrees_with_itself_only_once() -> None:
    tracker, robot = make_tracker(consensus_count=2), Robot()
    observation = robot.see()
    assert not tracker.update(observation).accepted
    assert not tracker.update(observation).accepted


def test_restarted_odometry_is_no_kidnapping() -> None:
    tracker, robot = localized()
    robot.odometry = planar(60.0, 20.0, 0.0)
    verdicts = run(tracker, robot, 4)
    assert accepted(verdicts) == [False, False, True, True]
    assert 'odometry jumped by 59.3 m in 0.20 s' in verdicts[0].reason
    assert events(verdicts) == [TrackingEvent.RELOCALIZED]


def test_reset_searches_again_even_in_older_time() -> None:
    tracker, robot = localized()
    tracker.reset()
    assert tracker.state is SEARCHING
    assert tracker.last_fix is None
    robot.stamp_ns -= 50 * NS
    verdicts = run(tracker, robot, 3)
    assert accepted(verdicts) == [False, False, True]
    assert events(verdicts) == [TrackingEvent.LOCALIZED]


def test_a_search_on_request_is_a_relocalization() -> None:
    tracker, robot = localized()
    tracker.search()
    assert tracker.state is SEARCHING
    verdicts = run(tracker, robot, 3)
    assert accepted(verdicts) == [False, False, True]
    assert events(verdicts) == [TrackingEvent.RELOCALIZED]


def test_a_prior_restricts_the_search_and_refuses_what_contradicts_it() -> None:
    tracker, robot = localized()
    covariance = np.diag([0.5**2] * 3 + [0.2**2] * 3)
    robot.where = planar(12.0, 7.0, -2.0)
    prior = PoseEstimate(robot.where @ planar(0.3, -0.3, 0.1), covariance)
    tracker.set_prior(prior, robot.stamp_ns, robot.odometry)
    assert tracker.state is SEARCHING
    area = tracker.search_area(robot.odometry)
    assert area is not None
    assert area.radius == pytest.approx(1.5)
    assert area.centre == pytest.approx(prior.map_from_body.translation)
    robot.drive(2.0)
    moved = tracker.search_area(robot.odometry)
    assert moved is not None
    assert np.linalg.norm(moved.centre - robot.where.translation) < 0.6
    assert moved.radius > area.radius
    verdicts = run(tracker, robot, 3, wrong=planar(-5.0, 0.0, 0.0))
    assert not any(accepted(verdicts))
    assert 'contradicts the initial pose' in verdicts[0].reason
    verdicts = run(tracker, robot, 3)
    assert accepted(verdicts) == [False, False, True]
    assert events(verdicts) == [TrackingEvent.RELOCALIZED]
    assert not tracker.has_prior
    assert tracker.search_area(robot.odometry) is None


def test_a_prior_that_nothing_confirms_is_forgotten() -> None:
    tracker, robot = localized(prior_timeout=2.0)
    wrong = PoseEstimate(planar(-9.0, 0.0, 0.0), COVARIANCE)
    tracker.set_prior(wrong, robot.stamp_ns, robot.odometry)
    verdicts = run(tracker, robot, 14)
    assert not any(accepted(verdicts[:12]))
    assert verdicts[10].reason.startswith('nothing confirmed the initial pose')
    assert accepted(verdicts[12:]) == [True, True]


@pytest.mark.parametrize('seconds_off', [-3600, 3600])
def test_a_prior_by_another_clock_does_not_last(seconds_off: int) -> None:
    tracker, robot = localized()
    wrong = PoseEstimate(planar(-9.0, 0.0, 0.0), COVARIANCE)
    tracker.set_prior(wrong, robot.stamp_ns + seconds_off * NS, robot.odometry)
    assert accepted(run(tracker, robot, 3)) == [False, False, True]


def test_a_fix_may_be_refused_for_its_rotation_alone() -> None:
    tracker, robot = localized()
    robot.drive()
    verdict = tracker.update(robot.see(wrong=robot.where @ planar(0.0, 0.0, 0.5)))
    assert not verdict.accepted
    assert '29 deg' in verdict.reason


def test_a_lever_arm_carries_doubt_about_the_heading_into_the_position() -> None:
    tracker, robot = make_tracker(consensus_count=1), Robot()
    unsure = np.diag([0.01**2] * 3 + [0.2**2] * 3)
    first = robot.see()
    assert first.pose is not None
    tracker.update(
        Observation(first.stamp_ns, PoseEstimate(first.pose.map_from_body, unsure), robot.odometry)
    )
    turned_by = planar(0.0, 0.0, 0.3)
    robot.odometry, robot.where = robot.odometry @ planar(5.0, 0.0, 0.0), turned_by
    robot.where = robot.where @ planar(5.0, 0.0, 0.0)
    robot.stamp_ns += 10 * NS
    verdict = tracker.update(robot.see())
    assert (verdict.accepted, verdict.event) == (True, None)


def test_two_places_that_look_alike_do_not_move_a_track_that_is_confirmed() -> None:
    tracker, robot = localized()
    twin = planar(8.0, 0.0, 0.0)
    for _ in range(50):
        robot.drive()
        assert not tracker.update(robot.see(wrong=twin @ robot.where)).accepted
        robot.drive()
        assert not tracker.update(robot.see(wrong=twin @ robot.where)).accepted
        assert accepted(run(tracker, robot, 1)) == [True]


class World:
    """What can happen to a robot, all of it at random."""

    def __init__(self, seed: int, settings: dict[str, Any]) -> None:
        self.random = np.random.default_rng(seed)
        self.robot = Robot(seed, drift=0.05)
        self.tracker = make_tracker(**settings)

    def disturb(self) -> None:
        """Let one thing happen."""
        robot, tracker = self.robot, self.tracker
        self.random.choice(
            np.array(  # type: ignore[arg-type]
                [
                    lambda: setattr(robot, 'where', robot.somewhere()),
                    lambda: setattr(robot, 'odometry', planar(0.0, 0.0, 0.0)),
                    lambda: setattr(robot, 'odometry', planar(70.0, 0.0, 0.0)),
                    lambda: robot.drive(float(self.random.uniform(1.0, 100.0))),
                    lambda: setattr(robot, 'stamp_ns', robot.stamp_ns - 2 * NS),
                    lambda: setattr(robot, 'stamp_ns', robot.stamp_ns - 3600 * NS),
                    lambda: run(tracker, robot, int(self.random.integers(1, 400)), odometry=False),
                    lambda: run(tracker, robot, 10, wrong=robot.somewhere()),
                    lambda: tracker.update(Observation(robot.stamp_ns + 10**15, None, None)),
                    lambda: tracker.tick(robot.stamp_ns + 10**12),
                    lambda: tracker.set_prior(
                        PoseEstimate(robot.somewhere(), COVARIANCE), robot.stamp_ns, robot.odometry
                    ),
                    tracker.reset,
                ],
                dtype=object,
            )
        )()

    def watch(self, count: int) -> Verdict:
        """Look around, three images of ten without a pose or with a wrong one; check verdicts."""
        robot, tracker = self.robot, self.tracker
        verdict = Verdict(tracker.state, False)
        for _ in range(count):
            robot.drive()
            dice = self.random.random()
            if dice < 0.15:
                observation = robot.see_nothing()
            else:
                observation = robot.see(wrong=robot.somewhere() if dice < 0.3 else None)
            verdict = tracker.update(observation)
            assert verdict.state is tracker.state
            if verdict.accepted:
                assert tracker.last_fix is observation
                assert (verdict.state, dice >= 0.3) == (LOCALIZED, True)
                assert bool(verdict.reason) == (verdict.event is TrackingEvent.KIDNAPPED)
            else:
                assert verdict.event is None
                assert verdict.reason
        return verdict


@pytest.mark.parametrize(
    'settings', [{}, {'consensus_count': 4, 'consensus_window': 12}, {'consensus_window': 20}]
)
@pytest.mark.parametrize('seed', range(4))
def test_whatever_happens_the_robot_is_found_again(seed: int, settings: dict[str, Any]) -> None:
    world = World(seed, settings)
    for _ in range(25):
        for _ in range(world.random.integers(1, 4)):
            world.disturb()
        # prior_timeout is 10 s: 50 images.
        world.watch(120)
        fix = world.tracker.last_fix
        assert fix is not None
        assert world.robot.stamp_ns - fix.stamp_ns < 4 * NS
        assert world.tracker.state in (LOCALIZED, SUSPECT)


def test_the_same_images_get_the_same_verdicts() -> None:
    first, second = (run(make_tracker(), Robot(5, drift=0.05), 60) for _ in range(2))
    assert first == second
