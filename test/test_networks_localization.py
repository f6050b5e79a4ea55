# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks as pair estimators of `essential`: poses from what they say, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import shutil
import socket

import cv2
import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import ConfigError, DataError, MapError
from relloc_ros.evaluation.calibration.measuring import hold_out
from relloc_ros.geometry import RigidTransform, exp_so3, log_so3, pose_error, skew
from relloc_ros.localizers.network_estimators import NETWORK_ESTIMATORS
from relloc_ros.localizers.regressed_pairs import solve_from_regressed_pairs
from relloc_ros.localizers.sighting import PlacedSighting, RegressedPair, Sighting
from relloc_ros.map.format import Manifest
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage, Status
from relloc_ros.vision.pose_from_relative_poses import estimate_pose_from_relative_poses

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.networks import make_network, network_class  # noqa: E402
from relloc_ros.networks.checkpoint import save_network  # noqa: E402
from relloc_ros.networks.inference import DenseMatcher, PairRegressor, mutual_matches  # noqa: E402

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
IMAGES = EXAMPLE / 'images'
REGRESSING = [name for name in NETWORK_ESTIMATORS if name != 'nc_5pt']
UNGATED = {'max_position_std': 0, 'max_orientation_std': 0, 'acceptance.max_false_accept_rate': 1}


@pytest.fixture(scope='module')
def reference_map(office_map):
    with ReferenceMap.open(office_map) as opened:
        yield opened


@pytest.fixture(scope='module')
def posed():
    return read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')[0]


@pytest.fixture(scope='module')
def query(posed):
    return QueryImage(read_image(posed), posed.camera, posed.stamp_ns, 'cam', posed.name)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """Files of small networks that have learned nothing."""
    folder = tmp_path_factory.mktemp('networks')
    files = {}
    for name in ('essnet', 'nc_essnet', 'nc_matching', 'rpr', 'relocnet'):
        settings = {'backbone': 'resnet18', 'last_stage': 3, 'shorter_side': 96, 'crop': 96}
        network = make_network(name, network_class(name).config_class(**settings))
        files[name] = folder / f'{name}.safetensors'
        save_network(files[name], network.eval(), {})
    return files


def settings_for(pair_estimator, file, **others):
    return make_config(
        LocalizationConfig,
        {
            'essential.pair_estimator': pair_estimator,
            'essential.network': str(file),
            'essential.network_images': str(IMAGES),
            'essential.network_side': 160,
            **UNGATED,
            **others,
        },
    )


def file_for(weights, pair_estimator):
    return weights[NETWORK_ESTIMATORS[pair_estimator].networks[-1]]


class KnowingNetwork:
    """Says the truth of each pair of views, turned by a little."""

    def __init__(self, reference_map, map_from_cam, turn=0.0):
        self.poses = {}
        for index in range(reference_map.num_images):
            pose = map_from_cam.inverse() @ reference_map.cam_from_map(index).inverse()
            rng = np.random.default_rng(index)
            self.poses[index] = RigidTransform(
                exp_so3(turn * rng.normal(size=3)) @ pose.rotation,
                exp_so3(turn * rng.normal(size=3)) @ pose.translation,
            )

    def install(self, monkeypatch, localizer):
        sight = localizer._network
        monkeypatch.setattr(sight, '_described', {index: index for index in self.poses})
        monkeypatch.setattr(sight, '_regressor', self)

    def describe(self, image):
        return None

    def essentials(self, references, query):
        poses = [self.poses[index] for index in references]
        # Sign and length of a regressed matrix are anything.
        return [-0.3 * skew(pose.translation) @ pose.rotation for pose in poses]

    def relative_poses(self, references, query):
        return [self.poses[index] for index in references]


