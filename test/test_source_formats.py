# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The same posed images in every layout: cameras and poses come back as they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import json
from pathlib import Path
import shutil

from data_set_layouts import (
    copy_image,
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
from synthetic_maps import FISHEYE, make_posed
from typer.testing import CliRunner

from relloc_ros.camera import Camera
from relloc_ros.cli.main import make_app
from relloc_ros.cli.source_options import FORMATS
from relloc_ros.errors import DataError
from relloc_ros.geometry import pose_error
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import (
    SOURCES,
    PosedImage,
    SourceOptions,
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


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> list[PosedImage]:
    """Four small images named by no time, half of them of a fisheye camera."""
    root = tmp_path_factory.mktemp('small')
    pinhole, fisheye = make_posed(root / 'a', 4), make_posed(root / 'b', 4, FISHEYE)
    return [*pinhole[:2], *fisheye[2:]]


def assert_same(read: list[PosedImage], written: list[PosedImage]) -> None:
    assert len(read) == len(written)
    for image, expected in zip(read, written, strict=True):
        assert max(pose_error(image.cam_from_map, expected.cam_from_map)) < 1e-9
        np.testing.assert_array_equal(read_image(image), read_image(expected))


@pytest.mark.parametrize('name', ['colmap', 'kapture', 'transforms', 'csv'])
def test_several_cameras(name: str, small: list[PosedImage], tmp_path: Path) -> None:
    WRITERS[name](tmp_path, small)
    read = read_source(tmp_path)
    assert_same(read, small)
    points = np.array([[0.5, 0.5], [60.0, 45.0], [100.0, 30.0]])
    for image, expected in zip(read, small, strict=True):
        rays = image.camera.normalize(points), expected.camera.normalize(points)
        np.testing.assert_allclose(*rays, atol=1e-12)


def test_format_may_be_named(
    office: list[PosedImage], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_colmap(tmp_path, office)
    write_table(tmp_path, office[:2])
    assert len(read_source(tmp_path)) == 2
    assert 'is read as csv; the other choice is --format colmap' in caplog.text
    assert len(read_source(tmp_path, source_format='colmap')) == 5
    with pytest.raises(DataError, match=r'is not what format kitti expects: looked for calib\.t'):
        read_source(tmp_path, source_format='kitti')
    with pytest.raises(DataError, match="unknown format 'kity'; did you mean 'kitti'"):
        read_source(tmp_path, source_format='kity')
    with pytest.raises(DataError, match=r'--sensor is for kitti, euroc, kapture; .* read as colm'):
        read_source(tmp_path, source_format='colmap', options=SourceOptions(sensor='x'))
    with pytest.raises(DataError, match='--pose-topic is for rosbag'):
        read_source(tmp_path, options=SourceOptions(pose_topic='/x'))


def test_paths_that_are_no_source(tmp_path: Path) -> None:
    file = tmp_path / 'notes.txt'
    file.write_text('hello')
    with pytest.raises(DataError, match=r'notes\.txt holds no posed images; looked for'):
        read_source(file)
    with pytest.raises(DataError, match=r'cannot read .* too long'):
        read_source(tmp_path / ('x' * 1000))


def test_names_of_formats_and_options_in_the_help() -> None:
    assert set(FORMATS) == set(SOURCES)
    result = CliRunner().invoke(make_app(), ['map', 'build', '--help'], env={'COLUMNS': '300'})
    for known in SOURCES.values():
        for option in known.options:
            assert f'--{option.replace("_", "-")}' in result.output


def test_a_map_in_one_command(office: list[PosedImage], tmp_path: Path) -> None:
    write_tum(tmp_path / 'sequence', office)
    settings = ['--set', 'max_keypoints=100', '--set', 'vlad_clusters=2']
    command = ['map', 'build', str(tmp_path / 'sequence'), *settings]
    output = ['--output', str(tmp_path / 'map')]
    result = CliRunner().invoke(make_app(), [*command, *output])
    assert isinstance(result.exception, DataError)
    assert 'give one with --camera' in str(result.exception)
    camera = ['--camera', 'PINHOLE,640,480,535.4,539.2,320.6,248.1']
    result = CliRunner().invoke(make_app(), [*command, *output, *camera])
    assert result.exit_code == 0, result.output
    with ReferenceMap.open(tmp_path / 'map') as reference_map:
        assert reference_map.num_images == 5
        assert reference_map.the_camera() == office[0].camera


def tum_poses(folder: Path, lines: list[str]) -> None:
    (folder / 'groundtruth.txt').write_text('\n'.join(lines) + '\n')


def test_tum_interpolates_within_limits(
    office: list[PosedImage], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / 'freiburg3'
    write_tum(folder, office)
    begin = office[0].stamp_ns
    times = [(begin - 15_000_000) / 1e9, (office[1].stamp_ns + 30_000_000) / 1e9]
    tum_poses(folder, [f'{time:.6f} 1 2 3 0 0 0 1' for time in times])
    # The first has a pose 15 ms away, the second none within 20 ms.
    (image,) = read_source(folder)
    assert image.stamp_ns == begin
    assert 'left out 4 of 5 images' in caplog.text
    assert '1 where poses are further apart than --max-pose-gap (0.25 s)' in caplog.text
    assert len(read_source(folder, options=SourceOptions(max_pose_gap=1e4))) == 2
    moved = SourceOptions(time_offset=-86400.0)
    with pytest.raises(DataError, match='where their clocks differ, say by how much with --time'):
        read_source(folder, options=moved)
    tum_poses(folder, ['# none'])
    with pytest.raises(DataError, match='it has no poses'):
        read_source(folder)


@pytest.mark.parametrize(
    ('name', 'model', 'centre'),
    [
        ('rgbd_dataset_freiburg1_rpy', 'FULL_OPENCV', (319.14304, 255.813989)),
        ('rgbd_dataset_freiburg2_desk', 'FULL_OPENCV', (325.641442, 250.201764)),
        ('rgbd_dataset_freiburg3_desk', 'PINHOLE', (320.6, 248.1)),
    ],
)
def test_tum_cameras(
    name: str, model: str, centre: tuple[float, float], office: list[PosedImage], tmp_path: Path
) -> None:
    write_tum(tmp_path / name, office[:1])
    camera = read_source(tmp_path / name)[0].camera
    assert (camera.model, camera.params[2:4]) == (model, centre)


def test_kitti_cameras(
    office: list[PosedImage], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sequence = write_kitti(tmp_path, office)
    shutil.copytree(sequence / 'image_2', sequence / 'image_0')
    grey = read_source(sequence, options=SourceOptions(sensor='image_0'))
    colour = read_source(sequence)
    assert [image.name for image in colour][:2] == ['image_2/000000.jpg', 'image_2/000001.jpg']
    for left, right in zip(grey, colour, strict=True):
        cam2_from_cam0 = right.cam_from_map @ left.cam_from_map.inverse()
        np.testing.assert_allclose(cam2_from_cam0.translation, [0.06, -0.001, 0.002], atol=1e-9)
        assert left.stamp_ns == right.stamp_ns
    stamps = np.array([image.stamp_ns for image in colour])
    times = np.array([image.stamp_ns for image in office])
    np.testing.assert_allclose(stamps - stamps[0], times - times[0], atol=10)
    poses = tmp_path / 'poses' / '07.txt'
    poses.write_text(''.join(poses.read_text().splitlines(keepends=True)[:3]))
    assert len(read_source(sequence)) == 3
    assert 'left out 2 of 5 images, which have no line among 3 poses' in caplog.text


def test_euroc_fisheye_and_root(office: list[PosedImage], tmp_path: Path) -> None:
    small = make_posed(tmp_path / 'images', 3, FISHEYE)
    far_apart = [replace(image, stamp_ns=10**18 + i * 10**9) for i, image in enumerate(small)]
    write_euroc(tmp_path / 'room1', far_apart, 'equidistant')
    for source in ('room1', 'room1/mav0'):
        read = read_source(tmp_path / source)
        assert_same(read, small)
        assert read[0].camera == FISHEYE
    assert read[0].name == 'cam0/data/1000000000000000000.png'
    truth = tmp_path / 'room1' / 'mav0' / 'state_groundtruth_estimate0'
    truth.rename(truth.with_name('mocap0'))
    assert_same(read_source(tmp_path / 'room1'), small)


def test_nerf_scenes_have_splits(small: list[PosedImage], tmp_path: Path) -> None:
    write_transforms(tmp_path, small[:2])
    path = tmp_path / 'transforms.json'
    content = json.loads(path.read_text())
    angle = 2 * np.arctan(0.6)
    frames = [
        {**frame, 'file_path': frame['file_path'].removesuffix('.png')}
        for frame in content['frames']
    ]
    path.unlink()
    for split, frame in zip(('train', 'test', 'val'), [*frames, frames[0]], strict=True):
        scene = {'camera_angle_x': angle, 'frames': [frame]}
        (tmp_path / f'transforms_{split}.json').write_text(json.dumps(scene))
    assert_same(read_source(tmp_path), small[:2])
    (test,) = read_source(tmp_path, split='test')
    assert_same([test], small[1:2])
    assert test.camera.params == pytest.approx((100.0, 100.0, 60.0, 45.0))
    assert_same(read_source(tmp_path / 'transforms_val.json'), small[:1])
    with pytest.raises(DataError, match='has no train split'):
        read_source(tmp_path / 'transforms_val.json', split='train')


def test_radial_distortion_of_third_order(small: list[PosedImage], tmp_path: Path) -> None:
    write_transforms(tmp_path, small[:1])
    path = tmp_path / 'transforms.json'
    content = json.loads(path.read_text()) | {'k1': 0.1, 'k2': 0.2, 'p1': 0.3, 'k3': 0.4}
    path.write_text(json.dumps(content))
    camera = read_source(tmp_path)[0].camera
    assert camera.model == 'FULL_OPENCV'
    assert camera.params[4:] == (0.1, 0.2, 0.3, 0.0, 0.4, 0.0, 0.0, 0.0)
    path.write_text(json.dumps(content | {'is_fisheye': True}))
    assert read_source(tmp_path)[0].camera.params[4:] == (0.1, 0.2, 0.4, 0.0)


def test_kapture_parts_sensors_and_lost_images(
    small: list[PosedImage], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_kapture(tmp_path / 'mapping', small[:3])
    write_kapture(tmp_path / 'query', small[3:])
    everything = read_source(tmp_path)
    assert_same(everything, small)
    assert everything[3].name == 'query/sensors/records_data/cam 1/image 3.png'
    assert_same(read_source(tmp_path, split='train'), small[:3])
    assert_same(read_source(tmp_path, split='test'), small[3:])
    mapping = tmp_path / 'mapping'
    assert_same(read_source(mapping, options=SourceOptions(sensor='cam2')), small[2:3])
    with pytest.raises(DataError, match="no camera 'x': choose --sensor cam1 or cam2"):
        read_source(mapping, options=SourceOptions(sensor='x'))
    rigs = mapping / 'sensors' / 'rigs.txt'
    rigs.write_text('rig_cam1, cam1, , , , , , ,\n')
    assert_same(read_source(mapping), [small[0], small[2]])
    assert 'left out 1 images without a pose, first cam 1/image 1.png' in caplog.text
    rigs.write_text('cam1, cam1, 1, 0, 0, 0, 0, 0, 0\n')
    assert_same(read_source(mapping), [small[0], small[2]])


def test_table_beside_its_images(small: list[PosedImage], tmp_path: Path) -> None:
    write_table(tmp_path, small)
    table = (tmp_path / 'poses.csv').rename(tmp_path / 'images' / 'mine.csv')
    assert_same(read_source(table), small)
    lines = [line.partition(', "PINHOLE')[0] for line in table.read_text().splitlines()[:3]]
    lines[1] = lines[1].removesuffix(', camera, note')
    table.write_text('\n'.join(lines))
    with pytest.raises(DataError, match='line 3: no camera: add a column camera'):
        read_source(table)
    (image,) = read_source(table, options=SourceOptions(camera=small[0].camera))
    assert_same([image], small[:1])


def test_nvm_alone(small: list[PosedImage], tmp_path: Path) -> None:
    scene = tmp_path / 'scene'
    write_cambridge(scene, small[:1], small[1:2])
    for split in ('train', 'test'):
        (scene / f'dataset_{split}.txt').unlink()
    for source in (scene, scene / 'reconstruction.nvm'):
        read = read_source(source)
        assert [image.name for image in read] == ['seq1/frame00001.png', 'seq2/frame00001.png']
        for image, expected in zip(read, small, strict=False):
            assert max(pose_error(image.cam_from_map, expected.cam_from_map)) < 1e-6
    with pytest.raises(DataError, match=r'has no dataset_train\.txt: name images with --list'):
        read_source(scene, split='train')
    (scene / 'seq2' / 'frame00001.png').unlink()
    with pytest.raises(DataError, match=r'seq2/frame00001\.jpg is missing: .*--images'):
        read_source(scene)


def test_the_page_about_sources(small: list[PosedImage], tmp_path: Path) -> None:
    page = (OFFICE.parents[1] / 'docs' / 'data_sets.md').read_text()
    for name in SOURCES:
        assert f'\n| `{name}` |' in page
    example = page.partition('```csv\n')[2].partition('```')[0]
    (tmp_path / 'poses.csv').write_text(example)
    copy_image(small[0], tmp_path / 'hall' / '0001.jpg')
    (image,) = read_source(tmp_path)
    assert image.camera == Camera('PINHOLE', 640, 480, (525.0, 525.0, 320.0, 240.0))
    assert image.stamp_ns == 1_718_200_000_125_000_000
    ahead = image.cam_from_map.inverse().rotation[:, 2]
    np.testing.assert_allclose(ahead, [1.0, 0.0, 0.0], atol=1e-12)
