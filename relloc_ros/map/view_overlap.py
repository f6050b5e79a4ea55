# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a map share view with a query whose pose is known.

Limits of distance and angle mean something else in every map: half a metre apart, two images of a
street are the same, two of a desk have nothing in common. What counts is the depth of the scene,
which the map tells: a grid of the query's rays ends at the depths that are usual in it, and what
of that lies in a map image, seen from a similar side, is shared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.scene_depth import scene_depths

__all__ = ['MIN_SHARED_VIEW', 'ViewOverlap']

MIN_SHARED_VIEW = 0.3
"""Images share view from this part of it on. On indoor and outdoor maps 70 to 100 % of those that
share view have matches, and the same of those that have matches share view."""
MAX_PARALLAX = np.deg2rad(45.0)
"""Seen from directions further apart, hardly a local feature looks the same."""
DEPTH_FACTOR = 3.0
"""What is nearer or further than the usual depths by this factor is taken to be hidden."""
GRID = 6
"""Rays along each side of an image."""


class ViewOverlap:
    """Views of posed images into a scene of known depth.

    Attributes:
        depths: (K,) depths at which views are compared, map units.
    """

    def __init__(
        self, cams_from_map: Sequence[RigidTransform], cameras: Sequence[Camera], depths: Array
    ) -> None:
        """Spread out what each image sees.

        Args:
            cams_from_map: poses of N images.
            cameras: of the same.
            depths: (K,) usual depths of what they see.
        """
        self.depths = depths
        self._rotations = np.array([pose.rotation for pose in cams_from_map])
        self._centres = np.array([pose.inverse().translation for pose in cams_from_map])
        seen = {camera: _view_points(camera, depths) for camera in set(cameras)}
        self._points = np.array(
            [
                pose.inverse().apply(seen[camera])
                for pose, camera in zip(cams_from_map, cameras, strict=True)
            ]
        )
        frames = {camera: _frame(camera) for camera in seen}
        self._frames = np.array([frames[camera] for camera in cameras])

    @classmethod
    def of_map(cls, reference_map: ReferenceMap) -> ViewOverlap:
        """Take the images of a map, and the depths that its images tell."""
        indices = range(reference_map.num_images)
        poses = [reference_map.cam_from_map(index) for index in indices]
        cameras = [reference_map.camera(index) for index in indices]
        return cls(poses, cameras, scene_depths(reference_map))

    def shared(self, map_from_cam: RigidTransform, camera: Camera) -> Array:
        """Tell how much of the view is shared with each image.

        Args:
            map_from_cam: pose of the query.
            camera: of the query.

        Returns:
            (N,) shares in [0, 1] of the query's view or of the image's, whichever is larger: a
            close-up shares all it sees.
        """
        cam_from_map = map_from_cam.inverse()
        centre = map_from_cam.translation
        ours = map_from_cam.apply(_view_points(camera, self.depths))
        in_theirs = self._inside(
            np.einsum('nij,nkj->nki', self._rotations, ours - self._centres[:, np.newaxis]),
            self._frames[:, np.newaxis],
        )
        in_theirs &= _from_similar_sides(ours[np.newaxis], self._centres[:, np.newaxis], centre)
        theirs = self._points
        in_ours = self._inside(
            theirs @ cam_from_map.rotation.T + cam_from_map.translation, _frame(camera)
        )
        in_ours &= _from_similar_sides(theirs, self._centres[:, np.newaxis], centre)
        return np.maximum(in_theirs.mean(axis=1), in_ours.mean(axis=1))

    def sharing(self, map_from_cam: RigidTransform, camera: Camera) -> NDArray[np.bool_]:
        """Tell which images (N,) share view with a query."""
        return self.shared(map_from_cam, camera) >= MIN_SHARED_VIEW

    def _inside(self, points: Array, frame: Array) -> NDArray[np.bool_]:
        """Tell which points (..., 3) of the camera frame are in the image, and not hidden."""
        depth = points[..., 2]
        near, far = self.depths.min() / DEPTH_FACTOR, self.depths.max() * DEPTH_FACTOR
        scaled = points[..., :2] / np.where(depth > 0.0, depth, np.inf)[..., np.newaxis]
        inside = (scaled >= frame[..., 0, :]) & (scaled <= frame[..., 1, :])
        return np.asarray(inside.all(axis=-1) & (depth >= near) & (depth <= far), dtype=bool)


def _view_points(camera: Camera, depths: Array) -> Array:
    """Ends (GRID * GRID * K, 3) of rays spread over an image, in the camera frame."""
    steps = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(steps * camera.width, steps * camera.height)
    rays = camera.normalize(np.column_stack([x.ravel(), y.ravel()]))
    # Where a distortion model ends, the middle of the image stands in.
    rays[~np.isfinite(rays).all(axis=1)] = 0.0
    rays = np.column_stack([rays, np.ones(len(rays))])
    points: Array = (depths[:, np.newaxis, np.newaxis] * rays).reshape(-1, 3)
    return points


def _frame(camera: Camera) -> Array:
    """Upper left and lower right corner (2, 2) of the image at depth 1."""
    width, height = float(camera.width), float(camera.height)
    middles = np.array([[0, height / 2], [width / 2, 0], [width, height / 2], [width / 2, height]])
    left, top, right, bottom = camera.normalize(middles)
    frame = np.array([[left[0], top[1]], [right[0], bottom[1]]])
    if np.isfinite(frame).all():
        return frame
    half = 0.5 * np.array([width, height]) / camera.mean_focal_length
    return np.array([-half, half])


def _from_similar_sides(points: Array, first: Array, second: Array) -> NDArray[np.bool_]:
    """Tell which points (..., 3) two camera centres (..., 3) see from similar directions."""
    a, b = points - first, points - second
    cosine = (a * b).sum(axis=-1)
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray(cosine >= np.cos(MAX_PARALLAX) * lengths, dtype=bool)
