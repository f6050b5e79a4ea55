# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says when something is wrong with what it hears, and that all images add up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from diagnostic_msgs.msg import DiagnosticStatus
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import BASE_FROM_CAM, HEIGHT, NS, WIDTH, Harness, now_ns, values
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

from relloc_ros.geometry import RigidTransform
from relloc_ros.ros.conversions import transform_message

WARN, ERROR = DiagnosticStatus.WARN, DiagnosticStatus.ERROR
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
VOLATILE = QoSProfile(depth=10)
KINDS: dict[str, type[Any]] = {
    '/image': Image,
    '/camera_info': CameraInfo,
    '/tf': TFMessage,
    '/tf_static': TFMessage,
}

Make = Callable[..., Harness]


@pytest.fixture
def make(ros: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make a harness whose node reports often."""
    monkeypatch.setattr('relloc_ros.ros.localization_node.DIAGNOSTICS_PERIOD_S', 0.1)
    monkeypatch.setattr('relloc_ros.ros.diagnostics.GONE_AFTER_S', 0.3)
    made: list[Harness] = []

    def make_one(**parameters: Any) -> Harness:
        made.append(Harness(**{'max_rate': 0.0, 'transform_timeout': 0.05, **parameters}))
        return made[-1]

    yield make_one
    for harness in made:
        harness.__exit__()


@pytest.fixture
def active(make: Make) -> Harness:
    """An active node that knows camera, extrinsics and odometry up to now."""
    harness = make()
    harness.start()
    harness.robot.send_camera_info()
    harness.robot.send_extrinsics()
    send_odometry(harness)
    return harness


@pytest.fixture
def stranger(ros: None) -> Iterator[Node]:
    """A node in a context of its own, as in another process."""
    context = rclpy.Context()
    context.init()
    node = Node('stranger', namespace='/elsewhere', context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def send_odometry(harness: Harness) -> None:
    for step in (-1, 0, 1, 2):
        harness.robot.send_odometry(now_ns() + step * NS, RigidTransform.identity())
    harness.spin(0.1)


def told(harness: Harness, words: str, level: bytes | None = None) -> str:
    """Wait until diagnostics say something; returns what."""
    reports = harness.robot.diagnostics
    reports.clear()
    deadline = time.monotonic() + 10.0
    while not (reports and words in reports[-1].message):
        assert time.monotonic() < deadline, reports[-1].message if reports else 'no report'
        harness.spin(0.05)
    assert level is None or reports[-1].level == level
    return str(reports[-1].message)


def told_no_more(harness: Harness, words: str) -> str:
    """Wait until diagnostics do not say something any more; returns what they say."""
    harness.spin_until(lambda: words not in harness.next_diagnostic().message)
    return str(harness.robot.diagnostics[-1].message)


@pytest.mark.parametrize(
    ('topic', 'qos', 'overrides', 'words'),
    [
        (
            '/image',
            BEST_EFFORT,
            {'qos_overrides./image.subscription.reliability': 'reliable'},
            'offers reliability best_effort, this node asks for reliable; set '
            'qos_overrides./image.subscription.reliability to best_effort',
        ),
        (
            '/image',
            VOLATILE,
            {'qos_overrides./image.subscription.durability': 'transient_local'},
            'offers durability volatile',
        ),
        (
            '/camera_info',
            BEST_EFFORT,
            {'qos_overrides./camera_info.subscription.reliability': 'reliable'},
            'qos_overrides./camera_info.subscription.reliability to best_effort',
        ),
        ('/tf', BEST_EFFORT, {}, 'qos_overrides./tf.subscription.reliability to best_effort'),
        ('/tf_static', VOLATILE, {}, 'qos_overrides./tf_static.subscription.durability to volat'),
    ],
)
def test_incompatible_qos(
    make: Make, topic: str, qos: QoSProfile, overrides: dict[str, str], words: str
) -> None:
    harness = make(**overrides)
    harness.robot.destroy_publisher(harness.robot.images)
    harness.node.trigger_configure()
    harness.node.trigger_activate()
    publisher = harness.robot.create_publisher(KINDS[topic], topic, qos)
    message = told(harness, f'incompatible QoS on topic {topic}', ERROR)
    assert 'nothing is heard of /robot' in message
    assert words in message
    harness.robot.destroy_publisher(publisher)
    told_no_more(harness, f'incompatible QoS on topic {topic}')


def test_qos_overrides_are_what_is_subscribed_with(make: Make) -> None:
    wanted: dict[str, dict[str, Any]] = {
        '/image': {'reliability': 'reliable', 'depth': 5},
        '/tf': {'reliability': 'best_effort', 'depth': 7},
        '/tf_static': {'durability': 'volatile'},
    }
    harness = make(
        **{
            f'qos_overrides.{topic}.subscription.{policy}': value
            for topic, policies in wanted.items()
            for policy, value in policies.items()
        }
    )
    for _ in range(2):
        harness.node.trigger_configure()
        harness.node.trigger_activate()
        found = {item.topic_name: item.qos_profile for item in harness.node.subscriptions}
        assert found['/image'].reliability is ReliabilityPolicy.RELIABLE
        assert found['/image'].depth == 5
        assert found['/camera_info'].reliability is ReliabilityPolicy.BEST_EFFORT
        assert found['/camera_info'].depth == 1
        assert found['/tf'].reliability is ReliabilityPolicy.BEST_EFFORT
        assert found['/tf'].depth == 7
        assert found['/tf_static'].durability.name == 'VOLATILE'
        harness.node.trigger_deactivate()
        harness.node.trigger_cleanup()


@pytest.mark.parametrize(('topic', 'transition'), [('/image', 'activate'), ('/tf', 'configure')])
def test_senseless_override_is_told(make: Make, topic: str, transition: str) -> None:
    harness = make(**{f'qos_overrides.{topic}.subscription.reliability': 'perfect'})
    harness.node.trigger_configure()
    harness.node.trigger_activate()
    message = told(harness, f'cannot {transition}: cannot subscribe to {topic}', ERROR)
    assert 'perfect' in message
    assert f'qos_overrides.{topic}.subscription' in message


def test_override_of_an_unresolved_name_is_told(make: Make) -> None:
    harness = make(**{'qos_overrides.image.subscription.reliability': 'reliable'})
    harness.start()
    message = told(harness, "'qos_overrides.image.subscription.reliability' has no effect")
    assert "'qos_overrides./image.subscription.reliability'" in message


def test_nobody_publishes_images(make: Make) -> None:
    harness = make(image_timeout=0.3)
    harness.robot.destroy_publisher(harness.robot.images)
    other = harness.robot.create_publisher(Image, '/front/image_raw', 1)
    harness.node.trigger_configure()
    harness.node.trigger_activate()
    assert 'WAITING for images on /image' in told(harness, 'WAITING')
    # Discovery takes its time: the other topic is what it learns last.
    message = told(harness, '/front/image_raw (Image)', ERROR)
    assert 'no images in' in message
    assert 'on topic /image: nobody publishes it; remap image' in message
    # Its own pictures are no camera.
    assert 'debug_image' not in message
    harness.robot.destroy_publisher(other)


def test_publisher_without_images_and_images_that_stop(active: Harness) -> None:
    active.node.set_parameters([Parameter('image_timeout', value=0.4)])
    words = 'on topic /image, though it has a publisher'
    assert 'qos_overrides./image.subscription.reliability' in told(active, words, ERROR)
    active.localize(now_ns())
    told_no_more(active, words)
    told(active, words, ERROR)
    assert values(active.robot.diagnostics[-1])['state'] == 'WAITING'


def test_other_type_on_the_topic(make: Make, stranger: Node) -> None:
    harness = make()
    harness.node.trigger_configure()
    harness.node.trigger_activate()
    stranger.create_publisher(CompressedImage, '/image', 1)
    # The name of a node is discovered after its topics.
    message = told(harness, '/elsewhere/stranger publishes', ERROR)
    assert 'publishes sensor_msgs/msg/CompressedImage on /image' in message
    assert 'set image_transport: compressed' in message


def test_camera_info_late(make: Make) -> None:
    harness = make(image_timeout=1.5)
    harness.start()
    harness.robot.send_extrinsics()
    send_odometry(harness)
    levels = []
    for count in range(1, 31):
        harness.robot.send_image(now_ns())
        harness.spin(0.1)
        if count in (3, 25):
            assert 'camera_info missing on topic /camera_info' in told(harness, 'camera_info')
            levels.append(harness.robot.diagnostics[-1].level)
    assert levels == [WARN, ERROR]
    assert harness.robot.frames == []
    assert 'WAITING for camera_info on /camera_info' in told(harness, 'WAITING')
    harness.robot.send_camera_info()
    harness.spin(0.05)
    harness.localize(now_ns())
    told_no_more(harness, 'camera_info')
    found = values(harness.next_diagnostic())
    assert found['images_skipped'] == str(count)
    assert found['images_received'] == str(count + 1)


def test_nobody_publishes_camera_info(make: Make) -> None:
    harness = make()
    harness.start()
    harness.robot.destroy_publisher(harness.robot.infos)
    harness.robot.send_image(now_ns())
    told(harness, 'camera_info missing on topic /camera_info: nobody publishes it; remap')


def test_unusable_camera_info(active: Harness) -> None:
    active.robot.send_camera_info(focal_length=0.0)
    message = told(active, 'camera_info on topic /camera_info cannot be used', ERROR)
    assert 'calibrate the camera' in message
    active.robot.send_camera_info()
    told_no_more(active, 'cannot be used')


@pytest.mark.parametrize(
    ('image', 'words'),
    [
        (
            {'width': WIDTH // 2},
            f'image of /image: size 16x24 differs from the camera, {WIDTH}x{HEIGHT}: use the '
            'camera_info that belongs to this image (its binning and region of interest count), '
            'or set resized_images',
        ),
        ({'encoding': 'momo8'}, "image of /image: encoding 'momo8' is unknown; the nearest known"),
        ({'encoding': '32FC1'}, 'holds depth: use the topic of the colour or grey image'),
    ],
)
def test_unusable_image(active: Harness, image: dict[str, Any], words: str) -> None:
    active.robot.send_image(now_ns(), **image)
    told(active, words, ERROR)
    active.localize(now_ns())
    told_no_more(active, words)


@pytest.mark.parametrize('image_format', ['bgr8; zstd compressed', 'theora'])
def test_compressed_image_neither_jpeg_nor_png(make: Make, image_format: str) -> None:
    harness = make(image_transport='compressed')
    harness.start()
    harness.robot.send_camera_info()
    harness.spin(0.05)
    message = CompressedImage(format=image_format, data=b'(\xb5/\xfd' + bytes(20))
    harness.robot.compressed.publish(message)
    words = f"image of /image/compressed: compressed image of format '{image_format}'"
    assert 'is neither JPEG nor PNG' in told(harness, words, ERROR)


def test_unknown_transport_is_refused(make: Make) -> None:
    harness = make(image_transport='theora')
    harness.node.trigger_configure()
    message = told(harness, 'cannot configure', ERROR)
    assert "setting 'image_transport'" in message
    assert "'raw' or 'compressed'" in message


def test_camera_frame_that_tf_does_not_know(active: Harness) -> None:
    active.node.trigger_deactivate()
    active.node.set_parameters([Parameter('camera_frame', value='camara')])
    active.node.trigger_activate()
    active.spin_until(active.robot.images.get_subscription_count)
    active.robot.send_camera_info()
    active.robot.send_extrinsics()
    send_odometry(active)
    words = 'TF base_link <- camara is missing'
    message = told(active, words, ERROR)
    assert "no transform names the frame 'camara', did you mean 'camera'?" in message
    assert 'WAITING for' in message
    active.localize(now_ns())
    assert told(active, words, ERROR).count('where the camera sits') == 1
    transform = transform_message('camera', 'camara', 0, RigidTransform.identity())
    active.robot.static_tf.publish(TFMessage(transforms=[transform]))
    told_no_more(active, words)


def test_camera_frame_that_hangs_elsewhere(make: Make) -> None:
    harness = make()
    harness.start()
    harness.robot.send_camera_info()
    send_odometry(harness)
    for parent, child in (('arm', 'camera'), ('map', 'odom')):
        transform = transform_message(parent, child, 0, BASE_FROM_CAM)
        harness.robot.static_tf.publish(TFMessage(transforms=[transform]))
    harness.spin(0.1)
    harness.robot.send_image(now_ns())
    told(harness, 'both frames are known, but no transforms connect them', ERROR)


def test_odometry_that_is_late(active: Harness) -> None:
    active.localize(now_ns() + 4 * NS)
    message = told(active, 'odom TF missing, odom <- base_link')
    assert 'the newest data is' in message
    assert 's older' in message
    assert 'raise transform_timeout' in message
    active.localize(now_ns())
    told_no_more(active, 'odom TF missing')


def test_no_odometry_at_all(make: Make) -> None:
    harness = make()
    harness.start()
    harness.robot.send_camera_info()
    harness.robot.send_extrinsics()
    harness.spin(0.1)
    harness.localize(now_ns())
    message = told(harness, 'odom TF missing, odom <- base_link')
    assert 'tf_mode: map_to_base' in message


def test_no_clock(make: Make) -> None:
    harness = make(use_sim_time=True)
    harness.start()
    harness.robot.send_image(now_ns())
    message = told(harness, 'use_sim_time is set, but nothing comes on /clock')
    assert 'from node time' not in message
    harness.robot.send_clock(now_ns())
    told_no_more(harness, '/clock')


@pytest.mark.parametrize(('offset_s', 'side'), [(-5, 'past'), (5, 'future')])
def test_stamps_far_from_node_time(active: Harness, offset_s: int, side: str) -> None:
    active.localize(now_ns() + offset_s * NS)
    message = told(active, 's from node time')
    assert f'in its {side} (/image)' in message
    assert abs(float(values(active.robot.diagnostics[-1])['stamp_offset_s']) - offset_s) < 1.0
    active.localize(now_ns())
    told_no_more(active, 'from node time')


def test_stamps_that_do_not_advance(active: Harness) -> None:
    stamp_ns = now_ns()
    for _ in range(4):
        active.localize(stamp_ns)
    told(active, 'stamps of the images on /image do not advance', ERROR)
    active.localize(now_ns())
    told_no_more(active, 'do not advance')


def test_own_map_to_odom_is_no_problem_and_a_second_one_is(active: Harness) -> None:
    active.localize(now_ns())
    active.spin_until(lambda: len(active.robot.corrections) > 10)
    words = 'a second publisher of map -> odom on /tf or /tf_static'
    assert words not in active.next_diagnostic().message
    transform = transform_message('map', 'odom', now_ns(), RigidTransform.identity())
    active.robot.tf.publish(TFMessage(transforms=[transform]))
    assert 'one of /robot' in told(active, words, ERROR)
    assert 'tf_broadcast' in active.robot.diagnostics[-1].message
    told_no_more(active, words)


def test_map_to_odom_from_the_past_is_still_ours_after_a_jump_of_time(make: Make) -> None:
    harness = make(use_sim_time=True)
    harness.start()
    harness.robot.send_camera_info()
    harness.robot.send_extrinsics()
    for repetition in range(3):
        for step in range(20):
            stamp_ns = 1000 * NS + step * NS // 20
            harness.robot.send_clock(stamp_ns)
            harness.robot.send_odometry(stamp_ns, RigidTransform.identity())
            if step % 4 == 2:
                harness.robot.send_image(stamp_ns - NS // 20)
            harness.spin(0.02)
        assert harness.robot.corrections, repetition
    assert 'second publisher' not in harness.next_diagnostic().message


def test_two_nodes_that_publish_the_same_map_to_odom(make: Make) -> None:
    with Harness(tf_mode='map_to_odom') as other:
        other.node.trigger_configure()
        other.node.trigger_activate()
        harness = make()
        harness.start()
        for one in (harness, other):
            one.robot.send_camera_info()
            one.robot.send_extrinsics()
            send_odometry(one)
        stamp_ns = now_ns()
        harness.robot.send_image(stamp_ns)
        for _ in range(20):
            harness.spin(0.02)
            other.spin(0.02)
        assert 'a node of the same name' in told(harness, 'a second publisher of map -> odom')


def test_who_does_not_broadcast_does_not_mind(make: Make) -> None:
    harness = make(tf_broadcast=False)
    harness.start()
    transform = transform_message('map', 'odom', now_ns(), RigidTransform.identity())
    harness.robot.tf.publish(TFMessage(transforms=[transform]))
    harness.spin(0.2)
    assert 'second publisher' not in harness.next_diagnostic().message


def test_odometry_is_a_second_parent_where_base_is_our_child(make: Make) -> None:
    harness = make(tf_mode='map_to_base')
    harness.start()
    send_odometry(harness)
    told(harness, 'a second publisher of odom -> base_link', ERROR)
    assert 'or set tf_mode: map_to_odom here' in harness.robot.diagnostics[-1].message


def test_frame_with_two_parents(active: Harness) -> None:
    transform = transform_message('wheels', 'base_link', now_ns(), RigidTransform.identity())
    active.robot.tf.publish(TFMessage(transforms=[transform]))
    message = told(active, "frame 'base_link' has two parents")
    assert "'odom' and 'wheels'" in message


def test_states_and_log(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    harness = make(image_timeout=0.5)
    assert told(harness, 'UNCONFIGURED') == 'UNCONFIGURED'
    harness.node.trigger_configure()
    assert told(harness, 'INACTIVE') == 'INACTIVE'
    harness.start()
    told(harness, 'WAITING for images on /image, camera_info on /camera_info; no images', ERROR)
    harness.robot.send_camera_info()
    harness.robot.send_extrinsics()
    send_odometry(harness)

    for _ in range(10):
        harness.localize(now_ns())
        harness.spin(0.05)
    assert values(harness.next_diagnostic())['state'] == 'LOCALIZED'
    told(harness, 'WAITING for images')
    harness.spin(1.0)
    log = capfd.readouterr().err
    assert log.count('[ERROR]') >= 2
    # Silence is told when it begins, and that it is over when it is over.
    silence = [line for line in log.splitlines() if 'no images in' in line]
    assert len([line for line in silence if '[ERROR]' in line]) == 2
    assert len([line for line in silence if '[INFO]' in line and 'no longer: ' in line]) == 1


def test_every_image_is_counted(active: Harness) -> None:
    localize = active.stub.process_message
    started: list[tuple[int, int]] = []
    sent: list[int] = []

    def slow(message: Any, *arguments: Any, **more: Any) -> Any:
        started.append((len(sent), len(active.stub.stamps)))
        time.sleep(0.11)
        return localize(message, *arguments, **more)

    active.stub.process_message = slow  # type: ignore[method-assign]
    active.robot.diagnostics.clear()
    period_s, start_s = 1 / 30, time.monotonic()
    while len(sent) < 90:
        sent.append(now_ns())
        active.robot.send_image(sent[-1])
        active.spin(max(0.0, start_s + len(sent) * period_s - time.monotonic()))
        if len(sent) == 60:
            active.node.set_parameters([Parameter('max_rate', value=4.0)])
    active.spin_until(lambda: values(active.next_diagnostic())['images_pending'] == '0')
    for status in active.robot.diagnostics:
        add_up(values(status))
    found = {key: int(n) for key, n in values(active.next_diagnostic()).items() if 'images' in key}
    assert 45 < found['images_received'] <= 90
    assert found['images_processed'] == len(active.stub.stamps) == len(active.robot.frames)
    assert found['images_dropped'] > 20
    assert found['images_skipped'] == 0
    assert active.stub.stamps[-1] == sent[-1]
    # The newest wins: what is begun was sent just before.
    stamps = active.stub.stamps
    ages = [
        count - 1 - sent.index(stamp) for (count, _), stamp in zip(started, stamps, strict=True)
    ]
    assert np.median(ages) <= 3
    # 9 per second at most, and in the end 4.
    assert 5 <= found['images_processed'] <= 1 + (time.monotonic() - start_s) / 0.11


def test_images_lost_by_deactivation_disabling_and_time_add_up(make: Make) -> None:
    harness = make(use_sim_time=True)
    harness.start()
    harness.robot.send_camera_info()
    harness.robot.send_extrinsics()
    harness.robot.send_clock(100 * NS)
    harness.spin(0.1)
    harness.stub.go_on.clear()
    for i in range(4):
        harness.robot.send_image(99 * NS + i)
        harness.spin(0.05)
    found = values(harness.next_diagnostic())
    add_up(found)
    assert (found['images_dropped'], found['images_pending']) == ('2', '2')
    harness.robot.send_clock(50 * NS)
    harness.spin(0.1)
    found = values(harness.next_diagnostic())
    add_up(found)
    assert (found['images_dropped'], found['images_pending']) == ('4', '0')
    harness.stub.go_on.set()
    harness.localize(51 * NS)
    add_up(values(harness.next_diagnostic()))
    client = harness.robot.create_client(SetBool, '/localization_node/set_enabled')
    harness.spin_until(client.service_is_ready)
    for is_enabled, skipped in ((False, '3'), (True, '3')):
        answer = client.call_async(SetBool.Request(data=is_enabled))
        harness.spin_until(answer.done)
        for i in range(3):
            harness.robot.send_image(52 * NS + i)
            harness.spin(0.1)
        found = values(harness.next_diagnostic())
        add_up(found)
        assert found['images_skipped'] == skipped
        assert (found['state'] == 'DISABLED') == (not is_enabled)


def add_up(found: dict[str, str]) -> None:
    parts = ('processed', 'dropped', 'skipped', 'pending')
    total = sum(int(found[f'images_{part}']) for part in parts)
    assert int(found['images_received']) == total, found
    assert int(found['images_localized']) == int(found['images_accepted']) + int(
        found['images_rejected']
    )
