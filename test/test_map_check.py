# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`relloc map check --deep` names what was damaged on purpose, and nothing in an intact map."""

import csv
from dataclasses import replace
from functools import lru_cache
import importlib.util
import json
from pathlib import Path
import sys

import cv2
import numpy as np
import pytest
from rendered_room import look, write_views
from synthetic_maps import make_posed
from typer.testing import CliRunner
import yaml

from relloc_ros.cli.main import make_app
from relloc_ros.config import MapConfig
from relloc_ros.evaluation.map_check.adjustment import adjust
from relloc_ros.evaluation.map_check.corrections import (
    PosedPair,
    estimate_corrections,
    jackknifed,
)
from relloc_ros.evaluation.map_check.coverage import Place, coverage_findings
from relloc_ros.evaluation.map_check.deep import check_by_localizing
from relloc_ros.evaluation.map_check.explain import depth_findings
from relloc_ros.evaluation.map_check.own_camera import own_camera
from relloc_ros.evaluation.map_check.pairs import image_motions
from relloc_ros.evaluation.map_check.parts import fit_similarity, parts_of
from relloc_ros.evaluation.map_check.pose_outliers import find_outliers, noticeable
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.appraisal import appraise_map
from relloc_ros.map.builder import build_map
from relloc_ros.map.findings import Level
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.vision.relative_pose import MatchedPoints

NUM_IMAGES = 24
STEP_S = 0.2
DAMAGE_KINDS = {
    'wrong_pose',
    'swapped_images',
    'time_offset',
    'focal_length',
    'half_pixel',
    'principal_point',
    'units',
    'duplicate',
    'wrong_camera',
    'part_scale',
    'part_shift',
    'inconsistent',
}


