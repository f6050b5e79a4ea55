# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`~/debug_image`: drawn for whoever looks, for nobody else, never on the executor's thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_harness import HEIGHT, NS, WIDTH, Harness, now_ns
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from relloc_ros.camera import Camera
from relloc_ros.match_drawing import ERROR_COLOUR, NO_POSE_COLOUR, POSE_COLOUR
from relloc_ros.ros import debug_image
from relloc_ros.ros.conversions import image_message, time_message
from relloc_ros.ros.debug_image import DebugImageOutput
from relloc_ros.ros.frame_processor import Frame, FrameResult
from relloc_ros.structures import Localization, PairMatches, Status
from relloc_ros.tracker import TrackingState, Verdict

TOPIC = '/localization_node/debug_image'
MAP: Any = SimpleNamespace(
    image_names=('a.jpg',),
    num_images=1,
    centres=np.zeros((1, 3)),
    thumbnail=lambda index: np.full((240, 320, 3), (10, 20, 200), np.uint8),
    camera=lambda index: Camera('PINHOLE', 640, 480, (500.0, 500.0, 320.0, 240.0)),
)


class Drawings:
    """Counts what is drawn, and says when drawing may go on."""

    def __init__(self, draw: Any) -> None:
        self.stamps: list[int] = []
        self.threads: set[int] = set()
        self.go_on = threading.Event()
        self.go_on.set()
        self.fails = False
        self._draw = draw

    def __call__(self, image: Any, localization: Localization, *rest: Any) -> Any:
        self.stamps.append(localization.stamp_ns)
        self.threads.add(threading.get_ident())
        self.go_on.wait(10.0)
        if self.fails:
            raise RuntimeError('no ink')
        return self._draw(image, localization, *rest)


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawings]:
    found = Drawings(debug_image.draw_query)
    monkeypatch.setattr(debug_image, 'draw_query', found)
    yield found
    found.go_on.set()


@pytest.fixture
def harness(ros: None, drawings: Drawings) -> Iterator[Harness]:
    with Harness(tf_mode='none', max_rate=0.0) as harness:
        harness.start()
        harness.robot.send_camera_info()
        harness.robot.send_extrinsics()
        harness.spin(0.2)
        yield harness
        drawings.go_on.set()


def part_of(harness: Harness) -> DebugImageOutput:
    session = harness.node._session
    assert session is not None
    return session.part(DebugImageOutput)


def listen(
    harness: Harness, reliability: ReliabilityPolicy = ReliabilityPolicy.RELIABLE
) -> list[Image]:
    images: list[Image] = []
    qos = QoSProfile(depth=10, reliability=reliability)
    harness.robot.create_subscription(Image, TOPIC, images.append, qos)
    harness.spin_until(part_of(harness)._publisher.get_subscription_count)
    harness.spin(0.1)
    return images


def pixels(message: Image) -> Any:
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def test_nobody_looks_nothing_is_drawn(harness: Harness, drawings: Drawings) -> None:
    for i in range(5):
        harness.localize(now_ns() + i * NS)
    assert drawings.stamps == []
    subscription = harness.robot.create_subscription(Image, TOPIC, lambda _: None, 1)
    publisher = part_of(harness)._publisher
    harness.spin_until(publisher.get_subscription_count)
    harness.localize(7 * NS)
    harness.spin_until(lambda: drawings.stamps == [7 * NS])
    harness.robot.destroy_subscription(subscription)
    harness.spin_until(lambda: not publisher.get_subscription_count())
    harness.localize(8 * NS)
    assert drawings.stamps == [7 * NS]


@pytest.mark.parametrize(
    'reliability', [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT]
)
def test_whoever_looks_sees_each_frame(
    harness: Harness, drawings: Drawings, reliability: ReliabilityPolicy
) -> None:
    images = listen(harness, reliability)
    harness.localize(3 * NS)
    harness.spin_until(lambda: images)
    (message,) = images
    assert message.header.stamp == time_message(3 * NS)
    assert message.header.frame_id == 'camera'
    assert message.encoding == 'bgr8'
    assert (message.step, len(message.data)) == (3 * message.width, message.step * message.height)
    assert drawings.threads.isdisjoint({threading.get_ident()})
    # The image, black, stands below the banner.
    assert pixels(message)[-180, 100].tolist() == [0, 0, 0]


