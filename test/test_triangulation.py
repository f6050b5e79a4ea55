# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points are added to a map without touching the rest of it."""

from pathlib import Path
import shutil

import numpy as np
import pycolmap
import pytest
from rendered_room import look, write_views
from typer.testing import CliRunner

from relloc_ros.camera import Camera
from relloc_ros.cli.main import make_app
from relloc_ros.errors import MapError
from relloc_ros.map import triangulation
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.points import NO_POINT, MapPoints, flat_ranges
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.map.visual_words import learn_words, make_entries, nearest_words


@pytest.fixture(scope='module')
def room_map(tmp_path_factory):
    folder = tmp_path_factory.mktemp('room')
    poses = [
        look((1.2 * np.sin(a), 0.3 * np.cos(3 * a), 0.6 * np.cos(a) - 1.5), 25 - 12 * np.sin(a))
        for a in np.linspace(-1.5, 1.5, 7)
    ]
    return build_map(write_views(folder, poses), folder / 'map')


@pytest.fixture(scope='module')
def points_map(room_map, tmp_path_factory):
    return triangulated_copy(room_map, tmp_path_factory.mktemp('points') / 'map')


def copy_of(path, output):
    shutil.copytree(path, output, symlinks=True)
    return output


def triangulated_copy(path, output):
    triangulate_map(copy_of(path, output))
    return output


class TestTriangulation:
    def test_points_project_onto_the_keypoints_that_show_them(self, points_map):
        with ReferenceMap.open(points_map) as reference_map:
            points = reference_map.points
            assert len(points) > 100
            which, images, rows = points.observations_of(np.arange(len(points)))
            assert (np.bincount(which, minlength=len(points)) >= 2).all()
            errors = []
            for index in range(reference_map.num_images):
                features = reference_map.features(index)
                seen = images == index
                columns = np.searchsorted(features.rows, rows[seen])
                positions = points.positions[which[seen]]
                cam_from_map = reference_map.cam_from_map(index)
                local = positions @ cam_from_map.rotation.T + cam_from_map.translation
                assert (local[:, 2] > 0).all()
                offset = local[:, :2] / local[:, 2:] - features.normalized[columns]
                focal_length = reference_map.camera(index).mean_focal_length
                errors.extend(np.linalg.norm(offset, axis=1) * focal_length)
        assert np.median(errors) < 0.5
        assert max(errors) < 6.0

    def test_the_rest_of_the_map_stays(self, room_map, points_map):
        before, after = (map_info(path) for path in (room_map, points_map))
        assert before['points'] == 'none'
        assert after['points'] > 100
        assert before['map_id'] != after['map_id']
        assert check_map(points_map) == []
        with ReferenceMap.open(room_map) as old, ReferenceMap.open(points_map) as new:
            assert old.image_names == new.image_names
            for index in range(old.num_images):
                np.testing.assert_array_equal(
                    old.cam_from_map(index).matrix, new.cam_from_map(index).matrix
                )
                np.testing.assert_array_equal(
                    old.features(index).descriptors, new.features(index).descriptors
                )
                np.testing.assert_array_equal(old.thumbnail(index), new.thumbnail(index))

    def test_colmap_sees_the_same_points(self, points_map):
        model = pycolmap.Reconstruction(points_map / 'sparse')
        with ReferenceMap.open(points_map) as reference_map:
            points = reference_map.points
            assert len(model.points3D) == len(points)
            np.testing.assert_allclose(
                points.positions, [model.points3D[key].xyz for key in sorted(model.points3D)]
            )
            lengths = [model.points3D[key].track.length() for key in sorted(model.points3D)]
            np.testing.assert_array_equal(np.diff(points.observation_offsets), lengths)

    def test_again_replaces_the_points(self, points_map, tmp_path):
        again = copy_of(points_map, tmp_path / 'map')
        before = map_info(again)
        triangulate_map(again)
        after = map_info(again)
        assert after['points'] == before['points']
        assert len(list((again / 'generations').iterdir())) == 1
        assert check_map(again) == []

    def test_a_failure_leaves_the_old_map(self, room_map, tmp_path, monkeypatch):
        path = copy_of(room_map, tmp_path / 'map')

        def fail(*arguments, **options):
            raise KeyboardInterrupt

        monkeypatch.setattr(triangulation.pycolmap, 'triangulate_points', fail)
        with pytest.raises(KeyboardInterrupt):
            triangulate_map(path)
        assert check_map(path) == []
        assert map_info(path)['points'] == 'none'
        assert [item.name for item in tmp_path.iterdir()] == ['map']

    def test_views_from_one_place_have_no_points(self, tmp_path):
        poses = [look((0.2, 0.1, -1.5), yaw, 0) for yaw in (5, 15, 25)]
        path = build_map(write_views(tmp_path, poses), tmp_path / 'map')
        with pytest.raises(MapError, match='no point can be triangulated'):
            triangulate_map(path)
        assert check_map(path) == []

    def test_the_command(self, room_map, tmp_path):
        path = copy_of(room_map, tmp_path / 'map')
        result = CliRunner().invoke(make_app(), ['map', 'triangulate', str(path)])
        assert result.exit_code == 0, result.output
        assert '3D points' in result.output
        assert isinstance(map_info(path)['points'], int)


