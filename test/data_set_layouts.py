# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Posed images written in the layouts in which public data sets come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import json
from pathlib import Path
import shutil

import cv2
import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.sources import PosedImage, read_image

BODY_FROM_CAMERA = RigidTransform(exp_so3(np.array([1.2, -0.4, 0.7])), np.array([0.1, -0.2, 0.3]))
BODY_FROM_MARKER = RigidTransform(exp_so3(np.array([0.1, 0.2, -1.3])), np.array([0.05, 0.1, -0.1]))


def write_seven_scenes(
    scene: Path, train: Sequence[PosedImage], test: Sequence[PosedImage]
) -> None:
    """Write a scene of 7-Scenes: training images as sequence 1, test images as sequence 12."""
    for split, sequence, posed in (('Train', 1, train), ('Test', 12, test)):
        folder = scene / f'seq-{sequence:02d}'
        folder.mkdir(parents=True)
        (scene / f'{split}Split.txt').write_text(f'sequence{sequence} \r\n')
        for i, image in enumerate(posed):
            write_png(image, folder / f'frame-{i:06d}.color.png')
            map_from_cam = image.cam_from_map.inverse().matrix
            lines = ('\t '.join(f'{value: .7e}' for value in row) for row in map_from_cam)
            (folder / f'frame-{i:06d}.pose.txt').write_text('\t \n'.join(lines) + '\t \n')


def write_cambridge(scene: Path, train: Sequence[PosedImage], test: Sequence[PosedImage]) -> None:
    """Write a scene of Cambridge Landmarks: training images as seq1, test images as seq2."""
    cameras = []
    for split, sequence, posed in (('train', 'seq1', train), ('test', 'seq2', test)):
        (scene / sequence).mkdir(parents=True)
        lines = ['Visual Landmark Dataset V1', 'ImageFile, Camera Position [X Y Z W P Q R]', '']
        for i, image in enumerate(posed, start=1):
            stem = f'{sequence}/frame{i:05d}'
            write_png(image, scene / f'{stem}.png')
            centre = _numbers(image.cam_from_map.inverse().translation)
            rotation = _numbers(image.cam_from_map.quat_wxyz)
            lines.append(f'{stem}.png {centre} {rotation}')
            focal_length = image.camera.mean_focal_length
            cameras.append(f'{stem}.jpg\t{focal_length:.9g} {rotation} {centre} 0 0')
        (scene / f'dataset_{split}.txt').write_text('\n'.join(lines) + '\n')
    points = '1\n0.5 0.5 9 255 255 255 2 0 10 -1.5 2.5 1 20 3.5 4.5\n'
    model = f'NVM_V3 \n\n{len(cameras)}\n' + ' \n'.join(cameras) + f' \n\n{points}\n\n0\n'
    (scene / 'reconstruction.nvm').write_text(model)


