# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Quality of service: what this node asks for, how users change it, and who offers less."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from rclpy.qos_overriding_options import InvalidQosOverridesError, QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from relloc_ros.errors import ConfigError
from relloc_ros.ros.health import Problem

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

__all__ = [
    'endpoint_name',
    'misnamed_overrides',
    'publisher_problems',
    'sensor_qos',
    'static_tf_qos',
    'subscribe',
    'tf_qos',
]

POLICIES = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)
"""What users may override."""

PREFIX = 'qos_overrides.'


def sensor_qos() -> QoSProfile:
    """Only the newest message, lost ones are lost; takes what any publisher offers."""
    return QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def tf_qos() -> QoSProfile:
    """As tf2 on /tf."""
    return QoSProfile(depth=100)


def static_tf_qos() -> QoSProfile:
    """As tf2 on /tf_static."""
    return QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def subscribe(
    node: Node,
    message_type: type[Any],
    topic: str,
    callback: Callable[[Any], None],
    qos: QoSProfile,
) -> Subscription[Any]:
    """Subscribe with what the parameters ``qos_overrides.TOPIC.subscription.POLICY`` say.

    Args:
        node: owner of the subscription.
        message_type: class of the messages.
        topic: name, resolved or not.
        callback: takes a message.
        qos: where nothing is overridden; rclpy writes the overrides into it.

    Raises:
        ConfigError: an override has a value that makes no sense.
    """
    try:
        return node.create_subscription(
            message_type,
            topic,
            callback,
            qos,
            # rclpy's own warning names neither publisher nor remedy: `publisher_problems` does.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            qos_overriding_options=QoSOverridingOptions(POLICIES),
        )
    except (
        AttributeError,
        InvalidQosOverridesError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        name = node.resolve_topic_name(topic)
        raise ConfigError(
            f'cannot subscribe to {name}: {error}; check the parameters '
            f'{PREFIX}{name}.subscription.*, for example reliability: best_effort, '
            'durability: volatile, history: keep_last, depth: 1'
        ) from error


def publisher_problems(node: Node, subscription: Subscription[Any]) -> Iterator[Problem]:
    """Say of each publisher of a topic that cannot be heard why not, and the remedy."""
    topic = subscription.topic_name
    wanted = _type_name(subscription.msg_type)
    for publisher in node.get_publishers_info_by_topic(topic):
        name = endpoint_name(publisher)
        if publisher.topic_type != wanted:
            yield Problem(
                f'type:{topic}',
                DiagnosticStatus.ERROR,
                f'{name} publishes {publisher.topic_type} on {topic}, not {wanted}: '
                f'{_type_remedy(publisher.topic_type)}',
            )
            continue
        compatibility, reason = qos_check_compatible(
            publisher.qos_profile, subscription.qos_profile
        )
        if compatibility == QoSCompatibility.ERROR:
            difference = _difference(publisher, subscription) or reason
            yield Problem(
                f'qos:{topic}',
                DiagnosticStatus.ERROR,
                f'incompatible QoS on topic {topic}, nothing is heard of {name}: {difference}',
            )


def misnamed_overrides(node: Node, topics: list[str]) -> Iterator[Problem]:
    """Find overrides that mean a topic of ours, but do not name it as rclpy wants it."""
    for name in node.get_parameters_by_prefix(PREFIX[:-1]):
        topic, _, policy = name.partition('.')
        for ours in topics:
            if topic != ours and ours in _meant(node, topic):
                yield Problem(
                    f'override:{name}',
                    DiagnosticStatus.WARN,
                    f"parameter '{PREFIX}{name}' has no effect: write the resolved name of the "
                    f"topic, '{PREFIX}{ours}.{policy}'",
                )


def endpoint_name(endpoint: TopicEndpointInfo) -> str:
    """Give the full name of the node behind a publisher."""
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'


def _difference(publisher: TopicEndpointInfo, subscription: Subscription[Any]) -> str:
    offered, wanted = publisher.qos_profile, subscription.qos_profile
    differences = []
    if (offered.reliability, wanted.reliability) == (
        ReliabilityPolicy.BEST_EFFORT,
        ReliabilityPolicy.RELIABLE,
    ):
        differences.append(('reliability', 'best_effort', 'reliable'))
    if (offered.durability, wanted.durability) == (
        DurabilityPolicy.VOLATILE,
        DurabilityPolicy.TRANSIENT_LOCAL,
    ):
        differences.append(('durability', 'volatile', 'transient_local'))
    return '; '.join(
        f'it offers {policy} {offer}, this node asks for {want}; set '
        f'{PREFIX}{subscription.topic_name}.subscription.{policy} to {offer}, '
        f'or the publisher to {want}'
        for policy, offer, want in differences
    )


def _meant(node: Node, topic: str) -> tuple[str, ...]:
    try:
        resolved = node.resolve_topic_name(topic)
    except Exception:
        # No name of a topic: rclpy has an exception for each way of being none.
        return ()
    return resolved, f'{resolved}/compressed'


def _type_name(message_type: type[Any]) -> str:
    package, folder, *_ = message_type.__module__.split('.')
    return f'{package}/{folder}/{message_type.__name__}'


def _type_remedy(offered: str) -> str:
    if offered == 'sensor_msgs/msg/CompressedImage':
        return 'set image_transport: compressed, and image to the name without /compressed'
    if offered == 'sensor_msgs/msg/Image':
        return 'set image_transport: raw'
    return 'remap to another topic'
