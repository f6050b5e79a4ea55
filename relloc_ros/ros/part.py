# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a configured node is made of: each part has its own publishers, subscriptions, services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from relloc_ros.config import NodeConfig
from relloc_ros.ros.frame_processor import FrameResult
from relloc_ros.ros.health import Problem

if TYPE_CHECKING:
    from relloc_ros.ros.session import Session

__all__ = ['Part']


class Part:
    """A part of a configured node. Made at configure; all calls come from the executor's thread.

    What a part does not care about it leaves as it is here: nothing happens.
    """

    def __init__(self, session: Session) -> None:
        """Create what the part says and hears.

        Args:
            session: whose part this is; its worker does not run yet.
        """
        self.session = session
        self.node = session.node

    def activate(self) -> None:
        """Begin: from now on images are processed."""

    def deactivate(self) -> None:
        """End: no image is processed any more."""

    def frame_processed(self, result: FrameResult) -> None:
        """Take the result of an image, with the tracker's verdict."""

    def map_changed(self) -> None:
        """Another map was loaded while the node runs."""

    def enabled_changed(self) -> None:
        """Images are processed from now on, or not any more: `session.enabled`."""

    def forget_time(self) -> None:
        """Drop everything that has a stamp: time has jumped."""

    def take_live(self, config: NodeConfig) -> None:
        """Take changes of live settings."""

    def problems(self) -> Iterable[Problem]:
        """Say what is wrong while active, for the diagnostics."""
        return ()

    def values(self) -> Mapping[str, object]:
        """Give figures for the diagnostics, by documented key."""
        return {}

    def close(self) -> None:
        """Destroy what the part has created."""
