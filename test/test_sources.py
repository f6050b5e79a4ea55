# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Posed images from COLMAP models."""

from __future__ import annotations

from pathlib import Path
import struct

import cv2
import numpy as np
import pycolmap
import pytest
from synthetic_maps import FISHEYE, make_posed, make_texture

from relloc_ros.errors import DataError
from relloc_ros.map.sources import read_image, read_list, read_source

CAMERAS = '# comment\n3 PINHOLE 120 90 100 101 60 45\n7 SIMPLE_RADIAL 120 90 100 60 45 0.01\n'
IMAGES = (
    '# comment\n'
    '5 1 0 0 0 0.5 0 -1 7 b with  spaces.png\n'
    '\n'
    '2 0.5 0.5 0.5 0.5 1 2 3 3 a.png\n'
    '10.5 20.25 -1 30 40 8\n'
)


def write_text_model(folder: Path, cameras: str = CAMERAS, images: str = IMAGES) -> Path:
    """Write a data set with a text model in sparse/ and its images."""
    (folder / 'sparse').mkdir(parents=True)
    (folder / 'images').mkdir()
    (folder / 'sparse' / 'cameras.txt').write_text(cameras)
    (folder / 'sparse' / 'images.txt').write_text(images)
    for name in ('a.png', 'b with  spaces.png'):
        cv2.imwrite(str(folder / 'images' / name), make_texture(1))
    return folder


def write_binary_model(folder: Path) -> pycolmap.Reconstruction:
    """Write a data set with a binary model, made by pycolmap from synthetic images."""
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(FISHEYE.to_pycolmap(4))
    for i, posed in enumerate(make_posed(folder / 'images', 3, FISHEYE), start=1):
        image = pycolmap.Image(name=posed.name, camera_id=4, image_id=i)
        image.points2D = [pycolmap.Point2D(np.array([1.0, 2.0]))] * i
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(posed.cam_from_map.matrix[:3]))
    (folder / 'sparse' / '0').mkdir(parents=True)
    model.write_binary(folder / 'sparse' / '0')
    return model


def test_text_model(tmp_path: Path) -> None:
    a, b = read_source(write_text_model(tmp_path))
    assert (a.name, b.name) == ('a.png', 'b with  spaces.png')
    assert b.camera.model == 'SIMPLE_RADIAL'
    assert b.camera.params == (100, 60, 45, 0.01)
    np.testing.assert_allclose(a.cam_from_map.quat_wxyz, 0.5)
    np.testing.assert_allclose(a.cam_from_map.translation, [1, 2, 3])
    assert read_image(b).shape == (90, 120, 3)


@pytest.mark.parametrize('points', ['', ' ', '1 2 -1'])
def test_second_line_of_an_image_may_be_empty(tmp_path: Path, points: str) -> None:
    images = f'1 1 0 0 0 0 0 0 3 a.png\n{points}\n2 1 0 0 0 1 0 0 3 b with  spaces.png\n{points}\n'
    assert len(read_source(write_text_model(tmp_path, images=images))) == 2


def test_missing_second_lines_are_noticed(tmp_path: Path) -> None:
    images = '1 1 0 0 0 0 0 0 3 a.png\n2 1 0 0 0 1 0 0 3 b.png\n'
    with pytest.raises(DataError, match='line 2 should hold the 2D points'):
        read_source(write_text_model(tmp_path, images=images))


