# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of a stranger: names that lead out of the folder, poses that are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import json
from pathlib import Path
import shutil

from bag_messages import image, info, pose, tf, write
import cv2
from data_set_layouts import (
    write_cambridge,
    write_colmap,
    write_euroc,
    write_kapture,
    write_table,
    write_transforms,
    write_tum,
)
import numpy as np
import pycolmap
import pytest
from synthetic_maps import make_posed

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.image_decoding import encoded_size
from relloc_ros.map.sources import PosedImage, SourceOptions, read_pixels, read_source
from relloc_ros.map.sources.posed_image import image_size

CAMERA = Camera('SIMPLE_PINHOLE', 120, 90, (100.0, 60.0, 45.0))
PINHOLE = SourceOptions(camera=Camera('PINHOLE', 120, 90, (100.0, 101.0, 60.0, 45.0)))
S = 1_000_000_000


def write_nvm(folder: Path, posed: list[PosedImage]) -> None:
    write_cambridge(folder, posed[:2], posed[2:])
    for path in folder.glob('dataset_*.txt'):
        path.unlink()


def write_binary(folder: Path, posed: list[PosedImage]) -> None:
    # COLMAP's text cannot hold spaces.
    write_colmap(folder, [replace(item, name=item.name.replace(' ', '_')) for item in posed])
    (folder / 'sparse' / 'points3D.txt').touch()
    model = pycolmap.Reconstruction(folder / 'sparse')
    for path in (folder / 'sparse').iterdir():
        path.unlink()
    model.write_binary(folder / 'sparse')


WRITERS: dict[str, tuple[Callable[[Path, list[PosedImage]], object], str]] = {
    'tum': (write_tum, 'rgb.txt'),
    'euroc': (write_euroc, 'mav0/cam0/data.csv'),
    'kapture': (write_kapture, 'sensors/records_camera.txt'),
    'csv': (write_table, 'poses.csv'),
    'transforms': (write_transforms, 'transforms.json'),
    'colmap': (write_colmap, 'sparse/images.txt'),
    'binary': (write_binary, 'sparse/images.bin'),
    'cambridge': (lambda folder, posed: write_cambridge(folder, posed[:2], posed[2:]), ''),
    'nvm': (write_nvm, 'reconstruction.nvm'),
}


