# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which stage is blamed, in scenes where each fails in turn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from synthetic_scenes import make_scene

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig
from relloc_ros.evaluation.failures import FailureAnalysis, TrueView
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.view_overlap import ViewOverlap
from relloc_ros.structures import Localization, PairMatches, PoseEstimate, Status

CAMERA = Camera('SIMPLE_PINHOLE', 640, 480, (500.0, 320.0, 240.0))
DEPTHS = np.array([5.0, 6.0, 7.0])
ELSEWHERE = 'elsewhere'
BEHIND = RigidTransform(exp_so3(np.array([0.0, np.pi, 0.0])), np.array([0.0, 0.0, -1.0]))


def turned(pose, degrees):
    rotation = exp_so3(np.array([0.0, np.deg2rad(degrees), 0.0])) @ pose.rotation
    return RigidTransform(rotation, pose.translation)


def shifted(pose, offset):
    return RigidTransform(pose.rotation, pose.translation + np.array(offset))


class World:
    """Five images of a scene, one that looks the other way, and a query."""

    def __init__(self, units='m', query_centre=(0.1, -0.2, 0.3)):
        self.scene = make_scene(seed=3, num_points=200, query_centre=query_centre)
        poses = [pose.inverse() for pose in [*self.scene.maps_from_ref, BEHIND]]
        self.names = [*(f'image {i}' for i in range(5)), ELSEWHERE]
        reference_map = SimpleNamespace(
            image_names=tuple(self.names),
            centres=np.array([pose.inverse().translation for pose in poses]),
            camera=lambda index: CAMERA,
            cam_from_map=lambda index: poses[index],
            units=units,
        )
        self.config = LocalizationConfig()
        self.analysis = FailureAnalysis(reference_map, self.config)
        self.analysis._overlap = ViewOverlap(poses, [CAMERA] * len(poses), DEPTHS)
        self.truth = self.scene.map_from_query

    def pair(self, index, *, true, false=0):
        """Matches with an image: projections of the first points, and nonsense."""
        rng = np.random.default_rng(index)
        matches = self.scene.matches(index)
        query, reference = (
            np.concatenate([500.0 * points[:true] + [320.0, 240.0], extra])
            for points, extra in zip(
                (matches.query, matches.reference),
                rng.uniform([0, 0], [640, 480], size=(2, false, 2)),
                strict=True,
            )
        )
        reference += rng.normal(size=reference.shape) * 0.5
        return PairMatches(f'image {index}', query, reference, np.zeros(true + false, bool))

    def explain(self, status, *, pose=None, retrieved=None, pairs=(), reason='as it is', view=()):
        localization = Localization(
            status,
            '' if status is Status.LOCALIZED else reason,
            0,
            'essential',
            None if pose is None else PoseEstimate(pose, np.eye(6)),
            retrieved=tuple(self.names[:5] if retrieved is None else retrieved),
            pairs=tuple(pairs),
        )
        return self.analysis.explain(
            localization, TrueView(self.truth, CAMERA) if view == () else view
        )

    def wrong_pose(self):
        return shifted(self.truth, [0.0, 0.0, 0.5])


@pytest.fixture
def world():
    return World()


def test_success_is_no_failure(world):
    near = shifted(turned(world.truth, 1.9), [0.0, 0.24, 0.0])
    failure = world.explain(Status.LOCALIZED, pose=near)
    assert (failure.stage, failure.detail) == ('', '')


@pytest.mark.parametrize('status', [Status.ERROR, Status.NO_FEATURES])
def test_unusable_images(world, status):
    for view in ((), None):
        failure = world.explain(status, retrieved=(), reason='it is black', view=view)
        assert (failure.stage, failure.detail) == ('input', 'it is black')


def test_nothing_is_said_without_the_truth(world):
    assert world.explain(Status.TOO_FEW_MATCHES, view=None).stage == ''


def test_the_map_does_not_show_it(world):
    world.truth = RigidTransform(
        exp_so3(np.array([0.0, np.pi / 2, 0.0])), np.array([0.0, 0.0, 20.0])
    )
    failure = world.explain(Status.TOO_FEW_MATCHES, pairs=[world.pair(0, true=0, false=30)])
    assert failure.stage == 'input'
    assert 'no map image shares its view: the nearest was taken 19' in failure.detail


def test_no_right_image_was_retrieved(world):
    failure = world.explain(Status.TOO_FEW_MATCHES, retrieved=[ELSEWHERE])
    assert failure.stage == 'retrieval'
    assert failure.detail == '5 map images share its view, but none of the 1 retrieved'
    failure = world.explain(Status.NO_RETRIEVAL, retrieved=[])
    assert failure.detail == '5 map images share its view, but none was retrieved'


