# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same posed images in every layout: cameras and poses come back as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from data_set_layouts import (
    write_cambridge,
    write_colmap,
    write_euroc,
    write_kapture,
    write_kitti,
    write_seven_scenes,
    write_table,
    write_transforms,
    write_tum,
)
import numpy as np
import pytest

from relloc_ros.geometry import pose_error
from relloc_ros.map.sources import (
    SOURCES,
    PosedImage,
    find_format,
    read_image,
    read_source,
)

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
WRITERS: dict[str, Callable[[Path, list[PosedImage]], object]] = {
    'colmap': write_colmap,
    'tum': lambda folder, posed: write_tum(folder / 'freiburg3', posed),
    'kitti': write_kitti,
    'euroc': write_euroc,
    'kapture': write_kapture,
    'transforms': write_transforms,
    'csv': write_table,
    '7scenes': lambda folder, posed: write_seven_scenes(folder, posed[:3], posed[3:]),
    'cambridge': lambda folder, posed: write_cambridge(folder, posed[:3], posed[3:]),
}
PATHS = {'tum': 'freiburg3', 'kitti': 'sequences/07'}
POSE_TOLERANCE = {'7scenes': 1e-6, 'cambridge': 1e-6}
OWN_CAMERAS = ('7scenes', 'cambridge')
HAS_STAMPS = ('colmap', 'tum', 'euroc', 'csv', 'transforms')


@pytest.fixture(scope='module')
def office() -> list[PosedImage]:
    """Five images of the example."""
    return read_source(OFFICE, list_file=OFFICE / 'query.txt')


@pytest.mark.parametrize('name', WRITERS)
def test_round_trip(name: str, office: list[PosedImage], tmp_path: Path) -> None:
    WRITERS[name](tmp_path / 'set', office)
    source = tmp_path / 'set' / PATHS.get(name, '')
    assert find_format(source)[0] == name
    assert [*read_source(source, source_format=name)]
    read = read_source(source)
    assert len(read) == len(office)
    for image, expected in zip(read, office, strict=True):
        error = max(pose_error(image.cam_from_map, expected.cam_from_map))
        assert error < POSE_TOLERANCE.get(name, 1e-9)
        if name not in OWN_CAMERAS:
            points = np.array([[0.5, 0.5], [320.0, 240.0], [600.0, 30.0]])
            rays = image.camera.normalize(points), expected.camera.normalize(points)
            np.testing.assert_allclose(*rays, atol=1e-12)
        if name in HAS_STAMPS:
            assert image.stamp_ns == expected.stamp_ns
        np.testing.assert_array_equal(read_image(image), read_image(expected))


def test_every_format_is_tested() -> None:
    assert set(SOURCES) == {*WRITERS, 'rosbag'}
