# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localizer `apr`: which maps and images it refuses, and how it is calibrated.

What it has in common with others is in test_localizers.py.
"""

from __future__ import annotations

from dataclasses import replace
import json
from pathlib import Path
import shutil

import numpy as np
import pytest
from rendered_room import look, write_views
from typer.testing import CliRunner

pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from tiny_pose_network import write_pose_network

from relloc_ros.cli.main import make_app
from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import ConfigError, DataError, MapError
from relloc_ros.evaluation.calibration.calibrating import calibrate_map
from relloc_ros.evaluation.calibration.measuring import hold_out
from relloc_ros.evaluation.calibration.view_shifts import ViewShifts
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.networks import make_network
from relloc_ros.networks.apr import load_trained, save_trained
from relloc_ros.networks.apr.novelty import Novelty
from relloc_ros.networks.checkpoint import save_network
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage, Status

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
IMAGES = EXAMPLE / 'images'


@pytest.fixture(scope='module')
def reference_map(office_map):
    with ReferenceMap.open(office_map) as opened:
        yield opened


@pytest.fixture(scope='module')
def halved_network(office_map, tmp_path_factory):
    """A network that has learned every second image."""
    return write_pose_network(
        tmp_path_factory.mktemp('halved') / 'best.safetensors', office_map, IMAGES, every=2
    )


def configured(network, **settings):
    values = {'max_position_std': 0.0, 'max_orientation_std': 0.0, **settings}
    values = {key.replace('__', '.'): value for key, value in values.items()}
    return make_config(
        LocalizationConfig, {'localizer': 'apr', 'apr.network': str(network), **values}
    )


def open_localizer(reference_map, network, **settings):
    return Relocalizer(reference_map, configured(network, **settings))


def query_of_map(reference_map, index):
    posed = {image.name: image for image in read_source(EXAMPLE)}
    image = posed[reference_map.image_names[index]]
    return QueryImage(read_image(image), image.camera, image.stamp_ns, 'cam', image.name)


def rewritten(network, path, **changes):
    """Write a network's file again, with other embeddings of the training images."""
    trained = load_trained(network)
    embeddings = replace(trained.embeddings, **changes)
    save_trained(path, trained.network, trained.about, embeddings, trained.held_out)
    return path


class TestOtherMaps:
    """A network knows one map."""

    def test_a_map_of_other_images_is_refused(self, office_network, tmp_path):
        poses = [look((x, 0.0, -1.5), 20.0) for x in (-0.5, 0.0, 0.5)]
        other = build_map(write_views(tmp_path, poses), tmp_path / 'map')
        with (
            ReferenceMap.open(other) as reference_map,
            pytest.raises(DataError, match=r'was trained on map \w+; .*has 0 of its 11 training'),
        ):
            open_localizer(reference_map, office_network)

    @pytest.mark.parametrize(
        ('about', 'said'),
        [
            ({'frame_id': 'hall'}, "of frame 'hall'; .* has frame 'map'"),
            ({'units': 'feet'}, "of unit 'feet'"),
        ],
    )
    def test_another_frame_or_unit_is_refused(
        self, office_map, reference_map, tmp_path, about, said
    ):
        network = write_pose_network(tmp_path / 'other.safetensors', office_map, IMAGES, **about)
        with pytest.raises(DataError, match=said):
            open_localizer(reference_map, network)

    def test_another_scale_is_refused_and_the_first_image_named(
        self, reference_map, office_network, tmp_path
    ):
        positions = 1.05 * load_trained(office_network).embeddings.positions
        network = rewritten(office_network, tmp_path / 'other.safetensors', positions=positions)
        with pytest.raises(DataError, match=r"'1341847.*jpg' is elsewhere: .* frame or scale"):
            open_localizer(reference_map, network)

    def test_a_map_that_got_points_is_the_same_map(
        self, office_points_map, office_network, reference_map
    ):
        with ReferenceMap.open(office_points_map) as triangulated:
            assert triangulated.map_id != reference_map.map_id
            learned = open_localizer(triangulated, office_network).learned_images
        np.testing.assert_array_equal(learned, np.arange(14) % 4 != 2)

    def test_other_localizers_have_learned_nothing(self, reference_map):
        assert not Relocalizer(reference_map).learned_images.any()


