# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that stay in their bag until they are wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import logging
from pathlib import Path
import threading
from typing import Any
import weakref

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection

from relloc_ros.bags.storage import BagFile
from relloc_ros.bags.topics import find_camera_info_topic, find_image_topic
from relloc_ros.camera import Camera
from relloc_ros.camera_info import camera_from_camera_info
from relloc_ros.errors import DataError
from relloc_ros.image_decoding import decode_image, ends_early, is_compressed, stamp_of
from relloc_ros.map.sources.reading import SourceOptions, locating_errors

__all__ = ['BagImage', 'BagImages', 'BagPixels', 'list_images']

logger = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000

RECENT_MESSAGES = 8
"""Threads that share a bag ask for images a little out of order."""

MAX_SKIPPED = 50
"""Seeking costs about as much as reading so many images."""

_RawMessage = tuple[Connection, int, bytes]


@dataclass(frozen=True, slots=True)
class BagImage:
    """What is known of an image without its pixels."""

    name: str
    frame_id: str
    camera: Camera
    stamp_ns: int
    recorded_ns: int


def list_images(bag: BagFile, options: SourceOptions) -> tuple[str, list[BagImage]]:
    """Give the topic of the images, and all of them that have a calibration.

    Raises:
        DataError: the bag is damaged, has no images or calibration, or the topics are ambiguous.
    """
    types = {item.topic: item.msgtype for item in bag.connections}
    with _naming('choose with --image-topic'):
        topic = find_image_topic(types, options.image_topic)
    wanted = {topic}
    if options.camera is None:
        with _naming('--camera-info-topic takes another'):
            wanted.add(find_camera_info_topic(types, topic, options.camera_info_topic))
    connections = [item for item in bag.connections if item.topic in wanted]
    reader = _ImageList(topic, options.camera)
    total = sum(item.msgcount for item in connections)
    for i, (connection, recorded_ns, message) in enumerate(bag.messages(connections)):
        if connection.topic == topic:
            reader.add_image(message, recorded_ns)
        else:
            with locating_errors(connection.topic):
                reader.add_camera_info(message)
        if options.progress is not None:
            options.progress(i + 1, total, f'reading {topic}')
    return topic, reader.finish()


@contextmanager
def _naming(remedy: str) -> Iterator[None]:
    """Say with which option the user puts right what the block misses."""
    try:
        yield
    except DataError as error:
        raise DataError(f'{error}; {remedy}') from error


class _ImageList:
    """Collects images, each with the calibration in force."""

    def __init__(self, topic: str, camera: Camera | None) -> None:
        self._topic = topic
        self._fixed = self._camera = camera
        self._images: dict[int, BagImage] = {}
        self._last: tuple[Any, int] | None = None
        self._uncalibrated = self._repeated = 0

    def add_camera_info(self, message: Any) -> None:
        if self._fixed is not None:
            return
        self._camera = camera_from_camera_info(message)
        # Image and camera_info of one stamp may be recorded in either order.
        if self._last is not None and stamp_of(self._last[0]) == stamp_of(message):
            self._uncalibrated -= 1
            self.add_image(*self._last)
        self._last = None

    def add_image(self, message: Any, recorded_ns: int) -> None:
        if self._camera is None:
            self._uncalibrated += 1
            self._last = message, recorded_ns
            return
        stamp_ns = stamp_of(message)
        if stamp_ns in self._images:
            self._repeated += 1
            return
        suffix = 'jpg' if is_compressed(message) and 'png' not in message.format else 'png'
        seconds, nanoseconds = divmod(stamp_ns, NS_PER_S)
        name = f'{self._topic.strip("/")}/{seconds}.{nanoseconds:09d}.{suffix}'
        frame_id = message.header.frame_id.lstrip('/')
        self._images[stamp_ns] = BagImage(name, frame_id, self._camera, stamp_ns, recorded_ns)

    def finish(self) -> list[BagImage]:
        if self._repeated:
            logger.warning(
                '%s: left out %d images with the stamp of another', self._topic, self._repeated
            )
        if self._uncalibrated:
            logger.warning(
                '%s: left out %d images from before the first camera_info',
                self._topic,
                self._uncalibrated,
            )
        if not self._images:
            raise DataError(f'no image of {self._topic} has a camera_info')
        return list(self._images.values())


class BagImages:
    """Images of one topic, found by their time. Threads may share it; a pickled copy reopens.

    Asked for in order, they are read in one go: some files have no index to seek by.
    """

    def __init__(self, path: Path, topic: str) -> None:
        """Name the bag and the topic; the bag is opened at the first image."""
        self._path, self._topic = path, topic
        self._bag: BagFile | None = None
        self._messages: Iterator[_RawMessage] = iter(())
        self._position_ns: int | None = None
        self._recent: deque[_RawMessage] = deque(maxlen=RECENT_MESSAGES)
        self._lock = threading.Lock()

    def message(self, recorded_ns: int, stamp_ns: int) -> Any:
        """Give the image message of a stamp that was recorded at a time.

        Raises:
            DataError: the bag is damaged, or no longer holds it.
        """
        with self._lock:
            bag = self._open()
            if self._find(bag, recorded_ns, stamp_ns) is None:
                self._read_to(bag, recorded_ns)
            message = self._find(bag, recorded_ns, stamp_ns)
        if message is None:
            raise DataError(
                f'bag {self._path} no longer has the image of stamp {stamp_ns} ns on {self._topic}'
            )
        return message

    def _open(self) -> BagFile:
        if self._bag is None:
            self._bag = BagFile(self._path)
            weakref.finalize(self, self._bag.close)
        return self._bag

    def _find(self, bag: BagFile, recorded_ns: int, stamp_ns: int) -> Any | None:
        for connection, time_ns, raw in self._recent:
            if time_ns == recorded_ns:
                message = bag.deserialize(connection, raw)
                if stamp_of(message) == stamp_ns:
                    return message
        return None

    def _read_to(self, bag: BagFile, recorded_ns: int) -> None:
        """Read past a time: on from where reading stopped if that is a little before, or anew."""
        skipped = 0
        if self._position_ns is None or self._position_ns >= recorded_ns:
            self._start(bag, recorded_ns)
        while self._position_ns is None or self._position_ns <= recorded_ns:
            message = next(self._messages, None)
            if message is None:
                self._position_ns = None
                return
            self._recent.append(message)
            self._position_ns = message[1]
            skipped += self._position_ns < recorded_ns
            if skipped > MAX_SKIPPED:
                self._start(bag, recorded_ns)
                skipped = 0

    def _start(self, bag: BagFile, recorded_ns: int) -> None:
        connections = [item for item in bag.connections if item.topic == self._topic]
        self._messages = bag.raw_messages(connections, recorded_ns)
        self._position_ns = None

    def __reduce__(self) -> tuple[type[BagImages], tuple[Path, str]]:
        """Send what opens the bag again."""
        return BagImages, (self._path.absolute(), self._topic)


@dataclass(frozen=True, slots=True, eq=False)
class BagPixels:
    """The pixels of one image."""

    store: BagImages
    recorded_ns: int
    stamp_ns: int
    name: str

    def read(self, camera: Camera) -> NDArray[np.uint8]:
        """Read (H, W, 3) BGR uint8.

        Raises:
            DataError: cannot be decoded, or not as large as the camera says.
        """
        message = self.store.message(self.recorded_ns, self.stamp_ns)
        if is_compressed(message) and ends_early(bytes(message.data)):
            raise DataError(f'image of {self.name} is truncated')
        pixels = decode_image(message, camera, self.name).image
        if pixels.ndim == 2:
            pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
        return pixels
