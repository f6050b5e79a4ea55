# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map add, remove, merge, split, prune and export, as typed."""

from __future__ import annotations

import csv
from dataclasses import fields
import inspect
import json
import os
from pathlib import Path
import signal
import subprocess
import sys

import numpy as np
import pytest
from rendered_room import PINHOLE, look, write_views

from relloc_ros.cli import edit_commands, map_commands
from relloc_ros.cli.main import main
from relloc_ros.evaluation.frame_agreement import compare_frames
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.locks import writing
from relloc_ros.map.sources import SourceOptions

COLUMNS = ['image', 'x', 'y', 'z', 'qx', 'qy', 'qz', 'qw', 'camera']
CAMERA = f'{PINHOLE.model},{PINHOLE.width},{PINHOLE.height},' + ','.join(map(str, PINHOLE.params))


@pytest.fixture
def relloc(capsys, monkeypatch):
    """Run the command; gives exit code, stdout and stderr."""
    monkeypatch.setenv('COLUMNS', '80')

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    handler = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture(scope='module')
def posed(tmp_path_factory):
    """Pose ten views of one wall."""
    arc = np.linspace(-1.5, 1.5, 10)
    poses = [look((1.2 * np.sin(a), 0.3 * np.cos(3 * a), -1.0), 10 - 8 * np.sin(a)) for a in arc]
    return write_views(tmp_path_factory.mktemp('room'), poses)


def write_table(path, posed, moved=None):
    """Write poses.csv, in another frame if `moved` leads there."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for image in posed:
            pose = image.cam_from_map.inverse()
            pose = pose if moved is None else moved @ pose
            writer.writerow([image.name, *pose.translation, *pose.quat_xyzw, CAMERA])
    return path


@pytest.fixture
def path(tmp_path, posed):
    return build_map(posed[::2], tmp_path / 'map')


def test_a_map_through_its_life(relloc, path, posed, tmp_path):
    folder = posed[0].path.parent
    table = write_table(tmp_path / 'poses.csv', posed[1::2])
    code, _, err = relloc('map', 'add', path, table, '--images', folder)
    assert (code, 'has 10 images now: 5 added' in err, 'warning' in err) == (0, True, False)
    code, out, _ = relloc('localize', posed[3].path, '--map', path)
    assert json.loads(out)['status'] == 'LOCALIZED'
    code, _, err = relloc('map', 'remove', path, '00.png', '--pattern', '0[12]*')
    assert (code, 'has 7 images now: 3 removed' in err) == (0, True)
    (tmp_path / 'list.txt').write_text('03.png\n04.png\n05.png\n')
    part, rest, whole = tmp_path / 'part', tmp_path / 'rest', tmp_path / 'whole'
    assert relloc('map', 'split', path, '--list', tmp_path / 'list.txt', '--output', part)[0] == 0
    assert relloc('map', 'split', path, '--box=0.3,-9,9,9', '--output', rest)[0] == 0
    code, _, err = relloc('map', 'merge', part, rest, '--prefix', 'rest/', '--output', whole)
    assert code == 0, err
    code, _, err = relloc('map', 'prune', whole, '--distance', '0.01')
    assert (code, '0 images dropped' in err) == (0, True)
    code, _, err = relloc('map', 'export', whole, '--format', 'tum', '--output', tmp_path / 'tum')
    assert (code, len((tmp_path / 'tum').read_text().splitlines())) == (
        0,
        1 + map_info(whole)['images'],
    )
    for made in (path, part, rest, whole):
        assert check_map(made) == []


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['add', 'MAP', 'TABLE'], 'has 5 of the 5 images already'),
        (['add', 'MAP', 'TABLE', '--overwrite-images', '--units', 'yd'], "posed in 'yd'"),
        (['remove', 'MAP', '1.png'], "no image '1.png'; did you mean"),
        (['remove', 'MAP', '--pattern', '*'], 'a map needs 2'),
        (['split', 'MAP', '--box=1,2', '--output', 'OUT'], 'expected xmin,ymin,xmax,ymax'),
        (['split', 'MAP', '--box=90,0,99,9', '--output', 'OUT'], 'they are at'),
        (['merge', 'MAP', 'MAP', '--output', 'OUT'], '--prefix'),
        (['prune', 'MAP', '--distance', '99', '--angle', '180'], 'a map needs 2'),
        (['export', 'MAP', '--output', 'MAP'], 'exists: choose another output'),
        (['remove', 'NOWHERE', 'x'], 'does not exist'),
    ],
)
def test_errors_are_one_line(relloc, path, posed, tmp_path, arguments, message):
    write_table(tmp_path / 'poses.csv', posed[::2])
    places = {
        'MAP': path,
        'TABLE': tmp_path / 'poses.csv',
        'OUT': tmp_path / 'out',
        'NOWHERE': tmp_path / 'nowhere',
    }
    images = ['--images', posed[0].path.parent] if arguments[0] == 'add' else []
    code, _, err = relloc('map', *(places.get(item, item) for item in arguments), *images)
    errors = [line for line in err.splitlines() if line.startswith('error: ')]
    assert code == 1, err
    assert len(errors) == 1
    assert message in errors[0]
    assert not (tmp_path / 'out').exists()
    assert map_info(path)['images'] == 5


@pytest.mark.parametrize(
    'arguments',
    [
        ['remove', 'MAP'],
        ['split', 'MAP', '--output', 'OUT'],
        ['split', 'MAP', '--output', 'OUT', '--box', '1,x'],
        ['split', 'MAP', '--output', 'OUT', '--box', '0,0,1,1', '--pattern', '*'],
        ['prune', 'MAP'],
    ],
)
def test_wrong_usage(relloc, path, tmp_path, arguments):
    places = {'MAP': path, 'OUT': tmp_path / 'out'}
    assert relloc('map', *(places.get(item, item) for item in arguments))[0] == 2
    assert not (tmp_path / 'out').exists()


def test_what_can_be_built_from_can_be_added():
    of_sources = {field.name for field in fields(SourceOptions)} - {'progress'}
    for command in (map_commands.build, edit_commands.add):
        assert of_sources <= inspect.signature(command).parameters.keys()


class TestFrames:
    def test_poses_of_another_frame_are_noticed(self, relloc, path, posed, tmp_path):
        moved = RigidTransform(exp_so3(np.array([0.0, 0.0, 0.6])), np.array([2.0, 0.0, 1.0]))
        table = write_table(tmp_path / 'poses.csv', posed[1::2], moved)
        code, _, err = relloc('map', 'add', path, table, '--images', posed[0].path.parent)
        assert code == 0
        assert 'are their poses in its frame and its units?' in err.replace('\n', ' ')

    def test_poses_of_the_same_frame_agree(self, path, posed):
        agreement = compare_frames(path, posed[1::2])
        assert agreement.num_asked == 5
        assert agreement.num_localized >= 3
        assert agreement.num_far == 0
        assert agreement.distance < 0.02
        assert not agreement.is_doubtful

    def test_places_new_to_the_map_say_nothing(self, path, tmp_path):
        further = write_views(tmp_path, [look((x, 0, 1), 190) for x in (-0.5, 0, 0.5)])
        agreement = compare_frames(path, further)
        assert agreement.num_localized == 0
        assert not agreement.is_doubtful


def test_another_process_is_named(path):
    with writing(path):
        ended = subprocess.run(
            [
                sys.executable,
                '-c',
                'from relloc_ros.cli.main import main; main()',
                'map',
                'remove',
                path,
                '00.png',
            ],
            env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert ended.returncode == 1
    assert f'process {os.getpid()} on' in ended.stderr
    assert '--wait SECONDS' in ended.stderr
