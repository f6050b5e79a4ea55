# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The 3D scene of a run: map, true poses, estimates with covariance, and their errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.evaluation.error_colours import ErrorColours
from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.scene_shapes import (
    camera_size,
    ellipsoids,
    frustum_lines,
    thin_out,
)

__all__ = ['RunScene']

DEFAULT_CAMERA = Camera('PINHOLE', 640, 480, (525.0, 525.0, 320.0, 240.0))
"""Shape of drawn cameras where the map, which has a real one, is missing."""

MAP_COLOUR, TRUTH_COLOUR, LOST_COLOUR = (150, 160, 180), (0, 0, 0), (200, 0, 160)
CHOICE_COLOUR = (20, 110, 255)
MAX_POINTS = 300_000
"""More make browsers slow and tell no more."""
THIN_PX, THICK_PX = 1.5, 3.0
MAX_HALF_AXIS = 3.0
"""Of covariances shown from the start, in sizes of a camera."""
UP = np.array([0.0, 0.0, 1.0])


class RunScene:
    """What is drawn of a run.

    Positions are relative to `origin`: browsers compute in single precision, too coarse for
    georeferenced maps.

    Attributes:
        layers: nodes of the scene by name, as they can be shown and hidden.
        colours: scale of the estimates' position errors.
        origin: (3,) point of the map that is the scene's origin.
        up: (3,) unit vector.
        radius: map units around the origin where most of it is.
    """

    def __init__(self, scene: Any, run: Run, reference_map: ReferenceMap | None) -> None:
        """Draw into a viser scene.

        Raises:
            DataError: there is no pose to draw.
        """
        self._scene = scene
        self._run = run
        self._map = reference_map
        self._localized = [o for o in run.outcomes if o.estimate is not None]
        self._estimates = [
            o.estimate.map_from_body for o in self._localized if o.estimate is not None
        ]
        map_poses = [] if reference_map is None else _map_poses(reference_map)
        known = [*map_poses, *self._estimates, *(o.truth for o in run.outcomes if o.truth)]
        if not known:
            raise DataError('there is nothing to show: no map, no estimate and no true pose')
        self.origin: Array = np.median(_centres(known), axis=0)
        self.up = _up(known) if run.body == 'camera' else UP
        distances = np.linalg.norm(_centres(known) - self.origin, axis=1)
        self._size = camera_size(_centres(map_poses or known))
        self.radius = float(np.quantile(distances, 0.9)) + 4.0 * self._size
        self.colours = ErrorColours.of([position_error(o) for o in self._localized])
        self.layers: dict[str, Any] = {}
        self._draw(map_poses)

    def on_click(self, callback: Any) -> None:
        """Call `callback(outcome)` for a click on the position or covariance of an estimate."""

        def choose(event: Any) -> None:
            ray = np.array(event.ray_origin), np.array(event.ray_direction)
            callback(self.nearest(*ray))

        for layer in ('positions', 'covariances'):
            if layer in self.layers:
                self.layers[layer].on_click(choose)

    def nearest(self, ray_origin: Array, ray_direction: Array) -> Outcome:
        """Find the localized query whose estimate is nearest to a ray of the scene."""
        positions = _centres(self._estimates) - self.origin - ray_origin
        along = positions @ ray_direction / np.linalg.norm(ray_direction)
        distances = np.linalg.norm(positions, axis=1)
        # The angle counts: whoever clicks sees the scene from the ray's origin.
        cosines = along / np.maximum(distances, 1e-12)
        return self._localized[int(np.argmax(cosines))]

    def position(self, outcome: Outcome) -> Array | None:
        """Where a query's estimate, or else its true pose, is in the scene."""
        pose = outcome.truth if outcome.estimate is None else outcome.estimate.map_from_body
        return None if pose is None else pose.translation - self.origin

    def mark(self, outcome: Outcome) -> None:
        """Put a ball around a query."""
        position = self.position(outcome)
        self._marker.visible = position is not None
        if position is not None:
            self._marker.position = position

    def _draw(self, map_poses: list[RigidTransform]) -> None:
        self._scene.world_axes.visible = False
        self._scene.set_up_direction(self.up)
        self._scene.configure_default_lights(cast_shadow=False)
        if self._map is not None:
            # Each frame of a video would make a solid tube.
            some = [map_poses[i] for i in thin_out(_centres(map_poses), self._size)]
            self._add_cameras('map cameras', some, MAP_COLOUR)
            self._add_points(self._map)
        found = [o.truth for o in self._localized if o.truth is not None]
        lost = [o.truth for o in self._run.outcomes if o.estimate is None and o.truth is not None]
        self._add_poses('true poses', found, TRUTH_COLOUR)
        self._add_poses('not localized', lost, LOST_COLOUR)
        colours = self.colours.of_errors([position_error(o) for o in self._localized])
        self._add_poses('estimates', self._estimates, colours)
        self._add_ellipsoids(colours)
        self._add_errors(colours)
        self._marker = self._scene.add_icosphere(
            '/chosen', self._size, CHOICE_COLOUR, opacity=0.4, visible=False
        )

    def _add_poses(self, layer: str, poses: Sequence[RigidTransform], colours: Any) -> None:
        """Draw cameras as such, robots as axes."""
        if not poses:
            return
        if self._run.body == 'camera':
            self._add_cameras(layer, poses, colours)
            return
        self.layers[layer] = self._scene.add_batched_axes(
            _node_name(layer),
            np.array([pose.quat_wxyz for pose in poses]),
            _centres(poses) - self.origin,
            axes_length=self._size,
            axes_radius=0.05 * self._size,
        )

    def _add_cameras(self, layer: str, poses: Sequence[RigidTransform], colours: Any) -> None:
        camera = DEFAULT_CAMERA if self._map is None else self._map.camera(0)
        lines = frustum_lines(poses, camera, self._size)
        self._add_lines(layer, lines, colours)

    def _add_lines(self, layer: str, lines: Array, colours: Any) -> None:
        colours = np.array(colours, dtype=np.uint8).reshape(-1, 3)
        segments = np.repeat(colours, len(lines) // len(colours), axis=0)
        self.layers[layer] = self._scene.add_line_segments(
            _node_name(layer),
            (lines - self.origin).astype(np.float32),
            np.repeat(_linear(segments)[:, np.newaxis], 2, axis=1),
            thickness=THICK_PX if layer == 'estimates' else THIN_PX,
            thickness_units='screen',
        )

    def _add_points(self, reference_map: ReferenceMap) -> None:
        points = reference_map.points
        if points is None or not len(points.positions):
            return
        some = points.positions[:: -(-len(points.positions) // MAX_POINTS)]
        self.layers['map points'] = self._scene.add_point_cloud(
            _node_name('map points'),
            (some - self.origin).astype(np.float32),
            MAP_COLOUR,
            point_size=0.05 * self._size,
            precision='float32',
        )

    def _add_ellipsoids(self, colours: Any) -> None:
        """Draw a ball at each estimate, for the mouse to hit, and its covariance to scale."""
        if not self._localized:
            return
        covariances = [
            np.nan_to_num(o.estimate.covariance) for o in self._localized if o.estimate is not None
        ]
        shapes = ellipsoids(covariances)
        radius = 0.25 * self._size
        self._add_balls(
            'positions', shapes.quat_wxyz, np.full((len(covariances), 3), radius), colours
        )
        self._add_balls('covariances', shapes.quat_wxyz, shapes.half_axes, colours, opacity=0.25)
        # As large as the scene, they would hide it.
        typical = float(np.median(shapes.half_axes))
        self.layers['covariances'].visible = typical < MAX_HALF_AXIS * self._size

    def _add_balls(
        self,
        layer: str,
        quat_wxyz: Array,
        half_axes: Array,
        colours: Any,
        opacity: float | None = None,
    ) -> None:
        vertices, faces = _sphere()
        self.layers[layer] = self._scene.add_batched_meshes_simple(
            _node_name(layer),
            vertices,
            faces,
            quat_wxyz,
            _centres(self._estimates) - self.origin,
            batched_scales=half_axes,
            batched_colors=_linear(colours),
            opacity=opacity,
            lod='off',
            cast_shadow=False,
            receive_shadow=False,
        )

    def _add_errors(self, colours: Any) -> None:
        with_truth = [o.truth is not None for o in self._localized]
        if any(with_truth):
            lines = [
                (o.estimate.map_from_body.translation, o.truth.translation)
                for o in self._localized
                if o.estimate is not None and o.truth is not None
            ]
            self._add_lines('errors', np.array(lines), colours[with_truth])


def position_error(outcome: Outcome) -> float | None:
    """Position error in map units; None where the truth is not known."""
    return None if outcome.error is None else outcome.error[0]


def _linear(colours: Any) -> Any:
    """Undo the gamma of (N, 3) colours: viser takes those of single vertices to be linear."""
    return np.round(255.0 * (np.asarray(colours) / 255.0) ** 2.2).astype(np.uint8)


def _node_name(layer: str) -> str:
    return '/' + layer.replace(' ', '_')


def _map_poses(reference_map: ReferenceMap) -> list[RigidTransform]:
    return [reference_map.cam_from_map(i).inverse() for i in range(reference_map.num_images)]


def _centres(poses: Sequence[RigidTransform]) -> Array:
    return np.array([pose.translation for pose in poses]).reshape(-1, 3)


def _up(map_from_cam: Sequence[RigidTransform]) -> Array:
    """Where cameras have their upper side, on average."""
    mean: Array = -np.mean([pose.rotation[:, 1] for pose in map_from_cam], axis=0)
    length = float(np.linalg.norm(mean))
    return mean / length if length > 1e-3 else UP


def _sphere() -> tuple[Array, Any]:
    """Vertices (V, 3) and triangles (F, 3) of a unit sphere."""
    import trimesh  # noqa: PLC0415  optional

    mesh = trimesh.creation.icosphere(subdivisions=2)
    return np.asarray(mesh.vertices), np.asarray(mesh.faces)
