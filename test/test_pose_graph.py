# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose graph on simulated drives, alone and behind the tracker."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from relloc_ros.config import TrackingConfig, make_config
from relloc_ros.errors import MissingDependencyError
from relloc_ros.geometry import RigidTransform, exp_so3, log_so3, pose_error
from relloc_ros.odometer import Drift
from relloc_ros.pose_graph import PoseGraph, map_from_tangent
from relloc_ros.structures import PoseEstimate
from relloc_ros.tracker import Observation, Tracker, TrackingEvent, Verdict

NS = 1_000_000_000
PERIOD_NS = NS // 5
START = RigidTransform(exp_so3(np.array([0.4, -0.7, 1.9])), np.array([3.0, -2.0, 0.5]))
ODOM_FROM_MAP = RigidTransform(exp_so3(np.array([0.1, 0.2, -1.0])), np.array([5.0, 4.0, -1.0]))
MOTION = RigidTransform(exp_so3(np.array([0.02, -0.03, 0.05])), np.array([0.1, 0.02, -0.01]))
COVARIANCE = np.diag([0.02, 0.01, 0.03, 0.01, 0.02, 0.015]) ** 2


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'gtsam', None)
    with pytest.raises(MissingDependencyError, match=r"'pgo' needs gtsam: pip install gtsam"):
        Tracker(make_config(TrackingConfig, {'fusion': 'pgo'}))


def test_without_fusion_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'gtsam', None)
    Tracker(TrackingConfig())


@pytest.fixture
def gtsam() -> Any:
    return pytest.importorskip('gtsam', reason='extra fusion')


def make_graph(**settings: Any) -> PoseGraph:
    return PoseGraph(make_config(TrackingConfig, {'fusion': 'pgo', **settings}))


def disturbed(pose: RigidTransform, error: np.ndarray) -> RigidTransform:
    """Give the estimate whose error is this."""
    return RigidTransform(exp_so3(-error[3:]) @ pose.rotation, pose.translation - error[:3])


def error_of(estimate: RigidTransform, truth: RigidTransform) -> np.ndarray:
    turn = log_so3(truth.rotation @ estimate.rotation.T)
    return np.concatenate([truth.translation - estimate.translation, turn])


def shifted(pose: RigidTransform, *step: float) -> RigidTransform:
    return RigidTransform(pose.rotation, pose.translation + np.array(step))


def draw(random: np.random.Generator, covariance: np.ndarray) -> np.ndarray:
    return np.linalg.cholesky(covariance) @ random.normal(size=6)


def drive(
    graph: PoseGraph,
    errors: Any,
    noise: Any = None,
    covariance: np.ndarray = COVARIANCE,
) -> list[tuple[PoseEstimate, RigidTransform]]:
    """Add a pose for each error; with noise of odometry, an error (6,) of each motion."""
    truth, odometry, travelled, said = START, ODOM_FROM_MAP @ START, Drift(), []
    for i, error in enumerate(errors):
        pose = PoseEstimate(disturbed(truth, error), covariance)
        said.append((graph.add(pose, odometry, travelled), truth))
        felt = MOTION if noise is None else disturbed(MOTION, noise[i])
        truth, odometry, travelled = truth @ MOTION, odometry @ felt, travelled + Drift.of(felt)
    return said


def test_errors_go_from_the_tangent_space_to_the_axes_of_the_map(gtsam: Any) -> None:
    """Monte Carlo, with GTSAM's own retraction."""
    random = np.random.default_rng(0)
    root = random.normal(size=(6, 6)) * np.array([2, 4, 6, 8, 4, 2])[:, None] * 1e-3
    tangent = root @ root.T
    pose = gtsam.Pose3(START.matrix)
    moved = [pose.retract(draw(random, tangent)).matrix() for _ in range(10_000)]
    errors = np.array([error_of(START, RigidTransform.from_matrix(each)) for each in moved])
    jacobian = map_from_tangent(START.rotation)
    expected = jacobian @ tangent @ jacobian.T
    whitened = errors @ np.linalg.inv(np.linalg.cholesky(expected)).T
    assert np.allclose(np.cov(whitened.T), np.eye(6), atol=0.06)
    assert np.allclose(jacobian @ jacobian.T, np.eye(6))


def test_one_pose_stays_as_it_is(gtsam: Any) -> None:
    random = np.random.default_rng(1)
    root = random.normal(size=(6, 6)) * 0.02
    covariance = root @ root.T + 1e-6 * np.eye(6)
    ((estimate, truth),) = drive(make_graph(), np.zeros((1, 6)), covariance=covariance)
    assert np.allclose(estimate.map_from_body.matrix, truth.matrix, atol=1e-9)
    assert np.allclose(estimate.covariance, covariance, rtol=1e-6, atol=1e-12)


