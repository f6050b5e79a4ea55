# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""tf2_msgs, built from our own file where ROS 2 comes from wheels, is what every ROS 2 speaks."""

from __future__ import annotations

import time

import pytest

rclpy = pytest.importorskip('rclpy')

from geometry_msgs.msg import TransformStamped  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

UPSTREAM_HASH = 'RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087'
TIMEOUT_S = 20.0


@pytest.fixture
def node(ros: None):
    node = rclpy.create_node('tf2_msgs_test')
    yield node
    node.destroy_node()


def test_type_hash_is_that_of_ros(node) -> None:
    node.create_publisher(TFMessage, '/tf', 10)
    found = node.get_publishers_info_by_topic('/tf')
    assert [info.topic_type for info in found] == ['tf2_msgs/msg/TFMessage']
    if not hasattr(found[0], 'topic_type_hash'):
        pytest.skip('this ROS 2 knows no type hashes')
    assert str(found[0].topic_type_hash) == UPSTREAM_HASH


def test_transforms_arrive(node) -> None:
    received: list[TFMessage] = []
    node.create_subscription(TFMessage, '/tf', received.append, 10)
    publisher = node.create_publisher(TFMessage, '/tf', 10)
    transform = TransformStamped()
    transform.child_frame_id = 'base_link'
    transform.transform.translation.x = 1.5
    deadline = time.monotonic() + TIMEOUT_S
    while not received and time.monotonic() < deadline:
        publisher.publish(TFMessage(transforms=[transform]))
        rclpy.spin_once(node, timeout_sec=0.1)
    assert received[0].transforms == [transform]
