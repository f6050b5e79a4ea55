# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged data sets: an error that names file and line, whatever the format."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path
import re
import shutil

from data_set_layouts import (
    write_euroc,
    write_kapture,
    write_kitti,
    write_table,
    write_transforms,
    write_tum,
)
import pytest
from synthetic_maps import make_posed

from relloc_ros.errors import DataError
from relloc_ros.map.sources import PosedImage, SourceOptions, read_source

TUM_POSES = 'groundtruth.txt'
KITTI_POSES = 'poses/07.txt'
KITTI_CALIBRATION = 'sequences/07/calib.txt'
KITTI_TIMES = 'sequences/07/times.txt'
EUROC_POSES = 'mav0/state_groundtruth_estimate0/data.csv'
EUROC_CAMERA = 'mav0/cam0/sensor.yaml'
EUROC_IMAGES = 'mav0/cam0/data.csv'
KAPTURE = 'sensors/{}.txt'
NERF = 'transforms.json'

WRITERS: dict[str, Callable[[Path, list[PosedImage]], object]] = {
    'tum': write_tum,
    'kitti': write_kitti,
    'euroc': write_euroc,
    'kapture': write_kapture,
    'csv': write_table,
    'transforms': write_transforms,
}


@pytest.fixture(scope='module')
def data_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small images in every format."""
    root = tmp_path_factory.mktemp('freiburg2')
    posed = make_posed(root / 'images', 3)
    for name, writer in WRITERS.items():
        (root / name).mkdir()
        writer(root / name, posed)
    return root


def source_of(folder: Path, name: str) -> Path:
    return folder / 'sequences' / '07' if name == 'kitti' else folder


def set_fields(line: str, separator: str, values: dict[int, str]) -> str:
    fields = line.split(separator)
    for index, value in values.items():
        fields[index] = value
    return separator.join(fields)


@pytest.mark.parametrize(
    ('name', 'file', 'line', 'separator', 'values', 'message'),
    [
        ('tum', TUM_POSES, 3, ' ', {1: 'nan'}, 'not finite'),
        ('tum', TUM_POSES, 3, ' ', {4: '3'}, r'length \S+ instead of 1'),
        ('tum', TUM_POSES, 3, ' ', {7: ''}, 'expected time tx .* got 7 columns'),
        ('tum', TUM_POSES, 3, ' ', {2: 'x'}, "expected time tx .* got '.* x .*'"),
        ('tum', TUM_POSES, 3, ' ', {0: 'noon'}, "time 'noon' is no number of seconds"),
        ('tum', TUM_POSES, 3, ' ', {0: '1e99'}, "time '1e99' is not a number"),
        ('tum', 'rgb.txt', 3, ' ', {1: ''}, 'expected time and file'),
        ('tum', 'rgb.txt', 3, ' ', {0: 'nan'}, "time 'nan' is not a number of seconds"),
        ('kitti', KITTI_POSES, 2, ' ', {3: 'inf'}, 'not finite'),
        ('kitti', KITTI_POSES, 2, ' ', {0: '2.0'}, 'no rigid transform'),
        ('kitti', KITTI_POSES, 2, ' ', {11: ''}, '11 numbers instead of 12'),
        ('kitti', KITTI_POSES, 2, ' ', {5: '?'}, 'expected 12 numbers'),
        ('kitti', KITTI_CALIBRATION, 2, ' ', {4: ''}, 'P2 has 11 numbers instead of 12'),
        ('kitti', KITTI_CALIBRATION, 2, ' ', {4: 'a'}, 'expected P2 and 12 numbers'),
        ('kitti', KITTI_CALIBRATION, 2, ' ', {2: '7'}, 'no projection of a rectified camera'),
        ('kitti', KITTI_CALIBRATION, 2, ' ', {1: 'nan'}, 'no projection of a rectified camera'),
        ('kitti', KITTI_CALIBRATION, 2, ' ', {0: 'P7:'}, 'has no line P2'),
        ('kitti', KITTI_TIMES, 2, ' ', {0: 'a b'}, "time 'a b' is no number"),
        ('kitti', KITTI_TIMES, 2, ' ', {0: '0'}, 'times do not grow'),
        ('euroc', EUROC_POSES, 3, ',', {1: 'nan'}, 'not finite'),
        ('euroc', EUROC_POSES, 3, ',', {4: '7'}, r'length \S+ instead of 1'),
        ('euroc', EUROC_POSES, 3, ',', {0: '1.5'}, "'1.5' is no number of nanoseconds"),
        ('euroc', EUROC_POSES, 3, ',', {0: '9' * 19}, 'is no number of nanoseconds'),
        ('euroc', EUROC_POSES, 3, ',', {2: 'p'}, 'expected position and quaternion'),
        ('euroc', EUROC_IMAGES, 3, ',', {1: 'a,b'}, 'expected time,file'),
        ('kapture', KAPTURE.format('trajectories'), 3, ',', {3: 'nan'}, 'not finite'),
        ('kapture', KAPTURE.format('trajectories'), 3, ',', {3: '5'}, r'length \S+ instead of 1'),
        ('kapture', KAPTURE.format('trajectories'), 3, ',', {3: ''}, 'expected qw, qx'),
        ('kapture', KAPTURE.format('trajectories'), 3, ',', {3: '1,2'}, 'got 10'),
        ('kapture', KAPTURE.format('trajectories'), 3, ',', {0: 'x'}, "'x' is no whole number"),
        ('kapture', KAPTURE.format('rigs'), 2, ',', {2: '5'}, r'length \S+ instead of 1'),
        ('kapture', KAPTURE.format('records_camera'), 2, ',', {1: 'cam9'}, "'cam9' is not in"),
        ('kapture', KAPTURE.format('records_camera'), 2, ',', {1: 'a,b'}, 'got 4 columns'),
        ('kapture', KAPTURE.format('sensors'), 3, ',', {4: 'wide'}, 'expected size and param'),
        ('kapture', KAPTURE.format('sensors'), 3, ',', {4: 'nan'}, 'needs a model, width'),
        ('kapture', KAPTURE.format('sensors'), 3, ',', {3: 'EYE'}, "unknown camera model 'EYE'"),
        ('kapture', KAPTURE.format('sensors'), 3, ',', {3: 'UNKNOWN_CAMERA'}, 'not calibrated'),
        ('csv', 'poses.csv', 3, ', ', {2: 'nan'}, 'not finite'),
        ('csv', 'poses.csv', 3, ', ', {5: '7'}, r'length \S+ instead of 1'),
        ('csv', 'poses.csv', 3, ', ', {2: '1, 2'}, r'has 12 columns, the header 11'),
        ('csv', 'poses.csv', 3, ', ', {2: 'x'}, 'expected numbers for x,y,z'),
        ('csv', 'poses.csv', 3, ', ', {0: 'x'}, "time 'x' is no number"),
        ('csv', 'poses.csv', 3, ', ', {1: ''}, 'no image is named'),
        ('csv', 'poses.csv', 3, ', ', {9: ''}, 'no camera: add a column camera'),
        ('csv', 'poses.csv', 3, ', ', {9: '"PINHOLE,1,1"'}, 'PINHOLE takes 4 parameters'),
        ('csv', 'poses.csv', 3, ', ', {9: '"PIN'}, 'is not CSV'),
        ('csv', 'poses.csv', 2, ', ', {2: 'X'}, 'should name the columns .* x is missing'),
        ('csv', 'poses.csv', 2, ', ', {10: 'x'}, 'names the column x more than once'),
    ],
)
def test_damaged_line(
    data_sets: Path,
    tmp_path: Path,
    name: str,
    file: str,
    line: int,
    separator: str,
    values: dict[int, str],
    message: str,
) -> None:
    folder = shutil.copytree(data_sets / name, tmp_path / 'freiburg2')
    lines = (folder / file).read_text().splitlines()
    lines[line - 1] = set_fields(lines[line - 1], separator, values)
    (folder / file).write_text('\n'.join(lines) + '\n')
    with pytest.raises(DataError, match=message) as caught:
        read_source(source_of(folder, name))
    assert file.rpartition('/')[2] in str(caught.value)
    of_a_file = 'has no line|do not grow|rectified camera'
    if not re.search(of_a_file, str(caught.value)):
        assert f'{file.rpartition("/")[2]}, line {line}' in str(caught.value)


@pytest.mark.parametrize(
    ('name', 'file', 'message'),
    [
        ('tum', TUM_POSES, r'cannot read .*groundtruth\.txt'),
        ('kitti', KITTI_POSES, r'has no poses: looked for .*poses/07\.txt'),
        ('euroc', EUROC_POSES, r'has no poses: looked for data\.csv in state_groundtruth'),
        ('euroc', EUROC_IMAGES, r'cannot read .*cam0/data\.csv'),
        ('kapture', KAPTURE.format('trajectories'), r'cannot read .*trajectories\.txt'),
        ('kapture', KAPTURE.format('records_camera'), r'cannot read .*records_camera\.txt'),
    ],
)
def test_missing_file(data_sets: Path, tmp_path: Path, name: str, file: str, message: str) -> None:
    folder = shutil.copytree(data_sets / name, tmp_path / 'freiburg2')
    (folder / file).unlink()
    with pytest.raises(DataError, match=message):
        read_source(source_of(folder, name))


@pytest.mark.parametrize('name', WRITERS)
def test_missing_images(data_sets: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(data_sets / name, tmp_path / 'freiburg2')
    for image in folder.rglob('*.png'):
        image.unlink()
    with pytest.raises(DataError, match=r'images are missing|has no images|cannot read image'):
        read_source(source_of(folder, name))


@pytest.mark.parametrize(
    ('before', 'after', 'message'),
    [
        ('intrinsics', 'intrinsic', 'expected intrinsics'),
        (r'intrinsics: \[', 'intrinsics: [1, ', 'expected intrinsics'),
        ('resolution.*', 'resolution: wide', r'resolution \[width, height\]'),
        ('radial-tangential', 'fov', "distortion_model 'fov' is not supported"),
        ('pinhole', 'omni', "camera_model 'omni'"),
        ('T_BS', 'T_SB', 'expected T_BS with 16 numbers'),
        (r'data: \[', 'data: [2, ', 'T_BS: 17 numbers'),
        (r'data: \[\S+', 'data: [5,', 'T_BS: the matrix is no rigid transform'),
        (r'data: \[\S+', 'data: [.nan,', 'T_BS: the transform has a number that is not finite'),
        ('cols: 4', 'cols: [', 'is not YAML'),
    ],
)
def test_damaged_sensor_yaml(
    data_sets: Path, tmp_path: Path, before: str, after: str, message: str
) -> None:
    folder = shutil.copytree(data_sets / 'euroc', tmp_path / 'euroc')
    path = folder / EUROC_CAMERA
    path.write_text(re.sub(before, after, path.read_text()))
    with pytest.raises(DataError, match=rf'sensor\.yaml.*{message}'):
        read_source(folder)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'transform_matrix': None}, 'transform_matrix: 1 numbers: a rigid transform has'),
        ({'transform_matrix': [[1, 2], [3]]}, 'no matrix of numbers'),
        ({'transform_matrix': [['x'] * 4] * 4}, 'no matrix of numbers'),
        ({'transform_matrix': [[float('nan')] * 4] * 4}, 'not finite'),
        ({'transform_matrix': [[2.0] * 4] * 4}, 'no rigid transform'),
        ({'file_path': 7}, "needs 'file_path'"),
        ({'file_path': '../../etc/passwd'}, 'does not stay inside'),
        ({'file_path': '/etc/passwd'}, 'does not stay inside'),
        ({'fl_x': '500'}, "'fl_x' is '500' instead of a number"),
        ({'fl_x': -5.0}, 'positive focal length'),
        ({'k1': float('inf')}, "'k1' is inf instead of a number"),
        ({'camera_model': 'EQUIRECTANGULAR'}, "'EQUIRECTANGULAR' is not supported"),
        ({'k4': 0.1}, 'k4 = 0.1 of a camera that is no fisheye'),
        ({'w': 0}, 'camera size 0x90 is not positive'),
        ({'w': True}, "'w' is True instead of a number"),
    ],
)
def test_damaged_frame(
    data_sets: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = shutil.copytree(data_sets / 'transforms', tmp_path / 'nerf')
    content = json.loads((folder / NERF).read_text())
    content['frames'][1] |= change
    (folder / NERF).write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf'transforms\.json, frame 1.*{message}'):
        read_source(folder)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'is not JSON'),
        ('[]', "has no list 'frames'"),
        ('{"frames": {}}', "has no list 'frames'"),
        ('{"frames": []}', 'has no frames'),
        ('{"frames": [3]}', "frame 0: a frame needs 'file_path'"),
        ('[' * 100_000, 'is not JSON'),
    ],
)
def test_damaged_json(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / NERF).write_text(content)
    with pytest.raises(DataError, match=message):
        read_source(tmp_path)


def test_empty_table(tmp_path: Path) -> None:
    (tmp_path / 'poses.csv').write_text('# nothing\n')
    with pytest.raises(DataError, match=r'poses\.csv is empty: its first line names'):
        read_source(tmp_path)
    (tmp_path / 'poses.csv').write_text('image,x,y,z,qx,qy,qz,qw\n')
    with pytest.raises(DataError, match='has no images under its header'):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ('name', 'message'),
    [('kitti', r'choose --sensor image_2'), ('euroc', r"no camera 'x': choose --sensor cam0")],
)
def test_unknown_sensor(data_sets: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_source(source_of(data_sets / name, name), options=SourceOptions(sensor='x'))
