# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trajectories for other programs: numbers, orders and what is left out."""

import numpy as np
import pytest
from synthetic_runs import make_outcome, make_run

from relloc_ros.evaluation.exports import TRAJECTORY_FILES, write_trajectories
from relloc_ros.geometry import RigidTransform, exp_so3

POSE = RigidTransform(exp_so3(np.array([0.3, -2.0, 0.5])), np.array([1.5, -2.0, 3.25]))


def written(run, folder):
    write_trajectories(run, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(TRAJECTORY_FILES)
    return {
        name: [line.split(' ') for line in (folder / name).read_text('utf-8').splitlines()]
        for name in TRAJECTORY_FILES
    }


def numbers(fields):
    return np.array(fields, dtype=float)


@pytest.fixture
def run():
    truth = RigidTransform(np.eye(3), np.array([0.0, 0.0, 1.0]))
    return make_run(
        [
            make_outcome('a/1.jpg', 1_000_000_001, POSE, truth),
            make_outcome('a/2.jpg', 2_500_000_000, None, truth),
            make_outcome('a/3.jpg', 3_000_000_000, truth, POSE),
        ]
    )


def test_tum(run, tmp_path):
    files = written(run, tmp_path)
    assert [line[0] for line in files['poses.tum']] == ['1.000000001', '3.000000000']
    assert [line[0] for line in files['truth.tum']] == [
        '1.000000001',
        '2.500000000',
        '3.000000000',
    ]
    expected = [*POSE.translation, *POSE.quat_xyzw]
    np.testing.assert_allclose(numbers(files['poses.tum'][0][1:]), expected, atol=1e-9)
    np.testing.assert_allclose(numbers(files['truth.tum'][2][1:]), expected, atol=1e-9)


def test_kitti_lines_of_both_files_are_the_same_queries(run, tmp_path):
    files = written(run, tmp_path)
    assert files['frames.kitti'] == [['1.000000001', 'a/1.jpg'], ['3.000000000', 'a/3.jpg']]
    assert len(files['poses.kitti']) == len(files['truth.kitti']) == 2
    matrix = numbers(files['poses.kitti'][0]).reshape(3, 4)
    np.testing.assert_allclose(matrix, POSE.matrix[:3], atol=1e-9)
    matrix = numbers(files['truth.kitti'][1]).reshape(3, 4)
    np.testing.assert_allclose(matrix, POSE.matrix[:3], atol=1e-9)


def test_hloc_has_the_map_in_the_camera(run, tmp_path):
    files = written(run, tmp_path)
    assert [line[0] for line in files['poses.txt']] == ['a/1.jpg', 'a/3.jpg']
    assert [line[0] for line in files['truth.txt']] == ['a/1.jpg', 'a/2.jpg', 'a/3.jpg']
    values = numbers(files['poses.txt'][0][1:])
    cam_from_map = RigidTransform.from_quat_wxyz(values[:4], values[4:])
    np.testing.assert_allclose((cam_from_map @ POSE).matrix, np.eye(4), atol=1e-8)


def test_queries_of_unknown_truth_leave_the_kitti_pair(tmp_path):
    run = make_run(
        [make_outcome('1', 1, POSE, None), make_outcome('2', 2, POSE, POSE)], body='base_link'
    )
    files = written(run, tmp_path)
    assert len(files['poses.tum']) == 2
    assert files['frames.kitti'] == [['0.000000002', '2']]
    assert len(files['poses.kitti']) == len(files['truth.kitti']) == 1


def test_without_any_truth_all_estimates_are_written(tmp_path):
    run = make_run([make_outcome('1', 1, POSE, None), make_outcome('2', 2, None, None)])
    files = written(run, tmp_path)
    assert len(files['poses.kitti']) == len(files['frames.kitti']) == len(files['poses.txt']) == 1
    assert files['truth.kitti'] == files['truth.tum'] == files['truth.txt'] == []
