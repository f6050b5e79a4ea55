# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adding and removing images gives the map that would have been built with the vocabulary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import shutil

import cv2
import numpy as np
import pycolmap
import pytest
from rendered_room import look, query_at, write_views
from synthetic_maps import FISHEYE, PINHOLE, make_posed

from relloc_ros.config import LocalizationConfig, MapConfig
from relloc_ros.errors import DataError, MapError
from relloc_ros.geometry import pose_error
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.editing import add_images, matching_names, remove_images
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.pipeline import Relocalizer

CONFIG = MapConfig(max_keypoints=50, vlad_clusters=4)


@pytest.fixture
def posed(tmp_path):
    return make_posed(tmp_path / 'images', 6)


@pytest.fixture
def path(tmp_path, posed):
    return build_map(posed[:4], tmp_path / 'map', CONFIG, source='first', units='yd')


def map_id(path):
    assert check_map(path) == []
    return map_info(path)['map_id']


def vocabulary_of(path):
    return path / 'current' / 'vocabulary.npz'


class TestAdding:
    def test_equals_a_build_with_the_vocabulary(self, path, posed, tmp_path):
        calls = []
        added = add_images(path, posed[4:], source='second', progress=lambda *c: calls.append(c))
        whole = build_map(posed, tmp_path / 'whole', CONFIG, vocabulary=vocabulary_of(path))
        assert map_id(path) == map_id(whole)
        assert (added.num_added, added.num_replaced, added.num_images) == (2, 0, 6)
        assert added.same_pixels == ()
        assert not added.without_points
        info = map_info(path)
        assert (info['images'], info['source'], info['units']) == (6, 'first; second', 'yd')
        assert calls == [
            *[(done, 4, 'taking over') for done in range(1, 5)],
            *[(done, 2, 'features') for done in range(1, 3)],
        ]
        with ReferenceMap.open(path) as reference_map:
            assert all(reference_map.thumbnail(index) is not None for index in range(6))

    def test_names_that_the_map_has_are_refused(self, path, posed):
        before = map_id(path)
        with pytest.raises(DataError, match=r'has 1 of the 3 images already.*image 3\.png'):
            add_images(path, posed[3:])
        assert map_id(path) == before

    def test_images_are_replaced_when_told(self, path, posed):
        moved = replace(posed[1], cam_from_map=posed[5].cam_from_map)
        added = add_images(path, [moved, posed[4]], replace_images=True)
        assert (added.num_added, added.num_replaced, added.num_images) == (2, 1, 5)
        with ReferenceMap.open(path) as reference_map:
            row = reference_map.image_names.index(moved.name)
            pose = reference_map.cam_from_map(row)
        assert max(pose_error(pose, moved.cam_from_map)) < 1e-9
        assert check_map(path) == []

    def test_the_same_pixels_under_another_name_are_reported(self, path, posed):
        shutil.copyfile(posed[2].path, posed[4].path)
        added = add_images(path, posed[4:])
        assert added.same_pixels == ((posed[4].name, posed[2].name),)

    def test_another_camera_gets_a_number(self, path, posed, tmp_path):
        (fisheye,) = make_posed(tmp_path / 'other', 1, FISHEYE)
        add_images(path, [replace(fisheye, name='fisheye.png'), posed[4]])
        with ReferenceMap.open(path) as reference_map:
            assert reference_map.cameras == {1: PINHOLE, 2: FISHEYE}
        remove_images(path, ['fisheye.png'])
        with ReferenceMap.open(path) as reference_map:
            assert reference_map.cameras == {1: PINHOLE}
        assert check_map(path) == []

    def test_other_units_are_refused(self, path, posed):
        with pytest.raises(DataError, match="is in 'yd', the images are posed in 'm'"):
            add_images(path, posed[4:], units='m')
        assert add_images(path, posed[4:], units='yd').num_images == 6

    @pytest.mark.parametrize('damage', ['missing', 'size', 'twice', 'none'])
    def test_unusable_images_leave_the_map(self, path, posed, damage):
        before, further = map_id(path), posed[4:]
        if damage == 'missing':
            further[1].path.unlink()
        elif damage == 'size':
            cv2.imwrite(str(further[1].path), np.zeros((45, 60, 3), np.uint8))
        else:
            further = [further[0]] * 2 if damage == 'twice' else []
        with pytest.raises(DataError):
            add_images(path, further)
        assert map_id(path) == before
        assert len(list((path / 'generations').iterdir())) == 1

    def test_only_maps(self, tmp_path, posed):
        with pytest.raises(MapError, match='does not exist'):
            add_images(tmp_path / 'nowhere', posed)
        with pytest.raises(MapError, match='is not a map'):
            add_images(tmp_path / 'images', posed)


