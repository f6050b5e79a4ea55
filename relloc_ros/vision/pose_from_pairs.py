# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Absolute pose from essential matrices to posed images (Zhou et al., ICRA 2020, section III).

Two pairs give a hypothesis: the two of four rotations that agree best, and the centre where the
two translation directions meet. All pairs of pairs are enumerated: there are few.
Only the essential matrices are used, no matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform, mean_rotation, rotation_angle
from relloc_ros.vision.relative_pose import decompose_essential

__all__ = ['PairsPose', 'estimate_pose_from_directions', 'estimate_pose_from_pairs']

MIN_RAY_SPREAD = 1e-3
"""Least eigenvalue of sum(I - d d^T): two rays less than about 2.5 degrees apart fix no point."""
PARALLEL_SIGMAS = 3.0
"""Rays that may as well be parallel, by as many standard deviations of their angles, fix none."""
LOCAL_OPTIMIZATION_STEPS = 5
PRIOR_ANGLE_STD = np.deg2rad(1.0)
"""Angular error expected of a pair, worth `PRIOR_WEIGHT` observations in the variance."""
PRIOR_WEIGHT = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class PairsPose:
    """A pose from pairs.

    Attributes:
        map_from_body: the pose.
        inliers: (P,) bool, pairs that agree with it.
        covariance: (6, 6) as in `structures.PoseEstimate`, from the angular residuals.
    """

    map_from_body: RigidTransform
    inliers: NDArray[np.bool_]
    covariance: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Rays:
    """What each pair says about the body that the query's camera sits on, in the map.

    sources (P, 3) centres of the map images; directions (P, 3) to the query, sign free;
    rotations (P, K, 3, 3), the candidates for map_from_body; levers (P, 3) from the body's origin
    to the camera, in its own frame.
    """

    sources: Array
    directions: Array
    rotations: Array
    levers: Array

    def centres(self, rotation: Array) -> Array:
        """Where (P, 3) the rays to the body's origin start, for a rotation of the body."""
        return self.sources - self.levers @ rotation.T


def estimate_pose_from_pairs(
    essentials: Sequence[Array],
    maps_from_ref: Sequence[RigidTransform],
    bodies_from_cam: Sequence[RigidTransform] | None = None,
    *,
    max_angle: float,
) -> PairsPose | None:
    """Find the pose most pairs agree with.

    Args:
        essentials: P essential matrices (3, 3), ``x_query^T E x_map = 0``.
        maps_from_ref: poses of the P map images.
        bodies_from_cam: where the camera of each pair sits on the body whose pose is sought; None
            if the body is the camera.
        max_angle: radians; a pair agrees if its direction and its nearer rotation lie within.

    Returns:
        None when no two pairs fix a position: fewer than two, or all centres on one line, as far
        as the angles can tell.
    """
    if bodies_from_cam is None:
        bodies_from_cam = [RigidTransform.identity()] * len(essentials)
    decomposed = [decompose_essential(essential) for essential in essentials]
    return _best_pose(_rays(decomposed, maps_from_ref, bodies_from_cam), max_angle)


def estimate_pose_from_directions(
    cams_from_ref: Sequence[RigidTransform],
    maps_from_ref: Sequence[RigidTransform],
    bodies_from_cam: Sequence[RigidTransform],
    *,
    max_angle: float,
) -> PairsPose | None:
    """Find the pose most relative poses agree with (Laskar et al., ICCV workshops 2017).

    As `estimate_pose_from_pairs`, but the rotation of each pair is known. Of the translations
    (3,) only the line counts, not the length: the position is where these meet.
    """
    known = [(pose.rotation[None], _unit(pose.translation)) for pose in cams_from_ref]
    return _best_pose(_rays(known, maps_from_ref, bodies_from_cam), max_angle)