@pytest.fixture(scope='module')
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small images in every format."""
    root = tmp_path_factory.mktemp('trees')
    posed = make_posed(root / 'images', 3, CAMERA)
    pinhole = make_posed(root / 'pinhole', 3)
    for name, (writer, _) in WRITERS.items():
        (root / name).mkdir()
        writer(root / name, posed if name in ('cambridge', 'nvm') else pinhole)
    return root


def read(folder: Path) -> list[PosedImage]:
    return read_source(folder, options=PINHOLE if (folder / 'rgb.txt').is_file() else None)


@pytest.mark.parametrize('leads', ['../../outside', '{folder}/outside'])
@pytest.mark.parametrize('name', WRITERS)
def test_name_that_leads_out(trees: Path, tmp_path: Path, name: str, leads: str) -> None:
    folder = Path(shutil.copytree(trees / name, tmp_path / 'a' / 'tree'))
    first = read(folder)[0]
    for suffix in ('.png', '.jpg'):
        shutil.copy(first.path, tmp_path / f'outside{suffix}')
    wanted = leads.format(folder=tmp_path).encode()
    stem = first.name.rpartition('.')[0].encode()
    changed = False
    for path in folder.rglob('*'):
        if path.suffix in ('.txt', '.csv', '.json', '.bin', '.nvm'):
            content = path.read_bytes()
            # Some formats put a folder before the names they list.
            known = stem if stem in content else stem.rpartition(b'/')[2]
            path.write_bytes(content.replace(known + b'.', wanted + b'.'))
            changed |= known + b'.' in content
    assert changed
    message = 'does not stay inside the' if '..' in leads else 'inside|missing'
    with pytest.raises(DataError, match=message):
        read(folder)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf'), 1e308])
@pytest.mark.parametrize('place', ['rotation', 'position'])
def test_pose_of_a_binary_model(trees: Path, tmp_path: Path, value: float, place: str) -> None:
    folder = Path(shutil.copytree(trees / 'binary', tmp_path / 'tree'))
    for path in (folder / 'sparse').glob('[fr]*.bin'):
        path.unlink()
    path = folder / 'sparse' / 'images.bin'
    content = bytearray(path.read_bytes())
    start = 8 + 4 + (0 if place == 'rotation' else 32)
    content[start : start + 8] = np.float64(value).tobytes()
    path.write_bytes(content)
    if place == 'position' and np.isfinite(value):
        with pytest.raises(DataError, match=r'puts the map 1e\+308 from image .* than 1e\+12'):
            read(folder)
        return
    with pytest.raises(
        DataError, match=r"images\.bin, image '.*(not finite|of length|instead of)"
    ):
        read(folder)


@pytest.mark.parametrize('value', ['NaN', 'Infinity', '3.0', '"x"', 'null', '[1]'])
def test_pose_of_transforms(trees: Path, tmp_path: Path, value: str) -> None:
    folder = Path(shutil.copytree(trees / 'transforms', tmp_path / 'tree'))
    path = folder / 'transforms.json'
    content = json.loads(path.read_text())
    content['frames'][1]['transform_matrix'][0][0] = json.loads(value)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r'transforms\.json, frame 1: .*transform_matrix: '):
        read(folder)


@pytest.mark.parametrize('value', ['nan', 'inf', '7'])
@pytest.mark.parametrize('name', ['colmap', 'cambridge', 'nvm'])
def test_pose_of_text(trees: Path, tmp_path: Path, name: str, value: str) -> None:
    folder = Path(shutil.copytree(trees / name, tmp_path / 'tree'))
    path = folder / (WRITERS[name][1] or 'dataset_train.txt')
    lines = path.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if 'left cam' in line or 'frame0' in line)
    fields = lines[number].replace('\t', ' ').split(' ')
    fields[{'colmap': 1, 'cambridge': 4, 'nvm': 2}[name]] = value
    lines[number] = ' '.join(fields)
    path.write_text('\n'.join(lines) + '\n')
    with pytest.raises(DataError, match=rf'{path.name}.*(not finite|length \S+ instead of 1)'):
        read(folder)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 7.0])
@pytest.mark.parametrize('source', ['tf', 'topic'])
def test_pose_of_a_bag(tmp_path: Path, value: float, source: str) -> None:
    """One wrong pose among many is passed over; images that need it have none."""
    messages = [info(0.5)]
    for second in np.arange(0.9, 4.0, 0.2).tolist():
        moved = tf(second, 'map', 'cam', second) if source == 'tf' else pose(second, second)
        if 1.8 < second < 2.2:
            spoil(moved[2], value)
        messages.append(moved)
    messages += [image(second) for second in (1.0, 2.0, 3.0)]
    bag = write(tmp_path / 'bag', sorted(messages, key=lambda message: message[1]))
    options = SourceOptions(pose_frame='cam', max_pose_gap=0.3)
    posed = read_source(bag, options=options)
    assert [round(item.stamp_ns / S) for item in posed] == [1, 3]
    assert np.isfinite([item.cam_from_map.matrix for item in posed]).all()


def spoil(message: object, value: float) -> None:
    transforms = getattr(message, 'transforms', None)
    item = message.pose.orientation if transforms is None else transforms[0].transform.rotation  # type: ignore[attr-defined]
    object.__setattr__(item, 'x', value)


def test_size_in_a_header(trees: Path, tmp_path: Path) -> None:
    content = bytearray(next((trees / 'colmap').rglob('*.png')).read_bytes())
    content[16:24] = (30_000).to_bytes(4, 'big') * 2
    path = tmp_path / 'image.png'
    path.write_bytes(content)
    with pytest.raises(DataError, match='is 30000x30000 pixels, its camera 120x90'):
        read_pixels(path, CAMERA)


def test_size_of_a_camera() -> None:
    with pytest.raises(DataError, match='larger than 100000 pixels a side'):
        Camera('CAMERA_PINHOLE', 10**12, 90, (100.0, 60.0, 45.0))


def test_pixels_of_a_camera() -> None:
    with pytest.raises(DataError, match='camera size 30000x30000 is more than 268435456 pixels'):
        Camera('SIMPLE_PINHOLE', 30_000, 30_000, (100.0, 60.0, 45.0))


@pytest.mark.parametrize('suffix', ['.png', '.bmp', '.pgm', '.jpg'])
def test_size_that_an_image_claims(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'image{suffix}'
    grey = np.zeros((90, 120), np.uint8)
    content = bytearray(cv2.imencode(suffix, grey)[1])
    assert encoded_size(bytes(content)) == (120, 90)
    size = (60_000).to_bytes(4, 'little')
    if suffix == '.png':
        content[16:24] = size[::-1] * 2
    elif suffix == '.bmp':
        content[18:26] = size * 2
    elif suffix == '.pgm':
        content = bytearray(b'P5\n# by hand\n60000 60000\n255\n')
    else:
        start = content.find(b'\xff\xc0')
        content[start + 5 : start + 9] = size[1::-1] * 2
    path.write_bytes(content)
    with pytest.raises(DataError, match='claims 60000x60000 pixels, more than 268435456'):
        image_size(path)


def test_topic_that_leads_out(tmp_path: Path) -> None:
    messages = [info(0.5, '/../../cam/camera_info')]
    for second in (1.0, 2.0):
        messages += [pose(second, second), image(second, '/../../cam/image_raw')]
    bag = write(tmp_path / 'bag', messages)
    with pytest.raises(DataError, match=r"image name '\.\./\.\./cam/.* does not stay inside"):
        read_source(bag, options=SourceOptions(pose_frame='cam'))
