# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways through made worlds: lines are straight, grids are what they are asked for."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.map.sources import read_source
from relloc_ros.synthetic.data_set import Recipe, write_data_set
from relloc_ros.synthetic.lighting import Light
from relloc_ros.synthetic.paths import along_facade, through_room
from relloc_ros.synthetic.sensor import Sensor
from relloc_ros.synthetic.surfaces import panel
from relloc_ros.synthetic.ways import WALK, read_way, stations_on
from relloc_ros.synthetic.worlds import (
    WORLDS,
    Kind,
    front_of_facade,
    front_of_room,
    make_world,
)

ROOM, HOUSE = np.array([5.0, 4.5, 2.5]), np.array([16.0, 10.0])
CAMERA = Camera('PINHOLE', 48, 36, (41.0, 41.0, 24.0, 18.0))


def grey(rng, width, height):
    return np.full((4, 4, 3), 128, np.uint8)


def one_wall(size):
    def make(rng, photos):
        y = size[1] / 2 if len(size) == 3 else 0.0
        return [panel(rng, grey, (-9, y, 9), (18, 0, 0), (0, 0, -9))], Light([], 1.0, 0.5), size

    return make


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    monkeypatch.setitem(WORLDS, 'bare room', Kind(one_wall(ROOM), through_room, front_of_room))
    street = Kind(one_wall(HOUSE), along_facade, front_of_facade)
    monkeypatch.setitem(WORLDS, 'bare street', street)


def poses_on(text, scene='bare street', seed=0, number=0, count=20):
    stations = stations_on(read_way(text), make_world(scene, seed), number, count)
    return [station.path.map_from_cam(station.time) for station in stations]


def centres_on(text, **options):
    return np.array([pose.translation for pose in poses_on(text, **options)])


@pytest.mark.parametrize('text', ['walk', 'line:10', 'line:8,10.5', 'grid:0.25,3'])
def test_ways_are_written_as_they_are_read(text):
    assert str(read_way(text)) == text


@pytest.mark.parametrize(
    'text',
    ['', 'walks', 'walk:1', 'walk:', 'line', 'line:', 'line:-1', 'line:0', 'line:inf', 'line:1:2',
     'grid', 'grid:1', 'grid:1,2,3', 'grid:nan,1', 'line:1,', 'Line:1'],
)  # fmt: skip
def test_what_is_no_way_is_refused(text):
    with pytest.raises(DataError, match='is no way: walk, line:DISTANCE'):
        read_way(text)


def test_a_line_is_straight_even_and_looks_at_the_front():
    centres = centres_on('line:9')
    assert np.abs(centres[:, 1] + 9.0).max() < 0.021
    assert np.abs(centres[:, 2] - 1.6).max() < 0.021
    np.testing.assert_allclose(centres[:, 0], np.linspace(-8.0, 8.0, 20), atol=1e-9)
    forward = np.array([pose.rotation[:, 2] for pose in poses_on('line:9')])
    assert (forward[:, 1] > np.cos(np.deg2rad(16))).all()
    assert np.ptp(forward[:, 0]) > 0.01
    room = centres_on('line:2', scene='bare room')
    assert np.abs(room[:, 1] - 0.25).max() < 0.021


def test_lines_share_the_images_and_go_to_and_fro():
    centres = centres_on('line:8,10,12', count=20)
    near = [np.flatnonzero(np.abs(centres[:, 1] + y) < 0.03) for y in (8, 10, 12)]
    assert [len(each) for each in near] == [7, 7, 6]
    assert np.concatenate(near).tolist() == list(range(20))
    steps = [np.linalg.norm(b - a) for a, b in pairwise(centres)]
    assert max(steps) < 16.0 / 5 + 0.1


def test_one_image_of_a_line_is_from_its_middle():
    assert centres_on('line:9', count=1)[0, 0] == pytest.approx(0.0)
    assert len(poses_on('line:8,9,10', count=2)) == 2


def test_numbers_and_seeds_change_the_hand():
    line = centres_on('line:9')
    assert not np.allclose(line, centres_on('line:9', number=1), atol=1e-4)
    assert not np.allclose(line, centres_on('line:9', seed=1), atol=1e-4)
    np.testing.assert_array_equal(line, centres_on('line:9'))