class TestRemoving:
    def test_undoes_adding(self, path, posed):
        before = map_id(path)
        add_images(path, posed[4:])
        assert remove_images(path, [image.name for image in posed[4:]]) == 4
        assert map_id(path) == before

    def test_the_others_stay(self, path, posed):
        with ReferenceMap.open(path) as old:
            remove_images(path, [posed[1].name])
            with ReferenceMap.open(path) as new:
                assert new.image_names == tuple(posed[i].name for i in (0, 2, 3))
                for after, before in enumerate((0, 2, 3)):
                    np.testing.assert_array_equal(
                        new.features(after).descriptors, old.features(before).descriptors
                    )
                    np.testing.assert_array_equal(
                        new.global_descriptors(np.array([after])),
                        old.global_descriptors(np.array([before])),
                    )
                    np.testing.assert_array_equal(new.thumbnail(after), old.thumbnail(before))
        with pycolmap.Database.open(path / 'database.db') as database:
            assert [image.image_id for image in database.read_all_images()] == [1, 3, 4]

    def test_names_that_the_map_lacks(self, path):
        before = map_id(path)
        with pytest.raises(DataError, match=r"no image 'left cam/imge 1\.png'; did you mean"):
            remove_images(path, ['left cam/imge 1.png'])
        with pytest.raises(DataError, match='2 of the names'):
            remove_images(path, ['x', 'y'])
        assert map_id(path) == before

    def test_too_few_are_refused(self, path, posed):
        with pytest.raises(DataError, match='would have 1 images left, a map needs 2'):
            remove_images(path, [image.name for image in posed[:3]])

    def test_patterns(self, path):
        assert matching_names(path, '*[13].png') == [
            'left cam/image 1.png',
            'left cam/image 3.png',
        ]
        with pytest.raises(DataError, match=r'no image of map .* matches'):
            matching_names(path, '*.jpg')


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    """Pose seven views of one wall, and seven of the one behind."""
    folder = tmp_path_factory.mktemp('room')
    arc = np.linspace(-1.5, 1.5, 7)
    front = [look((1.2 * np.sin(a), 0.3 * np.cos(3 * a), -1.0), 10 - 8 * np.sin(a)) for a in arc]
    back = [look((1.2 * np.sin(a), 0.3 * np.cos(3 * a), 1.0), 190 + 8 * np.sin(a)) for a in arc]
    return write_views(folder, [*front, *back])


@pytest.fixture(scope='module')
def front_map(room, tmp_path_factory):
    path = build_map(room[:7], tmp_path_factory.mktemp('front') / 'map')
    triangulate_map(path)
    return path


def error_of(path, truth, **settings):
    """Metres from the truth; None if not localized."""
    with ReferenceMap.open(path) as reference_map:
        found = Relocalizer(reference_map, LocalizationConfig(**settings)).process(query_at(truth))
    if found.camera_pose is None:
        return None
    return pose_error(found.camera_pose.map_from_body, truth)[0]


class TestLocalization:
    @pytest.mark.parametrize('localizer', ['essential', 'structure'])
    def test_added_places_are_found_and_removed_ones_are_not(
        self, room, front_map, tmp_path, localizer
    ):
        path = Path(shutil.copytree(front_map, tmp_path / 'map', symlinks=True))
        ahead, behind = look((0.1, 0.1, -0.9), 12), look((0.1, 0.1, 0.9), 188)

        def errors():
            return [error_of(path, truth, localizer=localizer) for truth in (ahead, behind)]

        first, second = errors()
        assert first < 0.02
        assert second is None
        assert add_images(path, room[7:]).without_points
        if localizer == 'structure':
            triangulate_map(path)
        assert max(errors()) < 0.02
        remove_images(path, [image.name for image in room[:7]])
        first, second = errors()
        assert first is None
        assert second < 0.02
        assert check_map(path) == []


class TestPoints:
    def test_removing_keeps_points_that_two_images_show(self, front_map, tmp_path):
        path = Path(shutil.copytree(front_map, tmp_path / 'map', symlinks=True))
        remove_images(path, ['03.png'])
        assert check_map(path) == []
        with ReferenceMap.open(front_map) as old, ReferenceMap.open(path) as new:
            which, images, _ = old.points.observations_of(np.arange(len(old.points)))
            left = np.bincount(which[images != 3], minlength=len(old.points)) >= 2
            np.testing.assert_array_equal(new.points.positions, old.points.positions[left])
            which, images, rows = new.points.observations_of(np.arange(len(new.points)))
            assert np.bincount(which).min() >= 2
            pixels = [new.features(index).points2D for index in range(6)]
            model = pycolmap.Reconstruction(path / 'sparse')
            assert len(model.points3D) == len(new.points)
            for point, image, row in list(zip(which, images, rows, strict=True))[::37]:
                shown = model.images[new_id(image)].points2D[int(row)]
                np.testing.assert_allclose(shown.xy, pixels[image][row])
                np.testing.assert_allclose(
                    model.points3D[shown.point3D_id].xyz, new.points.positions[point]
                )
        assert model.compute_mean_reprojection_error() < 1.0

    def test_added_images_have_none(self, room, front_map, tmp_path):
        path = Path(shutil.copytree(front_map, tmp_path / 'map', symlinks=True))
        add_images(path, room[7:9])
        assert check_map(path) == []
        with ReferenceMap.open(front_map) as old, ReferenceMap.open(path) as new:
            np.testing.assert_array_equal(new.points.positions, old.points.positions)
            np.testing.assert_array_equal(new.points.of_image(2), old.points.of_image(2))
            assert (new.points.of_image(8) == -1).all()
            np.testing.assert_array_equal(new.points.words, old.points.words)

    def test_none_are_left(self, room, tmp_path):
        path = build_map([room[0], room[1], room[7], room[8]], tmp_path / 'map')
        triangulate_map(path)
        remove_images(path, [room[1].name, room[8].name])
        assert map_info(path)['points'] == 'none'
        assert check_map(path) == []


def new_id(index):
    """Image ID in a map of seven images without the fourth."""
    return [1, 2, 3, 5, 6, 7][index]


def test_images_need_not_be_files_of_one_folder(path, posed, tmp_path):
    elsewhere = tmp_path / 'elsewhere.png'
    shutil.copyfile(posed[4].path, elsewhere)
    image = PosedImage('night/1.png', elsewhere, PINHOLE, posed[4].cam_from_map, 5)
    assert add_images(path, [image]).num_images == 5