@pytest.mark.parametrize(
    ('cameras', 'images', 'message'),
    [
        ('3 PINHOLE 120 90 100 101 60\n', IMAGES, 'PINHOLE takes 4 parameters'),
        ('3 PINHOLE 120 90 0 0 60 45\n', IMAGES, 'positive focal length'),
        ('3 WIDE 120 90 1\n', IMAGES, "unknown camera model 'WIDE'"),
        ('3 PINHOLE wide 90 100 101 60 45\n', IMAGES, 'line 1 is no camera'),
        (CAMERAS, '1 1 0 0 0 0 0 0 9 a.png\n\n', 'camera 9 is not in cameras.txt'),
        (CAMERAS, '1 1 0 0 0 0 0 0 3\n\n', 'line 1 is no image'),
        (CAMERAS, '1 1 1 0 0 0 0 0 3 a.png\n\n', 'length 1.4142 instead of 1'),
        (CAMERAS, '1 1 0 0 0 nan 0 0 3 a.png\n\n', 'not finite'),
        (CAMERAS, '# nothing\n', 'no images with a pose'),
        (CAMERAS, '1 1 0 0 0 0 0 0 3 ../a.png\n\n', 'does not stay inside'),
        (CAMERAS, '1 1 0 0 0 0 0 0 3 c.png\n\n', 'images are missing, the first is .*c.png'),
        (CAMERAS, 2 * '1 1 0 0 0 0 0 0 3 a.png\n\n', 'more than once'),
    ],
)
def test_bad_text_model(tmp_path: Path, cameras: str, images: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_source(write_text_model(tmp_path, cameras, images))


@pytest.mark.parametrize('given', ['set', 'set/sparse', 'set/sparse/0'])
def test_binary_model_equals_pycolmap(tmp_path: Path, given: str) -> None:
    model = write_binary_model(tmp_path / 'set')
    posed = read_source(tmp_path / given)
    assert len(posed) == 3
    for image in posed:
        expected = model.find_image_with_name(image.name)
        assert expected is not None
        np.testing.assert_allclose(
            image.cam_from_map.matrix[:3], expected.cam_from_world().matrix(), atol=1e-12
        )
        assert image.camera == FISHEYE


def test_binary_model_without_points_file(tmp_path: Path) -> None:
    write_binary_model(tmp_path)
    (tmp_path / 'sparse' / '0' / 'points3D.bin').unlink()
    assert len(read_source(tmp_path)) == 3


@pytest.mark.parametrize('name', ['cameras.bin', 'images.bin'])
def test_truncated_binary_model(tmp_path: Path, name: str) -> None:
    write_binary_model(tmp_path)
    path = tmp_path / 'sparse' / '0' / name
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=f'{name} is truncated'):
            read_source(tmp_path)


def test_unknown_camera_model_in_binary(tmp_path: Path) -> None:
    write_binary_model(tmp_path)
    path = tmp_path / 'sparse' / '0' / 'cameras.bin'
    content = bytearray(path.read_bytes())
    content[12:16] = struct.pack('<i', 999)
    path.write_bytes(content)
    with pytest.raises(DataError, match='unknown camera model 999'):
        read_source(tmp_path)


def test_no_model_and_no_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='does not exist'):
        read_source(tmp_path / 'nowhere')
    with pytest.raises(
        DataError, match=r'holds no posed images; looked for a COLMAP model \(cameras'
    ):
        read_source(tmp_path)
    source = write_text_model(tmp_path / 'set')
    with pytest.raises(DataError, match='other does not exist'):
        read_source(source, images_dir=tmp_path / 'other')
    (source / 'images').rename(tmp_path / 'moved')
    with pytest.raises(DataError, match='no images folder'):
        read_source(source)
    assert len(read_source(source, images_dir=tmp_path / 'moved')) == 2


def test_list_selects_in_its_order(tmp_path: Path) -> None:
    source = write_text_model(tmp_path)
    names = tmp_path / 'list.txt'
    names.write_text('\ufeffb with  spaces.png\r\n\na.png\nb with  spaces.png\n', encoding='utf-8')
    assert read_list(names) == ['b with  spaces.png', 'a.png']
    posed = read_source(source, list_file=names)
    assert [image.name for image in posed] == read_list(names)


@pytest.mark.parametrize(
    ('content', 'message'),
    [(b'', 'is empty'), (b'\n \n', 'is empty'), (b'\xff\xfe', 'not UTF-8'), (b'c.png', "'c.png'")],
)
def test_bad_list(tmp_path: Path, content: bytes, message: str) -> None:
    source = write_text_model(tmp_path)
    names = tmp_path / 'list.txt'
    names.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_source(source, list_file=names)
    with pytest.raises(DataError, match='cannot read list'):
        read_list(tmp_path / 'missing.txt')


