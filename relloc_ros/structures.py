# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What goes into the pipeline and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.geometry import Array, RigidTransform

__all__ = [
    'CameraDeviation',
    'Localization',
    'PairMatches',
    'PoseEstimate',
    'QueryImage',
    'RigView',
    'SearchArea',
    'Status',
]


POSE_KEYS = ('position', 'quat_xyzw', 'covariance')


class Status(str, Enum):
    """Why there is a pose, or why there is none. The value is the printed name."""

    LOCALIZED = 'LOCALIZED'
    NO_FEATURES = 'NO_FEATURES'
    NO_RETRIEVAL = 'NO_RETRIEVAL'
    TOO_FEW_MATCHES = 'TOO_FEW_MATCHES'
    DEGENERATE = 'DEGENERATE'
    TOO_FEW_INLIERS = 'TOO_FEW_INLIERS'
    GATED = 'GATED'
    ERROR = 'ERROR'

    def __str__(self) -> str:
        """Print the bare name."""
        return self.value


@dataclass(frozen=True, slots=True, eq=False)
class SearchArea:
    """Where the camera that took a query is, if something but the image tells.

    Attributes:
        centre: (3,) float64 in the map.
        radius: map units.
    """

    centre: Array
    radius: float


@dataclass(frozen=True, slots=True, eq=False)
class QueryImage:
    """An image to localize.

    Attributes:
        image: (H, W) grey or (H, W, 3) BGR, uint8, as large as the camera says.
        camera: intrinsics and distortion, COLMAP's pixel convention.
        stamp_ns: time of exposure in nanoseconds; seeds the random steps of this frame.
        frame_id: name of the camera's optical frame (x right, y down, z forward).
        name: file name or topic, for messages to people.
        search_area: where to search; None is the whole map.
    """

    image: NDArray[np.uint8]
    camera: Camera
    stamp_ns: int
    frame_id: str = ''
    name: str = ''
    search_area: SearchArea | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RigView:
    """An image of a rig: of one of several cameras, or of one that moved from image to image.

    Attributes:
        query: the image.
        body_from_cam: where its camera was, relative to where the rig's body is at the time of
            the newest image of the rig. What moved in the meantime is in it.
        position_std: how sure that is, in each direction, map units; 0 for calibrated extrinsics.
        rotation_std: about each axis, radians.
    """

    query: QueryImage
    body_from_cam: RigidTransform
    position_std: float = 0.0
    rotation_std: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class PoseEstimate:
    """A pose and how sure it is.

    Attributes:
        map_from_body: pose of the body (camera or base_link) in the map.
        covariance: (6, 6) float64, order (position, rotation): error of the body's origin along
            the map's axes, then a rotation vector about the map's axes with
            ``R_true = Exp(error) @ R_estimated``. Symmetric, positive definite.
    """

    map_from_body: RigidTransform
    covariance: Array

    def to_dict(self) -> dict[str, Any]:
        """Return `position`, `quat_xyzw` and `covariance` as lists."""
        return {
            'position': self.map_from_body.translation.tolist(),
            'quat_xyzw': self.map_from_body.quat_xyzw.tolist(),
            'covariance': self.covariance.tolist(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class PairMatches:
    """Matches of the query with one map image, for debug images and failure analysis.

    Attributes:
        image_name: the map image.
        query_points2D: (N, 2) float64 pixels in the query, distorted as in the image.
        map_points2D: (N, 2) float64 pixels in the map image.
        inliers: (N,) bool, which of them agree with the pose (or the pair's geometry).
        view: which image of a rig the query is, in their order; 0 for an image alone.
    """

    image_name: str
    query_points2D: Array
    map_points2D: Array
    inliers: NDArray[np.bool_]
    view: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class CameraDeviation:
    """How far a camera is from its calibration, to judge by an image.

    Attributes:
        values: (6,) without units: focal length by which the true one is longer, as a share;
            half of how much more that is along x than along y; principal point, in focal lengths,
            along x and y; shear, as of a rolling shutter; radial distortion.
        covariance: (6, 6) of the values.
        num_points: that fit then.
        gain: share of the robust cost of all points that goes with it.
        pose_shift: (6,) by which the pose moves then, in the order of `PoseEstimate.covariance`.
        pose_by_values: (6, 6) derivatives of the best pose by the values.
        num_seen: points that the image may show.
        num_agreeing: that fit the pose with the camera as calibrated.
        camera: as calibrated; None if that is not known.
    """

    values: Array
    covariance: Array
    num_points: int
    gain: float
    pose_shift: Array
    pose_by_values: Array
    num_seen: int
    num_agreeing: int
    camera: Camera | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Localization:
    """The answer for an image or a rig: a pose with covariance, or a status that says why not.

    Attributes:
        status: LOCALIZED if, and only if, `camera_pose` is given.
        reason: one sentence for people; empty when localized.
        stamp_ns: of the image, of the newest one of a rig.
        localizer: name of the method in the LOCALIZERS table.
        camera_pose: pose of the camera's optical frame in the map, of the body if this is a rig;
            None unless localized.
        num_matches: putative matches over all map images used.
        num_inliers: distinct query keypoints that support the pose.
        agreement: 0 to 1: share of the matches that lie on the pose's epipolar lines; geometric
            mean of that of all map images and that of the one with most matches. None where the
            localizer looks at no keypoints.
        confidence: probability that the pose is right, also of one that is GATED; None without a
            pose or without agreement. See `confidence.rate`.
        retrieved: names of the map images retrieved, best first.
        pairs: matches with the map images that were used.
        timings_ms: wall milliseconds of each stage, and `total`.
        camera_deviation: how far the camera is from its calibration, by this image; None without
            points of known position.
    """

    status: Status
    reason: str
    stamp_ns: int
    localizer: str
    camera_pose: PoseEstimate | None = None
    num_matches: int = 0
    num_inliers: int = 0
    agreement: float | None = None
    confidence: float | None = None
    retrieved: tuple[str, ...] = ()
    pairs: tuple[PairMatches, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    camera_deviation: CameraDeviation | None = None

    def __post_init__(self) -> None:
        """Refuse a pose without LOCALIZED and LOCALIZED without a pose."""
        if (self.status is Status.LOCALIZED) != (self.camera_pose is not None):
            raise ValueError(f'status {self.status} does not fit camera_pose={self.camera_pose}')

    @property
    def localized(self) -> bool:
        """Whether there is a pose."""
        return self.status is Status.LOCALIZED

    @property
    def confidence_text(self) -> str:
        """The confidence for people and diagnostics; '' if there is none."""
        return '' if self.confidence is None else f'{self.confidence:.3f}'

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of ``relloc localize``: pose of the camera in the map."""
        pose = self.camera_pose
        return {
            'status': self.status.value,
            'reason': self.reason,
            'localizer': self.localizer,
            'stamp_ns': self.stamp_ns,
            **(dict.fromkeys(POSE_KEYS) if pose is None else pose.to_dict()),
            'matches': self.num_matches,
            'inliers': self.num_inliers,
            'confidence': None if self.confidence is None else round(self.confidence, 4),
            'ms': round(self.timings_ms.get('total', 0.0), 3),
        }
