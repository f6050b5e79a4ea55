# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a node has from configure to cleanup."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
import time
from typing import Any, TypeVar

from rclpy.node import Node

from relloc_ros.config import LocalizationConfig, NodeConfig, TrackingConfig, flatten
from relloc_ros.correction import planar_pose
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.ros.camera_input import CameraInput
from relloc_ros.ros.frame_processor import Frame, FrameProcessor, FrameResult
from relloc_ros.ros.map_loading import LoadedMap
from relloc_ros.ros.parameter_file import node_parameters
from relloc_ros.ros.part import Part
from relloc_ros.ros.rig import camera_names
from relloc_ros.ros.robot_frames import check_fusion
from relloc_ros.ros.transform_input import TransformInput
from relloc_ros.ros.worker import Worker
from relloc_ros.structures import PoseEstimate
from relloc_ros.tracker import Observation, Tracker, TrackingState, Verdict

__all__ = ['LoadMap', 'Session', 'Settings']

NS_PER_S = 1_000_000_000
STOP_TIMEOUT_S = 0.8
"""A worker that needs longer for its last image ends, and frees the map, on its own."""

LoadMap = Callable[[NodeConfig, LocalizationConfig], LoadedMap]
PartKind = TypeVar('PartKind', bound=Part)
Settings = tuple[NodeConfig, LocalizationConfig, TrackingConfig]


