# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Seeded scenes with known poses: points in front of cameras, their projections and matches."""

from dataclasses import dataclass

import numpy as np

from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.vision.local_structure import PosedViews
from relloc_ros.vision.relative_pose import MatchedPoints

FOCAL_LENGTH = 500.0


@dataclass
class Scene:
    """A query and map cameras looking along z at points 4 to 8 units away."""

    points: np.ndarray
    map_from_query: RigidTransform
    maps_from_ref: list[RigidTransform]
    rng: np.random.Generator

    def project(self, map_from_cam, noise_px=0.0):
        local = map_from_cam.inverse().apply(self.points)
        noise = self.rng.normal(size=(len(local), 2)) * noise_px / FOCAL_LENGTH
        return local[:, :2] / local[:, 2:] + noise

    def matches(self, index, noise_px=0.0, num_outliers=0):
        query = self.project(self.map_from_query, noise_px)
        reference = self.project(self.maps_from_ref[index], noise_px)
        reference[:num_outliers] = self.rng.uniform(-0.5, 0.5, size=(num_outliers, 2))
        return MatchedPoints(query, reference, FOCAL_LENGTH, FOCAL_LENGTH)

    def moved(self, offset):
        """The same scene elsewhere in the map."""

        def shifted(pose):
            return RigidTransform(pose.rotation, pose.translation + offset)

        refs = [shifted(pose) for pose in self.maps_from_ref]
        return Scene(self.points + offset, shifted(self.map_from_query), refs, self.rng)

    def views(self):
        cams = [pose.inverse() for pose in self.maps_from_ref]
        return PosedViews.of(cams, [FOCAL_LENGTH] * len(cams))

    def observations(self, noise_px=0.0):
        return np.stack([self.project(pose, noise_px) for pose in self.maps_from_ref], axis=1)


def make_scene(seed=0, num_points=120, num_refs=5, centres=None, query_centre=(0.1, -0.2, 0.3)):
    """Cameras near the origin with small random rotations; `centres` sets those of the map."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((-2.5, -2.0, 4.0), (2.5, 2.0, 8.0), size=(num_points, 3))
    if centres is None:
        centres = rng.uniform(-1.0, 1.0, size=(num_refs, 3)) * (1.0, 1.0, 0.5)

    def pose(centre):
        return RigidTransform(exp_so3(rng.normal(size=3) * 0.08), np.asarray(centre, float))

    return Scene(points, pose(query_centre), [pose(centre) for centre in centres], rng)


def moved_pose(pose, delta):
    """Move a pose as `PoseEstimate` says: centre + delta[:3], Exp(delta[3:]) @ rotation."""
    return RigidTransform(exp_so3(delta[3:]) @ pose.rotation, pose.translation + delta[:3])


def essential_of(map_from_query, map_from_ref):
    """Return E with x_query^T E x_ref = 0."""
    query_from_ref = map_from_query.inverse() @ map_from_ref
    x, y, z = query_from_ref.translation
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return cross @ query_from_ref.rotation
