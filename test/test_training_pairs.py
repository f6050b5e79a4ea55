# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pairs that networks are trained on, and their pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('lightning_fabric', reason='lightning-fabric is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.config import TrainingConfig, make_config  # noqa: E402
from relloc_ros.errors import DataError  # noqa: E402
from relloc_ros.map.reference_map import ReferenceMap  # noqa: E402
from relloc_ros.map.sources import read_source  # noqa: E402
from relloc_ros.networks import PairBatch  # noqa: E402
from relloc_ros.networks.network_config import NetworkConfig  # noqa: E402
from relloc_ros.networks.training import pairs as pairing  # noqa: E402
from relloc_ros.networks.training.data import TrainingData  # noqa: E402
from relloc_ros.networks.training.images import images_of_map  # noqa: E402
from relloc_ros.networks.training.pairs import (  # noqa: E402
    choose_pairs,
    held_out,
    read_pairs,
    write_pairs,
)

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
SMALL = NetworkConfig(shorter_side=72, crop=64)


@pytest.fixture(scope='module')
def reference_map(office_map):
    with ReferenceMap.open(office_map) as opened:
        yield opened


@pytest.fixture(scope='module')
def images(reference_map):
    return images_of_map(reference_map, read_source(OFFICE))


@pytest.fixture(scope='module')
def pairs(reference_map):
    return choose_pairs(reference_map, make_config(TrainingConfig, {'pairs_per_image': 3}))


@pytest.mark.parametrize('count', [1, 5, 6, 14, 100, 1000])
def test_one_image_in_six_is_held_out_in_few_stretches(count):
    flags = held_out(count)
    assert len(flags) == count
    assert flags.sum() == max(1, count // 6)
    stretches = np.count_nonzero(np.diff(np.concatenate([[0], flags.astype(int)])) == 1)
    assert stretches <= 8


def test_pairs_share_view_from_different_places(reference_map, pairs):
    first, second = pairs.indices.T
    assert (first != second).all()
    assert (pairs.overlap >= 0.3).all()
    assert (np.bincount(second) <= 3).all()
    distances = np.linalg.norm(
        reference_map.centres[first] - reference_map.centres[second], axis=1
    )
    assert distances.min() > 0.01


def test_held_out_images_are_seen_by_validation_alone(reference_map, pairs):
    flags = held_out(reference_map.num_images)
    assert 0 < pairs.validation.sum() < len(pairs.validation) / 2
    np.testing.assert_array_equal(pairs.validation, flags[pairs.indices[:, 1]])
    # As in localization, where the map images are known to the network.
    assert not flags[pairs.indices[:, 0]].any()


def test_pairs_are_chosen_alike_each_time_and_survive_a_file(
    reference_map, images, pairs, tmp_path
):
    config = make_config(TrainingConfig, {'pairs_per_image': 3})
    again = choose_pairs(reference_map, config)
    np.testing.assert_array_equal(again.indices, pairs.indices)
    data = TrainingData.of_maps([images], [pairs])
    write_pairs(tmp_path / 'pairs.txt', data.pair_names()[0])
    read = read_pairs(tmp_path / 'pairs.txt', reference_map)
    np.testing.assert_array_equal(read.indices, pairs.indices)
    np.testing.assert_array_equal(read.validation, pairs.validation)
    np.testing.assert_allclose(read.overlap, pairs.overlap)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{0} {1} {2}\n', 'line 1: .* is not two image names'),
        ('{0} {1}\n{0} nobody.jpg\n', "line 2: map .* has no image 'nobody.jpg'"),
        ('{0}\t{0}\n', 'is paired with itself'),
        ('{0} {1}\n', 'gives no pairs for validation'),
        ('', 'gives no pairs for training'),
        ('\udcff', 'is not UTF-8'),
    ],
)
def test_unusable_pair_files_are_refused(text, message, reference_map, tmp_path):
    path = tmp_path / 'pairs.txt'
    text = text.format(*reference_map.image_names[:3])
    path.write_bytes(text.encode('utf-8', 'surrogateescape'))
    with pytest.raises(DataError, match=message):
        read_pairs(path, reference_map)
    with pytest.raises(DataError, match='cannot read pairs'):
        read_pairs(tmp_path / 'none.txt', reference_map)


def test_cameras_that_only_turn_give_no_pairs(reference_map, monkeypatch):
    monkeypatch.setattr(pairing, 'MIN_BASELINE', 1e3)
    with pytest.raises(DataError, match='gives no pairs for training: lower min_overlap'):
        choose_pairs(reference_map, TrainingConfig())


def test_examples_are_the_pairs_as_the_network_sees_them(images, pairs):
    data = TrainingData.of_maps([images], [pairs])
    training, validation = data.examples(SMALL)
    assert len(training) + len(validation) == len(pairs.indices)
    assert data.num_validation == len(validation)
    example = validation.read(0, None)
    batch = PairBatch(**{name: value[None] for name, value in example.items()})
    assert batch.image_a.shape == (1, 3, 64, 64)
    a, b = (images[index].posed for index in validation.indices[0])
    point = np.array([0.1, -0.2, 2.0])
    in_a, in_b = a.cam_from_map.apply(point), b.cam_from_map.apply(point)
    moved = batch.rotation[0].numpy() @ in_a + batch.translation[0].numpy()
    np.testing.assert_allclose(moved, in_b, atol=1e-5)
    # A square from the middle of 640x480 made 96x72: the principal point moves with it.
    scale = 72 / 480
    assert batch.intrinsics_a[0, 0, 2] == pytest.approx(a.camera.params[2] * scale - 16, abs=1e-3)
    assert batch.intrinsics_a[0, 1, 2] == pytest.approx(a.camera.params[3] * scale - 4, abs=1e-3)


def test_crops_depend_on_seed_and_example_alone(images, pairs):
    training, _ = TrainingData.of_maps([images], [pairs]).examples(SMALL)
    first = training.read(0, (1, 2))
    again = training.read(0, (1, 2))
    other = training.read(0, (1, 3))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first['intrinsics_a'], other['intrinsics_a'])
    assert torch.equal(first['rotation'], other['rotation'])


def test_maps_are_put_together_and_told_apart(images, pairs):
    alone = TrainingData.of_maps([images], [pairs])
    twice = TrainingData.of_maps([images, images], [pairs, pairs])
    count = len(pairs.indices)
    np.testing.assert_array_equal(twice.pairs.indices[count:], pairs.indices + len(images))
    assert twice.pair_names()[1] == alone.pair_names()[0]
    assert twice.num_images(validation=False) == 2 * alone.num_images(validation=False)
    assert alone.digest() == TrainingData.of_maps([images], [pairs]).digest() != twice.digest()
