# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images without poses become a map; what cannot be registered is named."""

from pathlib import Path
import shutil

import cv2
import numpy as np
import pytest
from synthetic_maps import make_texture
from typer.testing import CliRunner

from relloc_ros.camera import Camera
from relloc_ros.cli.main import make_app
from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError, MissingDependencyError
from relloc_ros.map import structure_from_motion, unposed_matching
from relloc_ros.map.alignment import KnownDistance
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.image_pairs import all_pairs, choose_pairs
from relloc_ros.map.known_places import read_places
from relloc_ros.map.placement import align_posed
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_source
from relloc_ros.map.structure_from_motion import Mapper, reconstruct
from relloc_ros.map.unposed_images import find_images

EXAMPLE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
COUNT = 6
BLANK = 'zz blank.png'
CONFIG = MapConfig(max_keypoints=1500)
TRUE_FOCAL_LENGTH = 537.3


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Images of the example that follow each other, and one that shows nothing."""
    folder = tmp_path_factory.mktemp('images')
    for name in names():
        shutil.copy(EXAMPLE / 'images' / name, folder / name)
    cv2.imwrite(str(folder / BLANK), np.full((480, 640, 3), 128, np.uint8))
    return folder


def names():
    return sorted(path.name for path in (EXAMPLE / 'images').iterdir())[3 : 3 + COUNT]


@pytest.fixture(scope='module')
def found(folder):
    progress = []
    result = reconstruct(
        find_images(folder), CONFIG, progress=lambda done, total, stage: progress.append(stage)
    )
    assert list(dict.fromkeys(progress)) == ['features', 'matching', 'incremental mapping']
    return result


class TestReconstruction:
    def test_registers_what_overlaps_and_names_the_rest(self, found):
        assert [image.name for image in found.posed] == names()
        assert found.left_out == [BLANK]
        assert found.num_points > 200
        assert found.mean_error_px < 1.5

    def test_poses_are_the_true_ones_up_to_a_similarity(self, found):
        posed, alignment = align_posed(found.posed, read_places(EXAMPLE))
        truth = {image.name: image.cam_from_map for image in read_source(EXAMPLE)}
        errors = [
            np.linalg.norm(
                image.cam_from_map.inverse().translation - truth[image.name].inverse().translation
            )
            for image in posed
        ]
        assert max(errors) < 0.05
        assert alignment.num_known == COUNT

    def test_a_distance_gives_the_scale(self, found):
        truth = {image.name: image.cam_from_map.inverse() for image in read_source(EXAMPLE)}
        first, last = names()[0], names()[-1]
        metres = np.linalg.norm(truth[first].translation - truth[last].translation)
        scale = align_posed(found.posed, KnownDistance(first, last, metres))[1].similarity.scale
        right = align_posed(found.posed, read_places(EXAMPLE))[1].similarity.scale
        assert scale == pytest.approx(right, rel=0.03)

    def test_finds_the_focal_length(self, found):
        assert len({image.camera for image in found.posed}) == 1
        assert found.posed[0].camera.mean_focal_length == pytest.approx(
            TRUE_FOCAL_LENGTH, rel=0.05
        )

    @pytest.mark.parametrize('allowed', [0.03, 0.2])
    def test_takes_a_principal_point_only_near_the_middle(
        self, folder, found, monkeypatch, allowed
    ):
        assert found.posed[0].camera.params[1:3] == (320.0, 240.0)
        # So few images do not tell it.
        monkeypatch.setattr(structure_from_motion, 'MANY_IMAGES', COUNT)
        monkeypatch.setattr(structure_from_motion, 'MAX_OFFSET', allowed)
        again = reconstruct(find_images(folder), CONFIG)
        offset = np.linalg.norm(np.subtract(again.posed[0].camera.params[1:3], (320, 240)))
        assert offset == 0 if allowed == 0.03 else 0.03 * 640 < offset < 0.2 * 640

    def test_keeps_a_camera_that_is_given_and_is_the_same_each_time(self, folder):
        camera = Camera('PINHOLE', 640, 480, (535.4, 539.2, 320.6, 248.1))
        images = [image for image in find_images(folder, camera=camera) if image.name != BLANK]
        first, second = (reconstruct(images[:4], CONFIG, refine_cameras=False) for _ in range(2))
        assert {image.camera for image in first.posed} == {camera}
        for one, other in zip(first.posed, second.posed, strict=True):
            np.testing.assert_array_equal(one.cam_from_map.matrix, other.cam_from_map.matrix)

    def test_maps_globally_where_pycolmap_can(self, folder, found, monkeypatch):
        # By pairs of similar images, as with many.
        monkeypatch.setattr(unposed_matching, 'EXHAUSTIVE', 2)
        try:
            globally = reconstruct(find_images(folder), CONFIG, mapper=Mapper.GLOBAL)
        except MissingDependencyError:
            pytest.skip('an older pycolmap')
        assert len(globally.posed) == len(found.posed)

    def test_says_that_pycolmap_has_no_global_mapper(self, folder, monkeypatch):
        monkeypatch.delattr(structure_from_motion.pycolmap, 'global_mapping', raising=False)
        with pytest.raises(MissingDependencyError, match='pip install -U pycolmap'):
            reconstruct(find_images(folder), CONFIG, mapper=Mapper.GLOBAL)


class TestWhatCannotBeMapped:
    def test_images_of_different_places(self, tmp_path):
        for i in range(4):
            cv2.imwrite(str(tmp_path / f'{i}.png'), make_texture(i, 320, 240))
        with pytest.raises(DataError, match=r'only 0 pairs of the 4 images .* overlap'):
            reconstruct(find_images(tmp_path), CONFIG)

    def test_two_images(self, folder):
        with pytest.raises(DataError, match='needs 3 images'):
            reconstruct(find_images(folder)[:2], CONFIG)

    def test_one_image_again_and_again(self, folder, tmp_path):
        for i in range(3):
            shutil.copy(folder / names()[0], tmp_path / f'{i}.jpg')
        with pytest.raises(DataError, match=r'no model .* further apart'):
            reconstruct(find_images(tmp_path), CONFIG)


class TestFindingImages:
    def test_goes_through_folders_in_order_of_name(self, tmp_path):
        (tmp_path / 'b').mkdir()
        (tmp_path / '.cache').mkdir()
        for name in ('c.png', 'b/a.PNG', '.hidden.png', '.cache/x.png'):
            cv2.imwrite(str(tmp_path / 'x.png'), make_texture(0))
            (tmp_path / 'x.png').rename(tmp_path / name)
        (tmp_path / 'notes.txt').write_text('no image')
        images = find_images(tmp_path)
        assert [image.name for image in images] == ['b/a.PNG', 'c.png']
        assert images[0].camera == Camera('SIMPLE_RADIAL', 120, 90, (144.0, 60.0, 45.0, 0.0))
        assert not images[0].focal_known

    def test_takes_times_from_names(self, folder):
        assert (
            find_images(folder, _write_list(folder.parent, names()[:1]))[0].stamp_ns
            == round(float(names()[0][:-4]) * 1_000_000) * 1000
        )

    def test_says_what_is_wrong(self, tmp_path):
        with pytest.raises(DataError, match='is no folder'):
            find_images(tmp_path / 'missing')
        with pytest.raises(DataError, match='holds no images'):
            find_images(tmp_path)
        with pytest.raises(DataError, match=r'gone\.png is missing'):
            find_images(tmp_path, _write_list(tmp_path, ['gone.png']))
        with pytest.raises(DataError, match='does not stay inside'):
            find_images(tmp_path, _write_list(tmp_path, ['../a.png']))
        (tmp_path / 'bad.png').write_bytes(b'no image')
        with pytest.raises(DataError, match=r'bad\.png .* name the others with --list'):
            find_images(tmp_path)


def _write_list(folder, lines):
    (folder / 'list.txt').write_text('\n'.join(lines))
    return folder / 'list.txt'


class TestPairs:
    def test_of_few_images_are_all(self):
        assert all_pairs(3) == [(0, 1), (0, 2), (1, 2)]

    def test_of_many_are_the_similar_and_the_following_ones(self):
        angles = np.linspace(0, np.pi, 200)
        descriptors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        # The last image shows the first place again.
        descriptors[-1] = descriptors[0]
        pairs = choose_pairs(descriptors)
        assert pairs == sorted(set(pairs))
        assert all(first < second for first, second in pairs)
        assert (0, 199) in pairs
        assert all((i, i + 1) in pairs for i in range(199))
        assert len(pairs) < 200 * 40


class TestCommand:
    def run(self, *arguments):
        return CliRunner().invoke(make_app(), ['map', *map(str, arguments)])

    def test_builds_a_metric_map_and_says_what_is_left_out(self, folder, tmp_path, caplog):
        folder = shutil.copytree(folder, tmp_path / 'images')
        whole = (folder / names()[0]).read_bytes()
        (folder / 'torn.jpg').write_bytes(whole[: len(whole) // 3])
        result = self.run(
            'build', folder, '--sfm', '--align-to', EXAMPLE, '--output', tmp_path / 'map',
            '--set', 'max_keypoints=1500',
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        assert f'{COUNT} of {COUNT + 1} images registered' in result.output
        assert f'left out: {BLANK}' in result.output
        assert 'torn.jpg' in caplog.text
        assert f'{COUNT} of the {COUNT} known places agree' in result.output
        assert 'unknown' not in result.output
        assert map_info(tmp_path / 'map')['units'] == 'm'
        assert check_map(tmp_path / 'map') == []
        truth = {image.name: image.cam_from_map for image in read_source(EXAMPLE)}
        with ReferenceMap.open(tmp_path / 'map') as reference_map:
            for row, name in enumerate(reference_map.image_names):
                distance = reference_map.centres[row] - truth[name].inverse().translation
                assert np.linalg.norm(distance) < 0.05

    def test_keeps_the_poses_when_the_frame_cannot_be_fixed(self, folder, tmp_path):
        (tmp_path / 'places.csv').write_text('image,x,y,z\nother.png,1,2,3\n')
        few = _write_list(tmp_path, names()[:4])
        result = self.run(
            'build', folder, '--sfm', '--list', few, '--align-to', tmp_path / 'places.csv',
            '--output', tmp_path / 'map', '--set', 'max_keypoints=1500',
        )  # fmt: skip
        assert result.exit_code == 1
        assert isinstance(result.exception, DataError)
        assert 'knows 0 of the' in str(result.exception)
        assert 'images alone tell no scale' in result.output
        assert f'relloc map align {tmp_path / "map"}' in result.output.replace('\n', ' ')
        assert map_info(tmp_path / 'map')['units'] == 'unknown'

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (('--sfm', '--units', 'cm'), '--units is for posed images'),
            (('--sfm', '--pose-topic', '/odom'), '--pose-topic is for posed images'),
            (('--mapper', 'global'), '--mapper is for images without poses'),
            (('--distance', 'a', 'b', '1'), '--distance is for images without poses'),
            (('--sfm', '--align-to', EXAMPLE, '--distance', 'a', 'b', '1'), 'give one of them'),
        ],
    )
    def test_refuses_options_that_do_not_belong_together(
        self, folder, tmp_path, arguments, message
    ):
        result = self.run('build', folder, '--output', tmp_path / 'map', *arguments)
        assert result.exit_code == 2
        assert message in ' '.join(result.output.replace('│', ' ').split())
        assert not (tmp_path / 'map').exists()
