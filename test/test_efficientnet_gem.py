# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The learned global descriptor finds changed images, and knows its weights again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import shutil
import sys

import cv2
import numpy as np
from numpy.typing import NDArray
import pytest

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig, MapConfig, make_config
from relloc_ros.errors import DataError, MapError, MissingDependencyError
from relloc_ros.localizers import create_localizer
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learned')
pytest.importorskip('efficientnet_lite_pytorch', reason='it is not installed: extra learned')
efficientnet_gem = pytest.importorskip('relloc_ros.vision.efficientnet_gem')
EfficientNetGem = efficientnet_gem.EfficientNetGem

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
POSED = read_source(EXAMPLE, list_file=EXAMPLE / 'map.txt')
IMAGES = [read_image(posed) for posed in POSED]
CONFIG = make_config(MapConfig, {'global_descriptor': 'efficientnet_gem', 'max_keypoints': 200})


@pytest.fixture(scope='module')
def descriptor() -> EfficientNetGem:
    """Learn from the sample."""
    return EfficientNetGem.train(IMAGES, CONFIG)


@pytest.fixture(scope='module')
def small_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a map with it."""
    return build_map(POSED[:4], tmp_path_factory.mktemp('gem') / 'map', CONFIG)


@pytest.fixture(scope='module')
def other_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write weights that fit the network and are others."""
    folder = tmp_path_factory.mktemp('other')
    path = efficientnet_gem.EFFICIENTNET_WEIGHTS.find()
    tensors = torch.load(path, weights_only=True)
    tensors['_bn0.bias'] = tensors['_bn0.bias'] + 0.1
    torch.save(tensors, folder / path.name)
    return folder