class TestRegressed:
    """`essnet`, `nc_essnet`, `rpr` and `relocnet`."""

    @pytest.mark.parametrize('name', REGRESSING)
    @pytest.mark.parametrize(('turn_deg', 'allowed'), [(0.0, 1e-6), (1.0, 0.2)])
    def test_pose_without_a_match(
        self, name, turn_deg, allowed, reference_map, query, posed, weights, monkeypatch
    ):
        relocalizer = Relocalizer(reference_map, settings_for(name, file_for(weights, name)))
        truth = posed.cam_from_map.inverse()
        network = KnowingNetwork(reference_map, truth, np.deg2rad(turn_deg))
        network.install(monkeypatch, relocalizer._localizer)
        result = relocalizer.process(query)
        assert result.localized, result.reason
        distance, angle = pose_error(result.camera_pose.map_from_body, truth)
        assert distance < allowed
        assert np.rad2deg(angle) < max(1e-5, turn_deg)
        assert result.num_matches == result.num_inliers == 0
        assert result.retrieved
        covariance = result.camera_pose.covariance
        np.testing.assert_allclose(covariance, covariance.T)
        assert np.linalg.eigvalsh(covariance)[0] > 0
        # A network's errors are alike: no pose is surer than one pair makes it.
        assert np.sqrt(covariance[3, 3]) > np.deg2rad(3.0)

    @pytest.mark.parametrize('name', REGRESSING)
    def test_a_network_that_knows_nothing_gives_no_pose_of_another_side(
        self, name, reference_map, query, posed, weights
    ):
        relocalizer = Relocalizer(reference_map, settings_for(name, file_for(weights, name)))
        result = relocalizer.process(query)
        if result.localized:
            _, angle = pose_error(result.camera_pose.map_from_body, posed.cam_from_map.inverse())
            rotation_std = np.sqrt(np.linalg.eigvalsh(result.camera_pose.covariance[3:, 3:])[-1])
            assert angle < max(np.pi / 2, 3 * rotation_std)
        else:
            assert result.status in (Status.DEGENERATE, Status.TOO_FEW_INLIERS)

    def test_pairs_of_a_rig(self):
        rng = np.random.default_rng(0)
        body = RigidTransform(exp_so3(np.array([0.1, -0.2, 0.05])), np.array([0.3, 0.1, -0.2]))
        places = [
            RigidTransform.identity(),
            RigidTransform(exp_so3(np.array([0.0, 0.4, 0.0])), np.array([0.2, 0.0, 0.1])),
        ]
        views = []
        for place in places:
            pairs = []
            for index in range(4):
                ref = RigidTransform(exp_so3(0.2 * rng.normal(size=3)), rng.normal(size=3))
                pose = (body @ place).inverse() @ ref
                essential = skew(pose.translation) @ pose.rotation
                pairs.append(RegressedPair(index, ref, essential=essential))
            sighting = Sighting('image', 1, regressed=tuple(pairs))
            views.append(PlacedSighting(sighting, place))
        config = make_config(LocalizationConfig, {'essential.pair_estimator': 'essnet'})
        solution = solve_from_regressed_pairs(views, config)
        assert solution.status is Status.LOCALIZED, solution.reason
        distance, angle = pose_error(solution.pose.map_from_body, body)
        assert distance < 1e-6
        assert angle < 1e-6
        doubted = [replace(view, position_std=0.3, rotation_std=0.02) for view in views]
        unsure = solve_from_regressed_pairs(doubted, config).pose.covariance
        assert np.trace(unsure[:3, :3]) >= np.trace(solution.pose.covariance[:3, :3]) + 0.27 - 1e-9

    @pytest.mark.parametrize('name', ['essnet', 'rpr', 'relocnet'])
    @pytest.mark.parametrize(('common_deg', 'own_deg'), [(0.5, 3.0), (3.0, 2.0), (4.0, 3.0)])
    def test_covariance_admits_errors_that_pairs_have_in_common(self, name, common_deg, own_deg):
        rng = np.random.default_rng(0)
        config = make_config(LocalizationConfig, {'essential.pair_estimator': name})

        def turn(degrees):
            return exp_so3(np.deg2rad(degrees) * rng.normal(size=3))

        squared = []
        for _ in range(40):
            truth = RigidTransform(turn(10), 0.3 * rng.normal(size=3))
            common = turn(common_deg), turn(common_deg)
            pairs = []
            for index in range(6):
                ref = RigidTransform(turn(10), rng.normal(size=3))
                exact = truth.inverse() @ ref
                pose = RigidTransform(
                    common[0] @ turn(own_deg) @ exact.rotation,
                    common[1] @ turn(own_deg) @ exact.translation,
                )
                essential = skew(pose.translation) @ pose.rotation
                pairs.append(RegressedPair(index, ref, essential, pose))
            sighting = Sighting('image', 1, regressed=tuple(pairs))
            view = PlacedSighting(sighting, RigidTransform.identity())
            found = solve_from_regressed_pairs([view], config).pose
            if found is None:
                continue
            turned = truth.rotation @ found.map_from_body.rotation.T
            moved = truth.translation - found.map_from_body.translation
            error = np.concatenate([moved, log_so3(turned)])
            squared.append(error @ np.linalg.solve(found.covariance, error))
        assert len(squared) > 30
        # 5.35 is right; what is not known is rather overstated.
        assert 0.1 < np.median(squared) < 6.0
        assert np.mean(np.array(squared) > 16.8) < 0.1

    def test_the_fewer_agree_the_less_sure(self):
        def solve(num_wrong):
            rng = np.random.default_rng(1)
            pairs = []
            for index in range(8):
                ref = RigidTransform(exp_so3(0.2 * rng.normal(size=3)), rng.normal(size=3))
                pose = ref
                essential = skew(pose.translation) @ pose.rotation
                if index < num_wrong:
                    essential = skew(rng.normal(size=3)) @ exp_so3(rng.normal(size=3))
                pairs.append(RegressedPair(index, ref, essential=essential))
            view = PlacedSighting(
                Sighting('image', 1, regressed=tuple(pairs)), RigidTransform.identity()
            )
            config = make_config(LocalizationConfig, {'essential.pair_estimator': 'essnet'})
            return solve_from_regressed_pairs([view], config)

        sure, unsure = solve(0), solve(4)
        assert np.trace(unsure.pose.covariance) > 1.3 * np.trace(sure.pose.covariance)
        assert solve(7).pose is None


