# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes of 7-Scenes and Cambridge Landmarks in their original layouts."""

from __future__ import annotations

import logging
from pathlib import Path
import shutil

from data_set_layouts import write_cambridge, write_seven_scenes
import numpy as np
import pytest
from synthetic_maps import make_posed
from typer.testing import CliRunner

from relloc_ros.bags.reader import BagReader
from relloc_ros.camera import Camera
from relloc_ros.cli.main import make_app
from relloc_ros.errors import DataError
from relloc_ros.geometry import pose_error
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image, read_source

VGA = Camera('SIMPLE_PINHOLE', 640, 480, (525.0, 320.0, 240.0))
SMALL = Camera('SIMPLE_PINHOLE', 120, 90, (100.0, 60.0, 45.0))

POSE = 'seq-01/frame-000001.pose.txt'
IMAGE = 'seq1/frame00002.png'


@pytest.fixture(scope='module')
def posed(tmp_path_factory: pytest.TempPathFactory) -> list[PosedImage]:
    """Five images on a line, of the size 7-Scenes has."""
    return make_posed(tmp_path_factory.mktemp('images'), 5, VGA)


@pytest.fixture(scope='module')
def seven_scenes(posed: list[PosedImage], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three training and two test images."""
    scene = tmp_path_factory.mktemp('7scenes') / 'heads'
    write_seven_scenes(scene, posed[:3], posed[3:])
    return scene


@pytest.fixture(scope='module')
def cambridge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three training and two test images."""
    scene = tmp_path_factory.mktemp('cambridge') / 'ShopFacade'
    small = make_posed(tmp_path_factory.mktemp('small'), 5, SMALL)
    write_cambridge(scene, small[:3], small[3:])
    return scene


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one of the scenes, to be damaged."""
    return Path(shutil.copytree(request.getfixturevalue(request.param), tmp_path / 'scene'))


def assert_same(read: list[PosedImage], written: list[PosedImage]) -> None:
    assert len(read) == len(written)
    for image, expected in zip(read, written, strict=True):
        assert max(pose_error(image.cam_from_map, expected.cam_from_map)) < 1e-6
        np.testing.assert_array_equal(read_image(image), read_image(expected))


def test_seven_scenes(seven_scenes: Path, posed: list[PosedImage]) -> None:
    train = read_source(seven_scenes, split='train')
    assert_same(train, posed[:3])
    assert_same(read_source(seven_scenes, split='test'), posed[3:])
    assert_same(read_source(seven_scenes), posed)
    assert [image.name for image in train][1] == 'seq-01/frame-000001.color.png'
    assert train[0].camera == VGA
    rotation = train[2].cam_from_map.rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)


def test_cambridge(cambridge: Path, tmp_path: Path) -> None:
    written = make_posed(tmp_path, 5, SMALL)
    assert_same(read_source(cambridge, split='train'), written[:3])
    assert_same(read_source(cambridge, split='test'), written[3:])
    everything = read_source(cambridge)
    assert_same(everything, written)
    assert everything[4].name == 'seq2/frame00002.png'
    assert everything[0].camera == Camera('RADIAL', 120, 90, (100.0, 60.0, 45.0, 0.0, 0.0))


@pytest.mark.parametrize('source', ['seven_scenes', 'cambridge'])
def test_lists_and_folders_of_images_work_too(
    source: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    scene = request.getfixturevalue(source)
    last, first = read_source(scene)[-1], read_source(scene)[0]
    names = tmp_path / 'list.txt'
    names.write_text(f'{last.name}\n{first.name}\n')
    listed = read_source(scene, list_file=names)
    assert [image.name for image in listed] == [last.name, first.name]
    assert listed[0].stamp_ns == last.stamp_ns
    with pytest.raises(DataError, match=r'images without a pose in .*frame'):
        read_source(scene, list_file=names, split='test')
    moved = shutil.copytree(scene, tmp_path / 'moved')
    assert read_source(scene, images_dir=moved)[0].path.is_relative_to(moved)


def test_nvm_distortion_is_that_of_measured_points(cambridge: Path, tmp_path: Path) -> None:
    scene = shutil.copytree(cambridge, tmp_path / 'scene')
    model = scene / 'reconstruction.nvm'
    r = -0.06
    model.write_text(model.read_text().replace(' 0 0 \n', f' {r} 0 \n'))
    camera = read_source(scene)[0].camera
    pixels = np.array([[60.0, 45.0], [100.0, 45.0], [5.0, 5.0], [119.0, 89.0]])
    measured = (pixels - [60, 45]) / 100
    undistorted = measured * (1 + r * (measured**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(100 * camera.normalize(pixels), 100 * undistorted, atol=0.05)


def test_frames_that_lost_track_are_left_out(
    seven_scenes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scene = shutil.copytree(seven_scenes, tmp_path / 'scene')
    lost = ('-1.#IND ' * 16, 'nan ' * 16, '0 0 0 0\n' * 3 + '0 0 0 1', ('inf ' * 4 + '\n') * 4)
    for text in lost:
        (scene / POSE).write_text(text)
        with caplog.at_level(logging.WARNING):
            names = [image.name for image in read_source(scene, split='train')]
        assert names == ['seq-01/frame-000000.color.png', 'seq-01/frame-000002.color.png']
        assert '1 frames without a valid pose, first seq-01/frame-000001' in caplog.text
        caplog.clear()


@pytest.mark.parametrize('scene', ['seven_scenes'], indirect=True)
@pytest.mark.parametrize(
    ('file', 'content', 'message'),
    [
        ('TrainSplit.txt', 'seq-01\n', r'TrainSplit\.txt, line 1 is no sequence'),
        ('TrainSplit.txt', '\n', r'TrainSplit\.txt names no sequence'),
        ('TrainSplit.txt', 'sequence1\nsequence3\n', r'seq-03 is missing: unpack seq-03\.zip'),
        ('TestSplit.txt', None, r'cannot read .*TestSplit\.txt'),
        (POSE, None, r'cannot read .*000001\.pose\.txt'),
        (POSE, '1 0 0 0', r'holds 4 numbers, a 4x4 matrix has 16'),
        (POSE, '1 0 0 x ' * 4, r'000001\.pose\.txt is no matrix of numbers'),
        (POSE, '2 0 0 0  0 1 0 0  0 0 1 0  0 0 0 1', 'is no rigid transform'),
        (POSE, '-1 0 0 0  0 1 0 0  0 0 1 0  0 0 0 1', 'is no rigid transform'),
        (POSE, '1 0 0 0  0 1 0 0  0 0 1 0  1 2 3 1', 'is no rigid transform'),
        (POSE, '1 ' * 9000, 'too large'),
        ('seq-01', 'empty', 'has no images named like frame-000000.color.png'),
    ],
)
def test_damaged_seven_scenes(scene: Path, file: str, content: str | None, message: str) -> None:
    path = scene / file
    if path.is_dir():
        shutil.rmtree(path)
        path.mkdir()
    elif content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_source(scene)


def test_scene_without_any_pose(seven_scenes: Path, tmp_path: Path) -> None:
    scene = shutil.copytree(seven_scenes, tmp_path / 'scene')
    for path in scene.glob('seq-01/*.pose.txt'):
        path.write_text('nan ' * 16)
    with pytest.raises(DataError, match='no frame with a valid pose'):
        read_source(scene, split='train')


def set_line(path: Path, number: int, text: str) -> None:
    lines = path.read_text().split('\n')
    lines[number - 1] = text
    path.write_text('\n'.join(lines))


@pytest.mark.parametrize('scene', ['cambridge'], indirect=True)
@pytest.mark.parametrize(
    ('file', 'line', 'text', 'message'),
    [
        ('dataset_train.txt', 5, f'{IMAGE} 1 2 3 1 0 0', r'line 5: no name, position and quat'),
        ('dataset_train.txt', 5, f'{IMAGE} 1 2 3 1 0 0 0 0', r'no name, position and quat'),
        ('dataset_train.txt', 5, f'{IMAGE} 1 2 z 1 0 0 0', r'no name, position and quat'),
        ('dataset_train.txt', 5, f'{IMAGE} 1 2 3 1 1 0 0', r'line 5: quaternion .* length 1\.4'),
        ('dataset_train.txt', 5, f'{IMAGE} 1 nan 3 1 0 0 0', r'line 5: .*not finite'),
        ('dataset_train.txt', 5, '../a.png 1 2 3 1 0 0 0', r"'\.\./a\.png' does not stay inside"),
        ('dataset_train.txt', 6, f'{IMAGE} 9 2 3 1 0 0 0', 'listed before, with another pose'),
        ('reconstruction.nvm', 1, 'NVM_V3 FixedK 1 2 3 4', "does not begin with a line 'NVM_V3'"),
        ('reconstruction.nvm', 3, 'five', "expected the number of cameras, got 'five'"),
        ('reconstruction.nvm', 3, '500', r'camera 6 of 500: expected name, focal length'),
        ('reconstruction.nvm', 4, 'a.jpg 100 1 0 0 0 1 2 3 0', 'camera 1 of 5: expected name'),
        ('reconstruction.nvm', 4, 'seq1/frame00001.jpg 0 1 0 0 0 1 2 3 0 0', 'positive focal'),
        ('reconstruction.nvm', 4, 'seq1/frame00001.jpg 9 1 0 0 0 1 2 3 inf 0', 'not finite'),
        (IMAGE, 1, 'no image', r'seq1/frame00002\.png is no PNG'),
    ],
)
def test_damaged_cambridge(scene: Path, file: str, line: int, text: str, message: str) -> None:
    if file == IMAGE:
        (scene / file).write_text(text)
    else:
        set_line(scene / file, line, text)
    with pytest.raises(DataError, match=message):
        read_source(scene)


@pytest.mark.parametrize('scene', ['cambridge'], indirect=True)
@pytest.mark.parametrize('file', ['dataset_test.txt', 'reconstruction.nvm', IMAGE])
def test_missing_file_of_cambridge(scene: Path, file: str) -> None:
    (scene / file).unlink()
    with pytest.raises(DataError, match=f'cannot read .*{file}'):
        read_source(scene)


@pytest.mark.parametrize('scene', ['cambridge'], indirect=True)
def test_images_without_intrinsics_are_left_out(
    scene: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = scene / 'reconstruction.nvm'
    model.write_text(model.read_text().replace('seq1/frame00002.jpg', 'seq9/other.jpg'))
    with caplog.at_level(logging.WARNING):
        names = [image.name for image in read_source(scene, split='train')]
    assert names == ['seq1/frame00001.png', 'seq1/frame00003.png']
    assert 'first seq1/frame00002.png' in caplog.text
    model.write_text(model.read_text().replace('frame', 'image'))
    with pytest.raises(DataError, match='has none of the images'):
        read_source(scene)


@pytest.mark.parametrize('scene', ['cambridge'], indirect=True)
def test_empty_split_of_cambridge(scene: Path) -> None:
    (scene / 'dataset_test.txt').write_text('Visual Landmark Dataset V1\nImageFile\n\n')
    with pytest.raises(DataError, match=r'dataset_test\.txt lists no images'):
        read_source(scene, split='test')


def test_a_colmap_model_has_no_splits() -> None:
    office = Path(__file__).parents[1] / 'examples' / 'fr3_office'
    with pytest.raises(DataError, match='has no test split: name the images with --list'):
        read_source(office, split='test')


def test_commands_take_a_split(seven_scenes: Path, tmp_path: Path) -> None:
    runner, app = CliRunner(), make_app()
    small = ['--set', 'max_keypoints=100', '--set', 'vlad_clusters=2']
    built = ['map', 'build', str(seven_scenes), '--output', str(tmp_path / 'map'), *small]
    assert runner.invoke(app, [*built, '--split', 'train']).exit_code == 0
    with ReferenceMap.open(tmp_path / 'map') as reference_map:
        assert all(name.startswith('seq-01/') for name in reference_map.image_names)
        assert reference_map.num_images == 3
    written = ['bag', 'write', str(seven_scenes), '--output', str(tmp_path / 'bag')]
    assert runner.invoke(app, [*written, '--split', 'test']).exit_code == 0
    with BagReader(tmp_path / 'bag') as bag:
        assert len(bag) == 2
    evaluated = ['evaluate', str(tmp_path / 'bag'), '--map', str(tmp_path / 'map')]
    options = ['--output', str(tmp_path / 'results'), '--split', 'test']
    result = runner.invoke(app, [*evaluated, *options])
    assert result.exit_code == 2
