# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""YAML that would spell out to gigabytes is refused wherever it is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from data_set_layouts import write_euroc
import pytest
from synthetic_maps import make_posed

from relloc_ros.camera_info import camera_from_yaml
from relloc_ros.config_schema import read_config_file
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.map.sources import read_source
from relloc_ros.yaml_text import YamlError, load_yaml

LISTS = 'a0: &a0 x\n' + ''.join(
    f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]\n' for i in range(1, 30)
)
MERGED = 'a0: &a0 {x: 1}\n' + ''.join(
    f'a{i}: &a{i} {{<<: [{", ".join([f"*a{i - 1}"] * 9)}]}}\n' for i in range(1, 30)
)


@pytest.mark.parametrize('text', [LISTS, MERGED, 'a: &a [*a]', 'a: *b'])
def test_references_without_end(text: str) -> None:
    with pytest.raises(YamlError, match='references stand for more than 100000 values'):
        load_yaml(text)


@pytest.mark.parametrize(
    'text',
    ['[' * 5000, 'a: [', 'a: 2026-99-99', '\0', 'a: b\n---\nc: d', '!!python/name:os.fork a'],
)
def test_no_yaml(text: str) -> None:
    with pytest.raises(YamlError):
        load_yaml(text)


def test_too_long() -> None:
    with pytest.raises(YamlError, match='more than the 16777216 allowed'):
        load_yaml('#' * (16 * 2**20 + 1))


def test_a_few_references_are_read() -> None:
    text = 'shared: &s {depth: 10, kind: [1, 2]}\nfirst: *s\nsecond: {<<: *s, depth: 5}\n'
    content = load_yaml(text)
    assert content['first'] == {'depth': 10, 'kind': [1, 2]}
    assert content['second'] == {'depth': 5, 'kind': [1, 2]}
    assert load_yaml("a: 'one & two * three'") == {'a': 'one & two * three'}
    assert load_yaml('a: b\n---\nc: d', first=True) == {'a': 'b'}


@pytest.mark.parametrize(
    ('read', 'error'), [(camera_from_yaml, DataError), (read_config_file, ConfigError)]
)
def test_files_of_settings(
    tmp_path: Path, read: Callable[[Path], object], error: type[Exception]
) -> None:
    path = tmp_path / 'settings.yaml'
    path.write_text(LISTS)
    with pytest.raises(error, match=r'settings\.yaml is not YAML: its references'):
        read(path)


@pytest.mark.parametrize(
    'line',
    ['intrinsics: [.inf, 1, 1, 1]', 'resolution: [.inf, 90]', 'distortion_model: [radtan]', LISTS],
)
def test_sensor_of_euroc(tmp_path: Path, line: str) -> None:
    write_euroc(tmp_path / 'euroc', make_posed(tmp_path / 'images', 3))
    path = tmp_path / 'euroc' / 'mav0' / 'cam0' / 'sensor.yaml'
    lines = path.read_text().splitlines()
    key = line.partition(':')[0]
    path.write_text('\n'.join([*(item for item in lines if not item.startswith(key)), line]))
    with pytest.raises(DataError, match=r'sensor\.yaml'):
        read_source(tmp_path / 'euroc')


@pytest.mark.parametrize('width', ['.inf', '.nan', '[640]', '1' + '0' * 400, 'wide', '-640'])
def test_width_of_a_calibration(tmp_path: Path, width: str) -> None:
    path = tmp_path / 'camera.yaml'
    path.write_text(
        f'image_width: {width}\nimage_height: 480\ndistortion_model: plumb_bob\n'
        'camera_matrix: {data: [500, 0, 320, 0, 500, 240, 0, 0, 1]}\n'
        'distortion_coefficients: {data: [0, 0, 0, 0, 0]}\n'
    )
    with pytest.raises(DataError, match=r'camera\.yaml'):
        camera_from_yaml(path)
