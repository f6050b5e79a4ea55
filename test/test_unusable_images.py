# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Damaged images: a few are left out of a map and named, many are an error."""

from __future__ import annotations

import logging
from pathlib import Path

from bag_messages import CAMERA, IMAGE, S, info, pose, write
import cv2
from data_set_layouts import write_table
import numpy as np
import pytest
from synthetic_maps import make_posed

from relloc_ros.bags.messages import compressed_image_message
from relloc_ros.cli.main import main
from relloc_ros.errors import DataError
from relloc_ros.image_decoding import ends_early
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import (
    PosedImage,
    SourceOptions,
    read_image,
    read_source,
    without_unusable,
)
from relloc_ros.map.sources.posed_image import read_pixels

QUICK = ['--set', 'max_keypoints=30', '--set', 'vlad_clusters=8']


@pytest.fixture
def posed(tmp_path: Path) -> list[PosedImage]:
    return make_posed(tmp_path / 'images', 6)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 9 // 10])


def test_one_is_left_out_and_named(
    posed: list[PosedImage], caplog: pytest.LogCaptureFixture
) -> None:
    cut(posed[2].path)
    seen: list[tuple[int, int]] = []
    with caplog.at_level(logging.WARNING):
        left = without_unusable(posed, lambda done, total, _: seen.append((done, total)))
    assert left == [*posed[:2], *posed[3:]]
    assert seen[-1] == (6, 6)
    (record,) = caplog.records
    assert str(posed[2].path) in record.getMessage()
    assert 'truncated' in record.getMessage()


def test_many_are_an_error(posed: list[PosedImage]) -> None:
    cut(posed[1].path)
    posed[4].path.write_text('no image')
    with pytest.raises(DataError, match=r'2 of 6 images are unusable, .* the first: .*image 1'):
        without_unusable(posed)


def test_all_are_an_error(posed: list[PosedImage]) -> None:
    cut(posed[0].path)
    with pytest.raises(DataError, match='1 of 1 images are unusable'):
        without_unusable(posed[:1])


def test_sound_images_say_nothing(
    posed: list[PosedImage], caplog: pytest.LogCaptureFixture
) -> None:
    assert without_unusable(posed) == posed
    assert not caplog.records


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('share', [0.3, 0.9, 0.999])
def test_truncated_files_end_early(suffix: str, share: float) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    content = bytes(cv2.imencode(suffix, pixels)[1])
    assert not ends_early(content)
    assert not ends_early(content + b'what some cameras add')
    assert ends_early(content[: int(share * len(content))])


def test_damaged_jpeg_files(tmp_path: Path) -> None:
    content = bytes(cv2.imencode('.jpg', IMAGE)[1])
    path = tmp_path / 'image.jpg'
    # More than some cameras write between the last pixel and the end.
    path.write_bytes(content[:-2] + bytes(100) + content[-2:])
    with pytest.raises(DataError, match=f'cannot decode image {path}: .* extraneous bytes'):
        read_pixels(path, CAMERA)


def test_grey_jpeg_files_have_three_channels(tmp_path: Path) -> None:
    grey = IMAGE[..., 0]
    path = tmp_path / 'image.jpg'
    path.write_bytes(bytes(cv2.imencode('.jpg', grey)[1]))
    pixels = read_pixels(path, CAMERA)
    assert pixels.shape == (*grey.shape, 3)
    assert (pixels == pixels[..., :1]).all()


def test_build_and_add_leave_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'table').mkdir()
    write_table(tmp_path / 'table', make_posed(tmp_path / 'images', 6))
    broken = sorted((tmp_path / 'table').rglob('*.png'))[4]
    cut(broken)
    output = tmp_path / 'map'
    run('map', 'build', tmp_path / 'table', '--output', output, *QUICK)
    with ReferenceMap.open(output) as reference_map:
        assert reference_map.num_images == 5
    assert f'warning: left out: cannot decode image {broken}' in capsys.readouterr().err
    run('map', 'add', output, tmp_path / 'table', '--overwrite-images')
    assert f'warning: left out: cannot decode image {broken}' in capsys.readouterr().err


def run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert not caught.value.code


def test_damaged_messages_of_a_bag(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    encoded = bytes(cv2.imencode('.png', IMAGE)[1])
    contents = dict.fromkeys(range(1, 8), encoded)
    contents[7] = encoded[:-30]
    messages = [info(0.5)]
    for second, content in contents.items():
        message = compressed_image_message(content, 'png', second * S, 'cam')
        messages += [pose(second, second), ('/cam/image_raw/compressed', second * S, message)]
    bag = write(tmp_path / 'bag', messages)
    options = SourceOptions(pose_frame='cam')
    posed = read_source(bag, options=options)
    assert [image.camera for image in posed] == [CAMERA] * 7
    with pytest.raises(DataError, match='truncated'):
        read_image(posed[-1])
    assert without_unusable(posed) == posed[:-1]
    assert '7.000000000.png is truncated' in caplog.text
