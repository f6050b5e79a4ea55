# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The services that answer in every state of the node's lifecycle."""

from __future__ import annotations

from collections.abc import Callable
import json
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import SetBool, Trigger

from relloc_ros.errors import ConfigError
from relloc_ros.ros.map_reload import MapReload
from relloc_ros.ros.parameters import NodeParameters
from relloc_ros.ros.relocalization import EMPTY_ANSWER, Relocalization
from relloc_ros.ros.session import LoadMap, Session

__all__ = ['Services']


class Services:
    """`~/relocalize`, `~/set_enabled`, `~/reload_map`.

    They are the node's, not a session's: an answer that waits is given also if the session ends,
    and a client of an inactive node learns why nothing happens.
    """

    def __init__(
        self,
        node: Node,
        load: LoadMap,
        parameters: NodeParameters,
        current: Callable[[], Session | None],
        explain: Callable[[], str],
    ) -> None:
        """Create the services.

        Args:
            node: owner of the services.
            load: opens a map and prepares the localizer.
            parameters: of the node.
            current: gives the session, None while there is none.
            explain: says what is wrong with the inputs of the active node.
        """
        self._parameters, self._current, self._explain = parameters, current, explain
        self._reload = MapReload(node, load, current)
        # Handlers that wait: in the default group nothing else would be called meanwhile.
        group = ReentrantCallbackGroup()
        for service, name, handler in (
            (Trigger, '~/relocalize', self._on_relocalize),
            (SetBool, '~/set_enabled', self._on_set_enabled),
            (Trigger, '~/reload_map', self._on_reload_map),
        ):
            node.create_service(service, name, handler, callback_group=group)

    def close(self) -> None:
        """Free a map that is being loaded."""
        self._reload.close()

    async def _on_relocalize(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        """Search the robot anew and answer with what came out."""
        session = self._current()
        answer = {**EMPTY_ANSWER, 'reason': self._obstacle(session)}
        if session is not None and not answer['reason']:
            answer = await session.part(Relocalization).search(self._explain)
        response.success = answer['accepted']
        response.message = json.dumps(answer)
        return response

    def _on_set_enabled(
        self, request: SetBool.Request, response: SetBool.Response
    ) -> SetBool.Response:
        """Begin or cease to process images."""
        session = self._current()
        if session is None or not session.active:
            return _reply(response, self._obstacle(session))
        session.set_enabled(request.data)
        return _reply(response, '')

    async def _on_reload_map(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        """Exchange the map for the one that the parameter `map_path` names."""
        session = self._current()
        if session is None:
            return _reply(response, 'the node is not configured: configuring it loads the map')
        if self._reload.busy:
            return _reply(response, 'a map is being loaded: wait for it')
        try:
            map_path = self._parameters.settings()[0].map_path
        except ConfigError as error:
            return _reply(response, str(error))
        return _reply(response, await self._reload.start(session, map_path), session.map_id)

    def _obstacle(self, session: Session | None) -> str:
        """Say why no image is localized, '' if they are."""
        if session is None:
            return 'the node is not configured: configure and activate it'
        if not session.active:
            return 'the node is not active: activate it'
        return '' if session.enabled else 'localization is disabled: call ~/set_enabled with true'


def _reply(response: Any, problem: str, message: str = '') -> Any:
    response.success, response.message = not problem, problem or message
    return response