def test_lines_need_room():
    for text in ('line:3', 'line:8,16'):
        with pytest.raises(DataError, match=r'free part of it, from 4\.00 to 15\.00 m'):
            poses_on(text)
    with pytest.raises(DataError, match=r'from 1\.05 to 3\.45 m'):
        poses_on('line:4', scene='bare room')


@pytest.mark.parametrize(('scene', 'low', 'high'), [
    ('bare street', [-8.0, -15.0], [8.0, -4.0]),
    ('bare room', [-1.45, -1.2], [1.45, 1.2]),
])  # fmt: skip
def test_a_grid_is_all_that_is_near_the_walk(scene, low, high):
    walk = poses_on('walk', scene=scene)
    grid = poses_on('grid:0.5,1', scene=scene)[len(walk) :]
    centres = np.array([pose.translation for pose in walk])
    expected = {}
    for x in np.arange(-20, 21) * 0.5:
        for y in np.arange(-40, 41) * 0.5:
            distances = np.hypot(*(centres[:, :2] - [x, y]).T)
            inside = low[0] <= x <= high[0] and low[1] <= y <= high[1]
            if inside and distances.min() <= 1.0:
                expected[x, y] = walk[int(distances.argmin())]
    assert len(grid) == len(expected) > 5
    for pose in grid:
        x, y, z = pose.translation
        assert z == pytest.approx(centres[:, 2].mean())
        np.testing.assert_allclose(pose.rotation, expected[x, y].rotation, atol=1e-12)


def test_a_finer_grid_holds_the_coarser_one():
    coarse, fine = (
        {tuple(c) for c in centres_on(f'grid:{spacing},2')[20:]} for spacing in ('1', '0.5')
    )
    assert coarse < fine


def test_a_data_set_has_the_poses_of_its_ways(tmp_path):
    ways = read_way('grid:1,2'), read_way('line:6,7')
    recipe = Recipe('bare street', 0, CAMERA, (4, 3), Sensor(), ways)
    counts = write_data_set(recipe, tmp_path / 'set')
    true = [*poses_on('grid:1,2', count=4), *poses_on('line:6,7', number=1, count=3)]
    posed = read_source(tmp_path / 'set')
    assert counts == (len(true) - 3, 3)
    by_name = {image.name: image for image in posed}
    names = (tmp_path / 'set' / 'map.txt').read_text().split()
    names += (tmp_path / 'set' / 'query.txt').read_text().split()
    assert len(names) == len(set(names)) == len(true) == len(posed)
    assert [name.split('/')[0] for name in names[:5]] == ['map'] * 4 + ['map_grid']
    for name, pose in zip(names, true, strict=True):
        error = by_name[name].cam_from_map @ pose
        assert np.abs(error.matrix - np.eye(4)).max() < 1e-9
    text = (tmp_path / 'set' / 'README.md').read_text()
    assert '| way of the map | grid:1,2 |' in text
    assert '| way of the queries | line:6,7 |' in text


def test_a_grid_leaves_the_walk_as_it_is(tmp_path):
    files = []
    for name, way in (('walk', WALK), ('grid', read_way('grid:1,1'))):
        recipe = Recipe('bare room', 2, CAMERA, (3, 1), Sensor(exposure_s=0.02), (way, WALK))
        write_data_set(recipe, tmp_path / name)
        images = tmp_path / name / 'images'
        files.append(
            [p.read_bytes() for d in ('map', 'query') for p in sorted((images / d).iterdir())]
        )
    assert len(files[0]) == 4
    assert files[0] == files[1]
    assert len(list((tmp_path / 'grid' / 'images' / 'map_grid').iterdir())) > 2


def test_nothing_is_left_of_a_line_without_room(tmp_path):
    recipe = Recipe('bare room', 0, CAMERA, (3, 1), Sensor(), (read_way('line:9'), WALK))
    with pytest.raises(DataError, match='choose another distance'):
        write_data_set(recipe, tmp_path / 'set')
    assert list(tmp_path.iterdir()) == []
