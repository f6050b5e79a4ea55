# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc score and relloc compare: what people see, and what is said about bad input."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from synthetic_runs import make_outcome, make_run

from relloc_ros.cli.main import main
from relloc_ros.evaluation.outcomes import read_run, write_run
from relloc_ros.geometry import RigidTransform, exp_so3

COUNT = 60


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def relloc(capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(caught.value.code or 0, captured.out, captured.err)

    return run


def pose(index):
    return RigidTransform(exp_so3(np.array([0.1, 0.01 * index, 0.0])), np.array([index, 0.0, 1.0]))


def with_errors(size, seed):
    """Poses about `size` (metres) and as many tens of degrees wrong."""
    rng = np.random.default_rng(seed)
    for index in range(COUNT):
        true = pose(index)
        shift, turn = rng.normal(size=(2, 3)) * size
        yield RigidTransform(exp_so3(0.2 * turn) @ true.rotation, true.translation + shift)


def name(index):
    return f'seq-01/frame-{index:06}.png'


def write_poses(path, poses, names=None):
    lines = []
    for index, map_from_cam in enumerate(poses):
        cam = map_from_cam.inverse()
        numbers = ' '.join(f'{x:.9f}' for x in [*cam.quat_wxyz, *cam.translation])
        lines.append(f'{(names or name)(index)} {numbers} 525.5\n')
    path.write_text(''.join(lines))
    return path


@pytest.fixture
def truth(tmp_path):
    return write_poses(tmp_path / 'room_truth.txt', map(pose, range(COUNT)))


@pytest.fixture
def good(tmp_path):
    return write_poses(tmp_path / 'room_good.txt', with_errors(0.01, 0))


@pytest.fixture
def bad(tmp_path):
    return write_poses(tmp_path / 'room_bad.txt', list(with_errors(0.04, 1))[:-2])


def assert_fails(result, *parts, code=1):
    assert result.code == code, result.err
    assert 'Traceback' not in result.err
    said = ' '.join(result.err.replace('│', ' ').split())
    for part in parts:
        assert part in said


def test_score_prints_and_writes(relloc, tmp_path, truth, bad):
    result = relloc('score', bad, '--truth', truth, '--output', tmp_path / 'run')
    assert result.code == 0, result.err
    assert re.search(r'queries +│ +60 +│ +│ +58 \(96\.7 %\)', result.out)
    assert 'not localized: 2 ERROR' in result.out
    assert 'time per query' not in result.out
    assert max(map(len, result.out.splitlines())) <= 80
    run = read_run(tmp_path / 'run')
    assert (run.localizer, len(run.outcomes)) == ('room_bad', COUNT)
    metrics = json.loads((tmp_path / 'run' / 'metrics.json').read_text())
    assert metrics['availability'] == pytest.approx(58 / 60)
    assert metrics['covariance']['count'] == 0
    assert_fails(relloc('score', bad, '--truth', truth, '--output', tmp_path / 'run'), 'overwrite')


def test_score_reports_what_it_passes_over(relloc, tmp_path, truth, good):
    some = tmp_path / 'some.txt'
    some.write_text('\n'.join(map(name, range(0, 20, 2))))
    result = relloc('score', good, '--truth', truth, '--list', some)
    assert result.code == 0
    assert '50 estimates belong to no image with a true pose and are passed over' in result.err
    assert f'({name(1)}, {name(3)}, {name(5)}, ...)' in result.err
    assert re.search(r'queries +│ +10 ', result.out)


def test_score_of_kitti_and_tum(relloc, tmp_path):
    rows = [pose(i) for i in range(5)]
    kitti, tum = tmp_path / 'a.kitti', tmp_path / 'a.tum'
    kitti.write_text('\n'.join(' '.join(f'{x:.9f}' for x in p.matrix[:3].ravel()) for p in rows))
    tum.write_text(
        '\n'.join(
            ' '.join([str(i), *(f'{x:.9f}' for x in [*p.translation, *p.quat_xyzw])])
            for i, p in enumerate(rows)
        )
    )
    for path in (kitti, tum):
        result = relloc('score', path, '--truth', path)
        assert result.code == 0, result.err
        assert re.search(r'longest gap without a pose +│ +0 s', result.out)
        assert re.search(r'ATE, RMSE +│', result.out)


def test_compare_files(relloc, truth, good, bad):
    result = relloc('compare', good, bad, '--truth', truth)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert re.search(r'60 queries +good +bad', result.out)
    median = next(line for line in lines if line.startswith(' median position'))
    assert re.search(r'median position +\d\.\d cm +\d\.\d cm', median)
    said = ' '.join(result.out.split())
    assert 'good and bad position good is better by ' in said
    assert 'rotation good is better by ' in said
    assert 'within 5 cm, 5° good is better by ' in said
    assert said.count('more than noise') >= 3


def test_compare_runs_and_files(relloc, tmp_path, truth, good, bad):
    assert relloc('score', good, '--truth', truth, '--output', tmp_path / 'run').code == 0
    result = relloc('compare', tmp_path / 'run', bad, '--truth', truth)
    assert result.code == 0, result.err
    from_files = relloc('compare', good, bad, '--truth', truth)
    figures = [re.findall(r'[\d.]+ cm', each.out) for each in (result, from_files)]
    assert figures[0] == figures[1]
    assert len(figures[0]) > 3


def test_compare_counts_what_is_not_common(relloc, tmp_path):
    for folder, numbers in (('a', range(10)), ('b', range(4, 12))):
        outcomes = [make_outcome(str(i), i, pose(i), pose(i)) for i in numbers]
        write_run(make_run(outcomes), tmp_path / folder)
    result = relloc('compare', tmp_path / 'a', tmp_path / 'b')
    assert result.code == 0, result.err
    assert '6 queries' in result.out
    assert 'a: 4 queries left out, which not all runs have' in result.err
    assert 'b: 2 queries left out' in result.err


def test_compare_many_runs_in_tables_that_fit(relloc, tmp_path):
    outcomes = [make_outcome(str(i), i, pose(i), pose(i)) for i in range(5)]
    folders = [tmp_path / f'a rather long name [{i}]' for i in range(7)]
    for folder in folders:
        write_run(make_run(outcomes), folder)
    result = relloc('compare', *folders)
    assert result.code == 0
    assert result.out.count('5 queries') >= 2
    assert result.out.count(' and ') >= 21
    assert '[6]' in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_runs_of_the_same_name_are_told_apart(relloc, tmp_path):
    outcomes = [make_outcome(str(i), i, pose(i), pose(i)) for i in range(3)]
    for scene in ('one', 'other'):
        write_run(make_run(outcomes), tmp_path / scene / 'run')
    result = relloc('compare', tmp_path / 'one' / 'run', tmp_path / 'other' / 'run')
    assert 'one/run and other/run' in result.out


def test_compare_wants_comparable_runs(relloc, tmp_path, truth, good):
    elsewhere = write_poses(tmp_path / 'elsewhere.txt', [pose(i + 1) for i in range(COUNT)])
    assert relloc('score', good, '--truth', truth, '--output', tmp_path / 'a').code == 0
    assert relloc('score', good, '--truth', elsewhere, '--output', tmp_path / 'b').code == 0
    assert_fails(
        relloc('compare', tmp_path / 'a', tmp_path / 'b'),
        f'a and b are judged by different true poses of {name(0)}, 1 and 0.573° apart',
    )
    outcomes = [make_outcome(str(i), i, pose(i), pose(i)) for i in range(3)]
    write_run(make_run(outcomes), tmp_path / 'c')
    assert_fails(
        relloc('compare', tmp_path / 'a', tmp_path / 'c'), 'no scored query in common', "'0'"
    )
    write_run(make_run(outcomes, units='ft'), tmp_path / 'd')
    assert_fails(relloc('compare', tmp_path / 'c', tmp_path / 'd'), 'different units: ft, m')


def test_compare_bad_input(relloc, tmp_path, truth, good):
    assert_fails(relloc('compare', good, '--truth', truth), 'two runs at least', code=2)
    assert_fails(relloc('compare', good, good, '--truth', truth), 'named twice', code=2)
    assert_fails(relloc('compare', good, truth), 'room_good.txt is no folder of a run', '--truth')
    assert_fails(relloc('compare', tmp_path / 'x', good, '--truth', truth), 'x does not exist')
    assert_fails(relloc('compare', tmp_path, good, '--truth', truth), 'run.json', 'No such file')


def test_score_bad_input(relloc, tmp_path, truth, good):
    broken = tmp_path / 'broken.txt'
    lines = good.read_text().splitlines()
    lines[4] = f'{name(4)} 1 0 0 oops'
    broken.write_text('\n'.join(lines))
    assert_fails(
        relloc('score', broken, '--truth', truth), f'{broken}, line 5', f'{name(4)} 1 0 0 oops'
    )
    assert_fails(relloc('score', tmp_path / 'x.txt', '--truth', truth), 'cannot read', 'x.txt')
    assert_fails(relloc('score', good, '--truth', tmp_path), 'no COLMAP model')
    assert_fails(relloc('score', good, '--truth', truth, '--format', 'tum'), 'read as tum')
    assert_fails(relloc('score', good, '--truth', truth, '--format', 'csv'), 'csv', code=2)
    other = write_poses(tmp_path / 'other.txt', map(pose, range(3)), names=str)
    result = relloc('score', other, '--truth', truth, '--format', 'colmap')
    assert_fails(result, 'none of the 3 poses', f'they begin with 0 and {name(0)}')
