# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bag of a run, read back by the rosbags library and, if it is there, by that of MCAP."""

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from synthetic_runs import COVARIANCE, S, make_outcome, make_run, shift

from relloc_ros.errors import DataError
from relloc_ros.evaluation.result_bag import (
    DEBUG_IMAGE_TOPIC,
    ESTIMATE_FRAME,
    PATH_TOPIC,
    POSE_TOPIC,
    STATUS_TOPIC,
    TRUTH_PATH_TOPIC,
    TRUTH_TOPIC,
    write_result_bag,
)
from relloc_ros.geometry import RigidTransform, exp_so3

POSE = RigidTransform(exp_so3(np.array([0.3, -2.0, 0.5])), np.array([1.5, -2.0, 3.25]))
RUN = make_run(
    [
        make_outcome('b.jpg', 30 * S + 7, POSE, shift(1.0), num_inliers=42),
        make_outcome('a.jpg', 10 * S, shift(2.0), shift(2.1)),
        make_outcome('lost.jpg', 20 * S, None, shift(3.0), failure='matching'),
        make_outcome('elsewhere.jpg', 40 * S, None, None, negative=True),
    ]
)


def picture(outcome):
    jpeg = cv2.imencode('.jpg', np.full((20, 30, 3), 200, np.uint8))[1].tobytes()
    return jpeg if outcome.localized else None


def read(bag):
    messages = {}
    with AnyReader([bag]) as reader:
        for connection, time_ns, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            messages.setdefault(connection.topic, []).append((time_ns, message))
        qos = {c.topic: c.ext.offered_qos_profiles[0].durability for c in reader.connections}
    return messages, qos


@pytest.mark.parametrize('name', ['run', 'run.mcap'])
def test_what_a_bag_holds(tmp_path, name):
    write_result_bag(RUN, tmp_path / name, picture)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).is_file() == name.endswith('.mcap')
    messages, qos = read(tmp_path / name)
    stamps = {topic: [time_ns for time_ns, _ in each] for topic, each in messages.items()}
    assert stamps[POSE_TOPIC] == stamps['/tf'] == [10 * S, 30 * S + 7]
    assert stamps[DEBUG_IMAGE_TOPIC] == [10 * S, 30 * S + 7]
    assert stamps[TRUTH_TOPIC] == [10 * S, 20 * S, 30 * S + 7]
    assert stamps[STATUS_TOPIC] == [10 * S, 20 * S, 30 * S + 7, 40 * S]
    # Seen as a whole from the start, also by those who join later.
    assert stamps[PATH_TOPIC] == stamps[TRUTH_PATH_TOPIC] == [10 * S]
    assert qos[PATH_TOPIC] == qos[TRUTH_PATH_TOPIC] == QosDurability.TRANSIENT_LOCAL

    stamped = messages[POSE_TOPIC][1][1]
    assert (stamped.header.frame_id, stamped.header.stamp.sec) == ('map', 30)
    assert stamped.header.stamp.nanosec == 7
    np.testing.assert_array_equal(stamped.pose.covariance.reshape(6, 6), COVARIANCE)
    position, quaternion = stamped.pose.pose.position, stamped.pose.pose.orientation
    assert [position.x, position.y, position.z] == POSE.translation.tolist()
    xyzw = [quaternion.x, quaternion.y, quaternion.z, quaternion.w]
    np.testing.assert_allclose(xyzw, POSE.quat_xyzw)

    (transform,) = messages['/tf'][0][1].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ('map', ESTIMATE_FRAME)
    assert transform.transform.translation.x == 2.0
    path = messages[TRUTH_PATH_TOPIC][0][1]
    assert [pose.pose.position.x for pose in path.poses] == [2.1, 3.0, 1.0]
    assert len(messages[PATH_TOPIC][0][1].poses) == 2


def test_status_tells_what_went_wrong(tmp_path):
    write_result_bag(RUN, tmp_path / 'run')
    messages, _ = read(tmp_path / 'run')
    assert DEBUG_IMAGE_TOPIC not in messages
    found, lost, *_ = (
        {v.key: v.value for v in m.status[0].values} | {'level': m.status[0].level}
        for _, m in messages[STATUS_TOPIC]
    )
    assert found['name'] == 'a.jpg'
    assert found['position_error'] == '0.1 m'
    assert found['level'] == 0
    assert lost['position_error'] == 'inf m'
    assert lost['failure'].startswith('matching')
    assert (lost['status'], lost['reason']) == ('TOO_FEW_MATCHES', 'only 3 matches')
    assert lost['level'] == 1


def test_debug_images_are_jpeg(tmp_path):
    write_result_bag(RUN, tmp_path / 'run', picture)
    message = read(tmp_path / 'run')[0][DEBUG_IMAGE_TOPIC][0][1]
    assert 'jpeg' in message.format
    image = cv2.imdecode(message.data, cv2.IMREAD_COLOR)
    np.testing.assert_allclose(image.astype(float), 200.0, atol=3)


def test_other_programs_read_it(tmp_path):
    reader = pytest.importorskip('mcap_ros2.reader')
    write_result_bag(RUN, tmp_path / 'run.mcap', picture)
    topics = [m.channel.topic for m in reader.read_ros2_messages(str(tmp_path / 'run.mcap'))]
    assert topics.count(STATUS_TOPIC) == 4
    assert topics.count(PATH_TOPIC) == 1


def test_a_bag_is_not_replaced(tmp_path):
    (tmp_path / 'run').mkdir()
    with pytest.raises(DataError, match='exists'):
        write_result_bag(RUN, tmp_path / 'run')


@pytest.mark.parametrize('stamp_ns', [-1, 2**31 * S])
def test_stamps_that_messages_cannot_hold(tmp_path, stamp_ns):
    run = make_run([make_outcome('x.jpg', stamp_ns, POSE, None)])
    with pytest.raises(DataError, match=r'x\.jpg.*1970 to 2038'):
        write_result_bag(run, tmp_path / 'run')
    assert list(tmp_path.iterdir()) == []


def test_a_bag_of_a_failing_picture_is_not_left(tmp_path):
    def broken(outcome):
        raise RuntimeError(outcome.name)

    with pytest.raises(RuntimeError):
        write_result_bag(RUN, tmp_path / 'run', broken)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_covariance_is_zeros(tmp_path):
    outcome = make_outcome('x.jpg', 1, POSE, None, covariance=np.full((6, 6), np.nan))
    write_result_bag(make_run([outcome]), tmp_path / 'run')
    message = read(tmp_path / 'run')[0][POSE_TOPIC][0][1]
    assert not message.pose.covariance.any()