def write_png(image: PosedImage, path: Path) -> None:
    """Write the pixels without loss, at little cost."""
    cv2.imwrite(str(path), read_image(image), [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _numbers(values: np.ndarray) -> str:
    return ' '.join(f'{value:.9f}' for value in values)


def write_colmap(folder: Path, posed: Sequence[PosedImage]) -> None:
    """Write a COLMAP text model, as before rigs, with its images."""
    model = folder / 'sparse'
    model.mkdir(parents=True)
    cameras, images = _enumerate_cameras(posed), []
    for i, image in enumerate(posed, start=1):
        copy_image(image, folder / 'images' / image.name)
        pose = _exact([*image.cam_from_map.quat_wxyz, *image.cam_from_map.translation])
        images.append(f'{i} {pose} {cameras[image.camera]} {image.name}\n\n')
    lines = (
        f'{number} {camera.model} {camera.width} {camera.height} {_exact(camera.params)}\n'
        for camera, number in cameras.items()
    )
    (model / 'cameras.txt').write_text(''.join(lines))
    (model / 'images.txt').write_text(''.join(images))


def write_tum(folder: Path, posed: Sequence[PosedImage]) -> None:
    """Write a sequence of TUM RGB-D; no pose has the time of an image."""
    images, poses = ['# color images\n'], ['# ground truth trajectory\n']
    for image in posed:
        name = f'rgb/{_seconds(image.stamp_ns)}{image.path.suffix}'
        copy_image(image, folder / name)
        images.append(f'{_seconds(image.stamp_ns)} {name}\n')
        for stamp_ns, pose in _around(image.stamp_ns, image.cam_from_map.inverse()):
            values = _exact([*pose.translation, *pose.quat_xyzw])
            poses.append(f'{_seconds(stamp_ns)} {values}\n')
    (folder / 'rgb.txt').write_text(''.join(images))
    (folder / 'groundtruth.txt').write_text(''.join(poses))


def write_kitti(root: Path, posed: Sequence[PosedImage]) -> Path:
    """Write a sequence of KITTI odometry, the images as those of camera 2; give its folder."""
    sequence = root / 'sequences' / '07'
    cam2_from_cam0 = RigidTransform(np.eye(3), np.array([0.06, -0.001, 0.002]))
    fx, fy, cx, cy = posed[0].camera.params
    k = np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])
    times, poses = [], []
    for i, image in enumerate(posed):
        copy_image(image, sequence / 'image_2' / f'{i:06d}{image.path.suffix}')
        map_from_cam0 = image.cam_from_map.inverse() @ cam2_from_cam0
        poses.append(_exact(map_from_cam0.matrix[:3].ravel()))
        times.append(f'{(image.stamp_ns - posed[0].stamp_ns) / 1e9:.9e}')
    projections = {
        'P0': k @ np.eye(3, 4),
        'P2': k @ cam2_from_cam0.matrix[:3],
    }
    calibration = (f'{name}: {_exact(p.ravel())}\n' for name, p in projections.items())
    (sequence / 'calib.txt').write_text(''.join(calibration))
    (sequence / 'times.txt').write_text('\n'.join(times) + '\n')
    (root / 'poses').mkdir()
    (root / 'poses' / '07.txt').write_text('\n'.join(poses) + '\n')
    return sequence


def write_euroc(
    folder: Path, posed: Sequence[PosedImage], distortion: str = 'radial-tangential'
) -> None:
    """Write a sequence of EuRoC MAV, poses of a marker, none of them at the time of an image."""
    mav, camera = folder / 'mav0', posed[0].camera
    images, poses = ['#timestamp [ns],filename\r\n'], ['#timestamp, p_RS_R_x [m], ...\r\n']
    for image in posed:
        name = f'{image.stamp_ns}{image.path.suffix}'
        copy_image(image, mav / 'cam0' / 'data' / name)
        images.append(f'{image.stamp_ns},{name}\r\n')
        marker = image.cam_from_map.inverse() @ BODY_FROM_CAMERA.inverse() @ BODY_FROM_MARKER
        for stamp_ns, pose in _around(image.stamp_ns, marker):
            values = _exact([*pose.translation, *pose.quat_wxyz], ',')
            poses.append(f'{stamp_ns},{values},0,0,0,0,0,0,0,0,0\r\n')
    fx, fy, cx, cy, *coefficients = camera.params
    settings = (
        f'%YAML:1.0\nsensor_type: camera\n{_yaml_matrix(BODY_FROM_CAMERA)}'
        f'rate_hz: 20\nresolution: [{camera.width}, {camera.height}]\ncamera_model: pinhole\n'
        f'intrinsics: [{_exact([fx, fy, cx - 0.5, cy - 0.5], ", ")}]\n'
        f'distortion_model: {distortion}\n'
        f'distortion_coefficients: [{_exact(coefficients or [0.0] * 4, ", ")}]\n'
    )
    (mav / 'cam0' / 'sensor.yaml').write_text(settings)
    (mav / 'cam0' / 'data.csv').write_text(''.join(images))
    truth = mav / 'state_groundtruth_estimate0'
    truth.mkdir()
    (truth / 'sensor.yaml').write_text(f'sensor_type: vicon\n{_yaml_matrix(BODY_FROM_MARKER)}')
    (truth / 'data.csv').write_text(''.join(poses))


