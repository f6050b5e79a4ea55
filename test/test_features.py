# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Keypoints lie where the image has them, in COLMAP's pixel convention."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from relloc_ros.vision import features as features_module
from relloc_ros.vision.features import extract_features, to_grey
from relloc_ros.vision.matching import unit_descriptors

IMAGE = next((Path(__file__).parent.parent / 'examples/fr3_office/images').glob('*.jpg'))


def blob(centre, sigma, size=160):
    """A bright blob; `centre` in pixels with the top-left pixel's centre at (0.5, 0.5)."""
    y, x = np.mgrid[:size, :size] + 0.5
    squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
    return (40 + 180 * np.exp(-squared / (2 * sigma**2))).astype(np.uint8)


def offsets(sigma):
    found = []
    for shift in np.linspace(0.0, 1.0, 7):
        centre = np.array([80.3 + shift, 78.7 - shift])
        points = extract_features(blob(centre, sigma), 100).points2D
        found.append(min(points - centre, key=np.linalg.norm))
    return np.array(found)


@pytest.mark.parametrize('sigma', [2.0, 4.0, 8.0])
def test_blobs_are_found_without_bias(sigma):
    assert np.abs(offsets(sigma).mean(axis=0)).max() < 0.05


def test_older_opencv_is_corrected(monkeypatch):
    create = cv2.SIFT.create

    class OlderSift:
        @staticmethod
        def create(nfeatures=0, **options):
            if options:
                raise TypeError('unexpected keyword')
            return create(nfeatures=nfeatures)

    monkeypatch.setattr(features_module.cv2, 'SIFT', OlderSift)
    assert np.abs(offsets(4.0).mean(axis=0)).max() < 0.05


def test_a_resize_scales_coordinates():
    image = cv2.imread(str(IMAGE))
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    large, small = extract_features(image, 3000).points2D, extract_features(half, 300).points2D
    distances = np.linalg.norm(2.0 * small[:, None] - large[None], axis=2)
    nearest = distances.argmin(axis=1)
    close = distances[np.arange(len(small)), nearest] < 1.0
    assert close.sum() > 50
    difference = (2.0 * small - large[nearest])[close]
    assert np.abs(np.median(difference, axis=0)).max() < 0.1


def test_descriptors_are_root_sift():
    result = extract_features(cv2.imread(str(IMAGE)), 500)
    assert result.descriptors.shape == (len(result), 128)
    assert result.descriptors.dtype == np.uint8
    norms = np.linalg.norm(result.descriptors.astype(float), axis=1)
    np.testing.assert_allclose(norms, 512.0, rtol=0.03)
    assert norms.mean() == pytest.approx(512.0, rel=1e-3)


def test_the_strongest_are_kept_and_come_first():
    image = cv2.imread(str(IMAGE))
    all_of_them, few = extract_features(image, 5000), extract_features(image, 100)
    assert len(few) == 100
    common = {tuple(point) for point in all_of_them.points2D[:130]}
    assert sum(tuple(point) in common for point in few.points2D) > 80


def test_equal_keypoints_do_not_exceed_the_limit():
    tile = np.zeros((40, 40), dtype=np.uint8)
    cv2.circle(tile, (20, 20), 6, 255, -1)
    assert len(extract_features(np.tile(tile, (10, 10)), 30)) == 30


def test_descriptors_belong_to_their_keypoints():
    image = cv2.imread(str(IMAGE))
    whole, part = extract_features(image, 3000), extract_features(image[64:, 96:], 500)
    similarity = unit_descriptors(part.descriptors) @ unit_descriptors(whole.descriptors).T
    twins = whole.points2D[similarity.argmax(axis=1)] - (96, 64)
    assert (np.linalg.norm(twins - part.points2D, axis=1) < 0.1).mean() > 0.9


def test_grey_and_colour_agree():
    image = cv2.imread(str(IMAGE))
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    np.testing.assert_array_equal(to_grey(image), grey)
    np.testing.assert_array_equal(to_grey(grey[:, :, None]), grey)
    colour, plain = extract_features(image, 200), extract_features(grey, 200)
    np.testing.assert_array_equal(colour.points2D, plain.points2D)


@pytest.mark.parametrize('shape', [(1, 1), (1, 50), (3, 3), (9, 17), (37, 501)])
@pytest.mark.parametrize('value', [0, 128, 255])
def test_images_without_texture_have_no_features(shape, value):
    assert len(extract_features(np.full(shape, value, dtype=np.uint8), 100)) == 0


def test_odd_sizes():
    image = cv2.imread(str(IMAGE))[:333, :517]
    result = extract_features(image, 300)
    assert len(result) > 100
    assert (result.points2D >= 0).all()
    assert (result.points2D <= (517, 333)).all()