def _unit(vector: Array) -> Array:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def _best_pose(rays: _Rays, max_angle: float) -> PairsPose | None:
    best: PairsPose | None = None
    best_score = (0, -np.inf)
    for first, second in combinations(range(len(rays.sources)), 2):
        hypothesis = _hypothesis(rays, first, second)
        if hypothesis is None:
            continue
        pose, inliers, cost = _optimize(rays, hypothesis, max_angle)
        score = (int(inliers.sum()), -cost)
        if score > best_score and score[0] >= 2:
            best_score = score
            best = PairsPose(pose, inliers, _covariance(rays, pose, inliers))
    return None if best is None or _may_be_parallel(rays, best) else best


def _may_be_parallel(rays: _Rays, found: PairsPose) -> bool:
    """Tell whether a position at infinity fits the rays hardly worse than the one found.

    Angular errors spread parallel rays, which then seem to meet near where they start: the shorter
    they are, the surer that place would seem to be.
    """
    pose, inliers = found.map_from_body, found.inliers
    weights = 1.0 / _doubts(_distances(rays, pose, inliers))
    angles = _angles(rays, pose)[0][inliers] * weights
    directions = rays.directions[inliers] * weights[:, None]
    squared_sines = (weights**2).sum() - np.linalg.eigvalsh(directions.T @ directions)[-1]
    worse = float(squared_sines - (angles**2).sum())
    return worse < PARALLEL_SIGMAS**2 * _variance(angles, 2 * len(angles) - 3)


def _distances(rays: _Rays, pose: RigidTransform, inliers: NDArray[np.bool_]) -> Array:
    """How far the pose is from where the rays of inliers start, none of them nearly nothing."""
    offsets = pose.translation - rays.centres(pose.rotation)[inliers]
    distances: Array = np.linalg.norm(offsets, axis=1)
    return np.maximum(distances, 1e-3 * distances.max() + 1e-12)


def _doubts(distances: Array) -> Array:
    """Factors on the angular error of rays: short ones come from images with little parallax."""
    return np.maximum(1.0, np.median(distances) / distances)


def _rays(
    cams_from_refs: Sequence[tuple[Array, Array]],
    maps_from_ref: Sequence[RigidTransform],
    bodies_from_cam: Sequence[RigidTransform],
) -> _Rays:
    """Turn candidates for the rotation (K, 3, 3) and a line (3,) of each pair into the map."""
    directions, rotations = [], []
    for (cams_from_ref, translation), map_from_ref, body_from_cam in zip(
        cams_from_refs, maps_from_ref, bodies_from_cam, strict=True
    ):
        # The query's centre in the map image's frame is -R^T t, the same line for both rotations.
        directions.append(map_from_ref.rotation @ cams_from_ref[0].T @ translation)
        maps_from_cam = map_from_ref.rotation @ cams_from_ref.transpose(0, 2, 1)
        rotations.append(maps_from_cam @ body_from_cam.rotation.T)
    return _Rays(
        np.array([pose.translation for pose in maps_from_ref]),
        np.array(directions),
        np.array(rotations),
        np.array([pose.translation for pose in bodies_from_cam]),
    )


def _hypothesis(rays: _Rays, first: int, second: int) -> RigidTransform | None:
    candidates = [
        (rotation_angle(a @ b.T), a, b)
        for a, b in product(rays.rotations[first], rays.rotations[second])
    ]
    _, a, b = min(candidates, key=lambda candidate: candidate[0])
    rotation = mean_rotation(np.stack([a, b]))
    centre = _meeting_point(rays, rotation, [first, second])
    return None if centre is None else RigidTransform(rotation, centre)


def _meeting_point(
    rays: _Rays,
    rotation: Array,
    which: list[int] | NDArray[np.intp],
    weights: Array | None = None,
) -> Array | None:
    """Point nearest to the rays, for a rotation; None when their directions do not fix one."""
    directions = rays.directions[which]
    projectors = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    if np.linalg.eigvalsh(projectors.sum(axis=0))[0] < MIN_RAY_SPREAD:
        return None
    if weights is not None:
        projectors = projectors * weights[:, None, None]
    right = np.einsum('pij,pj->i', projectors, rays.centres(rotation)[which])
    point: Array = np.linalg.solve(projectors.sum(axis=0), right)
    return point