def load_damages():
    path = Path(__file__).parents[1] / 'benchmarks' / 'damaged_maps.py'
    spec = importlib.util.spec_from_file_location('damaged_maps', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules['damaged_maps'] = module
    spec.loader.exec_module(module)
    return module


damages = load_damages()


def flight():
    """Wander through the room: at one speed round a circle no clock would show."""
    for t in STEP_S * np.arange(NUM_IMAGES):
        centre = (
            1.2 * np.sin(0.9 * t),
            0.3 * np.sin(2.1 * t),
            0.8 * np.sin(1.3 * t + 0.5) - 1.0,
        )
        yield look(centre, 30 * np.sin(0.7 * t), 5 * np.sin(1.1 * t), 8 * np.sin(1.7 * t))


@pytest.fixture(scope='module')
def intact(tmp_path_factory):
    folder = tmp_path_factory.mktemp('room')
    posed = [
        replace(image, stamp_ns=round(1e9 * (1.0 + STEP_S * index)))
        for index, image in enumerate(write_views(folder, flight()))
    ]
    return build_map(posed, folder / 'map')


@pytest.fixture(scope='module')
def checked(intact, tmp_path_factory):
    """Give the result for a damage, and the images hurt one by one; each is checked once."""

    @lru_cache
    def check(name):
        path = tmp_path_factory.mktemp(name) / 'map'
        hurt = damages.damage_map(intact, path, damages.DAMAGES[name])
        with ReferenceMap.open(path) as reference_map:
            return check_by_localizing(reference_map), hurt, path

    return check


@pytest.fixture
def office(office_map, tmp_path):
    """Damage the map of the sample, and give what concerns damages, and the images hurt."""

    def check(name):
        hurt = damages.damage_map(office_map, tmp_path / 'map', damages.DAMAGES[name])
        with ReferenceMap.open(tmp_path / 'map') as reference_map:
            findings = check_by_localizing(reference_map).findings
        return [f for f in findings if f.kind in DAMAGE_KINDS], hurt

    return check


def of_kind(result, kind):
    return [finding for finding in result.findings if finding.kind == kind]


class TestDamages:
    def test_intact_map_has_none(self, checked):
        result, _, path = checked('none')
        assert [f for f in result.findings if f.kind in DAMAGE_KINDS] == []
        assert [f for f in result.findings if f.level is Level.ERROR] == []
        assert sum(not place.lost for place in result.places) >= NUM_IMAGES - 2
        assert {finding.kind for finding in appraise_map(path)} <= {'not_upright'}

    def test_noisy_poses_are_listed_and_no_others(self, checked):
        result, hurt, _ = checked('noisy_poses')
        suspects = of_kind(result, 'wrong_pose')
        assert {finding.subjects[0] for finding in suspects} == set(hurt)
        for finding in suspects:
            assert finding.level is Level.ERROR
            assert finding.figure == pytest.approx(damages.NOISE, rel=0.2)
            assert finding.remedy

    def test_swapped_images_are_named_together(self, checked):
        result, hurt, _ = checked('swapped_images')
        (finding,) = of_kind(result, 'swapped_images')
        assert set(finding.subjects) == set(hurt)
        assert of_kind(result, 'wrong_pose') == []

    def test_time_offset_has_the_sign_of_the_remedy(self, checked):
        result, _, _ = checked('time_offset')
        (finding,) = of_kind(result, 'time_offset')
        # Images got poses of 50 ms later: their stamps would have to be that much earlier.
        assert finding.figure == pytest.approx(-50.0, abs=8.0)
        assert finding.std < 5.0
        assert 'later than their images' in finding.message
        assert '--time-offset -0.0' in finding.remedy
        assert of_kind(result, 'focal_length') == []

    def test_wrong_focal_length(self, checked):
        result, _, _ = checked('wrong_focal_length')
        (finding,) = of_kind(result, 'focal_length')
        assert finding.subjects == ('camera 1',)
        assert finding.figure == pytest.approx(100.0 * (1.0 / 1.03 - 1.0), abs=0.4)
        assert of_kind(result, 'wrong_pose') == []
        assert of_kind(result, 'time_offset') == []

    def test_half_a_pixel(self, checked):
        result, _, _ = checked('half_pixel')
        (finding,) = of_kind(result, 'half_pixel')
        assert finding.figure == pytest.approx(0.5, abs=0.15)
        assert of_kind(result, 'focal_length') == []

    def test_image_of_another_camera(self, checked):
        result, (name,), _ = checked('other_camera')
        (finding,) = of_kind(result, 'wrong_camera')
        assert finding.subjects == (name,)
        # It has to come down from 20 % too much.
        assert finding.figure == pytest.approx(100.0 * (1.0 / 1.2 - 1.0), abs=3.0)
        assert of_kind(result, 'wrong_pose') == []

    def test_part_of_another_scale(self, checked):
        result, _, _ = checked('scaled_part')
        (finding,) = of_kind(result, 'part_scale')
        assert finding.subjects == ('merged', 'the images')
        assert finding.figure == pytest.approx(100.0 * (1.0 / 1.03 - 1.0), abs=0.6)
        assert 'too far apart' in finding.message


class TestMeasuredPoses:
    """Fourteen images whose poses are from motion capture, each off by half a centimetre."""

    def test_nothing_is_wrong(self, office):
        assert office('none')[0] == []

    def test_shifted_pose_that_localization_cannot_judge(self, office):
        (finding,), hurt = office('noisy_poses')
        assert (finding.kind, finding.subjects) == ('wrong_pose', hurt)
        assert 0.05 < finding.figure < 0.15

    def test_focal_length(self, office):
        (finding,), _ = office('wrong_focal_length')
        assert finding.kind == 'focal_length'
        assert finding.level is Level.WARNING
        assert abs(finding.figure - 100.0 * (1.0 / 1.03 - 1.0)) < 2.0 * finding.std

    def test_swapped_images(self, office):
        (finding,), hurt = office('swapped_images')
        assert (finding.kind, set(finding.subjects)) == ('swapped_images', set(hurt))


class TestCommand:
    def run(self, *arguments):
        return CliRunner().invoke(make_app(), ['map', 'check', *map(str, arguments)])

    def test_deep_check_writes_what_it_shows(self, checked, tmp_path):
        pytest.importorskip('matplotlib')
        pytest.importorskip('jinja2')
        _, _, path = checked('none')
        result = self.run(path, '--deep', '--samples', 8, '--json', '--output', tmp_path / 'out')
        assert result.exit_code == 0, result.output
        content = json.loads(result.stdout)
        assert len(content['places']) == 8
        assert {f['level'] for f in content['findings']} <= {'note', 'warning'}
        picture = cv2.imread(str(tmp_path / 'out' / 'coverage.png'))
        assert picture.std() > 5.0
        with (tmp_path / 'out' / 'coverage.csv').open() as file:
            rows = list(csv.DictReader(file))
        assert [row['image'] for row in rows] == [p['image'] for p in content['places']]
        (marker,) = yaml.safe_load((tmp_path / 'out' / 'coverage.yaml').read_text())['markers']
        assert len(marker['points']) == len(marker['colors']) == 8
        again = self.run(path, '--deep', '--output', tmp_path / 'out')
        assert again.exit_code == 1
        assert '--overwrite' in str(again.exception)

    def test_errors_end_with_one_and_come_first(self, checked):
        _, hurt, path = checked('swapped_images')
        result = self.run(path, '--deep', '--json')
        assert result.exit_code == 1
        first = json.loads(result.stdout)['findings'][0]
        assert (first['level'], set(first['subjects'])) == ('error', set(hurt))

    def test_quick_check_matches_nothing(self, checked):
        _, _, path = checked('swapped_images')
        result = self.run(path)
        assert result.exit_code == 0
        assert 'is complete and undamaged' in result.stdout

    def test_damage_is_not_looked_into(self, tmp_path):
        result = self.run(tmp_path / 'nowhere', '--deep', '--json')
        assert result.exit_code == 1
        (finding,) = json.loads(result.stdout)['findings']
        assert finding['kind'] == 'damage'
        assert 'does not exist' in finding['message']

    def test_output_needs_deep(self, tmp_path):
        result = self.run(tmp_path, '--output', tmp_path / 'out')
        assert result.exit_code == 1
        assert '--deep' in str(result.exception)


class TestAppraisal:
    CONFIG = MapConfig(max_keypoints=60, vlad_clusters=4)

    def built(self, posed, tmp_path):
        return appraise_map(build_map(posed, tmp_path / 'map', self.CONFIG))

    def test_one_image_with_two_poses_is_an_error(self, tmp_path):
        posed = make_posed(tmp_path / 'images', 4)
        cv2.imwrite(str(posed[2].path), cv2.imread(str(posed[0].path)))
        (finding,) = [f for f in self.built(posed, tmp_path) if f.kind == 'duplicate']
        assert finding.level is Level.ERROR
        assert finding.subjects == (posed[0].name, posed[2].name)

    def test_one_image_twice_is_a_warning(self, tmp_path):
        posed = make_posed(tmp_path / 'images', 4)
        cv2.imwrite(str(posed[2].path), cv2.imread(str(posed[0].path)))
        posed[2] = replace(posed[2], cam_from_map=posed[0].cam_from_map)
        (finding,) = [f for f in self.built(posed, tmp_path) if f.kind == 'duplicate']
        assert finding.level is Level.WARNING

    def test_blank_image(self, tmp_path):
        posed = make_posed(tmp_path / 'images', 4)
        cv2.imwrite(str(posed[1].path), np.full((90, 120, 3), 90, np.uint8))
        findings = [f for f in self.built(posed, tmp_path) if f.kind == 'no_features']
        assert posed[1].name in findings[0].subjects

    def test_nearly_the_same_image(self, tmp_path):
        posed = make_posed(tmp_path / 'images', 4)
        image = cv2.imread(str(posed[0].path))
        image[:3, :3] ^= 8
        cv2.imwrite(str(posed[2].path), image)
        moved = RigidTransform(
            posed[0].cam_from_map.rotation, posed[0].cam_from_map.translation + 1e-5
        )
        posed[2] = replace(posed[2], cam_from_map=moved)
        (finding,) = [f for f in self.built(posed, tmp_path) if f.kind == 'near_duplicate']
        assert finding.level is Level.NOTE
        assert finding.subjects == (posed[2].name,)

    def test_z_that_is_not_up(self, office_map, tmp_path):
        # The office's frame is that of motion capture, with z up; level cameras look along z here.
        assert 'not_upright' not in {finding.kind for finding in appraise_map(office_map)}
        findings = self.built(make_posed(tmp_path / 'images', 4), tmp_path)
        (finding,) = [f for f in findings if f.kind == 'not_upright']
        assert finding.figure == pytest.approx(90.0, abs=1.0)
        assert finding.level is Level.NOTE

    @pytest.mark.parametrize(
        ('params', 'kind'),
        [
            ((100.0, 101.0, 59.5, 44.5), 'half_pixel'),
            ((3000.0, 3000.0, 60.0, 45.0), 'odd_camera'),
            ((100.0, 101.0, 20.0, 45.0), 'odd_camera'),
        ],
    )
    def test_odd_calibration(self, tmp_path, params, kind):
        posed = make_posed(tmp_path / 'images', 3)
        camera = replace(posed[0].camera, params=params)
        posed = [replace(image, camera=camera) for image in posed]
        assert kind in {finding.kind for finding in self.built(posed, tmp_path)}


class TestParts:
    def test_corrections_of_two_cameras_and_a_clock(self):
        pairs = synthetic_pairs(focal={1: 0.98, 2: 1.0}, seconds=0.04)
        corrections = estimate_corrections(pairs)
        assert corrections.cameras[1][0] == pytest.approx(-0.02, abs=1e-3)
        assert corrections.cameras[2][0] == pytest.approx(0.0, abs=1e-3)
        assert corrections.seconds == pytest.approx(0.04, abs=1e-3)
        assert corrections.errors_px[1] < 0.2 * corrections.errors_px[0]

    def test_parts_of_a_map_that_disagree_widen_the_errors(self):
        pairs = synthetic_pairs(focal={1: 0.98, 2: 1.0}, seconds=0.04)
        agreed = jackknifed(pairs, estimate_corrections(pairs))
        assert agreed.seconds_std < 2e-3
        other = synthetic_pairs(focal={1: 1.05, 2: 1.0}, seconds=0.04)
        mixed = [pair for pair in pairs if pair.images[0] < 12]
        mixed += [pair for pair in other if pair.images[0] >= 12]
        corrections = estimate_corrections(mixed)
        widened = jackknifed(mixed, corrections)
        assert widened.camera_stds[1][0] > 3.0 * agreed.camera_stds[1][0]
        assert widened.camera_stds[1][0] >= corrections.camera_stds[1][0]

    def test_camera_and_poses_adjusted_together(self):
        pairs = with_wrong_poses(synthetic_pairs(focal={1: 0.98, 2: 1.0}, seconds=0.0))
        adjustment = adjust(pairs, depth=6.0)
        for key, truth in ((1, -0.02), (2, 0.0)):
            values, stds = adjustment.camera(key)
            assert 1e-4 < stds[0] < 0.01
            assert abs(values[0] - truth) < 4.0 * stds[0]
        assert adjustment.shift_std == pytest.approx(0.02, rel=0.5)
        assert adjustment.turn_std == pytest.approx(np.deg2rad(0.3), rel=0.5)
        assert find_outliers(adjustment) == []
        # A false alarm in a thousand maps, with tails half as long again as normal ones.
        assert noticeable(adjustment)[0] == pytest.approx(8.2 * adjustment.shift_std, rel=0.05)

    def test_pose_beyond_the_errors_of_the_others(self):
        pairs = with_wrong_poses(
            synthetic_pairs(focal={1: 1.0, 2: 1.0}, seconds=0.0), further={7: (0.2, 0.0, 0.1)}
        )
        (outlier,) = find_outliers(adjust(pairs, depth=6.0))
        assert outlier.index == 7
        assert outlier.distance == pytest.approx(0.22, rel=0.4)

    def test_camera_of_one_image(self):
        pairs = synthetic_pairs(focal={1: 1.0, 2: 1.0}, seconds=0.0)
        assert own_camera(7, pairs) is None
        zoomed = [
            replace(pair, points=replace(pair.points, query=1.3 * pair.points.query))
            if pair.images[0] == 7
            else replace(pair, points=replace(pair.points, reference=1.3 * pair.points.reference))
            if pair.images[1] == 7
            else pair
            for pair in pairs
        ]
        found = own_camera(7, zoomed)
        assert found.focal_share == pytest.approx(0.3, abs=0.02)
        assert found.errors_px[1] < 0.2 * found.errors_px[0]

    def test_similarity_of_a_part(self):
        rng = np.random.default_rng(2)
        stored = rng.uniform(-2.0, 2.0, (12, 3))
        found = 1.05 * stored @ exp_so3(np.array([0.0, 0.02, 0.0])).T + [0.3, 0.0, 0.1]
        found += rng.normal(scale=0.005, size=found.shape)
        found[3] += 2.0
        fit = fit_similarity(stored, found)
        assert fit.scale == pytest.approx(1.05, abs=0.004)
        assert 1e-4 < fit.scale_std < 0.01
        assert np.linalg.norm(fit.shift) > 5.0 * fit.shift_std

    def test_parts_are_folders_and_recordings(self):
        names = [f'a/{i}.png' for i in range(14)] + [f'b/{i}.png' for i in range(3)]
        stamps = 10**9 * np.array([*range(7), *range(500, 507), 1, 2, 3])
        parts = parts_of(names, stamps)
        assert list(parts) == ['a, recording 1', 'a, recording 2']
        assert parts['a, recording 2'].tolist() == list(range(7, 14))

    def test_nothing_can_be_said_without_motion_or_parallax(self):
        identity = RigidTransform.identity()
        rng = np.random.default_rng(0)
        points = rng.uniform(-0.5, 0.5, (40, 2))
        matches = MatchedPoints(points, points, 400.0, 400.0)
        pair = PosedPair((0, 1), (1, 1), (identity, identity), (None, None), matches)
        assert estimate_corrections([pair] * 8) is None

    def test_motions_stop_at_cuts(self):
        poses = [RigidTransform(np.eye(3), np.array([x, 0.0, 0.0])) for x in (0, 1, 2, 90, 91, 92)]
        motions = image_motions([k * 10**8 for k in range(6)], poses)
        assert [motion is not None for motion in motions] == [0, 1, 0, 0, 1, 0]
        assert motions[1].velocity == pytest.approx([10.0, 0.0, 0.0])

    def test_units_that_cannot_be_metres(self):
        assert depth_findings(np.array([2.0, 3.0, np.nan]), 1.0, 'm') == []
        (finding,) = depth_findings(np.array([2000.0, 3000.0]), 1000.0, 'm')
        assert finding.kind == 'units'
        assert depth_findings(np.array([2000.0]), 1000.0, 'mm') == []

    def test_holes_and_lines_are_told(self):
        places = [place(i, lost=i in (3, 4), straight=i >= 5) for i in range(10)]
        kinds = {finding.kind: finding for finding in coverage_findings(places, 'm')}
        assert kinds['hole'].subjects == ('3', '4')
        assert kinds['hole'].figure == pytest.approx(0.2)
        assert len(kinds['collinear'].subjects) == 5
        assert 'm' in kinds['collinear'].unit
        assert coverage_findings([place(0)], 'm') == []


def place(index, *, lost=False, straight=False):
    number = np.nan if lost else 0.01
    status = 'TOO_FEW_INLIERS' if lost else 'LOCALIZED'
    position = np.array([float(index), 0.0, 0.0])
    ahead = np.array([0.0, 0.0, 1.0])
    return Place(str(index), index, position, ahead, status, '', 200, number, number, straight)


def with_wrong_poses(pairs, further=None):
    """Measure the poses of synthetic pairs: 2 cm and 0.3 degrees about each axis, and no clock."""
    rng = np.random.default_rng(11)
    errors = rng.normal(size=(30, 6)) * np.repeat([np.deg2rad(0.3), 0.02], 3)
    for index, shift in (further or {}).items():
        errors[index, 3:] += shift
    return [
        replace(
            pair,
            poses=tuple(
                RigidTransform(
                    pose.rotation @ exp_so3(errors[index, :3]),
                    pose.translation + errors[index, 3:],
                )
                for index, pose in zip(pair.images, pair.poses, strict=True)
            ),
            motions=(None, None),
        )
        for pair in pairs
    ]


def synthetic_pairs(focal, seconds):
    """Exact matches between poses on a winding path, given with wrong focal lengths and times."""
    rng = np.random.default_rng(3)
    poses = [
        RigidTransform(
            exp_so3(np.array([0.1 * np.sin(t), 0.3 * np.sin(0.7 * t), 0.1 * np.cos(t)])),
            np.array([np.sin(0.9 * t), 0.3 * np.cos(1.7 * t), 0.5 * np.sin(1.3 * t)]),
        )
        for t in 0.2 * np.arange(30)
    ]
    motions = image_motions([round(2e8 * k) for k in range(30)], poses)
    # What the map says is `seconds` too early.
    given = [
        pose if motion is None else motion.after(-seconds, pose)
        for pose, motion in zip(poses, motions, strict=True)
    ]
    points = rng.uniform((-3.0, -2.0, 4.0), (3.0, 2.0, 8.0), (60, 3))
    pairs = []
    for first in range(1, 29):
        for second in range(first + 3, 29, 4):
            seen = []
            for index in (first, second):
                local = poses[index].inverse().apply(points)
                noise = rng.normal(scale=0.1 / 400.0, size=(len(points), 2))
                seen.append((local[:, :2] / local[:, 2:] + noise) * focal[index % 2 + 1])
            pairs.append(
                PosedPair(
                    (first, second),
                    (first % 2 + 1, second % 2 + 1),
                    (given[first], given[second]),
                    (motions[first], motions[second]),
                    MatchedPoints(*seen, 400.0, 400.0),
                )
            )
    return pairs