DAMAGES = {
    'positions': lambda a: a[:-1],
    'keypoint_offsets': lambda a: a[:-1],
    'keypoint_points': lambda a: np.where(a == 0, len(a), a).astype(a.dtype),
    'observations': lambda a: a - len(a) - 10**6,
    'observation_offsets': lambda a: a[::-1].copy(),
    'words': lambda a: a[:, :-1],
    'word_offsets': lambda a: a.astype(np.int32),
    'entry_points': lambda a: a[:-1],
    'entry_descriptors': lambda a: a[:-1],
}


@pytest.mark.parametrize('name', DAMAGES)
def test_damaged_points_are_no_points(points_map, tmp_path, name):
    path = copy_of(points_map, tmp_path / 'map')
    file = path / 'current' / 'points' / f'{name}.npy'
    np.save(file, DAMAGES[name](np.load(file)))
    with pytest.raises(MapError, match='triangulate the map again'):
        ReferenceMap.open(path)


@pytest.mark.parametrize('content', [b'', b'no array', None])
def test_files_that_are_no_arrays(points_map, tmp_path, content):
    path = copy_of(points_map, tmp_path / 'map')
    file = path / 'current' / 'points' / 'positions.npy'
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(MapError, match=r'positions\.npy is missing or damaged'):
        ReferenceMap.open(path)


def test_changed_points_are_found_by_check(points_map, tmp_path):
    path = copy_of(points_map, tmp_path / 'map')
    file = path / 'current' / 'points' / 'positions.npy'
    np.save(file, np.load(file) + 1e-3)
    assert any(problem.startswith('points') for problem in check_map(path))


def test_points_that_sparse_lacks_are_found_by_check(room_map, points_map, tmp_path):
    path = copy_of(points_map, tmp_path / 'map')
    shutil.rmtree(path / 'current' / 'sparse')
    shutil.copytree(room_map / 'sparse', path / 'current' / 'sparse')
    assert any('sparse has 0 points' in problem for problem in check_map(path))


def test_thumbnails_are_small_and_optional(room_map, tmp_path):
    path = copy_of(room_map, tmp_path / 'map')
    with ReferenceMap.open(path) as reference_map:
        image = reference_map.thumbnail(0)
        camera: Camera = reference_map.camera(0)
        assert max(image.shape) == 320
        assert image.shape[1] / image.shape[0] == pytest.approx(camera.width / camera.height, 0.01)
        shutil.rmtree(path / 'current' / 'thumbnails')
        assert reference_map.thumbnail(0) is None
    assert check_map(path) == []


class TestWords:
    def test_each_point_is_in_the_words_of_its_descriptors_once(self):
        rng = np.random.default_rng(3)
        descriptors = rng.normal(size=(600, 16)).astype(np.float32)
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
        points = rng.integers(0, 50, 600)
        words = learn_words(descriptors, 0)
        entries = make_entries(descriptors, points, words)
        assigned = nearest_words(descriptors, words)
        expected = {(int(w), int(p)) for w, p in zip(assigned, points, strict=True)}
        found = []
        for word in range(len(words)):
            rows = slice(entries.offsets[word], entries.offsets[word + 1])
            found += [(word, int(point)) for point in entries.points[rows]]
            assert (assigned[entries.rows[rows]] == word).all()
            assert (points[entries.rows[rows]] == entries.points[rows]).all()
        assert len(found) == len(expected)
        assert set(found) == expected

    def test_the_descriptor_nearest_to_the_mean_stands_for_all(self):
        angles = np.deg2rad([0.0, 8.0, 40.0])
        descriptors = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
        entries = make_entries(descriptors, np.zeros(3, int), descriptors[:1])
        assert entries.rows.tolist() == [1]

    def test_nearest_words(self):
        words = np.eye(4, dtype=np.float32)
        assert nearest_words(0.9 * words[[2, 0, 3]], words).tolist() == [2, 0, 3]

    def test_nothing_gives_no_entries(self):
        words = np.eye(4, dtype=np.float32)
        entries = make_entries(words[:0], np.empty(0, int), words)
        assert entries.offsets.tolist() == [0] * 5


def test_flat_ranges():
    starts, counts = np.array([5, 0, 7]), np.array([2, 0, 3])
    assert flat_ranges(starts, counts).tolist() == [5, 6, 7, 8, 9]


def test_points_come_back_as_written(points_map, tmp_path):
    with ReferenceMap.open(points_map) as reference_map:
        points = reference_map.points
        points.write(tmp_path / 'points')
        again = MapPoints.read(tmp_path / 'points', reference_map.num_images)
        for (name, array), (_, other) in zip(points.arrays(), again.arrays(), strict=True):
            np.testing.assert_array_equal(array, other, err_msg=name)
        shown = np.concatenate([points.of_image(i) for i in range(reference_map.num_images)])
        assert (shown >= NO_POINT).all()
        assert len(shown) == reference_map.num_keypoints()
    assert MapPoints.read(Path(tmp_path / 'elsewhere'), 7) is None
