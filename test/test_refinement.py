# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Noisy poses get better, in the frame and the scale of the map; what cannot is left alone."""

from contextlib import closing
from dataclasses import replace
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pycolmap
import pytest
from rendered_room import PINHOLE, look, write_views
from typer.testing import CliRunner

from relloc_ros.cli.main import make_app
from relloc_ros.config import MapConfig, make_config
from relloc_ros.errors import MapError
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error, rotation_angle
from relloc_ros.map import bundle_adjustment
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.feature_store import FeatureStore
from relloc_ros.map.noisy_pairs import NoisyPairs
from relloc_ros.map.points import MapPoints
from relloc_ros.map.pose_drift import drift
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.refinement import Noise, refine_map
from relloc_ros.vision.relative_pose import MatchedPoints

POSITION_STD, ROTATION_STD = 0.03, np.deg2rad(0.7)
NOISE = Noise(POSITION_STD, ROTATION_STD)
BLANK = 'blank.png'
FOCAL_FACTOR = 1.03
CONFIG = make_config(MapConfig, {'max_keypoints': 500, 'vlad_clusters': 8})


def disturbed(posed, seed=0):
    """Give poses noise of the standard deviations above."""
    rng = np.random.default_rng(seed)
    result = []
    for image in posed:
        pose = image.cam_from_map.inverse()
        turn = exp_so3(ROTATION_STD * rng.normal(size=3))
        centre = pose.translation + POSITION_STD * rng.normal(size=3)
        noisy = RigidTransform(pose.rotation @ turn, centre).inverse()
        result.append(replace(image, cam_from_map=noisy))
    return result


def errors(path, posed):
    """Give distances and angles from the true poses, (N, 2)."""
    with ReferenceMap.open(path) as reference_map:
        return np.array(
            [
                pose_error(
                    reference_map.cam_from_map(reference_map.index_of(image.name)).inverse(),
                    image.cam_from_map.inverse(),
                )
                for image in posed
            ]
        )


def poses_file(path):
    return np.load(path / 'current' / 'poses.npy')


@pytest.fixture(scope='module')
def truth(tmp_path_factory):
    folder = tmp_path_factory.mktemp('room')
    poses = [
        look((1.5 * np.sin(a), 0.3 * np.cos(3 * a), 0.7 * np.cos(a) - 1.5), 25 - 12 * np.sin(a))
        for a in np.linspace(-1.5, 1.5, 9)
    ]
    return write_views(folder, poses)


@pytest.fixture(scope='module')
def noisy_map(truth, tmp_path_factory):
    """Build a map of the room with noisy poses, and a blank image that shows nothing."""
    folder = tmp_path_factory.mktemp('noisy')
    cv2.imwrite(str(folder / BLANK), np.full((PINHOLE.height, PINHOLE.width), 128, np.uint8))
    blank = replace(truth[0], name=BLANK, path=folder / BLANK, stamp_ns=1)
    return build_map([*disturbed(truth), blank], folder / 'map', CONFIG)


@pytest.fixture(scope='module')
def refined(noisy_map, tmp_path_factory):
    path = tmp_path_factory.mktemp('refined') / 'map'
    shutil.copytree(noisy_map, path, symlinks=True)
    stages = set()
    found = refine_map(path, NOISE, progress=lambda done, total, stage: stages.add(stage))
    return SimpleNamespace(path=path, found=found, stages=stages)