def stamps(folder: Path, names: list[str]) -> list[int]:
    """Read the stamps of images so named."""
    images = ''.join(f'{i} 1 0 0 0 0 0 0 3 {name}\n\n' for i, name in enumerate(names))
    source = write_text_model(folder, images=images)
    for name in names:
        cv2.imwrite(str(source / 'images' / name), make_texture(1))
    return [image.stamp_ns for image in read_source(source)]


def test_stamps_from_names(tmp_path: Path) -> None:
    assert stamps(tmp_path / 'times', ['1341847981.726650.png', '1341847982.5.png']) == [
        1341847981726650000,
        1341847982500000000,
    ]
    counted = [1_000_000_000, 1_100_000_000]
    assert stamps(tmp_path / 'names', ['1341847981.726650.png', 'a.png']) == counted
    assert stamps(tmp_path / 'numbers', ['0001.png', '0000.png']) == counted


def test_stamps_do_not_depend_on_the_list(tmp_path: Path) -> None:
    source = write_text_model(tmp_path)
    names = tmp_path / 'list.txt'
    names.write_text('b with  spaces.png\n')
    (alone,) = read_source(source, list_file=names)
    assert alone.stamp_ns == read_source(source)[1].stamp_ns == 1_100_000_000


def test_bad_images(tmp_path: Path) -> None:
    source = write_text_model(tmp_path)
    (source / 'images' / 'a.png').write_bytes(b'no image')
    cv2.imwrite(str(source / 'images' / 'b with  spaces.png'), make_texture(1, 60, 45))
    broken, small = read_source(source)
    with pytest.raises(DataError, match=r'cannot decode image .*a\.png'):
        read_image(broken)
    with pytest.raises(DataError, match='is 60x45 pixels, its camera 120x90'):
        read_image(small)


def test_grey_file_is_read_as_bgr(tmp_path: Path) -> None:
    source = write_text_model(tmp_path)
    grey = make_texture(3)[:, :, 0]
    cv2.imwrite(str(source / 'images' / 'a.png'), grey)
    image = read_image(read_source(source)[0])
    np.testing.assert_array_equal(image, np.repeat(grey[:, :, np.newaxis], 3, axis=2))


def write_rig_model(folder: Path) -> pycolmap.Reconstruction:
    """Write a data set of two frames of a rig with two cameras, text and binary."""
    kind = pycolmap.SensorType.CAMERA
    left, right = pycolmap.sensor_t(kind, 1), pycolmap.sensor_t(kind, 7)
    turn = pycolmap.Rotation3d(np.array([0.0, 0.1, 0.0, np.sqrt(0.99)]))
    rig = pycolmap.Rig(rig_id=4)
    rig.add_ref_sensor(left)
    rig.add_sensor(right, pycolmap.Rigid3d(turn, np.array([-0.2, 0.0, 0.1])))
    model = pycolmap.Reconstruction()
    for sensor in (left, right):
        model.add_camera(FISHEYE.to_pycolmap(sensor.id))
    model.add_rig(rig)
    for frame_id in (1, 2):
        frame = pycolmap.Frame(frame_id=frame_id, rig_id=4)
        frame.rig_from_world = pycolmap.Rigid3d(turn, np.array([1.0 * frame_id, 2.0, 3.0]))
        images = {10 * frame_id + sensor.id: sensor for sensor in (left, right)}
        for image_id, sensor in images.items():
            frame.add_data_id(pycolmap.data_t(sensor, image_id))
        model.add_frame(frame)
        for image_id, sensor in images.items():
            name = f'{sensor.id}/{frame_id}.png'
            image = pycolmap.Image(name=name, camera_id=sensor.id, image_id=image_id)
            image.frame_id = frame_id
            model.add_image(image)
            path = folder / 'images' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), make_texture(image_id))
        model.register_frame(frame_id)
    for kind_of_file in ('text', 'binary'):
        (folder / kind_of_file).mkdir()
    model.write_text(folder / 'text')
    model.write_binary(folder / 'binary')
    return model


