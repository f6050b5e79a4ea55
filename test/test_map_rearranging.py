# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps are merged, split, pruned and exported with all that is known of their images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import shutil

import cv2
import numpy as np
import pycolmap
import pytest
from rendered_room import look, query_at, write_views
from synthetic_maps import FISHEYE, make_posed

from relloc_ros.config import LocalizationConfig, MapConfig
from relloc_ros.errors import DataError, MapError
from relloc_ros.geometry import pose_error
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.export import export_map
from relloc_ros.map.merging import merge_maps
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.selection import names_in_box, prune_map, split_map
from relloc_ros.map.sources import read_source
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.pipeline import Relocalizer

CONFIG = MapConfig(max_keypoints=50, vlad_clusters=4)


@pytest.fixture(scope='module')
def posed(tmp_path_factory):
    return make_posed(tmp_path_factory.mktemp('images'), 6)


@pytest.fixture(scope='module')
def built(posed, tmp_path_factory):
    """Build a map, not to be changed."""
    return build_map(posed, tmp_path_factory.mktemp('built') / 'map', CONFIG, source='all')


@pytest.fixture(scope='module')
def room_map(tmp_path_factory):
    folder = tmp_path_factory.mktemp('room')
    arc = np.linspace(-1.5, 1.5, 8)
    poses = [look((1.2 * np.sin(a), 0.3 * np.cos(3 * a), -1.0), 10 - 8 * np.sin(a)) for a in arc]
    path = build_map(write_views(folder, poses), folder / 'map')
    triangulate_map(path)
    return path


def map_id(path):
    assert check_map(path) == []
    return map_info(path)['map_id']


def names(posed):
    return [image.name for image in posed]


def images_of(posed):
    """Give the folder that the names are relative to."""
    return posed[0].path.parents[1]


