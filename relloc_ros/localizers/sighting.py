# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one image shows of the map: the part of localization that no other image has a say in.

It can be kept: a rig is solved from the sightings of its cameras, and the virtual rig of a moving
camera from those of its last images, none of which is looked at twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.structures import Localization, QueryImage, Status

__all__ = [
    'NO_ROW',
    'PlacedSighting',
    'RegressedPair',
    'SeenPoints',
    'Sighting',
    'add_timings',
    'matched_images',
]

NO_ROW = -1
"""Of a match that shows no point of known position."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenPoints:
    """Points of known position that the image may show.

    Attributes:
        keypoints: (K,) rows of the image's features, each once at most.
        positions: (K, 3) in the map.
        shown: for each matched map image, (N,) which of the K its matches show, -1 for none.
    """

    keypoints: NDArray[np.intp]
    positions: Array
    shown: tuple[NDArray[np.intp], ...]

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.keypoints)

    def masks(self, inliers: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], ...]:
        """For each matched map image, which of its matches show an inlier (K,)."""
        known = np.append(inliers, False)
        return tuple(known[rows] for rows in self.shown)


@dataclass(frozen=True, slots=True, eq=False)
class RegressedPair:
    """What a network says of the image and one map image, without a match.

    Attributes:
        index: of the map image.
        map_from_ref: its pose.
        essential: (3, 3) as in `vision.relative_pose`, if it gives that.
        cam_from_ref: relative pose in the map's units, if it gives that.
    """

    index: int
    map_from_ref: RigidTransform
    essential: Array | None = None
    cam_from_ref: RigidTransform | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """What an image shows of the map.

    Attributes:
        name: of the image.
        stamp_ns: of the image.
        seed: of the random steps that concern this image alone.
        status: why it shows nothing; LOCALIZED as long as nothing stands against a pose.
        reason: the same for people.
        features: of the image, without descriptors; None if it shows nothing, or in `regressed`.
        retrieved: names of map images, best first.
        matched: map images with matches, likewise without descriptors.
        points: of known position; None where they are not asked for.
        regressed: map images that a network has looked at, instead of matches.
        timings_ms: wall milliseconds of each stage.
    """

    name: str
    stamp_ns: int
    seed: int = 0
    status: Status = Status.LOCALIZED
    reason: str = ''
    features: QueryFeatures | None = None
    retrieved: tuple[str, ...] = ()
    matched: tuple[MatchedImage, ...] = ()
    points: SeenPoints | None = None
    regressed: tuple[RegressedPair, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of_matches(
        cls,
        query: QueryImage,
        seed: int,
        features: QueryFeatures,
        retrieved: tuple[str, ...],
        matched: Sequence[MatchedImage],
        points: SeenPoints | None,
        timings_ms: Mapping[str, float],
    ) -> Sighting:
        """Make one from matches; descriptors, the greatest part of the memory, are left out."""
        no_descriptors = features.descriptors[:0].copy()
        return cls(
            query.name,
            query.stamp_ns,
            seed,
            features=replace(features, descriptors=no_descriptors),
            retrieved=retrieved,
            matched=tuple(_lightened(image) for image in matched),
            points=points,
            timings_ms=timings_ms,
        )


@dataclass(frozen=True, slots=True, eq=False)
class PlacedSighting:
    """A sighting from somewhere on a body.

    Attributes:
        sighting: of the image.
        body_from_cam: where the camera sat, relative to where the body is when its pose is sought.
        position_std: how sure that is, in each direction, map units.
        rotation_std: about each axis, radians.
    """

    sighting: Sighting
    body_from_cam: RigidTransform
    position_std: float = 0.0
    rotation_std: float = 0.0

    @property
    def is_certain(self) -> bool:
        """Whether it is known exactly where the camera sat."""
        return self.position_std == 0.0 and self.rotation_std == 0.0

    @property
    def place_covariance(self) -> Array:
        """(6, 6) of the pose of the body as the camera has it, as in `PoseEstimate`."""
        return np.diag(np.repeat([self.position_std**2, self.rotation_std**2], 3))

    @property
    def features(self) -> QueryFeatures:
        """Features of an image that has matches."""
        features = self.sighting.features
        assert features is not None
        return features


def matched_images(
    views: Sequence[PlacedSighting],
) -> Iterator[tuple[int, PlacedSighting, MatchedImage]]:
    """Go through the matched map images of all views in turn.

    Yields:
        The number of the view, the view, and a map image.
    """
    for number, view in enumerate(views):
        for image in view.sighting.matched:
            yield number, view, image


def add_timings(localization: Localization, *earlier: Mapping[str, float]) -> Localization:
    """Put the time of stages before a solution before its own."""
    total: dict[str, float] = {}
    for stages in (*earlier, localization.timings_ms):
        for stage, milliseconds in stages.items():
            total[stage] = total.get(stage, 0.0) + milliseconds
    return replace(localization, timings_ms=total)


def _lightened(image: MatchedImage) -> MatchedImage:
    no_descriptors = image.features.descriptors[:0].copy()
    return replace(image, features=replace(image.features, descriptors=no_descriptors))
