# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An image that is mirrored is told from one that is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage, Status
from relloc_ros.vision.features import extract_features, mirror_descriptors
from relloc_ros.vision.matching import match_mutual_ratio, unit_descriptors

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'


def example_queries():
    return [
        QueryImage(read_image(image), image.camera, image.stamp_ns, name=image.name)
        for image in read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')
    ]


def mirrored(query):
    return replace(query, image=np.ascontiguousarray(query.image[:, ::-1]))


def test_mirrored_descriptors_are_those_of_the_mirrored_image():
    query = example_queries()[0]
    found, other = (extract_features(image, 500) for image in (query.image, mirrored(query).image))
    descriptors = mirror_descriptors(unit_descriptors(found.descriptors))
    matches = match_mutual_ratio(descriptors, unit_descriptors(other.descriptors), 0.85)
    assert len(matches) > 400
    there = other.points2D[matches[:, 1]]
    back = np.column_stack([query.camera.width - there[:, 0], there[:, 1]])
    offsets = np.linalg.norm(found.points2D[matches[:, 0]] - back, axis=1)
    assert np.mean(offsets < 1.0) > 0.95


def test_mirroring_twice_changes_nothing():
    descriptors = np.random.default_rng(0).random((5, 128), dtype=np.float32)
    assert np.array_equal(mirror_descriptors(mirror_descriptors(descriptors)), descriptors)


@pytest.mark.parametrize(
    'settings',
    [
        {'localizer': 'essential'},
        {'localizer': 'structure'},
        {'localizer': 'structure', 'structure.matching': 'direct'},
    ],
)
def test_mirrored_images_are_refused_and_others_are_not(office_points_map, settings):
    config = make_config(LocalizationConfig, settings)
    with ReferenceMap.open(office_points_map) as reference_map:
        relocalizer = Relocalizer(reference_map, config)
        for query in example_queries():
            assert relocalizer.process(query).localized
            refused = relocalizer.process(mirrored(query))
            assert refused.status is Status.TOO_FEW_INLIERS
            assert 'mirrored' in refused.reason


def test_images_of_nothing_are_not_called_mirrored(office_points_map):
    query = example_queries()[0]
    noise = np.random.default_rng(1).integers(0, 255, query.image.shape, dtype=np.uint8)
    with ReferenceMap.open(office_points_map) as reference_map:
        found = Relocalizer(reference_map).process(replace(query, image=noise))
    assert not found.localized
    assert 'mirrored' not in found.reason