def change(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut off a little, darken and blur."""
    part = (image[20:, 30:] * 0.7).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(part, (3, 3), 0))


def test_description_has_length_one_and_repeats(descriptor: EfficientNetGem) -> None:
    first, second = descriptor.describe(IMAGES[0]), descriptor.describe(IMAGES[0].copy())
    assert first.dtype == np.float32
    assert first.shape == (descriptor.dimension,) == (len(IMAGES) - 1,)
    assert np.linalg.norm(first) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_array_equal(first, second)


def test_dimension_is_limited() -> None:
    config = make_config(
        MapConfig, {'global_descriptor': 'efficientnet_gem', 'descriptor_dimension': 3}
    )
    assert EfficientNetGem.train(IMAGES[:5], config).dimension == 3


def test_changed_image_finds_its_original(descriptor: EfficientNetGem) -> None:
    rows = np.array([descriptor.describe(image) for image in IMAGES])
    queries = np.array([descriptor.describe(change(image)) for image in IMAGES])
    np.testing.assert_array_equal(np.argmax(queries @ rows.T, axis=1), np.arange(len(IMAGES)))


def test_the_network_is_the_trained_one() -> None:
    # Its classifier has learned to see a desk, which it only does on input of the right form.
    network = efficientnet_gem._Network('')
    resized = efficientnet_gem._resize(IMAGES[0])
    with torch.inference_mode():
        scores = network._model(efficientnet_gem._as_input(resized))[0]
    desk, desktop_computer = 526, 527
    assert {desk, desktop_computer} <= set(scores.topk(10).indices.tolist())


def test_pooling_against_a_plain_computation() -> None:
    network = efficientnet_gem._Network('')
    with torch.inference_mode():
        features = network._model.extract_features(
            efficientnet_gem._as_input(efficientnet_gem._resize(IMAGES[1]))
        )[0].numpy()
    assert features.shape == (1280, 8, 10)
    expected = np.mean(features.astype(float) ** 3, axis=(1, 2)) ** (1 / 3)
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(network.pool(IMAGES[1]), expected, atol=1e-5)


@pytest.mark.parametrize('value', [0, 128, 255])
@pytest.mark.parametrize('shape', [(90, 120), (1, 1), (3, 2000, 3)])
def test_images_without_texture_give_zeros(
    descriptor: EfficientNetGem, shape: tuple[int, ...], value: int
) -> None:
    described = descriptor.describe(np.full(shape, value, np.uint8))
    np.testing.assert_array_equal(described, np.zeros(descriptor.dimension))


@pytest.mark.parametrize('size', [(5, 3), (37, 211), (1023, 3), (1500, 1100)])
def test_every_size(descriptor: EfficientNetGem, size: tuple[int, int]) -> None:
    image = cv2.resize(IMAGES[2], size, interpolation=cv2.INTER_AREA)
    for view in (image, np.ascontiguousarray(image[:, :, 1]), image[:, ::-1]):
        assert np.linalg.norm(descriptor.describe(view)) == pytest.approx(1.0, abs=1e-4)


def test_nothing_to_learn_from() -> None:
    for images in ([], [np.zeros((90, 120), np.uint8)]):
        with pytest.raises(DataError, match='no image has texture'):
            EfficientNetGem.train(images, CONFIG)


def test_file(descriptor: EfficientNetGem, tmp_path: Path) -> None:
    path = tmp_path / 'vocabulary.npz'
    descriptor.save(path)
    loaded = EfficientNetGem.load(path)
    assert loaded.weights == descriptor.weights
    np.testing.assert_array_equal(loaded.describe(IMAGES[0]), descriptor.describe(IMAGES[0]))


def test_bad_file(descriptor: EfficientNetGem, tmp_path: Path, office_map: Path) -> None:
    path = tmp_path / 'vocabulary.npz'
    with pytest.raises(DataError, match='cannot read vocabulary'):
        EfficientNetGem.load(path)
    with pytest.raises(DataError, match='cannot read vocabulary'):
        EfficientNetGem.load(office_map / 'current' / 'vocabulary.npz')
    weights = np.array(descriptor.weights)
    for projection in (descriptor.projection[:, 1:], descriptor.projection[:0]):
        np.savez(path, mean=descriptor.mean, projection=projection, weights=weights)
        with pytest.raises(DataError, match='do not fit together'):
            EfficientNetGem.load(path)


def test_map(small_map: Path) -> None:
    assert check_map(small_map) == []
    query = POSED[2]
    with ReferenceMap.open(small_map) as reference_map:
        assert len(reference_map.retrieve(reference_map.describe(IMAGES[0] * 0), 3)[0]) == 0
        config = make_config(LocalizationConfig, {'min_similarity': -1})
        relocalizer = Relocalizer(reference_map, config)
        result = relocalizer.process(QueryImage(change(IMAGES[2]), cut(query.camera), 1))
    assert result.retrieved[0] == query.name


def cut(camera: Camera) -> Camera:
    """Give the camera of a changed image."""
    return replace(camera, width=camera.width - 30, height=camera.height - 20)


def test_another_map_reuses_the_vocabulary(small_map: Path, tmp_path: Path) -> None:
    vocabulary = small_map / 'current' / 'vocabulary.npz'
    again = build_map(POSED[4:6], tmp_path / 'map', CONFIG, vocabulary=vocabulary)
    assert (again / 'current' / 'vocabulary.npz').read_bytes() == vocabulary.read_bytes()


def test_other_weights_are_refused(small_map: Path, other_weights: Path, tmp_path: Path) -> None:
    with (
        ReferenceMap.open(small_map, weights_folder=str(other_weights)) as reference_map,
        pytest.raises(MapError, match='other weights'),
    ):
        create_localizer(reference_map, LocalizationConfig())
    vocabulary = small_map / 'current' / 'vocabulary.npz'
    config = make_config(
        MapConfig,
        {'global_descriptor': 'efficientnet_gem', 'weights_folder': str(other_weights)},
    )
    with pytest.raises(DataError, match='other weights'):
        build_map(POSED[:2], tmp_path / 'map', config, vocabulary=vocabulary)


def test_weights_from_a_folder(small_map: Path, tmp_path: Path) -> None:
    shutil.copy(efficientnet_gem.EFFICIENTNET_WEIGHTS.find(), tmp_path)
    with ReferenceMap.open(small_map, weights_folder=str(tmp_path)) as reference_map:
        reference_map.prepare()


def test_missing_packages_name_the_remedy(
    small_map: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, 'efficientnet_lite_pytorch', None)
    assert check_map(small_map) == []
    with (
        ReferenceMap.open(small_map) as reference_map,
        pytest.raises(MissingDependencyError, match=r"pip install 'relloc_ros\[learned\]'"),
    ):
        create_localizer(reference_map, LocalizationConfig())
