# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses of other programs: what their lines mean, and what is wrong with bad ones."""

from __future__ import annotations

import numpy as np
import pytest

from relloc_ros.errors import DataError
from relloc_ros.evaluation.pose_files import read_pose_file, read_stamp, read_truth
from relloc_ros.geometry import RigidTransform, exp_so3

POSE = RigidTransform(exp_so3(np.array([0.3, -0.8, 1.9])), np.array([1.5, -2.0, 30.25]))


def text(numbers):
    return ' '.join(f'{number:.9f}' for number in np.ravel(numbers))


def colmap(pose, name):
    inverse = pose.inverse()
    return f'{name} {text(inverse.quat_wxyz)} {text(inverse.translation)}'


def tum(pose, stamp):
    return f'{stamp} {text(pose.translation)} {text(pose.quat_xyzw)}'


def kitti(pose):
    return text(pose.matrix[:3])


LINES = {
    'colmap': colmap(POSE, 'a/b.png'),
    'tum': tum(POSE, '1341847980.722988123'),
    'kitti': kitti(POSE),
}


@pytest.fixture
def write(tmp_path):
    def write_lines(*lines):
        path = tmp_path / 'poses.txt'
        path.write_text('\n'.join([*lines, '']), 'utf-8')
        return path

    return write_lines


@pytest.mark.parametrize('format', list(LINES))
def test_all_formats_are_recognized_and_mean_the_same(write, format):
    path = write('# a comment', '', LINES[format], f'  {LINES[format]}'.replace('a/b', 'c'))
    for given in (None, format):
        file = read_pose_file(path, given)
        assert file.format == format
        assert len(file.poses) == 2
        np.testing.assert_allclose(file.poses[0].map_from_body.matrix, POSE.matrix, atol=1e-7)


def test_names_and_stamps(write):
    file = read_pose_file(write(LINES['colmap'], colmap(POSE, '1341847980.722988.png')))
    assert [pose.name for pose in file.poses] == ['a/b.png', '1341847980.722988.png']
    assert [pose.stamp_ns for pose in file.poses] == [None, 1_341_847_980_722_988_000]
    assert (file.named, file.timed) == (True, False)
    file = read_pose_file(write(LINES['tum']))
    assert file.poses[0].stamp_ns == 1_341_847_980_722_988_123
    assert (file.named, file.timed) == (False, True)
    file = read_pose_file(write(LINES['kitti']))
    assert (file.named, file.timed) == (False, False)


def test_more_numbers_and_spaces_in_names(write):
    lines = [
        f'{colmap(POSE, "my image 7.png")} 525.505',
        f'{colmap(POSE, "b.png")} 0.65 0.03 1e-3',
    ]
    file = read_pose_file(write(*lines))
    assert [pose.name for pose in file.poses] == ['my image 7.png', 'b.png']
    for pose in file.poses:
        np.testing.assert_allclose(pose.map_from_body.matrix, POSE.matrix, atol=1e-7)


def test_images_named_by_a_number_need_the_format_named(write):
    path = write(colmap(POSE, '12'))
    assert read_pose_file(path, 'colmap').poses[0].name == '12'
    with pytest.raises(DataError, match=r'line 1, read as tum: .* has length'):
        read_pose_file(path)


def test_rounded_rotations_become_rotations(write):
    rounded = ' '.join(f'{number:.3f}' for number in POSE.matrix[:3].ravel())
    rotation = read_pose_file(write(rounded)).poses[0].map_from_body.rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation, POSE.rotation, atol=2e-3)


def test_kitti_knows_lines_without_a_pose(write):
    file = read_pose_file(write(LINES['kitti'], ' '.join(['nan'] * 12)))
    assert file.poses[1].map_from_body is None


@pytest.mark.parametrize(
    ('format', 'line', 'parts'),
    [
        ('colmap', 'b.png 1 0 0 0 1 2', ['no pose (', 'b.png 1 0 0 0 1 2']),
        ('colmap', 'b.png 1 0 0 0 1 2 x', ['no pose (']),
        ('colmap', 'b.png', ['no pose (']),
        ('colmap', 'b.png 2 0 0 0 1 2 3', ['has length 2']),
        ('colmap', 'b.png 1 0 0 0 1 2 nan', ['not finite']),
        ('colmap', LINES['colmap'], ["image 'a/b.png' has a pose already, in line 1"]),
        ('tum', '1 2 3 0 0 0 1', ['no pose (', '1 2 3 0 0 0 1']),
        ('tum', 'x 1 2 3 0 0 0 1', ['no pose (']),
        ('tum', 'nan 1 2 3 0 0 0 1', ['no pose (']),
        ('tum', '5.5 1 2 3 0 0 0 1 9', ['no pose (']),
        ('kitti', '1 0 0 0 0 1 0 0 0 0 1', ['no pose (']),
        ('kitti', '1 0 0 0 0 1 0 0 0 0 1 nan', ['not finite']),
        ('kitti', '1 0 0 0 0 1 0 0 0 0 2 0', ['no rotation']),
        ('kitti', '1 0 0 0 0 1 0 0 0 0 -1 0', ['no rotation']),
    ],
)
def test_bad_lines_are_named(write, format, line, parts):
    path = write(LINES[format], '', line)
    with pytest.raises(DataError) as caught:
        read_pose_file(path)
    for part in [f'{path}, line 3', *parts]:
        assert part in str(caught.value)


@pytest.mark.parametrize('line', ['hello', 'a,b,c', '1 2 3', 'a.png 1 2', '1 2 3 4 5 6 7 8 9'])
def test_what_is_no_pose_file(write, line):
    with pytest.raises(DataError, match=r'poses\.txt, line 1 is no pose \(colmap: image qw'):
        read_pose_file(write(line))


def test_missing_and_empty_files(tmp_path, write):
    with pytest.raises(DataError, match=r'cannot read .*nothing\.txt'):
        read_pose_file(tmp_path / 'nothing.txt')
    with pytest.raises(DataError, match='has no poses'):
        read_pose_file(write('# nothing'))
    binary = tmp_path / 'poses.bin'
    binary.write_bytes(b'\xff\xfe\x00\x81')
    with pytest.raises(DataError, match='not UTF-8'):
        read_pose_file(binary)


def test_truth_may_be_a_colmap_model(tmp_path):
    (tmp_path / 'cameras.txt').write_text('1 SIMPLE_PINHOLE 640 480 500 320 240\n')
    inverse = POSE.inverse()
    pose = f'{text(inverse.quat_wxyz)} {text(inverse.translation)}'
    (tmp_path / 'images.txt').write_text(f'1 {pose} 1 b.png\n\n')
    file = read_truth(tmp_path)
    assert (file.format, file.poses[0].name) == ('colmap', 'b.png')
    np.testing.assert_allclose(file.poses[0].map_from_body.matrix, POSE.matrix, atol=1e-7)
    with pytest.raises(DataError, match='no COLMAP model'):
        read_truth(tmp_path.parent)


@pytest.mark.parametrize(
    ('written', 'stamp_ns'),
    [
        ('1', 10**9),
        ('1341847980.722988123', 1_341_847_980_722_988_123),
        ('a', None),
        ('inf', None),
    ],
)
def test_stamps(written, stamp_ns):
    assert read_stamp(written) == stamp_ns
