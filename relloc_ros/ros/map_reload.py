# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Loading another map while the node works with the one it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.task import Future

from relloc_ros.errors import RellocError
from relloc_ros.ros.health import Problem
from relloc_ros.ros.map_loading import LoadedMap
from relloc_ros.ros.part import Part
from relloc_ros.ros.session import LoadMap, Session

__all__ = ['MapInUse', 'MapReload']


class MapInUse(Part):
    """Says which map is in use, and what is odd about it."""

    def __init__(self, session: Session) -> None:
        """Tell what is odd about the map."""
        super().__init__(session)
        self.map_changed()

    def map_changed(self) -> None:
        """Tell what is odd about the map."""
        for warning in self.session.loaded.warnings:
            self.node.get_logger().warning(warning)
        for note in self.session.loaded.notes:
            self.node.get_logger().info(note)

    def values(self) -> Mapping[str, object]:
        """Name the map."""
        return {'map_id': self.session.map_id, 'map_path': self.session.config.map_path}

    def problems(self) -> Iterator[Problem]:
        """Say what is odd about the map, and that the parameter names another."""
        for warning in self.session.loaded.warnings:
            yield Problem('map', DiagnosticStatus.WARN, warning)
        used, named = self.session.config.map_path, self.node.get_parameter('map_path').value
        if used != named:
            text = f'map_path is {named!r}, in use is {used!r}: call ~/reload_map'
            yield Problem('map_path', DiagnosticStatus.WARN, text)


class MapReload:
    """Loads in a thread of its own and exchanges the maps on the executor's, between two images.

    It outlives sessions: one that ends in the meantime gets no map.
    """

    def __init__(self, node: Node, load: LoadMap, current: Callable[[], Session | None]) -> None:
        """Start with nothing to load.

        Args:
            node: owner of the guard condition that announces a map.
            load: opens the map and prepares the localizer.
            current: gives the session, None while there is none.
        """
        self._node, self._load, self._current = node, load, current
        self._loaded = node.create_guard_condition(self._finish)
        self._lock = threading.Lock()
        self._closed = False
        self._outcome: LoadedMap | str = ''
        self._request: tuple[Future, Session, str] | None = None

    @property
    def busy(self) -> bool:
        """Whether a map is being loaded."""
        return self._request is not None

    def start(self, session: Session, map_path: str) -> Future:
        """Load a map for a session.

        Returns:
            A future string: why the session has no new map, '' if it has. The old one is in use
            then.
        """
        future: Any = Future()
        self._request = future, session, map_path
        threading.Thread(
            target=self._run, args=(session, map_path), name='relloc_map_loading', daemon=True
        ).start()
        return future

    def close(self) -> None:
        """Take no map any more: one that is being loaded is freed by its thread."""
        with self._lock:
            self._closed = True
            outcome, self._outcome = self._outcome, ''
        if isinstance(outcome, LoadedMap):
            outcome.close()

    def _run(self, session: Session, map_path: str) -> None:
        outcome: LoadedMap | str
        try:
            outcome = self._load(replace(session.config, map_path=map_path), session.localization)
        except RellocError as error:
            outcome = str(error)
        except Exception as error:
            outcome = f'unexpected {type(error).__name__}: {error}'
        with self._lock:
            if not self._closed:
                self._outcome = outcome
                self._loaded.trigger()
                return
        if isinstance(outcome, LoadedMap):
            outcome.close()

    def _finish(self) -> None:
        with self._lock:
            outcome, self._outcome = self._outcome, ''
        request, self._request = self._request, None
        if request is None:
            return
        future, session, map_path = request
        if not isinstance(outcome, LoadedMap):
            self._node.get_logger().error(f'the map is not changed: {outcome}')
            future.set_result(outcome)
        elif session is not self._current():
            outcome.close()
            future.set_result('the node was cleaned up meanwhile')
        else:
            session.replace_map(outcome, map_path)
            self._node.get_logger().info(f'map {map_path} is loaded, ID {session.map_id}')
            future.set_result('')
