# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Posed images written in the layouts in which public data sets come."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from relloc_ros.map.sources import PosedImage, read_image


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