def _angles(rays: _Rays, pose: RigidTransform) -> tuple[Array, Array, NDArray[np.intp]]:
    """Angles of directions (P,) and nearer rotations (P,), and which rotation is nearer (P,)."""
    offsets = pose.translation - rays.centres(pose.rotation)
    distances = np.linalg.norm(offsets, axis=1)
    cosines = np.abs(np.einsum('pi,pi->p', offsets, rays.directions)) / np.maximum(
        distances, 1e-12
    )
    direction_angles = np.arccos(np.clip(cosines, 0.0, 1.0))
    traces = np.einsum('ij,pkij->pk', pose.rotation, rays.rotations)
    rotation_angles = np.arccos(np.clip((traces - 1.0) / 2.0, -1.0, 1.0))
    nearer = rotation_angles.argmin(axis=1)
    return direction_angles, rotation_angles[np.arange(len(nearer)), nearer], nearer


def _optimize(
    rays: _Rays, pose: RigidTransform, max_angle: float
) -> tuple[RigidTransform, NDArray[np.bool_], float]:
    """Re-estimate from the inliers while that helps; return pose, inliers and mean angle."""
    inliers, cost, nearer = _support(rays, pose, max_angle)
    for _ in range(LOCAL_OPTIMIZATION_STEPS):
        which = np.flatnonzero(inliers)
        if len(which) < 2:
            break
        # Angular errors weigh by the squared distance.
        offsets = pose.translation - rays.centres(pose.rotation)[which]
        distances = np.linalg.norm(offsets, axis=1)
        weights = 1.0 / np.maximum(distances, 1e-3 * distances.max() + 1e-12) ** 2
        rotation = mean_rotation(rays.rotations[which, nearer[which]])
        centre = _meeting_point(rays, rotation, which, weights)
        if centre is None:
            break
        candidate = RigidTransform(rotation, centre)
        support, candidate_cost, candidate_nearer = _support(rays, candidate, max_angle)
        if (support.sum(), -candidate_cost) <= (inliers.sum(), -cost):
            break
        pose, inliers, cost, nearer = (
            candidate,
            support,
            candidate_cost,
            candidate_nearer,
        )
    return pose, inliers, cost


def _support(
    rays: _Rays, pose: RigidTransform, max_angle: float
) -> tuple[NDArray[np.bool_], float, NDArray[np.intp]]:
    directions, rotations, nearer = _angles(rays, pose)
    inliers = (directions <= max_angle) & (rotations <= max_angle)
    cost = float((directions + rotations)[inliers].mean()) if inliers.any() else np.inf
    return inliers, cost, nearer


def _covariance(rays: _Rays, pose: RigidTransform, inliers: NDArray[np.bool_]) -> Array:
    directions, rotations, _ = _angles(rays, pose)
    distances = _distances(rays, pose, inliers)
    doubts = _doubts(distances)
    offsets = pose.translation - rays.centres(pose.rotation)[inliers]
    unit = offsets / distances[:, None]
    projectors = np.eye(3) - unit[:, :, None] * unit[:, None, :]
    information = (projectors / (distances * doubts)[:, None, None] ** 2).sum(axis=0)
    count = int(inliers.sum())
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = np.linalg.inv(information) * _variance(
        directions[inliers] / doubts, 2 * count - 3
    )
    covariance[3:, 3:] = np.eye(3) * _variance(rotations[inliers], 3 * count - 3) / count
    return covariance


def _variance(angles: Array, degrees_of_freedom: int) -> float:
    """Variance of one angle, drawn towards the prior when there are few."""
    squared = float((angles**2).sum()) + PRIOR_WEIGHT * PRIOR_ANGLE_STD**2
    return squared / (max(degrees_of_freedom, 0) + PRIOR_WEIGHT)
