# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc synth: what people see, and what is said about bad input."""

from __future__ import annotations

import shlex

import cv2
import pytest

from relloc_ros.cli.main import main
from relloc_ros.cli.synth_command import Scene
from relloc_ros.synthetic.worlds import WORLDS


@pytest.fixture
def relloc(capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


def test_scenes_are_those_of_the_table():
    assert {scene.value for scene in Scene} == set(WORLDS)


def test_a_data_set_says_how_to_make_it_again(relloc, tmp_path):
    folder = tmp_path / 'a room'
    options = ['--seed=4', '--count=3', '--queries=1', '--size=96x64', '--distortion=-0.1,0,0,0']
    options += ['--blur=0.01', '--exposure=0.3', '--query-way=line:2.5']
    code, out, err = relloc('synth', '--output', folder, *options)
    assert code == 0, err
    assert out == ''
    assert 'is ready: 3 map images and 1 queries' in err
    quoted = shlex.quote(str(folder))
    assert f'relloc map build {quoted} --list {quoted}/map.txt --output MAP' in err
    images = sorted((folder / 'images').rglob('*.jpg'))
    assert len(images) == 4
    assert cv2.imread(str(images[0])).shape == (64, 96, 3)
    text = (folder / 'README.md').read_text()
    again = next(line for line in text.splitlines() if line.startswith('Made by'))
    words = shlex.split(again.removeprefix('Made by `').removesuffix('`'))
    words[words.index('DIR')] = str(tmp_path / 'again')
    assert words[0] == 'relloc'
    code, _, err = relloc(*words[1:])
    assert code == 0, err
    for path in (path for path in folder.rglob('*') if path.is_file()):
        other = tmp_path / 'again' / path.relative_to(folder)
        assert other.read_bytes() == path.read_bytes(), path
    code, _, err = relloc('synth', '--output', folder)
    assert code == 1
    assert 'exists: remove it or choose another name' in err


def test_a_grid_is_counted(relloc, tmp_path):
    folder = tmp_path / 'room'
    options = ['--count=3', '--queries=2', '--size=32x24', '--way=grid:0.5,0.6']
    code, _, err = relloc('synth', '--output', folder, *options)
    assert code == 0, err
    names = (folder / 'map.txt').read_text().split()
    assert len(names) > 3
    assert f'is ready: {len(names)} map images and 2 queries' in err
    text = (folder / 'README.md').read_text()
    assert f'{len(names)} images for a map' in text
    assert '--way=grid:0.5,0.6' in text


@pytest.mark.parametrize(
    ('options', 'code', 'said'),
    [
        (['--size', '640'], 2, 'for example 640x480'),
        (['--size', '9000x10'], 2, '16 to 4096 pixels'),
        (['--distortion', '-0.2'], 2, 'four numbers K1,K2,P1,P2'),
        (['--distortion', 'a,b,c,d'], 2, 'four numbers K1,K2,P1,P2'),
        (['--distortion=-0.9,0,0,0', '--size=64x48'], 1, 'take less distortion'),
        (['--distortion=nan,0,0,0', '--size=64x48'], 1, 'finite numbers'),
        (['--textures', 'nowhere'], 1, 'nowhere is no folder'),
        (['--scene', 'castle'], 2, 'castle'),
        (['--count', '0'], 2, '--count'),
        (['--way', 'circle'], 2, '--way circle is no way: walk, line:DISTANCE'),
        (['--way', 'walk:2'], 2, '--way walk:2 is no way'),
        (['--way', 'line'], 2, '--way line is no way'),
        (['--way', 'line:nan'], 2, '--way line:nan is no way'),
        (['--query-way', 'line:1,x'], 2, '--query-way line:1,x is no way'),
        (['--way', 'grid:0.5'], 2, '--way grid:0.5 is no way'),
        (['--way', 'grid:0.01,3'], 2, 'at least 0.05 m apart'),
    ],
)
def test_bad_options_are_explained(relloc, tmp_path, options, code, said):
    found, _, err = relloc('synth', '--output', tmp_path / 'set', *options)
    assert found == code
    assert 'Traceback' not in err
    assert said in ' '.join(err.replace('│', ' ').split())
    assert list(tmp_path.iterdir()) == []