class TestRelativePoses:
    """Poses from whole relative poses."""

    def test_outliers_do_not_count(self):
        rng = np.random.default_rng(3)
        truth = RigidTransform(exp_so3(np.array([0.3, 0.1, -0.4])), np.array([1.0, -2.0, 0.5]))
        refs, relative = [], []
        for index in range(9):
            ref = RigidTransform(exp_so3(0.3 * rng.normal(size=3)), rng.normal(size=3))
            pose = truth.inverse() @ ref
            if index in (2, 5):
                pose = RigidTransform(exp_so3(rng.normal(size=3)), 3 * rng.normal(size=3))
            refs.append(ref)
            relative.append(
                RigidTransform(pose.rotation, pose.translation + 0.01 * rng.normal(size=3))
            )
        places = [RigidTransform.identity()] * 9
        found = estimate_pose_from_relative_poses(relative, refs, places, max_angle=np.deg2rad(10))
        assert not found.inliers[[2, 5]].any()
        assert found.inliers.sum() == 7
        assert pose_error(found.map_from_body, truth)[0] < 0.02

    def test_nothing_agrees(self):
        identity = RigidTransform.identity()
        turned = RigidTransform(exp_so3(np.array([0.0, 1.0, 0.0])), np.zeros(3))
        for relative in ([], [identity], [identity, turned]):
            places = [identity] * len(relative)
            found = estimate_pose_from_relative_poses(relative, places, places, max_angle=0.1)
            assert found is None