def write_kapture(folder: Path, posed: Sequence[PosedImage]) -> None:
    """Write a kapture data set; every second image has the pose of a rig that carries it."""
    sensors = folder / 'sensors'
    records, poses = [], []
    cameras = _enumerate_cameras(posed)
    for i, image in enumerate(posed):
        name = f'cam {cameras[image.camera]}/{Path(image.name).name}'
        copy_image(image, sensors / 'records_data' / name)
        sensor = f'cam{cameras[image.camera]}'
        records.append(f'{i:04d}, {sensor}, {name}\n')
        on_rig = i % 2 == 1
        pose = BODY_FROM_CAMERA @ image.cam_from_map if on_rig else image.cam_from_map
        values = _exact([*pose.quat_wxyz, *pose.translation], ', ')
        poses.append(f'{i:04d}, {f"rig_{sensor}" if on_rig else sensor}, {values}\n')
    cam_from_rig = BODY_FROM_CAMERA.inverse()
    values = _exact([*cam_from_rig.quat_wxyz, *cam_from_rig.translation], ', ')
    rigs = (f'rig_cam{number}, cam{number}, {values}\n' for number in cameras.values())
    lines = (
        f'cam{number}, , camera, {camera.model}, {camera.width}, {camera.height}, '
        f'{_exact(camera.params, ", ")}\n'
        for camera, number in cameras.items()
    )
    files = {
        'sensors': ['gps0, , gnss, EPSG:4326\n', *lines],
        'records_camera': records,
        'trajectories': poses,
        'rigs': rigs,
    }
    for name, content in files.items():
        (sensors / f'{name}.txt').write_text('# kapture format: 1.1\n' + ''.join(content))


def write_transforms(folder: Path, posed: Sequence[PosedImage]) -> None:
    """Write a transforms.json: the first image's intrinsics for all, others in their frames."""
    frames = []
    for image in posed:
        copy_image(image, folder / 'images' / image.name)
        map_from_gl = image.cam_from_map.inverse().matrix @ np.diag([1.0, -1.0, -1.0, 1.0])
        frame = {'file_path': f'./images/{image.name}', 'transform_matrix': map_from_gl.tolist()}
        if image.camera != posed[0].camera:
            frame |= _intrinsics(image)
        frames.append(frame)
    content = {**_intrinsics(posed[0]), 'aabb_scale': 16, 'frames': frames}
    (folder / 'transforms.json').write_text(json.dumps(content))


def write_table(folder: Path, posed: Sequence[PosedImage]) -> None:
    """Write a table of poses."""
    lines = ['# made by hand\n', 'stamp, image, x, y, z, qx, qy, qz, qw, camera, note\n']
    for image in posed:
        copy_image(image, folder / 'images' / image.name)
        pose, camera = image.cam_from_map.inverse(), image.camera
        values = _exact([*pose.translation, *pose.quat_xyzw], ', ')
        text = f'{camera.model},{camera.width},{camera.height},{_exact(camera.params, ",")}'
        stamp = _seconds(image.stamp_ns)
        lines.append(f'{stamp}, "{image.name}", {values}, "{text}", "a, b"\n')
    (folder / 'poses.csv').write_text(''.join(lines))


def copy_image(image: PosedImage, path: Path) -> None:
    """Copy the file as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(image.path, path)


def _around(stamp_ns: int, pose: RigidTransform) -> Iterator[tuple[int, RigidTransform]]:
    """Give poses a little before and after, with the given one in their middle."""
    turn, way = np.array([0.02, -0.01, 0.03]), np.array([0.01, 0.02, -0.03])
    for sign in (-1, 1):
        rotation = exp_so3(sign * turn) @ pose.rotation
        moved = RigidTransform(rotation, pose.translation + sign * way)
        yield stamp_ns + sign * 50_000_000, moved


def _intrinsics(image: PosedImage) -> dict[str, object]:
    camera = image.camera
    fx, fy, cx, cy, *coefficients = camera.params
    names = ('k1', 'k2', 'k3', 'k4') if 'FISHEYE' in camera.model else ('k1', 'k2', 'p1', 'p2')
    return {
        'camera_model': 'OPENCV_FISHEYE' if 'FISHEYE' in camera.model else 'OPENCV',
        'w': camera.width,
        'h': camera.height,
        'fl_x': fx,
        'fl_y': fy,
        'cx': cx,
        'cy': cy,
        **dict(zip(names, coefficients, strict=False)),
    }


def _enumerate_cameras(posed: Sequence[PosedImage]) -> dict[Camera, int]:
    cameras: dict[Camera, int] = {}
    for image in posed:
        cameras.setdefault(image.camera, len(cameras) + 1)
    return cameras


def _yaml_matrix(transform: RigidTransform) -> str:
    return f'T_BS:\n  cols: 4\n  rows: 4\n  data: [{_exact(transform.matrix.ravel(), ", ")}]\n'


def _seconds(stamp_ns: int) -> str:
    return f'{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}'


def _exact(values: Iterable[float], separator: str = ' ') -> str:
    return separator.join(repr(float(value)) for value in values)
