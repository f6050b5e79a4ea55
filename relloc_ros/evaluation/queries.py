# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries with known poses, from image folders and from bags."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from relloc_ros.bags.reader import BagFrame, BagReader
from relloc_ros.camera import Camera
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.evaluation.failures import TrueView
from relloc_ros.frames import base_pose
from relloc_ros.geometry import RigidTransform
from relloc_ros.image_decoding import camera_from_camera_info, decode_image
from relloc_ros.map.sources import PosedImage, read_image, stamp_from_name
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, PoseEstimate, QueryImage, Status

__all__ = [
    'Answer',
    'BagQueries',
    'FolderQueries',
    'JoinedQueries',
    'Queries',
    'Query',
    'format_stamp',
]

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came out for a query.

    Attributes:
        localization: status, and the pose of the camera.
        estimate: pose of the body that is scored; None unless localized.
    """

    localization: Localization
    estimate: PoseEstimate | None


class Query(ABC):
    """An image whose pose may be known.

    Attributes:
        name: the image's name relative to its folder, or its stamp in a bag.
        stamp_ns: time of exposure.
        truth: true map_from_body; None if unknown.
        odom_from_body: odometry at the stamp; None if unknown.
    """

    def __init__(
        self,
        name: str,
        stamp_ns: int,
        truth: RigidTransform | None,
        odom_from_body: RigidTransform | None = None,
    ) -> None:
        """Keep what all queries have."""
        self.name = name
        self.stamp_ns = stamp_ns
        self.truth = truth
        self.odom_from_body = odom_from_body

    @abstractmethod
    def pixels(self) -> NDArray[np.uint8] | None:
        """Give the decoded image; None if it cannot be decoded."""

    @abstractmethod
    def localize(self, relocalizer: Relocalizer) -> Answer:
        """Localize the image; what makes it unusable is `Status.ERROR` with the reason."""

    @abstractmethod
    def true_view(self) -> TrueView | None:
        """Give the camera and its true pose; None where either is unknown."""


class Queries(Protocol):
    """Queries in order.

    Attributes:
        body: whose pose is scored.
        sequence: whether these are images of one moving camera, in order of time.
    """

    body: str

    @property
    def sequence(self) -> bool:  # noqa: D102
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Query]: ...


class FolderQueries:
    """Posed images of a folder; the camera's pose is scored."""

    body = 'camera'

    def __init__(self, posed: Sequence[PosedImage]) -> None:
        """Take the images in their order."""
        self._posed = posed

    @property
    def sequence(self) -> bool:
        """Whether the images are named by their times."""
        return all(stamp_from_name(posed.name) is not None for posed in self._posed)

    def __len__(self) -> int:
        """Count the images."""
        return len(self._posed)

    def __iter__(self) -> Iterator[Query]:
        """Give the images; each is read when it is asked for."""
        return map(_FileQuery, self._posed)


class BagQueries:
    """Frames of an open bag; the pose of the base frame is scored."""

    sequence = True

    def __init__(self, reader: BagReader, base_frame: str = 'base_link') -> None:
        """Take the frames in order of recording."""
        self.body = base_frame
        self._reader = reader

    def __len__(self) -> int:
        """Count the images."""
        return len(self._reader)

    def __iter__(self) -> Iterator[Query]:
        """Give the frames."""
        return map(_BagQuery, self._reader)

    def require_odometry(self, purpose: str) -> None:
        """See whether the bag tells how the robot moves, at whatever time.

        Raises:
            ConfigError: it does not; names what needs it.
        """
        if not self._reader.has_odometry:
            raise ConfigError(
                f'{purpose} needs odometry, and bag {self._reader.path} has none: name its frames '
                'by --odom-frame and --base-frame, or leave it out'
            )


class JoinedQueries:
    """Queries of several sources, one after the other."""

    sequence = False

    def __init__(self, sources: Sequence[Queries]) -> None:
        """Take the sources in their order."""
        self.body = sources[0].body if sources else 'camera'
        self._sources = sources

    def __len__(self) -> int:
        """Count the images."""
        return sum(map(len, self._sources))

    def __iter__(self) -> Iterator[Query]:
        """Give the images of the first source, then those of the next."""
        return chain.from_iterable(self._sources)


class _FileQuery(Query):
    def __init__(self, posed: PosedImage) -> None:
        super().__init__(posed.name, posed.stamp_ns, posed.cam_from_map.inverse())
        self._posed = posed

    def pixels(self) -> NDArray[np.uint8] | None:
        return None if isinstance(self._image, DataError) else self._image

    def localize(self, relocalizer: Relocalizer) -> Answer:
        if isinstance(self._image, DataError):
            return _failure(self._image, self.stamp_ns, relocalizer)
        query = QueryImage(self._image, self._posed.camera, self.stamp_ns, name=self.name)
        localization = relocalizer.process(query)
        return Answer(localization, localization.camera_pose)

    def true_view(self) -> TrueView | None:
        return TrueView(self._posed.cam_from_map.inverse(), self._posed.camera)

    @cached_property
    def _image(self) -> NDArray[np.uint8] | DataError:
        try:
            return read_image(self._posed)
        except DataError as error:
            return error


class _BagQuery(Query):
    def __init__(self, frame: BagFrame) -> None:
        super().__init__(
            format_stamp(frame.stamp_ns), frame.stamp_ns, frame.truth, frame.odom_from_base
        )
        self._frame = frame

    def pixels(self) -> NDArray[np.uint8] | None:
        if isinstance(self._camera, DataError):
            return None
        try:
            return decode_image(self._frame.image_msg, self._camera, resized=True).image
        except DataError:
            return None

    def localize(self, relocalizer: Relocalizer) -> Answer:
        camera, base_from_cam = self._camera, self._frame.base_from_cam
        if isinstance(camera, DataError):
            return _failure(camera, self.stamp_ns, relocalizer)
        if isinstance(base_from_cam, DataError):
            return _failure(base_from_cam, self.stamp_ns, relocalizer)
        localization = relocalizer.process_message(
            self._frame.image_msg, camera, self._frame.topic
        )
        pose = localization.camera_pose
        return Answer(localization, None if pose is None else base_pose(pose, base_from_cam))

    def true_view(self) -> TrueView | None:
        camera, base_from_cam = self._camera, self._frame.base_from_cam
        if isinstance(camera, DataError) or isinstance(base_from_cam, DataError):
            return None
        if self.truth is None:
            return None
        return TrueView(self.truth @ base_from_cam, camera)

    @cached_property
    def _camera(self) -> Camera | DataError:
        if self._frame.camera_info_msg is None:
            return DataError('no camera_info was recorded before this image')
        try:
            return camera_from_camera_info(self._frame.camera_info_msg)
        except DataError as error:
            return error


def format_stamp(stamp_ns: int) -> str:
    """Write a stamp as seconds with all its nine decimals."""
    sign = '-' if stamp_ns < 0 else ''
    seconds, nanoseconds = divmod(abs(stamp_ns), NS_PER_S)
    return f'{sign}{seconds}.{nanoseconds:09d}'


def _failure(problem: DataError, stamp_ns: int, relocalizer: Relocalizer) -> Answer:
    localizer = relocalizer.config.localizer
    return Answer(Localization(Status.ERROR, str(problem), stamp_ns, localizer), None)