class TestSplitAndMerge:
    def test_the_parts_make_the_whole(self, built, posed, tmp_path):
        before = map_id(built)
        assert split_map(built, names(posed[:3]), tmp_path / 'a') == 3
        assert split_map(built, names(posed[3:]), tmp_path / 'b') == 3
        assert map_id(built) == before != map_id(tmp_path / 'a')
        merged = merge_maps(tmp_path / 'a', tmp_path / 'b', tmp_path / 'whole')
        assert (merged.num_images, merged.same_pixels, merged.partly_points) == (6, (), False)
        # Numbers given up by the first part are given again.
        assert map_id(tmp_path / 'whole') == before

    def test_points_go_with_their_images(self, room_map, tmp_path):
        split_map(room_map, [f'{i:02}.png' for i in range(4)], tmp_path / 'a')
        split_map(room_map, [f'{i:02}.png' for i in range(4, 8)], tmp_path / 'b')
        merge_maps(tmp_path / 'b', tmp_path / 'a', tmp_path / 'whole')
        counts = {}
        for name in ('a', 'b', 'whole'):
            assert check_map(tmp_path / name) == []
            counts[name] = map_info(tmp_path / name)['points']
        assert 100 < counts['whole'] == counts['a'] + counts['b']
        truth = look((0.1, 0.1, -0.9), 12)
        with ReferenceMap.open(tmp_path / 'whole') as reference_map:
            config = LocalizationConfig(localizer='structure')
            found = Relocalizer(reference_map, config).process(query_at(truth))
        assert pose_error(found.camera_pose.map_from_body, truth)[0] < 0.02

    def test_names_must_not_clash(self, built, posed, tmp_path):
        split_map(built, names(posed[:3]), tmp_path / 'a')
        split_map(built, names(posed[2:]), tmp_path / 'b')
        with pytest.raises(DataError, match=r"1 images of .*'left cam/image 2.png'.*--prefix"):
            merge_maps(tmp_path / 'a', tmp_path / 'b', tmp_path / 'whole')
        merged = merge_maps(tmp_path / 'a', tmp_path / 'b', tmp_path / 'whole', prefix='b/')
        assert merged.num_images == 7
        assert merged.same_pixels == (('b/left cam/image 2.png', 'left cam/image 2.png'),)
        with ReferenceMap.open(tmp_path / 'whole') as reference_map:
            assert reference_map.image_names[3] == 'b/left cam/image 2.png'
        assert check_map(tmp_path / 'whole') == []

    def test_images_are_described_again_where_vocabularies_differ(self, posed, tmp_path):
        a = build_map(posed[:3], tmp_path / 'a', CONFIG)
        b = build_map(posed[3:], tmp_path / 'b', CONFIG)
        with pytest.raises(DataError, match=r'different vocabularies.*--images.*--vocabulary'):
            merge_maps(a, b, tmp_path / 'whole')
        merge_maps(a, b, tmp_path / 'whole', images=images_of(posed))
        vocabulary = a / 'current' / 'vocabulary.npz'
        anew = build_map(posed, tmp_path / 'anew', CONFIG, vocabulary=vocabulary)
        assert map_id(tmp_path / 'whole') == map_id(anew)

    def test_the_images_must_be_those_of_the_map(self, posed, tmp_path):
        a = build_map(posed[:3], tmp_path / 'a', CONFIG)
        b = build_map(posed[3:], tmp_path / 'b', CONFIG)
        folder = Path(shutil.copytree(images_of(posed), tmp_path / 'images'))
        cv2.imwrite(str(folder / posed[4].name), np.zeros((90, 120, 3), np.uint8))
        with pytest.raises(DataError, match=r'image 4\.png is not the image that'):
            merge_maps(a, b, tmp_path / 'whole', images=folder)
        assert not (tmp_path / 'whole').exists()

    def test_maps_that_do_not_fit(self, built, posed, tmp_path):
        yards = build_map(posed[:3], tmp_path / 'yards', CONFIG, units='yd')
        with pytest.raises(DataError, match="do not fit together: units 'm' and 'yd'"):
            merge_maps(built, yards, tmp_path / 'whole', prefix='b/')

    def test_cameras_are_shared(self, built, posed, tmp_path):
        fisheye = make_posed(tmp_path / 'other', 2, FISHEYE)
        further = [replace(image, name=f'fisheye {i}.png') for i, image in enumerate(fisheye)]
        vocabulary = built / 'current' / 'vocabulary.npz'
        other = build_map(
            [*further, replace(posed[0], name='x.png')],
            tmp_path / 'b',
            CONFIG,
            vocabulary=vocabulary,
        )
        merge_maps(built, other, tmp_path / 'whole')
        with ReferenceMap.open(tmp_path / 'whole') as reference_map:
            assert list(reference_map.cameras) == [1, 2]
            assert reference_map.camera(6) == reference_map.camera(7) == FISHEYE
            assert reference_map.camera(8) == reference_map.camera(0)

    def test_nothing_is_replaced_unasked(self, built, posed, tmp_path):
        split_map(built, names(posed[:3]), tmp_path / 'a')
        for overwritten in (built, tmp_path / 'a', images_of(posed)):
            with pytest.raises(MapError, match='exists: choose another output'):
                split_map(built, names(posed[:2]), overwritten)
        split_map(built, names(posed[:2]), tmp_path / 'a', overwrite=True)
        assert map_info(tmp_path / 'a')['images'] == 2

    def test_a_map_may_take_its_own_place(self, built, posed, tmp_path):
        copy = Path(shutil.copytree(built, tmp_path / 'map', symlinks=True))
        split_map(copy, names(posed[:2]), copy, overwrite=True)
        assert map_info(copy)['images'] == 2
        assert len(list((copy / 'generations').iterdir())) == 1

    def test_one_image_is_no_map(self, built, posed, tmp_path):
        with pytest.raises(DataError, match='1 images left, a map needs 2'):
            split_map(built, names(posed[:1]), tmp_path / 'a')


class TestBoxes:
    def test_cameras_inside(self, room_map):
        with ReferenceMap.open(room_map) as reference_map:
            centres, of_map = reference_map.centres, reference_map.image_names
        found = names_in_box(room_map, (-1.0, -5, 1.0, 5))
        assert found == [of_map[i] for i in np.flatnonzero(np.abs(centres[:, 0]) <= 1)]
        assert 0 < len(found) < len(of_map)
        assert names_in_box(room_map, (-9, -9, -1.5, 9, 9, -0.5)) == list(of_map)

    @pytest.mark.parametrize('box', [(0, 0, 1), (1, 0, 0, 1), (0, 0, float('nan'), 1), ()])
    def test_no_boxes(self, room_map, box):
        with pytest.raises(DataError, match='expected xmin,ymin,xmax,ymax'):
            names_in_box(room_map, box)

    def test_nothing_inside(self, room_map):
        with pytest.raises(DataError, match=r'no image of map .* they are at -1\.20'):
            names_in_box(room_map, (50, 50, 60, 60))


