# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refinement of the pose of a camera, or a rig, on the matches of all pairs, without points.

Minimizes the robust Sampson error of all matches over the six pose parameters. The scale comes
from the map images' known poses: together they are one generalized camera.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import poselib

from relloc_ros.geometry import Array, RigidTransform, exp_so3, skew
from relloc_ros.vision.relative_pose import MatchedPoints, camera_pose, pinhole, sampson_errors

__all__ = ['epipolar_residuals', 'pose_sampson_errors', 'refine_epipolar']

LOSS_SCALE_PX = 1.0
DIFFERENCE_STEP = 1e-6


def refine_epipolar(
    map_from_body: RigidTransform,
    matches: Sequence[MatchedPoints],
    cams_from_map: Sequence[RigidTransform],
    bodies_from_cam: Sequence[RigidTransform] | None = None,
) -> RigidTransform:
    """Refine map_from_body on matches with posed images (PoseLib, Cauchy loss of one pixel).

    Args:
        map_from_body: initial pose.
        matches: matches of each map image; those far off weigh little.
        cams_from_map: poses of the map images.
        bodies_from_cam: where the camera of each of the matches sits; None if it is the body.
    """
    # About the query's own place: kilometres from the map's origin a turn and a shift of
    # cam_from_map are nearly the same, and the optimizer gets nowhere.
    map_from_local = RigidTransform(np.eye(3), map_from_body.translation)
    body_from_local = map_from_body.inverse() @ map_from_local
    pairs = []
    for index, points in enumerate(matches):
        pair = poselib.PairwiseMatches()
        pair.cam_id1 = pair.cam_id2 = index
        pair.x1 = points.reference * points.reference_focal_length
        pair.x2 = points.query * points.query_focal_length
        pairs.append(pair)
    refined, _ = poselib.refine_generalized_relative_pose(
        pairs,
        camera_pose(body_from_local),
        [camera_pose(pose @ map_from_local) for pose in cams_from_map],
        [pinhole(points.reference_focal_length) for points in matches],
        [camera_pose(pose.inverse()) for pose in _places(bodies_from_cam, len(matches))],
        [pinhole(points.query_focal_length) for points in matches],
        {'loss_type': 'CAUCHY', 'loss_scale': LOSS_SCALE_PX},
    )
    refined_from_local = RigidTransform(np.array(refined.R), np.array(refined.t))
    return map_from_local @ refined_from_local.inverse()


def epipolar_residuals(
    map_from_body: RigidTransform,
    matches: Sequence[MatchedPoints],
    cams_from_map: Sequence[RigidTransform],
    bodies_from_cam: Sequence[RigidTransform] | None = None,
    *,
    scale: float,
) -> tuple[Array, Array]:
    """Sampson residuals (N,) in pixels of all pairs in turn, and derivatives (N, 6) by the pose.

    Args:
        map_from_body: the pose; moves as in `structures.PoseEstimate`.
        matches: matches of each map image.
        cams_from_map: poses of the map images.
        bodies_from_cam: where the camera of each of the matches sits; None if it is the body.
        scale: a typical distance in map units, for the numerical step of the position.
    """

    def errors(pose: RigidTransform) -> Array:
        return pose_sampson_errors(pose, matches, cams_from_map, bodies_from_cam)

    steps = DIFFERENCE_STEP * np.array([scale] * 3 + [1.0] * 3)
    columns = []
    for axis, step in enumerate(steps):
        delta = np.zeros(6)
        delta[axis] = step
        forward = errors(_moved(map_from_body, delta))
        backward = errors(_moved(map_from_body, -delta))
        columns.append((forward - backward) / (2.0 * step))
    return errors(map_from_body), np.column_stack(columns)


def _moved(pose: RigidTransform, delta: Array) -> RigidTransform:
    return RigidTransform(exp_so3(delta[3:]) @ pose.rotation, pose.translation + delta[:3])


def pose_sampson_errors(
    map_from_body: RigidTransform,
    matches: Sequence[MatchedPoints],
    cams_from_map: Sequence[RigidTransform],
    bodies_from_cam: Sequence[RigidTransform] | None = None,
) -> Array:
    """Sampson errors (N,) in pixels of the matches of all images in turn, given the pose.

    Args:
        map_from_body: the pose.
        matches: matches of each map image.
        cams_from_map: poses of the map images.
        bodies_from_cam: where the camera of each of the matches sits; None if it is the body.
    """
    parts = []
    places = _places(bodies_from_cam, len(matches))
    for points, ref_from_map, body_from_cam in zip(matches, cams_from_map, places, strict=True):
        cam_from_map = (map_from_body @ body_from_cam).inverse()
        cam_from_ref = cam_from_map @ ref_from_map.inverse()
        essential = skew(cam_from_ref.translation) @ cam_from_ref.rotation
        parts.append(sampson_errors(essential, points))
    return np.concatenate(parts) if parts else np.empty(0)


def _places(
    bodies_from_cam: Sequence[RigidTransform] | None, count: int
) -> Sequence[RigidTransform]:
    return [RigidTransform.identity()] * count if bodies_from_cam is None else bodies_from_cam