@pytest.mark.parametrize('kind', ['text', 'binary'])
def test_rigs(tmp_path: Path, kind: str) -> None:
    model = write_rig_model(tmp_path)
    posed = read_source(tmp_path / kind)
    assert [image.name for image in posed] == ['1/1.png', '1/2.png', '7/1.png', '7/2.png']
    for image in posed:
        expected = model.find_image_with_name(image.name)
        assert expected is not None
        np.testing.assert_allclose(
            image.cam_from_map.matrix[:3], expected.cam_from_world().matrix(), atol=1e-9
        )


def test_frames_go_before_images_as_in_colmap(tmp_path: Path) -> None:
    write_rig_model(tmp_path)
    path = tmp_path / 'text' / 'frames.txt'
    path.write_text(path.read_text().replace(' 1 2 3 2 CAMERA', ' 5 2 3 2 CAMERA'))
    model = pycolmap.Reconstruction()
    model.read_text(tmp_path / 'text')
    for image in read_source(tmp_path / 'text'):
        expected = model.find_image_with_name(image.name)
        assert expected is not None
        np.testing.assert_allclose(
            image.cam_from_map.translation, expected.cam_from_world().translation, atol=1e-9
        )


def test_models_of_before_rigs(tmp_path: Path) -> None:
    write_rig_model(tmp_path)
    expected = read_source(tmp_path / 'binary')
    for kind, suffix in (('text', 'txt'), ('binary', 'bin')):
        for name in ('rigs', 'frames'):
            (tmp_path / kind / f'{name}.{suffix}').unlink()
        for image, before in zip(read_source(tmp_path / kind), expected, strict=True):
            np.testing.assert_allclose(
                image.cam_from_map.matrix, before.cam_from_map.matrix, atol=1e-9
            )


@pytest.mark.parametrize(
    ('file', 'before', 'after', 'message'),
    [
        ('rigs', 'CAMERA 7 1', 'CAMERA 7 0', r'frames\.txt, line 4: .*camera 7 sits on it'),
        ('rigs', 'CAMERA 7 1', 'CAMERA 8 1', r'frames\.txt, line 4: .*camera 7 sits on it'),
        ('rigs', 'CAMERA 7 1 0.99', 'CAMERA 7 1 1.99', r'rigs\.txt, line 4: quaternion'),
        ('rigs', '-0.20000000000000001', 'nan', r'rigs\.txt, line 4: pose has a number'),
        ('rigs', '4 2 CAMERA', '4 3 CAMERA', r'rigs\.txt, line 4 is no rig'),
        ('rigs', '4 2 CAMERA', '5 2 CAMERA', r'rig 4 is not among the rigs'),
        ('frames', '2 4 0.9', '2 4 x', r'frames\.txt, line 5 is no frame'),
        ('frames', 'CAMERA 7 27', 'CAMERA 7 99', r'image 27 is not in frames\.txt'),
    ],
)
def test_damaged_rigs(tmp_path: Path, file: str, before: str, after: str, message: str) -> None:
    write_rig_model(tmp_path)
    path = tmp_path / 'text' / f'{file}.txt'
    content = path.read_text()
    assert before in content
    path.write_text(content.replace(before, after))
    with pytest.raises(DataError, match=message):
        read_source(tmp_path / 'text')


@pytest.mark.parametrize('name', ['rigs.bin', 'frames.bin'])
def test_truncated_rigs(tmp_path: Path, name: str) -> None:
    write_rig_model(tmp_path)
    path = tmp_path / 'binary' / name
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        with pytest.raises(DataError, match=f'{name} is truncated'):
            read_source(tmp_path / 'binary')