def test_exact_poses_stay_exact(gtsam: Any) -> None:
    for estimate, truth in drive(make_graph(), np.zeros((30, 6))):
        assert np.allclose(estimate.map_from_body.matrix, truth.matrix, atol=1e-7)
        assert np.linalg.eigvalsh(estimate.covariance)[0] > 0.0


NOISE = {
    'odometry_translation_noise': 0.0,
    'odometry_rotation_noise': 0.0,
    'odometry_heading_noise': 0.0,
    'odometry_min_position_std': 0.004,
    'odometry_min_rotation_std': 0.003,
}
MOTION_COVARIANCE = np.diag(np.repeat([0.004**2, 0.003**2], 3))


def errors_after(*, shared: bool, count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Give the errors (N, 6) of the last of some poses, and the covariance said of it."""
    random = np.random.default_rng(2)
    errors = []
    for _ in range(250):
        first = draw(random, COVARIANCE)
        images = [first if shared else draw(random, COVARIANCE) for _ in range(count)]
        noise = [draw(random, MOTION_COVARIANCE) for _ in range(count)]
        estimate, truth = drive(make_graph(**NOISE), images, noise)[-1]
        errors.append(error_of(estimate.map_from_body, truth))
    return np.array(errors), estimate.covariance


def test_covariance_is_that_of_images_that_err_alike(gtsam: Any) -> None:
    """Monte Carlo."""
    errors, covariance = errors_after(shared=True)
    whitened = errors @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    assert np.mean(whitened**2) == pytest.approx(1.0, abs=0.15)
    assert np.allclose(np.mean(whitened**2, axis=0), 1.0, atol=0.35)


def test_images_that_err_each_for_itself_make_poses_better_than_is_said(gtsam: Any) -> None:
    errors, covariance = errors_after(shared=False)
    said = np.sqrt(np.diag(covariance))
    assert (errors.std(axis=0) < 0.8 * said).all()
    assert (errors.std(axis=0) < 0.8 * np.sqrt(np.diag(COVARIANCE))).all()


def test_an_outlier_counts_for_next_to_nothing(gtsam: Any) -> None:
    random = np.random.default_rng(3)
    errors = np.array([draw(random, COVARIANCE) for _ in range(40)])
    errors[25, :3] += 0.3
    right = drive(make_graph(), errors)
    assert np.linalg.norm(errors[25, :3]) > 0.4
    estimate, truth = right[25]
    assert pose_error(estimate.map_from_body, truth)[0] < 0.05
    for estimate, truth in right[26:]:
        assert pose_error(estimate.map_from_body, truth)[0] < 0.05


def test_poses_that_agree_prevail_over_a_wrong_beginning(gtsam: Any) -> None:
    errors = np.zeros((20, 6))
    errors[:3, 0] = 0.3
    said = drive(make_graph(fusion_window=8), errors)
    assert pose_error(said[2][0].map_from_body, said[2][1])[0] == pytest.approx(0.3, abs=0.01)
    for estimate, truth in said[11:]:
        assert pose_error(estimate.map_from_body, truth)[0] < 1e-6


def test_the_window_is_bounded_and_can_be_cleared(gtsam: Any) -> None:
    graph = make_graph(fusion_window=5)
    drive(graph, np.zeros((12, 6)))
    assert len(graph) == 5
    graph.clear()
    assert len(graph) == 0
    errors = np.full((1, 6), 0.2)
    ((estimate, truth),) = drive(graph, errors)
    assert np.allclose(error_of(estimate.map_from_body, truth), errors[0], atol=1e-9)


def test_a_window_without_a_solution_is_given_up(
    gtsam: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    graph = make_graph()
    drive(graph, np.zeros((3, 6)))

    def fail(*arguments: Any) -> None:
        raise RuntimeError('indeterminate')

    pose = PoseEstimate(START, COVARIANCE)
    with monkeypatch.context() as patch:
        patch.setattr(gtsam, 'LevenbergMarquardtOptimizer', fail)
        assert graph.add(pose, ODOM_FROM_MAP @ START, Drift(9.0, 9.0)) is pose
    assert 'given up: indeterminate' in caplog.text
    assert len(graph) == 0


class Robot:
    """Drives in circles; its odometry drifts, its poses have noise."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.where, self.odometry, self.stamp_ns = START, ODOM_FROM_MAP, 100 * NS

    def see(self, shift: float = 0.0, *, odometry: bool = True) -> Observation:
        felt = RigidTransform(MOTION.rotation, 1.02 * MOTION.translation)
        self.where, self.odometry = self.where @ MOTION, self.odometry @ felt
        self.stamp_ns += PERIOD_NS
        pose = disturbed(self.where, draw(self.random, COVARIANCE))
        pose = shifted(pose, shift, 0.0, 0.0)
        odom_from_base = self.odometry if odometry else None
        return Observation(self.stamp_ns, PoseEstimate(pose, COVARIANCE), odom_from_base)


def make_tracker(**settings: Any) -> Tracker:
    return Tracker(make_config(TrackingConfig, {'fusion': 'pgo', **settings}))


def jumps(poses: list[RigidTransform], odometry: list[RigidTransform]) -> np.ndarray:
    """How far each pose is from where the one before and odometry put the robot."""
    pairs = zip(poses, poses[1:], odometry, odometry[1:], strict=False)
    return np.array(
        [
            pose_error(now, before @ (odom_before.inverse() @ odom_now))[0]
            for before, now, odom_before, odom_now in pairs
        ]
    )


@pytest.mark.parametrize('seed', range(3))
def test_poses_become_smoother_and_better(gtsam: Any, seed: int) -> None:
    tracker, robot = make_tracker(), Robot(seed)
    raw, fused, truth, odometry = [], [], [], []
    for _ in range(150):
        observation = robot.see()
        verdict = tracker.update(observation)
        if not verdict.accepted:
            assert verdict.fused is None
            continue
        assert observation.pose is not None
        assert verdict.fused is not None
        raw.append(observation.pose.map_from_body)
        fused.append(verdict.fused.map_from_body)
        truth.append(robot.where)
        odometry.append(robot.odometry)
    assert len(fused) > 140
    errors = {
        name: np.median([pose_error(a, b)[0] for a, b in zip(poses, truth, strict=True)])
        for name, poses in (('raw', raw), ('fused', fused))
    }
    assert errors['fused'] < 0.8 * errors['raw']
    assert jumps(fused, odometry).mean() < 0.5 * jumps(raw, odometry).mean()


def test_an_accepted_outlier_does_not_show(gtsam: Any) -> None:
    tracker, robot = make_tracker(), Robot()
    for _ in range(20):
        tracker.update(robot.see())
    observation = robot.see(0.2)
    verdict = tracker.update(observation)
    assert verdict.accepted
    assert verdict.fused is not None
    assert pose_error(verdict.fused.map_from_body, robot.where)[0] < 0.04


def test_a_kidnapped_robot_is_never_between_two_places(gtsam: Any) -> None:
    tracker, robot = make_tracker(), Robot()
    for _ in range(20):
        tracker.update(robot.see())
    robot.where = shifted(robot.where, 9.0, 4.0, 0.0)
    verdicts = []
    for _ in range(6):
        verdicts.append(tracker.update(robot.see()))
        fused = verdicts[-1].fused
        assert fused is None or pose_error(fused.map_from_body, robot.where)[0] < 0.15
    assert [verdict.accepted for verdict in verdicts] == [False, False] + [True] * 4
    assert verdicts[2].event is TrackingEvent.KIDNAPPED


def test_a_new_search_starts_from_nothing(gtsam: Any) -> None:
    tracker, robot = make_tracker(consensus_count=1), Robot()
    for _ in range(5):
        tracker.update(robot.see())
    tracker.search()
    observation = robot.see()
    verdict = tracker.update(observation)
    assert verdict.event is TrackingEvent.RELOCALIZED
    assert verdict.fused is not None
    assert observation.pose is not None
    expected = observation.pose.map_from_body
    assert np.allclose(verdict.fused.map_from_body.matrix, expected.matrix, atol=1e-7)


def test_poses_without_odometry_are_refused(gtsam: Any) -> None:
    tracker, robot = make_tracker(), Robot()
    verdict = tracker.update(robot.see(odometry=False))
    assert (verdict.accepted, verdict.fused) == (False, None)
    assert verdict.reason == 'no odometry at its time, which fusion: pgo needs'


def test_without_fusion_poses_stay_as_they_are() -> None:
    tracker, robot = make_tracker(fusion='none'), Robot()
    verdicts: list[Verdict] = [tracker.update(robot.see()) for _ in range(8)]
    assert [verdict.accepted for verdict in verdicts] == [False] * 2 + [True] * 6
    assert all(verdict.fused is None for verdict in verdicts)


def test_the_same_images_get_the_same_poses(gtsam: Any) -> None:
    runs = []
    for _ in range(2):
        tracker, robot = make_tracker(), Robot(5)
        fused = [tracker.update(robot.see()).fused for _ in range(30)]
        runs.append(np.array([pose.map_from_body.matrix for pose in fused if pose is not None]))
    assert np.array_equal(*runs)