class Session:
    """From configure to cleanup: the map, transforms, the tracker, the worker, all parts.

    Attributes:
        node: owner of publishers and subscriptions.
        config: settings of the node, with live changes.
        localization: settings of the localizer.
        loaded: map and localizer.
        transform_input: subscriptions to /tf and /tf_static.
        transforms: their buffer.
        tracker: what is known about the robot from image to image.
        parts: what says and hears something.
        cameras: inputs; empty while inactive.
        enabled: whether images are processed.
        num_lost: images since activation whose results were discarded, as after a jump of time.
    """

    def __init__(
        self,
        node: Node,
        loaded: LoadedMap,
        settings: Settings,
        notify: Callable[[], None],
    ) -> None:
        """Listen to TF and start the worker.

        Args:
            node: owner of publishers and subscriptions.
            loaded: map and localizer; the session frees them.
            settings: of node, localizer and tracker.
            notify: called from the worker's thread when it has a result.

        Raises:
            ConfigError: an override of a QoS, or settings of the tracker, make no sense.
            MissingDependencyError: what `fusion` needs is not installed.
        """
        self.node = node
        self.config, self.localization, tracking = settings
        check_fusion(self.config, tracking)
        self.loaded = loaded
        self.tracker = Tracker(tracking)
        self.transform_input = TransformInput(node, self.config)
        self.transforms = self.transform_input.buffer
        self.parts: list[Part] = []
        self.cameras: list[CameraInput] = []
        self.enabled = True
        self.num_lost = 0
        self._fixed = _fixed_values(settings)
        self._notify = notify
        self._last_frame: tuple[int, float] | None = None
        self._start_worker()

    @property
    def map_id(self) -> str:
        """Short hash of the map's content."""
        return self.loaded.map_id

    @property
    def active(self) -> bool:
        """Whether the node listens to its cameras."""
        return bool(self.cameras)

    def add_parts(self, kinds: Sequence[Callable[[Session], Part]]) -> None:
        """Create the parts in order."""
        for kind in kinds:
            self.parts.append(kind(self))

    def part(self, kind: type[PartKind]) -> PartKind:
        """Give the part of a kind."""
        return next(part for part in self.parts if isinstance(part, kind))

    def is_made_with(self, settings: Settings) -> bool:
        """Whether these settings, but for the live ones, are those of this session."""
        return self._fixed == _fixed_values(settings)

    def take_live(self, config: NodeConfig) -> None:
        """Take changes of live settings."""
        # Another map is for `replace_map`.
        self.config = config = replace(config, map_path=self.config.map_path)
        self.processor.config = config
        self.worker.set_max_rate(config.max_rate)
        for part in self.parts:
            part.take_live(config)

    def activate(self, on_image: Callable[[CameraInput, Any], None]) -> None:
        """Start listening to the cameras.

        Raises:
            ConfigError: an override of a QoS has a value that makes no sense.
        """
        self.enabled = True
        self.num_lost = 0
        self.reset_tracking()
        for part in self.parts:
            part.activate()
        try:
            for name in camera_names(self.config):
                self.cameras.append(CameraInput(self.node, self.config, name, on_image))
        except BaseException:
            self.deactivate()
            raise

    def deactivate(self) -> None:
        """Stop listening, and lose the result of the image being processed."""
        cameras, self.cameras = self.cameras, []
        for camera in cameras:
            camera.close()
        self.discard()
        for part in self.parts:
            part.deactivate()

    def results(self) -> Iterator[FrameResult | None]:
        """Take what the worker has done, judged by the tracker and told to all parts.

        Yields:
            The result of an image; None for one that was left out since the robot stands still.
        """
        for result in self.worker.results():
            if result is None:
                # For a robot that stands still no time passes: it stays localized, as with AMCL.
                if self._last_frame is not None:
                    self._last_frame = self._last_frame[0], time.monotonic()
                yield None
                continue
            localization = result.localization
            verdict = self.tracker.update(
                Observation(
                    localization.stamp_ns, result.pose, result.odom_from_base, localization.reason
                )
            )
            self._last_frame = localization.stamp_ns, time.monotonic()
            self._hint(result, verdict.accepted)
            judged = replace(result, verdict=verdict, pose=self._pose(result, verdict))
            for part in self.parts:
                part.frame_processed(judged)
            yield judged

    def tick(self) -> TrackingState:
        """Tell the tracker that time passes, on the clock of the images."""
        if self._last_frame is not None:
            stamp_ns, received_s = self._last_frame
            self.tracker.tick(stamp_ns + round(NS_PER_S * (time.monotonic() - received_s)))
        return self.tracker.state

    def reset_tracking(self) -> None:
        """Forget that the robot ever was anywhere."""
        self.tracker.reset()
        self._forget_fix()

    def search(self) -> None:
        """Give the track up: the robot is searched anew."""
        self.tracker.search()
        self._forget_fix()

    def _forget_fix(self) -> None:
        self.processor.forget()
        self._last_frame = None

    def set_prior(
        self, pose: PoseEstimate, stamp_ns: int, odom_from_base: RigidTransform | None
    ) -> None:
        """Search the robot where somebody says it is.

        Args:
            pose: of the robot's base in the map.
            stamp_ns: when the robot is there.
            odom_from_base: odometry at that time, None if not known.
        """
        self.tracker.set_prior(pose, stamp_ns, odom_from_base)
        self.processor.fixed_at = None
        self.processor.search_area = self.tracker.search_area
        self._last_frame = None

    def set_enabled(self, enabled: bool) -> None:
        """Process images, or leave them all alone; the track, and TF, go on."""
        self.enabled = enabled
        if not enabled:
            self.discard()
        for part in self.parts:
            part.enabled_changed()

    def replace_map(self, loaded: LoadedMap, map_path: str) -> None:
        """Go on with another map; the one before is freed as soon as nobody uses it."""
        self.config = replace(self.config, map_path=map_path)
        self._fixed['map_path'] = map_path
        self.discard()
        before, self.loaded = self.worker, loaded
        before.stop(0.0)
        self._start_worker()
        self.reset_tracking()
        for part in self.parts:
            part.map_changed()

    def forget_time(self) -> None:
        """After a jump of time: drop images, moving transforms, the track, all with a stamp."""
        self.discard()
        self.transform_input.forget_time()
        self.reset_tracking()
        for camera in self.cameras:
            camera.watch.forget_time()
        for part in self.parts:
            part.forget_time()

    def discard(self) -> None:
        """Forget images and results on their way."""
        self.num_lost += self.worker.discard()

    def close(self) -> None:
        """End the worker, which frees the map, and destroy what belongs to the node."""
        self.worker.stop(STOP_TIMEOUT_S)
        self.transform_input.close()
        for part in self.parts:
            part.close()

    def _pose(self, result: FrameResult, verdict: Verdict) -> PoseEstimate | None:
        """Give the pose of the robot: what the tracker made of it, or what the image says."""
        fused = verdict.fused
        if fused is None:
            return result.pose
        if not self.config.two_d_mode:
            return fused
        try:
            return planar_pose(fused)
        except DataError:
            # By odometry that tips over: what the image says is on the plane.
            return result.pose

    def _start_worker(self) -> None:
        self.processor = FrameProcessor(
            self.loaded.localizer, self.transforms, self.config, self.tracker.config
        )
        # From here on the worker owns the map.
        self.worker: Worker[Frame, FrameResult | None] = Worker(
            self.processor,
            notify=self._notify,
            close=self.loaded.close,
            max_rate=self.config.max_rate,
        )

    def _hint(self, result: FrameResult, accepted: bool) -> None:
        """Tell the worker which images to leave out, and where to search."""
        if accepted:
            self.processor.fixed_at = result.odom_from_base
        elif self.tracker.state is not TrackingState.LOCALIZED:
            self.processor.fixed_at = None
        if not self.tracker.has_prior:
            self.processor.search_area = None


def _fixed_values(settings: Settings) -> dict[str, Any]:
    known = node_parameters()
    values = {name: value for config in settings for name, value in flatten(config).items()}
    return {name: value for name, value in values.items() if known[name].mutability != 'live'}