class TestPruning:
    @pytest.fixture
    def doubled(self, tmp_path):
        """Build a map of three places, with a blurred and a sharp image at each."""
        poses = [look((x + dx, 0, -1), 10 + 20 * dx) for x in (-1, 0, 1) for dx in (0.0, 0.05)]
        views = write_views(tmp_path, poses)
        for view in views[::2]:
            blurred = cv2.GaussianBlur(cv2.imread(str(view.path)), (0, 0), 4)
            cv2.imwrite(str(view.path), blurred)
        return build_map(views, tmp_path / 'map', MapConfig(vlad_clusters=4))

    def test_the_sharper_ones_stay(self, doubled):
        assert prune_map(doubled, 0.1, 5.0) == ['00.png', '02.png', '04.png']
        with ReferenceMap.open(doubled) as reference_map:
            assert reference_map.image_names == ('01.png', '03.png', '05.png')
        assert check_map(doubled) == []

    @pytest.mark.parametrize(('distance', 'angle'), [(0.01, 5.0), (0.1, 0.5)])
    def test_distance_and_angle_both_count(self, doubled, distance, angle):
        assert prune_map(doubled, distance, angle) == []
        assert map_info(doubled)['images'] == 6

    def test_some_images_stay(self, doubled):
        with pytest.raises(DataError, match='a map needs 2'):
            prune_map(doubled, 100.0, 180.0)


class TestExports:
    def test_a_table_can_be_built_from(self, built, posed, tmp_path):
        assert export_map(built, tmp_path / 'poses.csv', 'csv') == 6
        options = {'images_dir': images_of(posed)}
        again = read_source(tmp_path / 'poses.csv', **options)
        assert [(i.name, i.camera, i.stamp_ns) for i in again] == [
            (i.name, i.camera, i.stamp_ns) for i in posed
        ]
        for image, original in zip(again, posed, strict=True):
            assert max(pose_error(image.cam_from_map, original.cam_from_map)) < 1e-7

    def test_tum(self, built, posed, tmp_path):
        export_map(built, tmp_path / 'poses.tum', 'tum')
        rows = np.loadtxt(tmp_path / 'poses.tum')
        assert rows.shape == (6, 8)
        np.testing.assert_allclose(rows[2, 1:4], posed[2].cam_from_map.inverse().translation)
        assert '\n1.000000002 ' in (tmp_path / 'poses.tum').read_text()

    @pytest.mark.parametrize('kind', ['colmap', 'colmap-text'])
    def test_colmap_reads_models(self, room_map, tmp_path, kind):
        export_map(room_map, tmp_path / 'model', kind)
        model = pycolmap.Reconstruction(tmp_path / 'model')
        assert model.num_reg_images() == 8
        assert len(model.points3D) == map_info(room_map)['points']
        assert (tmp_path / 'model' / 'database.db').exists() == (kind == 'colmap')

    def test_names_with_spaces(self, built, tmp_path):
        with pytest.raises(DataError, match=r"cannot hold the name 'left cam/image 0\.png'"):
            export_map(built, tmp_path / 'model', 'colmap-text')
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize('kind', ['colmap', 'csv'])
    def test_nothing_else_is_replaced(self, built, tmp_path, kind):
        export_map(built, tmp_path / 'out', kind)
        with pytest.raises(DataError, match='exists: choose another output'):
            export_map(built, tmp_path / 'out', kind)
        export_map(built, tmp_path / 'out', kind, overwrite=True)
        precious = tmp_path / 'precious'
        precious.mkdir()
        (precious / 'thesis.tex').touch()
        with pytest.raises(DataError, match='with something else'):
            export_map(built, precious, kind, overwrite=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == ['out', 'precious']
