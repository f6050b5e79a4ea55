# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Localize images of a map in the rest of it.

The default localizer does it, with the features and global descriptors that the map holds: the
images themselves are not needed. What differs between the pose found and the pose in the map is
the fault of one of the two; where no pose is found, none will be found for a robot either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.gating import gate
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.localizers.essential import MIN_MATCHES, EssentialLocalizer
from relloc_ros.localizers.local_points import triangulate_matches
from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.localizers.sighting import PlacedSighting, Sighting
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import frame_seed
from relloc_ros.structures import Localization, QueryImage, Status

__all__ = ['LeaveOneOut', 'LeftOut']

Progress = Callable[[int, int, str], None]

NEAR_BASELINE, NEAR_ANGLE = 0.05, np.deg2rad(10.0)
"""An image that is nearer than this share of the scene's depth, and looks the same way, is as good
as the image itself: no camera of a robot comes back to where the map was made as exactly."""
PROBES = 9
"""Images that tell how deep the scene is."""
NO_IMAGE = np.empty((0, 0), dtype=np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """A map image that was localized in the rest of the map.

    Attributes:
        index: of the image in the map.
        sighting: its matches with others.
        found: the localizer's answer.
        cam_from_map: its pose in the map.
        depth: median distance of what it sees, map units; NaN where nothing is triangulated.
    """

    index: int
    sighting: Sighting
    found: Localization
    cam_from_map: RigidTransform
    depth: float

    @property
    def name(self) -> str:
        """Of the image."""
        return self.sighting.name

    @property
    def discrepancy(self) -> RigidTransform | None:
        """Pose in the map seen from the pose found, or None without one."""
        if self.found.camera_pose is None:
            return None
        return self.found.camera_pose.map_from_body.inverse() @ self.cam_from_map.inverse()


class LeaveOneOut:
    """Localizes images of a map without themselves and those nearly the same."""

    def __init__(self, reference_map: ReferenceMap) -> None:
        """Prepare the default localizer, with default settings but for what it may leave out."""
        self.reference_map = reference_map
        # All pairs are looked at: no image is left out because others suffice. What a doubtful
        # pose says of the map is weighed later.
        settings = {
            'essential.sufficient_points': 0,
            'acceptance.max_false_accept_rate': 1.0,
            'acceptance.check_camera': False,
        }
        self.config = make_config(LocalizationConfig, settings)
        self._localizer = EssentialLocalizer(reference_map, self.config)
        self._thread_pools = ThreadpoolController()
        self._directions: Array = reference_map.rotations[:, 2]
        self._near = 0.0
        self._among: NDArray[np.bool_] | None = None

    def run(
        self,
        samples: Sequence[int],
        progress: Progress,
        among: NDArray[np.bool_] | None = None,
        depth: float | None = None,
    ) -> list[LeftOut]:
        """Localize images, by their indices, in the rest of the map or of a part (N,) of it.

        Without the depth of the scene it is measured on some of the images.
        """
        self._near, self._among = 0.0, None
        if depth is None:
            depths = [self._leave_out(index).depth for index in _evenly(samples, PROBES)]
            known = [depth for depth in depths if np.isfinite(depth)]
            depth = float(np.median(known)) if known else 0.0
        self._near, self._among = NEAR_BASELINE * depth, among
        found = []
        for done, index in enumerate(samples):
            progress(done, len(samples), self.reference_map.image_names[index])
            found.append(self._leave_out(index))
        progress(len(samples), len(samples), '')
        return found

    def without(self, left_out: LeftOut, suspects: frozenset[int]) -> LeftOut:
        """Localize an image again, without the matches with some images."""
        sighting = left_out.sighting
        matched = tuple(image for image in sighting.matched if image.index not in suspects)
        if len(matched) == len(sighting.matched) or sighting.features is None:
            return left_out
        points = triangulate_matches(sighting.features, matched, self.config.essential)
        return self._solved(left_out.index, replace(sighting, matched=matched, points=points))

    def _leave_out(self, index: int) -> LeftOut:
        reference_map = self.reference_map
        stored = reference_map.features(index)
        camera = reference_map.camera(index)
        stamp_ns = int(reference_map.stamps_ns[index])
        query = QueryImage(NO_IMAGE, camera, stamp_ns, name=reference_map.image_names[index])
        features = QueryFeatures(
            stored.points2D,
            stored.normalized,
            reference_map.extractor.unit_descriptors(stored.descriptors),
            camera.mean_focal_length,
            camera,
        )
        descriptor = reference_map.global_descriptors(np.array([index]))[0]
        retrieved, similarities = reference_map.retrieve(
            descriptor, self.config.top_k, self._others(index)
        )
        retrieved = retrieved[similarities >= self.config.min_similarity]
        if len(features) < MIN_MATCHES or len(retrieved) == 0:
            status = Status.NO_RETRIEVAL if len(retrieved) == 0 else Status.NO_FEATURES
            reason = 'no other image is like it' if len(retrieved) == 0 else 'too few keypoints'
            return self._solved(index, Sighting(query.name, stamp_ns, 0, status, reason))
        seed = frame_seed(self.config.random_seed, index)
        with self._thread_pools.limit(limits=1, user_api='blas'):
            sighting = self._localizer.sight_among(
                query, seed, features, np.asarray(retrieved, dtype=np.intp), StageTimer()
            )
        matched = tuple(_only_matches(image) for image in sighting.matched)
        return self._solved(index, replace(sighting, matched=matched))

    def _solved(self, index: int, sighting: Sighting) -> LeftOut:
        seed = frame_seed(self.config.random_seed, index)
        views = [PlacedSighting(sighting, RigidTransform.identity())]
        with self._thread_pools.limit(limits=1, user_api='blas'):
            found = gate(self._localizer.locate(views, seed), self.config)
        cam_from_map = self.reference_map.cam_from_map(index)
        depth = np.nan
        if sighting.points is not None and len(sighting.points):
            depth = float(np.median(cam_from_map.apply(sighting.points.positions)[:, 2]))
        return LeftOut(index, sighting, replace(found, pairs=()), cam_from_map, depth)

    def _others(self, index: int) -> NDArray[np.bool_]:
        centres = self.reference_map.centres
        near = np.linalg.norm(centres - centres[index], axis=1) < self._near
        near &= self._directions @ self._directions[index] > np.cos(NEAR_ANGLE)
        near[index] = True
        return ~near if self._among is None else ~near & self._among


def _only_matches(image: MatchedImage) -> MatchedImage:
    """Forget the keypoints of a map image that are not matched: there are many images."""
    features, rows = image.features, image.matches[:, 1]
    kept = replace(
        features,
        points2D=features.points2D[rows],
        normalized=features.normalized[rows],
        rows=features.rows[rows],
    )
    matches = np.column_stack([image.matches[:, 0], np.arange(len(rows))])
    return replace(image, features=kept, matches=matches)


def _evenly(samples: Sequence[int], count: int) -> list[int]:
    positions = np.linspace(0, len(samples) - 1, min(count, len(samples)))
    return [samples[int(position)] for position in positions]