class TestFile:
    """What is wrong with a network's file is said when it is loaded."""

    def test_none(self, reference_map, tmp_path):
        with pytest.raises(ConfigError, match=r'set apr\.network to a file that `relloc train'):
            open_localizer(reference_map, '')
        with pytest.raises(DataError, match='does not exist'):
            open_localizer(reference_map, tmp_path / 'none.safetensors')

    def test_another_network(self, reference_map, tmp_path):
        save_network(tmp_path / 'rpr.safetensors', make_network('rpr'), {})
        with pytest.raises(DataError, match="holds network 'rpr'"):
            open_localizer(reference_map, tmp_path / 'rpr.safetensors')

    def test_a_run_that_has_not_ended(self, reference_map, office_network, tmp_path):
        trained = load_trained(office_network)
        save_network(tmp_path / 'best.safetensors', trained.network, trained.about)
        with pytest.raises(DataError, match=r'a run that has not ended.*--resume'):
            open_localizer(reference_map, tmp_path / 'best.safetensors')


class TestNovelty:
    """Images unlike those learned from get no pose."""

    def test_limit_is_what_images_held_out_keep_to(self):
        rng = np.random.default_rng(0)
        training = rng.normal(size=(200, 8)).astype(np.float32)
        held_out = rng.normal(size=(100, 8)).astype(np.float32)
        novelty = Novelty(training, held_out)
        distances = [novelty.nearest(alpha, 1)[1][0] for alpha in held_out]
        assert 0.95 <= np.mean(np.array(distances) <= 1.0) <= 0.97
        rows, distances = novelty.nearest(training[17], 3)
        assert rows[0] == 17
        assert distances[0] < 1e-3 < distances[1] <= distances[2]
        true = np.linalg.norm(training[rows[2]] - training[17])
        assert distances[2] * novelty.limit == pytest.approx(true, rel=1e-4)

    @pytest.mark.parametrize('training', [np.empty((0, 3)), np.full((2, 3), np.nan)])
    def test_what_tells_no_limit_is_refused(self, training):
        with pytest.raises(DataError, match='train again'):
            Novelty(training.astype(np.float32), np.zeros((2, 3), np.float32))

    def test_images_learned_are_answered_by_name_and_others_refused(
        self, reference_map, office_network
    ):
        localizer = open_localizer(reference_map, office_network)
        known = query_of_map(reference_map, 0)
        result = localizer.process(known)
        assert result.localized, result.reason
        assert result.retrieved[0] == known.name
        assert len(result.retrieved) == 11
        assert (result.num_matches, result.num_inliers, result.confidence) == (0, 0, None)
        noise = np.random.default_rng(0).integers(0, 256, known.image.shape, dtype=np.uint8)
        strange = replace(known, image=noise)
        result = localizer.process(strange)
        assert result.status is Status.NO_RETRIEVAL
        assert 'exceeds apr.max_novelty 1' in result.reason
        assert result.retrieved
        for most in (0.0, 1000.0):
            answering = open_localizer(reference_map, office_network, apr__max_novelty=most)
            assert answering.process(strange).localized

    def test_mirrored_images_are_refused(self, reference_map, office_network):
        localizer = open_localizer(reference_map, office_network, apr__max_novelty=2.0)
        for index in (0, 1, 3, 4):
            known = query_of_map(reference_map, index)
            assert localizer.process(known).localized
            mirrored = replace(known, image=np.ascontiguousarray(known.image[:, ::-1]))
            result = localizer.process(mirrored)
            assert result.status is Status.NO_RETRIEVAL
            assert 'the image is mirrored' in result.reason

    def test_an_image_that_shows_nothing_is_not_shown_to_the_network(
        self, reference_map, office_network
    ):
        localizer = open_localizer(reference_map, office_network, apr__max_novelty=0.0)
        query = query_of_map(reference_map, 0)
        dim = replace(query, image=(query.image // 128).astype(np.uint8))
        result = localizer.process(dim)
        assert result.status is Status.NO_FEATURES
        assert 'no texture' in result.reason


@pytest.mark.parametrize('variant', ['bayesian_posenet', 'posenet_learned', 'gposenet', 'vlocnet'])
def test_pose_and_covariance_of_every_kind(variant, office_map, reference_map, tmp_path):
    """Dropout, learned variances, a Gaussian process; and one that looks at two images."""
    network = write_pose_network(tmp_path / 'best.safetensors', office_map, IMAGES, variant)
    query = query_of_map(reference_map, 0)
    poses = []
    for seed in (0, 5):
        localizer = open_localizer(reference_map, network, random_seed=seed)
        result = localizer.process(query)
        assert result.localized, result.reason
        assert np.linalg.eigvalsh(result.camera_pose.covariance)[0] > 0
        poses.append(result.camera_pose)
    np.testing.assert_array_equal(poses[0].map_from_body.matrix, poses[1].map_from_body.matrix)
    np.testing.assert_array_equal(poses[0].covariance, poses[1].covariance)


class TestCalibration:
    """Only images that training held out tell how large errors are."""

    def test_only_images_held_out_are_tried(self, reference_map, halved_network):
        config = configured(halved_network, apr__network_images=str(IMAGES), apr__max_novelty=0.0)
        found = hold_out(reference_map, config)
        assert found.num_fit == 7
        assert len(found) == found.num_tried < 7
        shifts = ViewShifts(reference_map)
        nearest = np.array([shifts.of(row)[0::2].min() for row in range(1, 14, 2)])
        assert found.num_tried == (nearest >= found.view_shift).sum()
        centres = reference_map.centres[1::2]
        for pose in found.truths:
            assert np.linalg.norm(centres - pose.translation, axis=1).min() < 1e-9

    def test_calibrated_poses(self, office_map, halved_network, tmp_path):
        path = tmp_path / 'map'
        shutil.copytree(office_map, path, symlinks=True)
        config = configured(halved_network, apr__network_images=str(IMAGES), apr__max_novelty=0.0)
        (made,) = calibrate_map(path, [config]).made
        assert made.localizer == 'apr'
        assert 6 <= made.num_localized == made.num_tried <= 7
        assert 0.3 < made.median_nees_after < 12.0
        with ReferenceMap.open(path) as calibrated:
            # Where the images are does not change a pose.
            config = configured(halved_network, apr__max_novelty=0.0)
            localizer = Relocalizer(calibrated, config)
            assert localizer.calibration.calibration is not None
            covariance = localizer.process(query_of_map(calibrated, 1)).camera_pose.covariance
        assert np.sqrt(covariance[0, 0]) > made.position_floor

    def test_too_few_held_out(self, office_map, office_network):
        config = configured(office_network, apr__network_images=str(IMAGES))
        with pytest.raises(DataError, match='images held out are localized by apr in the rest'):
            calibrate_map(office_map, [config])

    def test_images_that_are_nowhere(self, reference_map, office_network, tmp_path):
        config = configured(office_network, apr__network_images=str(tmp_path))
        with pytest.raises(MapError, match=r'set apr\.network_images to the folder'):
            hold_out(reference_map, config)


def test_commands(office_map, office_network, tmp_path):
    def run(*arguments):
        return CliRunner().invoke(make_app(), [str(argument) for argument in arguments])

    settings = [
        *('--set', 'localizer=apr', '--set', f'apr.network={office_network}'),
        *('--set', 'max_position_std=0', '--set', 'max_orientation_std=0'),
        *('--set', 'apr.max_novelty=0'),
    ]
    image = IMAGES / (EXAMPLE / 'query.txt').read_text().split()[0]
    result = run('localize', image, '--map', office_map, *settings)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)['localizer'] == 'apr'
    evaluated = run(
        *('evaluate', EXAMPLE, '--list', EXAMPLE / 'query.txt', '--map', office_map),
        *('--output', tmp_path / 'run', *settings),
    )
    assert evaluated.exit_code == 0, evaluated.output
    with (tmp_path / 'run' / 'errors.csv').open() as file:
        assert sum('LOCALIZED' in line for line in file) == 5
    refused = run('localize', image, '--map', office_map, '--set', 'localizer=apr')
    assert refused.exit_code != 0


@pytest.mark.parametrize('has_network', [True, False])
def test_it_is_calibrated_with_the_others_where_a_network_is_named(
    has_network, office_map, office_network, monkeypatch
):
    asked = []

    def record(path, configs, **options):
        asked.extend(config.localizer for config in configs)
        raise DataError('nothing is measured here')

    monkeypatch.setattr('relloc_ros.evaluation.calibration.calibrating.calibrate_map', record)
    settings = ['--set', f'apr.network={office_network}'] if has_network else []
    CliRunner().invoke(make_app(), ['map', 'calibrate', str(office_map), *settings])
    assert asked == [*(['apr'] if has_network else []), 'essential', 'retrieval']
