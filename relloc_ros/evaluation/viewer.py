# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run in 3D, served to the browser, with a panel of layers and queries."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import MissingDependencyError
from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.evaluation.viewer_scene import RunScene, position_error
from relloc_ros.evaluation.wording import angle_text, length_text
from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['RunViewer']

NO_CHOICE = 'Click on an estimate, or choose a query: the worst come first.'


class RunViewer:
    """A web server that shows a run.

    Attributes:
        server: the viser server.
        scene: what is drawn.
    """

    def __init__(
        self,
        run: Run,
        reference_map: ReferenceMap | None = None,
        *,
        host: str = 'localhost',
        port: int = 8080,
    ) -> None:
        """Start the server and fill it.

        Args:
            run: what came out.
            reference_map: the map it came out of; None shows the poses alone.
            host: address to listen at; `0.0.0.0` lets other machines in.
            port: the next free one is taken where it is in use.

        Raises:
            DataError: there is nothing to show.
            MissingDependencyError: viser is not installed.
        """
        self._run = run
        self._map = reference_map
        self.server = _start_server(host, port)
        try:
            self.scene = RunScene(self.server.scene, run, reference_map)
            self._place_camera()
            self._fill_panel()
        except BaseException:
            self.close()
            raise
        self.scene.on_click(self.choose)

    @property
    def url(self) -> str:
        """Address for the browser."""
        return f'http://localhost:{self.server.get_port()}'

    def close(self) -> None:
        """Stop the server."""
        with redirect_stdout(StringIO()):
            self.server.stop()

    def choose(self, outcome: Outcome) -> None:
        """Show the details of a query and mark it."""
        self._details.content = _details(outcome, self._run.units)
        thumbnail = self._thumbnail(outcome)
        self._picture.visible = thumbnail is not None
        if thumbnail is not None:
            self._picture.image = thumbnail
        self.scene.mark(outcome)

    def look_at(self, outcome: Outcome) -> None:
        """Turn all browsers to a query."""
        position = self.scene.position(outcome)
        if position is not None:
            for client in self.server.get_clients().values():
                client.camera.look_at = position

    def _place_camera(self) -> None:
        up, radius = self.scene.up, self.scene.radius
        # Any direction at right angles to it will do.
        aside = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
        camera = self.server.initial_camera
        camera.up = up
        camera.look_at = np.zeros(3)
        camera.position = radius * (up + aside / np.linalg.norm(aside))
        camera.near, camera.far = 1e-3 * radius, 1e3 * radius

    def _fill_panel(self) -> None:
        gui = self.server.gui
        gui.configure_theme(show_logo=False, show_share_button=False)
        gui.add_markdown(_summary(self._run))
        gui.add_html(_legend(self.scene, self._run.units))
        with gui.add_folder('Layers'):
            for name, node in self.scene.layers.items():
                _add_toggle(gui, name, node)
        with gui.add_folder('Query'):
            self._add_choice(gui)
            self._details = gui.add_markdown(NO_CHOICE)
            self._picture = gui.add_image(
                np.zeros((1, 1, 3), np.uint8), label='most similar map image', visible=False
            )

    def _add_choice(self, gui: Any) -> None:
        outcomes = sorted(self._run.outcomes, key=_badness, reverse=True)
        by_label = {_label(outcome, self._run.units): outcome for outcome in outcomes}
        choice = gui.add_dropdown('choose', ['-', *by_label])

        def choose(_event: Any) -> None:
            if choice.value in by_label:
                self.choose(by_label[choice.value])
                self.look_at(by_label[choice.value])

        choice.on_update(choose)

    def _thumbnail(self, outcome: Outcome) -> NDArray[np.uint8] | None:
        if self._map is None or not outcome.retrieved:
            return None
        index = self._map.index_of(outcome.retrieved[0])
        image = None if index is None else self._map.thumbnail(index)
        return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def _start_server(host: str, port: int) -> Any:
    try:
        import viser  # noqa: PLC0415  optional
    except ImportError as error:
        raise MissingDependencyError(
            'relloc view needs viser: pip install relloc_ros[view]'
        ) from error
    # It prints, and this is no front door.
    with redirect_stdout(StringIO()):
        return viser.ViserServer(host, port, label='relloc view', verbose=False)


def _add_toggle(gui: Any, name: str, node: Any) -> None:
    box = gui.add_checkbox(name, node.visible)

    def show_or_hide(_event: Any) -> None:
        node.visible = box.value

    box.on_update(show_or_hide)


def _summary(run: Run) -> str:
    localized = sum(outcome.localized for outcome in run.outcomes)
    lines = [f'**{run.label}**, pose of {run.body}: {localized} of {len(run.outcomes)} localized']
    errors = [outcome.error for outcome in run.scored if outcome.error is not None]
    if errors:
        position, rotation = np.median(np.array(errors), axis=0)
        lines.append(f'median error {length_text(position, run.units)}, {angle_text(rotation)}')
    return '  \n'.join(lines)


def _legend(scene: RunScene, units: str) -> str:
    stops = ', '.join(f'rgb{colour}' for colour in scene.colours.stops)
    low, high = (length_text(value, units) for value in (scene.colours.low, scene.colours.high))
    return (
        '<div style="padding: 0 1em; font-size: 0.85em">position error'
        f'<div style="height: 0.7em; background: linear-gradient(to right, {stops})"></div>'
        '<div style="display: flex; justify-content: space-between">'
        f'<span>{low}</span><span>{high}</span></div></div>'
    )


def _details(outcome: Outcome, units: str) -> str:
    lines = [f'**{_escaped(outcome.name)}**', f'{outcome.status} {_escaped(outcome.reason)}']
    if outcome.error is not None and outcome.estimate is not None:
        position, rotation = outcome.error
        lines.append(f'error {length_text(position, units)}, {angle_text(rotation)}')
    if outcome.nees is not None:
        lines.append(f'NEES {outcome.nees:.3g} (6 on average where the covariance is right)')
    if outcome.estimate is not None and np.isfinite(outcome.estimate.covariance).all():
        deviations = np.sqrt(np.diag(outcome.estimate.covariance))
        position, rotation = deviations[:3].max(), math.degrees(deviations[3:].max())
        lines.append(f'standard deviation {length_text(position, units)}, {angle_text(rotation)}')
    if outcome.num_matches:
        lines.append(f'{outcome.num_inliers} inliers of {outcome.num_matches} matches')
    if outcome.confidence is not None:
        lines.append(f'confidence {outcome.confidence:.3f}')
    if outcome.failure:
        lines.append(f'failed in: {outcome.failure}. {_escaped(outcome.failure_detail)}')
    if outcome.retrieved:
        lines.append(f'most similar: {_escaped(outcome.retrieved[0])}')
    return '  \n'.join(lines)


def _badness(outcome: Outcome) -> float:
    error = position_error(outcome)
    return -1.0 if error is None else error


def _label(outcome: Outcome, units: str) -> str:
    error = position_error(outcome)
    text = '' if error is None else f' · {length_text(error, units)}'
    return f'{outcome.name}{text if outcome.localized else " · " + outcome.status}'


def _escaped(text: str) -> str:
    """Keep file names and reasons from being read as Markdown or HTML."""
    return ''.join(f'\\{c}' if c in '\\`*_{}[]<>#|~&' else c for c in text)