class TestRefinement:
    def test_poses_get_better(self, truth, noisy_map, refined):
        before, after = errors(noisy_map, truth), errors(refined.path, truth)
        assert np.median(after[:, 0]) < 0.6 * np.median(before[:, 0])
        assert np.median(after[:, 1]) < 0.6 * np.median(before[:, 1])

    def test_images_agree_better_among_themselves_than_with_the_frame(self, truth, refined):
        with ReferenceMap.open(refined.path) as reference_map:
            found = [
                reference_map.cam_from_map(reference_map.index_of(image.name)) for image in truth
            ]
        for first, second in ((0, 1), (2, 5), (0, 8)):
            estimate = found[first] @ found[second].inverse()
            expected = truth[first].cam_from_map @ truth[second].cam_from_map.inverse()
            assert rotation_angle(estimate.rotation @ expected.rotation.T) < np.deg2rad(0.1)

    def test_frame_and_scale_stay(self, truth, refined, noisy_map):
        def centres(path):
            with ReferenceMap.open(path) as reference_map:
                return reference_map.centres[: len(truth)]

        before, after = centres(noisy_map), centres(refined.path)
        assert np.abs((after - before).mean(axis=0)).max() < 0.01
        spread = [np.linalg.norm(each - each.mean(axis=0)) for each in (before, after)]
        assert spread[1] / spread[0] == pytest.approx(1.0, abs=0.03)

    def test_the_report(self, truth, refined):
        found = refined.found
        assert len(found.moves) == len(truth)
        assert found.left == (BLANK,)
        assert found.suspects == ()
        assert found.num_groups == 1
        assert found.num_kept == 0
        assert 3 * found.error_after < found.error_before
        assert found.error_after < 0.5
        assert found.num_points == map_info(refined.path)['points'] > 100
        assert found.cameras == {}
        assert refined.stages >= {'matching', 'triangulating', 'visual words'}

    def test_the_rest_stays(self, noisy_map, refined):
        assert check_map(refined.path) == []
        before, after = map_info(noisy_map), map_info(refined.path)
        assert before['map_id'] != after['map_id']
        with ReferenceMap.open(noisy_map) as old, ReferenceMap.open(refined.path) as new:
            assert list(old.image_names) == list(new.image_names)
            assert old.cameras == new.cameras
            blank = old.index_of(BLANK)
        assert (poses_file(noisy_map)[blank] == poses_file(refined.path)[blank]).all()
        stays = ('images.txt', 'global_descriptors.npy', 'vocabulary.npz', 'database.db')
        for name in stays:
            assert (noisy_map / 'current' / name).read_bytes() == (
                refined.path / 'current' / name
            ).read_bytes()
        assert sorted(item.name for item in (refined.path / 'current').iterdir()) == sorted(
            [item.name for item in (noisy_map / 'current').iterdir()] + ['points']
        )

    def test_the_model_has_the_same_poses_and_points(self, refined):
        model = pycolmap.Reconstruction(refined.path / 'sparse')
        numbers = poses_file(refined.path)
        for image_id, row in zip(sorted(model.images), numbers, strict=True):
            pose = model.images[image_id].cam_from_world()
            assert np.abs(pose.translation - row[4:]).max() < 1e-9
            quat = np.roll(pose.rotation.quat, 1)
            assert abs(abs(quat @ row[:4]) - 1.0) < 1e-12
        points = MapPoints.read(refined.path / 'current' / 'points', len(numbers))
        assert len(points) == len(model.points3D)

    def test_the_same_map_gets_the_same_poses(self, noisy_map, refined, tmp_path):
        path = tmp_path / 'map'
        shutil.copytree(noisy_map, path, symlinks=True)
        refine_map(path, NOISE)
        assert map_info(path)['map_id'] == map_info(refined.path)['map_id']

    def test_a_failure_leaves_the_old_map(self, noisy_map, tmp_path, monkeypatch):
        path = tmp_path / 'map'
        shutil.copytree(noisy_map, path, symlinks=True)

        def fail(*arguments, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr(bundle_adjustment, 'adjust', fail)
        with pytest.raises(KeyboardInterrupt):
            refine_map(path, NOISE)
        assert check_map(path) == []
        assert (poses_file(path) == poses_file(noisy_map)).all()
        assert len(list((path / 'generations').iterdir())) == 1

    def test_images_without_anything_in_common_are_refused(self, tmp_path):
        poses = [look((0.2, 0.1, -1.5), yaw, 0) for yaw in (0, 120, 240)]
        path = build_map(write_views(tmp_path, poses), tmp_path / 'map')
        with pytest.raises(MapError, match='too little in common'):
            refine_map(path, NOISE)
        assert check_map(path) == []


@pytest.mark.parametrize('value', ['nan', 'inf', '0', '-1'])
def test_deviations_must_be_numbers(value, noisy_map):
    arguments = ['map', 'refine', str(noisy_map), '--position-std', value]
    result = CliRunner().invoke(make_app(), arguments)
    assert result.exit_code != 0
    assert not isinstance(result.exception, (AttributeError, TypeError))


class TestGoodMap:
    def test_only_what_is_wrong_moves(self, truth, tmp_path):
        pose = truth[4].cam_from_map.inverse()
        shifted = RigidTransform(pose.rotation, pose.translation + np.array([0.08, 0, 0.06]))
        posed = list(truth)
        posed[4] = replace(posed[4], cam_from_map=shifted.inverse())
        path = build_map(posed, tmp_path / 'map', CONFIG)
        before = poses_file(path)
        found = refine_map(path, NOISE)
        after = poses_file(path)
        assert [move.name for move in found.moves] == [truth[4].name]
        assert found.num_kept == len(truth) - 1
        others = np.arange(len(truth)) != 4
        assert (after[others] == before[others]).all()
        distance, angle = errors(path, truth)[4]
        assert distance < 0.01
        assert angle < np.deg2rad(0.15)
        assert check_map(path) == []


class TestCommand:
    @pytest.fixture(scope='class')
    @classmethod
    def result(cls, truth, tmp_path_factory):
        """Refine a map with a wrong focal length, and one camera far off."""
        folder = tmp_path_factory.mktemp('command')
        fx, fy, cx, cy = PINHOLE.params
        camera = replace(PINHOLE, params=(FOCAL_FACTOR * fx, FOCAL_FACTOR * fy, cx, cy))
        posed = [replace(image, camera=camera) for image in truth]
        pose = posed[4].cam_from_map.inverse()
        shifted = RigidTransform(pose.rotation, pose.translation + np.array([0.15, 0, 0.1]))
        posed[4] = replace(posed[4], cam_from_map=shifted.inverse())
        path = build_map(posed, folder / 'map', CONFIG)
        arguments = ['--position-std', '0.02', '--rotation-std', '0.5', '--refine-calibration']
        output = CliRunner().invoke(make_app(), ['map', 'refine', str(path), *arguments])
        assert output.exit_code == 0, output.output
        return SimpleNamespace(path=path, output=output.output)

    def test_says_what_has_changed(self, result, truth):
        assert 'poses refined' in result.output
        assert 'px after' in result.output
        assert f'{truth[4].name} (0.' in result.output

    def test_the_image_that_was_far_off_is_right_now(self, result, truth):
        found = errors(result.path, truth)
        assert found[4, 0] < 0.04

    def test_the_focal_length_is_better(self, result):
        with ReferenceMap.open(result.path) as reference_map:
            found = reference_map.the_camera()
        with closing(FeatureStore(result.path / 'database.db')) as store:
            assert list(store.cameras().values()) == [found]
        assert abs(found.params[0] / PINHOLE.params[0] - 1.0) < 0.4 * (FOCAL_FACTOR - 1.0)
        assert found.params[2:] == PINHOLE.params[2:]
        assert check_map(result.path) == []


class TestDrift:
    def test_finds_a_similarity_in_spite_of_noise_and_outliers(self):
        rng = np.random.default_rng(3)
        expected = [look(rng.normal(size=3), *rng.normal(0, 40, 3)).inverse() for _ in range(60)]
        turn, shift, scale = exp_so3(np.array([0.1, -0.05, 0.2])), np.array([0.5, -1.0, 0.2]), 1.1
        moved = []
        for index, pose in enumerate(expected):
            centre = pose.inverse().translation + 0.01 * rng.normal(size=3)
            centre = centre + (index % 10 == 0) * rng.normal(size=3)
            rotation = pose.rotation @ exp_so3(0.01 * rng.normal(size=3)) @ turn.T
            placed = scale * turn @ centre + shift
            moved.append(RigidTransform(rotation, -rotation @ placed))
        found = drift(moved, expected, 0.01, 0.01)
        assert found.scale == pytest.approx(1.0 / scale, abs=0.005)
        assert rotation_angle(found.rotation @ turn) < 0.005
        back = found.apply(shift[None])[0]
        assert np.abs(back).max() < 0.01
        camera = found.move_camera(moved[1])
        assert pose_error(camera.inverse(), expected[1].inverse())[0] < 0.05

    def test_cameras_on_a_line_do_not_turn_about_it(self):
        expected = [look((0.2 * index, 0.0, 0.0), 5.0 * index).inverse() for index in range(8)]
        turn = exp_so3(np.array([0.3, 0.0, 0.0]))
        moved = [RigidTransform(pose.rotation @ turn.T, pose.translation) for pose in expected]
        found = drift(moved, expected, 0.05, 0.02)
        assert rotation_angle(found.rotation @ turn) < 1e-3


class TestNoisyPairs:
    @pytest.mark.parametrize(
        ('turn_deg', 'shift', 'accepted'),
        [(0.0, 0.0, True), (2.0, 0.05, True), (20.0, 0.0, False), (0.0, 2.0, False)],
    )
    def test_pairs_must_roughly_fit_their_poses(self, turn_deg, shift, accepted):
        rng = np.random.default_rng(1)
        points = rng.uniform([-2, -2, 3], [2, 2, 7], (200, 3))
        poses = [look((0.0, 0.0, 0.0), 0.0).inverse(), look((0.6, 0.0, 0.0), 3.0).inverse()]
        seen = [each[:, :2] / each[:, 2:] for each in (pose.apply(points) for pose in poses)]
        seen[1][150:] = rng.uniform(-0.5, 0.5, (50, 2))
        wrong = RigidTransform(
            exp_so3(np.deg2rad([0.0, turn_deg, 0.0])), np.array([0.0, 0.0, shift])
        )
        claimed = [poses[0], wrong @ poses[1]]
        stub = SimpleNamespace(num_images=2, cam_from_map=claimed.__getitem__)
        matches = MatchedPoints(seen[0], seen[1], 500.0, 500.0)
        good = NoisyPairs(stub, 0.02, np.deg2rad(0.5)).verify((0, 1), matches)
        assert good[:150].mean() > 0.9 if accepted else not good.any()
        assert good[150:].mean() < 0.2