def test_too_few_true_matches(world):
    pairs = [world.pair(i, true=8, false=60) for i in range(3)]
    failure = world.explain(Status.TOO_FEW_INLIERS, retrieved=[*world.names], pairs=pairs)
    assert failure.stage == 'matching'
    assert failure.detail.startswith(
        '5 of 6 images retrieved share its view, but of 204 matches only those of '
    )
    # 20 and those of 204 that are true by chance, three pixels from a line on either side.
    assert failure.detail.endswith('keypoints are true, 22 are needed')


def test_matches_true_by_chance_do_not_count(world):
    # So many wrong ones that more than min_inliers of them lie on epipolar lines.
    pairs = [world.pair(i, true=2, false=1500) for i in range(5)]
    true = world.analysis._true_matches(tuple(pairs), TrueView(world.truth, CAMERA))
    assert true.count > 2 * world.config.min_inliers
    assert true.count == pytest.approx(true.by_chance, rel=0.4)
    assert world.explain(Status.TOO_FEW_INLIERS, pairs=pairs).stage == 'matching'


def test_no_pose_of_true_matches(world):
    pairs = [world.pair(i, true=60, false=20) for i in range(3)]
    failure = world.explain(Status.DEGENERATE, pairs=pairs)
    assert failure.stage == 'geometry'
    count, said = failure.detail.split(' ', 1)
    assert said == 'keypoints have true matches, but no pose: as it is'
    assert 60 <= int(count) <= 65


def test_a_wrong_pose_of_true_matches(world):
    pairs = [world.pair(i, true=60) for i in range(3)]
    failure = world.explain(Status.LOCALIZED, pose=world.wrong_pose(), pairs=pairs)
    assert failure.stage == 'geometry'
    assert failure.detail.endswith('but the pose is 50.0 cm and 0° wrong')


def test_true_matches_outweigh_what_the_overlap_says(world):
    world.analysis._overlap = ViewOverlap([BEHIND.inverse()] * 6, [CAMERA] * 6, DEPTHS)
    failure = world.explain(Status.DEGENERATE, pairs=[world.pair(0, true=60)])
    assert failure.stage == 'geometry'


def test_a_gate_refused(world):
    pairs = [world.pair(i, true=60) for i in range(3)]
    failure = world.explain(Status.GATED, pairs=pairs, reason='position std 3 exceeds it')
    assert failure.stage == 'gate'
    assert 'the pose was refused: position std 3 exceeds it' in failure.detail


def test_a_gate_is_not_blamed_for_refusing_what_came_of_wrong_images(world):
    failure = world.explain(
        Status.GATED, retrieved=[ELSEWHERE], pairs=[world.pair(0, true=0, false=30)]
    )
    assert failure.stage == 'retrieval'


def test_too_many_matches_contradict_even_the_true_pose(world):
    pairs = [world.pair(i, true=60, false=1200) for i in range(3)]
    failure = world.explain(Status.TOO_FEW_INLIERS, pairs=pairs)
    assert failure.stage == 'gate'
    assert 'of all 3780 matches agree' in failure.detail
    assert 'min_match_agreement (15.0%)' in failure.detail


def test_methods_without_matches(world):
    right, wrong = world.names[0], ELSEWHERE
    pose = world.wrong_pose()
    failure = world.explain(Status.LOCALIZED, pose=pose, retrieved=[right, wrong])
    assert failure.stage == 'geometry'
    assert failure.detail == 'a right image was retrieved, but the pose is 50.0 cm and 0° wrong'
    failure = world.explain(Status.LOCALIZED, pose=pose, retrieved=[wrong, right])
    assert failure.stage == 'retrieval'
    failure = world.explain(Status.GATED, retrieved=[right], reason='too unsure')
    assert (failure.stage, failure.detail) == (
        'gate',
        'a right image was retrieved, but too unsure',
    )
    failure = world.explain(Status.NO_RETRIEVAL, retrieved=[right, wrong], reason='it is new')
    assert (failure.stage, failure.detail) == (
        'gate',
        'a right image was retrieved, but it is new',
    )


def test_limits_follow_the_scene_where_the_unit_is_not_known(world):
    assert world.analysis.limits == (0.25, 2.0)
    assert World(units='unknown').analysis.limits == (pytest.approx(0.3), 2.0)
    strict = FailureAnalysis(world.analysis._map, world.config, (0.01, 0.1))
    assert strict.limits == (0.01, 0.1)


def test_a_query_from_the_very_place_of_a_map_image(world):
    world.scene.map_from_query = world.truth = turned(world.scene.maps_from_ref[0], 5.0)
    view = TrueView(world.truth, CAMERA)
    true = world.analysis._true_matches((world.pair(0, true=50, false=200),), view)
    assert 50 <= true.count <= 52


def test_images_of_another_map_are_passed_over(world):
    pair = world.pair(0, true=50)
    stranger = PairMatches('?', pair.query_points2D, pair.map_points2D, pair.inliers)
    failure = world.explain(Status.DEGENERATE, pairs=[stranger], retrieved=['?', 'image 1'])
    assert failure.stage == 'matching'