def test_an_image_that_cannot_be_used_is_a_banner_with_the_reason(harness: Harness) -> None:
    images = listen(harness)
    harness.robot.send_image(3 * NS, encoding='foo8')
    harness.spin_until(lambda: images)
    picture = pixels(images[0])
    assert picture[1, 1].tolist() == list(ERROR_COLOUR)
    assert (picture[25:60] > 200).any()


def test_frames_that_come_faster_are_left_out(harness: Harness, drawings: Drawings) -> None:
    images = listen(harness)
    drawings.go_on.clear()
    for i in range(1, 7):
        # Statuses go on coming: the executor does not wait for drawings.
        harness.localize(i * NS)
    assert images == []
    drawings.go_on.set()
    harness.spin_until(lambda: images and images[-1].header.stamp == time_message(6 * NS))
    assert drawings.stamps == [1 * NS, 6 * NS]


def test_deactivation_loses_what_is_being_drawn(harness: Harness, drawings: Drawings) -> None:
    images = listen(harness)
    drawings.go_on.clear()
    harness.localize(1 * NS)
    harness.spin_until(lambda: drawings.stamps)
    start_s = time.monotonic()
    harness.node.trigger_deactivate()
    assert time.monotonic() - start_s < 1.0
    drawings.go_on.set()
    harness.spin(0.3)
    assert images == []
    harness.node.trigger_activate()
    harness.robot.send_camera_info()
    harness.spin(0.2)
    harness.robot.send_camera_info()
    harness.localize(5 * NS)
    harness.spin_until(lambda: images)
    assert images[0].header.stamp == time_message(5 * NS)


def test_cleanup_ends_the_thread_even_while_it_draws(harness: Harness, drawings: Drawings) -> None:
    listen(harness)
    thread = part_of(harness)._worker._thread
    drawings.go_on.clear()
    harness.localize(1 * NS)
    harness.spin_until(lambda: drawings.stamps)
    start_s = time.monotonic()
    harness.node.trigger_deactivate()
    harness.node.trigger_cleanup()
    assert time.monotonic() - start_s < 5.0
    drawings.go_on.set()
    thread.join(10.0)
    assert not thread.is_alive()
    harness.spin(0.1)


def test_a_drawing_that_fails_is_not_the_last(harness: Harness, drawings: Drawings) -> None:
    images = listen(harness)
    drawings.fails = True
    harness.localize(1 * NS)
    harness.spin_until(lambda: drawings.stamps)
    drawings.fails = False
    harness.localize(2 * NS)
    harness.spin_until(lambda: images)
    assert images[0].header.stamp == time_message(2 * NS)


def coloured_result(verdict: Verdict, pairs: tuple[PairMatches, ...] = ()) -> FrameResult:
    image = np.full((HEIGHT, WIDTH, 3), (200, 40, 20), np.uint8)
    message = image_message(image, Header(frame_id='camera'))
    camera = Camera('PINHOLE', WIDTH, HEIGHT, (30.0, 30.0, 16.0, 12.0))
    localization = Localization(Status.TOO_FEW_INLIERS, 'too few', NS, 'stub', pairs=pairs)
    frame = Frame(message, camera, 'image', 0.0)
    return FrameResult(frame, localization, None, None, '', 0.0, verdict)


def test_the_query_stands_beside_its_map_image_in_their_colours(harness: Harness) -> None:
    images = listen(harness)
    session = harness.node._session
    assert session is not None
    points = np.array([[16.0, 12.0]])
    pair = PairMatches('a.jpg', points, 20 * points, np.array([True]))
    session.loaded = replace(session.loaded, reference_map=MAP)
    lost = Verdict(TrackingState.LOST, False, 'too few')
    part_of(harness).frame_processed(coloured_result(lost, (pair,)))
    harness.spin_until(lambda: images)
    picture = pixels(images[0])
    assert picture.shape[1] == 480 + 480
    assert picture[1, 1].tolist() == list(NO_POSE_COLOUR)
    assert picture[80, 100].tolist() == [200, 40, 20]
    assert picture[80, 600].tolist() == [10, 20, 200]


def test_the_banner_is_green_for_poses_that_are_trusted(harness: Harness) -> None:
    images = listen(harness)
    trusted = Verdict(TrackingState.LOCALIZED, True)
    part_of(harness).frame_processed(coloured_result(trusted))
    harness.spin_until(lambda: images)
    assert pixels(images[0])[1, 1].tolist() == list(POSE_COLOUR)
