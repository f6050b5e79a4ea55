# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LighterGlue matches what an image and its distorted copy share, and only XFeat maps."""

from __future__ import annotations

from pathlib import Path
import sys

import cv2
import numpy as np
from numpy.typing import NDArray
import pytest

from relloc_ros.config import LocalizationConfig, MapConfig, make_config
from relloc_ros.errors import ConfigError, DataError, MissingDependencyError
from relloc_ros.geometry import pose_error
from relloc_ros.localizers import create_localizer
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage
from relloc_ros.vision.matching import Keypoints, create_matcher

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learned')
pytest.importorskip('kornia', reason='kornia is not installed: extra learned')
lighterglue = pytest.importorskip('relloc_ros.vision.lighterglue')
xfeat = pytest.importorskip('relloc_ros.vision.xfeat')

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
IMAGE = cv2.imread(str(next((EXAMPLE / 'images').glob('*.jpg'))))
LIGHTERGLUE = make_config(LocalizationConfig, {'matcher': 'lighterglue', 'max_keypoints': 400})


@pytest.fixture(scope='module')
def matcher() -> lighterglue.LighterGlue:
    """Load the installed weights."""
    return lighterglue.LighterGlue()


@pytest.fixture(scope='module')
def extractor() -> xfeat.XFeat:
    """Load the installed weights."""
    return xfeat.XFeat()


def keypoints(extractor: xfeat.XFeat, image: NDArray[np.uint8], count: int) -> Keypoints:
    """Extract, ready for matching."""
    found = extractor.extract(image, count)
    height, width = image.shape[:2]
    descriptors = extractor.unit_descriptors(found.descriptors)
    return Keypoints(found.points2D, descriptors, (width, height))


def test_matches_are_right(matcher: lighterglue.LighterGlue, extractor: xfeat.XFeat) -> None:
    turn = cv2.getRotationMatrix2D((320, 240), 12, 0.85)
    warped = np.asarray(cv2.warpAffine(IMAGE, turn, (640, 480)))
    one, other = keypoints(extractor, IMAGE, 500), keypoints(extractor, warped, 400)
    matches = matcher.match(one, other)
    assert matches.dtype == np.intp
    assert len(matches) > 100
    assert len(set(matches[:, 0])) == len(set(matches[:, 1])) == len(matches)
    # The matrix is for pixels whose centres are whole numbers.
    expected = (one.points2D[matches[:, 0]] - 0.5) @ turn[:, :2].T + turn[:, 2] + 0.5
    errors = np.linalg.norm(expected - other.points2D[matches[:, 1]], axis=1)
    assert (errors < 3).mean() > 0.9


def test_another_scene_has_few_matches(
    matcher: lighterglue.LighterGlue, extractor: xfeat.XFeat
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    blobs = cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
    one = keypoints(extractor, IMAGE, 400)
    assert len(matcher.match(one, one)) > 350
    assert len(matcher.match(one, keypoints(extractor, blobs, 400))) < 20


def test_same_input_same_matches(matcher: lighterglue.LighterGlue, extractor: xfeat.XFeat) -> None:
    one, other = (keypoints(extractor, image, 200) for image in (IMAGE, IMAGE[:, ::-1].copy()))
    first = matcher.match(one, other)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        np.testing.assert_array_equal(matcher.match(one, other), first)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(('num_one', 'num_other'), [(0, 9), (9, 0), (0, 0), (1, 1)])
def test_hardly_anything_to_match(
    matcher: lighterglue.LighterGlue, num_one: int, num_other: int
) -> None:
    rng = np.random.default_rng(0)

    def some(count: int) -> Keypoints:
        return Keypoints(
            rng.uniform(0, 100, (count, 2)), np.eye(count, 64, dtype=np.float32), (100, 100)
        )

    matches = matcher.match(some(num_one), some(num_other))
    assert matches.shape[1:] == (2,)
    assert len(matches) <= min(num_one, num_other)


def test_localizes(tmp_path: Path) -> None:
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'map.txt')
    config = make_config(MapConfig, {'features': 'xfeat', 'max_keypoints': 400})
    query = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')[0]
    with ReferenceMap.open(build_map(posed, tmp_path / 'map', config)) as reference_map:
        settings = {'matcher': 'lighterglue', 'max_keypoints': 400, 'essential.max_pairs': 5}
        relocalizer = Relocalizer(reference_map, make_config(LocalizationConfig, settings))
        result = relocalizer.process(QueryImage(read_image(query), query.camera, query.stamp_ns))
    assert result.localized, result.reason
    assert result.camera_pose is not None
    distance, _ = pose_error(result.camera_pose.map_from_body, query.cam_from_map.inverse())
    assert distance < 0.05


def test_maps_of_other_features_are_refused(office_map: Path) -> None:
    with (
        ReferenceMap.open(office_map) as reference_map,
        pytest.raises(ConfigError, match='--set features=xfeat'),
    ):
        create_localizer(reference_map, LIGHTERGLUE)


def test_unknown_matcher() -> None:
    with pytest.raises(ConfigError, match='mutual_ratio, lighterglue'):
        create_matcher('flann', 'xfeat', 0.9)


def test_missing_or_foreign_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r'put xfeat-lighterglue\.pt there'):
        lighterglue.LighterGlue(str(tmp_path))
    content = xfeat.XFEAT_WEIGHTS.find().read_bytes()
    (tmp_path / 'xfeat-lighterglue.pt').write_bytes(content)
    with pytest.raises(DataError, match='cannot use weights'):
        lighterglue.LighterGlue(str(tmp_path))
    monkeypatch.setitem(sys.modules, 'kornia.feature', None)
    with pytest.raises(MissingDependencyError, match='learned'):
        create_matcher('lighterglue', 'xfeat', 0.9)
