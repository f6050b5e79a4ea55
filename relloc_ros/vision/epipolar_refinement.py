# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Refinement of the query's pose on the matches of all pairs, without points.

Minimizes the robust Sampson error of all matches over the six pose parameters. The scale comes
from the map images' known poses: together they are one generalized camera.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import poselib

from relloc_ros.geometry import Array, RigidTransform, exp_so3, skew
from relloc_ros.vision.relative_pose import MatchedPoints, pinhole, sampson_errors

__all__ = ['epipolar_residuals', 'pose_sampson_errors', 'refine_epipolar']

LOSS_SCALE_PX = 1.0
DIFFERENCE_STEP = 1e-6


def refine_epipolar(
    map_from_cam: RigidTransform,
    matches: Sequence[MatchedPoints],
    cams_from_map: Sequence[RigidTransform],
) -> RigidTransform:
    """Refine map_from_cam on matches with posed images (PoseLib, Cauchy loss of one pixel).

    Args:
        map_from_cam: initial pose.
        matches: matches of each map image; those far off weigh little.
        cams_from_map: poses of the map images.
    """
    # About the query's own place: kilometres from the map's origin a turn and a shift of
    # cam_from_map are nearly the same, and the optimizer gets nowhere.
    map_from_local = RigidTransform(np.eye(3), map_from_cam.translation)
    cam_from_local = map_from_cam.inverse() @ map_from_local
    pairs = []
    for index, points in enumerate(matches):
        pair = poselib.PairwiseMatches()
        pair.cam_id1, pair.cam_id2 = index, 0
        pair.x1 = points.reference * points.reference_focal_length
        pair.x2 = points.query * points.query_focal_length
        pairs.append(pair)
    refined, _ = poselib.refine_generalized_relative_pose(
        pairs,
        _camera_pose(cam_from_local),
        [_camera_pose(pose @ map_from_local) for pose in cams_from_map],
        [pinhole(points.reference_focal_length) for points in matches],
        [poselib.CameraPose()],
        [pinhole(matches[0].query_focal_length)],
        {'loss_type': 'CAUCHY', 'loss_scale': LOSS_SCALE_PX},
    )
    refined_from_local = RigidTransform(np.array(refined.R), np.array(refined.t))
    return map_from_local @ refined_from_local.inverse()


def epipolar_residuals(
    map_from_cam: RigidTransform,
    matches: Sequence[MatchedPoints],
    cams_from_map: Sequence[RigidTransform],
    *,
    scale: float,
) -> tuple[Array, Array]:
    """Sampson residuals (N,) in pixels of all pairs in turn, and derivatives (N, 6) by the pose.

    Args:
        map_from_cam: the pose; moves as in `structures.PoseEstimate`.
        matches: matches of each map image.
        cams_from_map: poses of the map images.
        scale: a typical distance in map units, for the numerical step of the position.
    """
    residuals = pose_sampson_errors(map_from_cam, matches, cams_from_map)
    steps = DIFFERENCE_STEP * np.array([scale] * 3 + [1.0] * 3)
    columns = []
    for axis, step in enumerate(steps):
        delta = np.zeros(6)
        delta[axis] = step
        forward = pose_sampson_errors(_moved(map_from_cam, delta), matches, cams_from_map)
        backward = pose_sampson_errors(_moved(map_from_cam, -delta), matches, cams_from_map)
        columns.append((forward - backward) / (2.0 * step))
    return residuals, np.column_stack(columns)


def _moved(pose: RigidTransform, delta: Array) -> RigidTransform:
    return RigidTransform(exp_so3(delta[3:]) @ pose.rotation, pose.translation + delta[:3])


def pose_sampson_errors(
    map_from_cam: RigidTransform,
    matches: Sequence[MatchedPoints],
    cams_from_map: Sequence[RigidTransform],
) -> Array:
    """Sampson errors (N,) in pixels of the matches of all images in turn, given the pose."""
    cam_from_map = map_from_cam.inverse()
    parts = []
    for points, ref_from_map in zip(matches, cams_from_map, strict=True):
        cam_from_ref = cam_from_map @ ref_from_map.inverse()
        essential = skew(cam_from_ref.translation) @ cam_from_ref.rotation
        parts.append(sampson_errors(essential, points))
    return np.concatenate(parts) if parts else np.empty(0)


def _camera_pose(pose: RigidTransform) -> poselib.CameraPose:
    result = poselib.CameraPose()
    result.R = pose.rotation
    result.t = pose.translation
    return result
