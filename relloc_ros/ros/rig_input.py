# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of the cameras of a rig, put together to frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus

from relloc_ros.ros.camera_input import CameraInput
from relloc_ros.ros.frame import Frame
from relloc_ros.ros.health import Problem
from relloc_ros.ros.part import Part
from relloc_ros.ros.rig import camera_names
from relloc_ros.ros.synchronizer import MAX_MISSES, Synchronizer

if TYPE_CHECKING:
    from relloc_ros.ros.session import Session

__all__ = ['RigInput']

NS_PER_S = 1_000_000_000


class RigInput(Part):
    """Lets the images of one camera through, and waits for those of several.

    Attributes:
        num_lost: images that came too late for their set.
    """

    def __init__(self, session: Session) -> None:
        """Start with no image."""
        super().__init__(session)
        names = camera_names(session.config)
        slop_ns = round(session.config.rig_slop * NS_PER_S)
        self._sets: Synchronizer[Frame] | None = None
        if len(names) > 1:
            self._sets = Synchronizer(names, slop_ns)

    @property
    def num_lost(self) -> int:
        """Images that came too late for their set."""
        return 0 if self._sets is None else self._sets.num_lost

    def put(self, camera: CameraInput, image: Frame) -> list[Frame]:
        """Take an image; gives the frames that are ready by that."""
        if self._sets is None:
            return [image]
        ready = self._sets.put(camera.name, image.stamp_ns, image)
        return [replace(newest, others=tuple(others)) for newest, *others in ready]

    def problems(self) -> Iterator[Problem]:
        """Name the cameras that are missing in the frames."""
        if self._sets is None:
            return
        for camera in self.session.cameras:
            misses = self._sets.misses[camera.name]
            if misses >= MAX_MISSES:
                text = (
                    f'no image of camera {camera.name} in the last {misses} sets, which are '
                    f'localized without it: {self._explain(camera)}'
                )
                yield Problem(f'rig:{camera.name}', DiagnosticStatus.WARN, text)
        if self._sets.num_incomplete > MAX_MISSES * len(self.session.cameras):
            # Cameras out of step miss each other in turn, none of them long enough to be named.
            distance_ns = self._sets.distance_ns
            if distance_ns is not None and max(self._sets.misses.values()) < MAX_MISSES:
                yield Problem('rig_slop', DiagnosticStatus.WARN, _out_of_step(distance_ns))

    def deactivate(self) -> None:
        """Forget the images that wait for others."""
        self._forget()

    def enabled_changed(self) -> None:
        """Forget the images that wait for others."""
        self._forget()

    def forget_time(self) -> None:
        """Forget the images that wait for others."""
        self._forget()

    def _forget(self) -> None:
        if self._sets is not None:
            self._sets.clear()

    def _explain(self, camera: CameraInput) -> str:
        sets = self._sets
        if sets is not None and camera.name in sets.late:
            return (
                f'images on {camera.image_topic} arrive when the others have sent their next; '
                'make them as quick, or the rate of all lower'
            )
        others = [other for other in self.session.cameras if other is not camera]
        if camera.watch.silence_s > max(other.watch.silence_s for other in others):
            return f'nothing comes on {camera.image_topic}'
        return _out_of_step((sets.distance_ns if sets is not None else None) or 0)


def _out_of_step(distance_ns: int) -> str:
    return (
        f'images of the cameras are {distance_ns / NS_PER_S:.3f} s apart, further than rig_slop: '
        'trigger the cameras together, or raise rig_slop'
    )