class TestLearnedMatches:
    """`nc_5pt`."""

    def test_an_image_of_the_map_is_found_where_it_was_taken(self, reference_map, weights):
        """Features of random weights tell what is the same, if hardly anything else."""
        config = settings_for('nc_5pt', weights['nc_matching'], **{'essential.network_side': 240})
        relocalizer = Relocalizer(reference_map, config)
        index = reference_map.num_images // 2
        image = cv2.imread(str(IMAGES / reference_map.image_names[index]))
        camera = reference_map.camera(index)
        result = relocalizer.process(QueryImage(image, camera, 7, 'cam', 'again'))
        assert result.num_matches > 100
        same = next(
            pair for pair in result.pairs if pair.image_name == reference_map.image_names[index]
        )
        np.testing.assert_allclose(same.query_points2D, same.map_points2D)

    def test_same_query_same_answer(self, reference_map, query, weights):
        config = settings_for('nc_5pt', weights['nc_matching'])
        first = Relocalizer(reference_map, config).process(query)
        second = Relocalizer(reference_map, config).process(query)
        assert first.status is second.status
        assert first.num_matches == second.num_matches > 0
        for one, two in zip(first.pairs, second.pairs, strict=True):
            np.testing.assert_array_equal(one.query_points2D, two.query_points2D)

    def test_cells_are_where_they_look(self, weights):
        from relloc_ros.networks.checkpoint import load_network

        network = load_network(weights['nc_matching'])
        matcher = DenseMatcher(network, network.consensus, 240)
        image = cv2.imread(str(next(IMAGES.glob('*.jpg'))))
        described = matcher.describe(image)
        height, width = described.features.shape[1:]
        # 480 to 240 rows, one cell for 16 of them.
        assert (height, width) == (15, 20)
        np.testing.assert_allclose(described.points2D[0], (1.0, 1.0))
        np.testing.assert_allclose(described.points2D[width + 1], (33.0, 33.0))
        # The same by 32 columns further on: cells of the one are cells of the other.
        shifted = matcher.describe(np.ascontiguousarray(np.roll(image, 32, axis=1)))
        matches = matcher.match(described, shifted)
        moved = shifted.points2D[matches[:, 1]] - described.points2D[matches[:, 0]]
        assert len(matches) > 100
        assert np.mean(np.linalg.norm(moved - (32, 0), axis=1) < 1) > 0.9

    def test_mutual_matches(self):
        scores = torch.zeros(1, 3, 3, 1)
        scores[0, 0, 2, 0] = 1.0
        scores[0, 1, 1, 0], scores[0, 2, 1, 0] = 0.5, 0.4
        scores[0, 2, 0, 0] = 0.01
        np.testing.assert_array_equal(mutual_matches(scores), [[0, 2], [1, 1]])
        assert len(mutual_matches(torch.zeros(2, 2, 2, 2))) == 0

    def test_matching_of_another_file(self, reference_map, query, weights):
        """Features of any network, as in the paper's Table IV."""
        config = settings_for(
            'nc_5pt',
            weights['rpr'],
            **{'essential.matching_network': str(weights['nc_essnet'])},
        )
        assert Relocalizer(reference_map, config).process(query).num_matches > 0


