# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The bond with Nav2's lifecycle manager, with a stand-in for the messages of the package bond."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

rclpy = pytest.importorskip('rclpy')

from ros_harness import Harness  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from relloc_ros.config import NodeConfig, make_config  # noqa: E402
from relloc_ros.ros import bond  # noqa: E402

TIMEOUT_S = 20.0


@dataclass
class Status:
    """As bond/msg/Status."""

    id: str
    instance_id: str
    active: bool
    heartbeat_timeout: float
    heartbeat_period: float
    header: Header = field(default_factory=Header)


class Publisher:
    """Keeps what is said, and fails as one of a ROS that is shut down, if asked."""

    def __init__(self) -> None:
        self.said: list[Status] = []
        self.threads: set[int] = set()
        self.failure: Exception | None = None

    def publish(self, message: Status) -> None:
        if self.failure is not None:
            raise self.failure
        self.threads.add(threading.get_ident())
        self.said.append(message)

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while len(self.said) < count:
            assert time.monotonic() < deadline, 'waited in vain'
            time.sleep(0.01)


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Publisher:
    publisher = Publisher()
    create = rclpy.node.Node.create_publisher

    def create_publisher(node: Any, message_type: Any, topic: str, *rest: Any, **more: Any) -> Any:
        if message_type is Status:
            assert topic == 'bond'
            return publisher
        return create(node, message_type, topic, *rest, **more)

    monkeypatch.setattr(bond, 'Status', Status)
    monkeypatch.setattr(rclpy.node.Node, 'create_publisher', create_publisher)
    return publisher


@pytest.fixture
def node(ros: None) -> Iterator[Any]:
    node = rclpy.create_node('watched')
    yield node
    node.destroy_node()


def make_bond(node: Any, **settings: Any) -> bond.Bond:
    config = make_config(NodeConfig, {'bond_heartbeat_period': 0.01, **settings})
    session: Any = SimpleNamespace(node=node, config=config)
    return bond.Bond(session)


def test_heartbeat_from_activate_to_deactivate(publisher: Publisher, node: Any) -> None:
    part = make_bond(node)
    assert publisher.said == []
    part.activate()
    publisher.wait_for(5)
    part.deactivate()
    count = len(publisher.said)
    *beats, last_words = publisher.said
    assert all(message.active for message in beats)
    assert not last_words.active
    assert {message.id for message in publisher.said} == {'watched'}
    assert len({message.instance_id for message in publisher.said}) == 1
    assert last_words.heartbeat_period == pytest.approx(0.01)
    assert last_words.header.stamp.sec > 0
    time.sleep(0.1)
    assert len(publisher.said) == count
    assert publisher.threads > {threading.get_ident()}


def test_each_activation_is_a_bond_of_its_own(publisher: Publisher, node: Any) -> None:
    part = make_bond(node)
    for _ in range(2):
        part.activate()
        part.deactivate()
    part.close()
    assert [message.active for message in publisher.said] == [True, False, True, False]
    assert len({message.instance_id for message in publisher.said}) == 2


@pytest.mark.parametrize('settings', [{'autostart': True}, {'bond_heartbeat_period': 0.0}])
def test_no_bond_where_there_is_no_manager(
    publisher: Publisher, node: Any, settings: dict[str, Any]
) -> None:
    part = make_bond(node, **settings)
    part.activate()
    time.sleep(0.05)
    part.deactivate()
    part.close()
    assert publisher.said == []


def test_without_the_package_it_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, node: Any
) -> None:
    monkeypatch.setattr(bond, 'Status', None)
    lines: list[str] = []
    logger = SimpleNamespace(info=lines.append)
    monkeypatch.setattr(node, 'get_logger', lambda: logger)
    part = make_bond(node)
    part.activate()
    part.deactivate()
    part.close()
    assert len(lines) == 1
    assert 'bond_timeout' in lines[0]


def test_shutdown_of_ros_under_it_is_no_error(publisher: Publisher, node: Any) -> None:
    part = make_bond(node)
    part.activate()
    publisher.wait_for(1)
    publisher.failure = RuntimeError('context is invalid')
    node.context.try_shutdown()
    part.deactivate()
    part.close()


def test_node_under_a_manager_keeps_it(publisher: Publisher, ros: None) -> None:
    with Harness(bond_heartbeat_period=0.02) as harness:
        harness.start()
        publisher.wait_for(3)
        harness.node.trigger_deactivate()
        assert [message.active for message in publisher.said[-2:]] == [True, False]
        assert {message.id for message in publisher.said} == {'localization_node'}
        harness.node.trigger_activate()
        publisher.wait_for(len(publisher.said) + 2)
    assert not publisher.said[-1].active