class TestContract:
    """What `Localizer` promises, of every network."""

    @pytest.mark.parametrize('name', NETWORK_ESTIMATORS)
    def test_hard_images_are_a_status(self, name, reference_map, posed, weights):
        relocalizer = Relocalizer(reference_map, settings_for(name, file_for(weights, name)))
        for width, height in ((640, 480), (1, 1), (7, 5), (640, 3), (3, 640)):
            camera = replace(posed.camera, width=width, height=height)
            blank = np.full((height, width), 128, np.uint8)
            result = relocalizer.process(QueryImage(blank, camera, 1))
            assert not result.localized
            assert result.reason

    @pytest.mark.parametrize('name', NETWORK_ESTIMATORS)
    def test_grey_and_colour(self, name, reference_map, query, weights):
        relocalizer = Relocalizer(reference_map, settings_for(name, file_for(weights, name)))
        grey = cv2.cvtColor(query.image, cv2.COLOR_BGR2GRAY)
        one = relocalizer.process(replace(query, image=grey))
        two = relocalizer.process(replace(query, image=cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)))
        assert (one.status, one.num_matches) == (two.status, two.num_matches)

    @pytest.mark.parametrize('name', NETWORK_ESTIMATORS)
    def test_weights_of_another_network_are_refused_by_name(self, name, reference_map, weights):
        wrong = 'essnet' if name in ('rpr', 'relocnet', 'nc_5pt') else 'rpr'
        with pytest.raises(DataError, match=rf'holds the weights of {wrong}, wanted are those of'):
            Relocalizer(reference_map, settings_for(name, weights[wrong]))

    def test_what_is_missing_is_named(self, reference_map, weights, tmp_path):
        file = weights['essnet']
        with pytest.raises(ConfigError, match=r'essnet needs trained weights: set essential\.net'):
            Relocalizer(reference_map, settings_for('essnet', ''))
        with pytest.raises(DataError, match='does not exist'):
            Relocalizer(reference_map, settings_for('essnet', tmp_path / 'no.safetensors'))
        for folder in ('', str(tmp_path)):
            config = settings_for('essnet', file, **{'essential.network_images': folder})
            with pytest.raises(MapError, match=r'set essential\.network_images to the folder'):
                Relocalizer(reference_map, config)

    def test_images_are_looked_for_where_the_map_was_built_from(
        self, office_map, weights, tmp_path
    ):
        copy = tmp_path / 'map'
        shutil.copytree(office_map, copy, symlinks=True)
        config = settings_for('rpr', weights['rpr'], **{'essential.network_images': ''})
        for source in (EXAMPLE, IMAGES):
            manifest = Manifest.read(copy / 'map.yaml')
            replace(manifest, source=str(source)).write(copy / 'map.yaml')
            with ReferenceMap.open(copy) as reference_map:
                Relocalizer(reference_map, config)

    def test_an_image_that_is_gone_is_an_error_of_that_query(
        self, reference_map, query, weights, tmp_path
    ):
        first = reference_map.image_names[0]
        (tmp_path / first).write_bytes((IMAGES / first).read_bytes())
        config = settings_for(
            'essnet', weights['essnet'], **{'essential.network_images': str(tmp_path)}
        )
        result = Relocalizer(reference_map, config).process(query)
        assert result.status is Status.ERROR
        assert str(tmp_path) in result.reason

    def test_weights_that_are_no_numbers(self, reference_map, query, tmp_path):
        config = network_class('rpr').config_class(
            backbone='resnet18', last_stage=2, shorter_side=32, crop=32
        )
        network = make_network('rpr', config)
        network.projection.bias.data.fill_(float('nan'))
        save_network(tmp_path / 'rpr.safetensors', network, {})
        relocalizer = Relocalizer(reference_map, settings_for('rpr', tmp_path / 'rpr.safetensors'))
        result = relocalizer.process(query)
        assert result.status is Status.ERROR
        assert 'not finite' in result.reason

    def test_no_network_is_asked(self, reference_map, query, weights, monkeypatch):
        def refuse(*_):
            raise AssertionError('network')

        monkeypatch.setattr(socket.socket, 'connect', refuse)
        Relocalizer(reference_map, settings_for('nc_essnet', weights['nc_essnet'])).process(query)

    def test_calibration_sees_the_images(self, reference_map, weights, monkeypatch):
        seen = []
        describe = PairRegressor.describe

        def watch(self, image):
            seen.append(float(image.std()))
            return describe(self, image)

        monkeypatch.setattr(PairRegressor, 'describe', watch)
        held_out = hold_out(reference_map, settings_for('essnet', weights['essnet']), samples=2)
        assert held_out.num_tried == 2
        assert min(seen) > 1.0
