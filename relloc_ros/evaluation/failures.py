# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Why a query failed: the first stage of which the truth says that it should have done better.

- `input`: the image is unusable, or the map does not show what it shows.
- `retrieval`: map images share its view, and none of them was retrieved.
- `matching`: right images were retrieved, and too few of the matches with them are true.
- `geometry`: there were enough true matches, and the pose is wrong, or there is none.
- `gate`: there were enough true matches, and the pose was refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
import math

import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig
from relloc_ros.evaluation.metrics import PoseError, measure_error
from relloc_ros.evaluation.wording import angle_text, length_text
from relloc_ros.geometry import Array, RigidTransform, skew
from relloc_ros.localizers.solution import AGREEMENT_THRESHOLD_PX
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.view_overlap import ViewOverlap
from relloc_ros.structures import Localization, PairMatches, Status
from relloc_ros.vision.relative_pose import MatchedPoints, in_front, sampson_errors

__all__ = ['FAILURE_STAGES', 'SUCCESS_LIMITS', 'Failure', 'FailureAnalysis', 'TrueView']

FAILURE_STAGES = ('input', 'retrieval', 'matching', 'geometry', 'gate')

SUCCESS_LIMITS: PoseError = (0.25, 2.0)
"""Larger errors than these are failures, in maps in metres."""
SUCCESS_DEPTH_FRACTION = 0.05
"""The same limit of position in other maps: a quarter of a metre in a scene five metres away."""

TRUE_MATCH_PX = 3.0
"""Distance from the true epipolar line up to which a match is true: poses called true have errors
of their own."""
PARALLEL_RAYS = math.radians(0.5)
"""Rays of a match nearer to parallel meet far away, and noise decides on which side."""
NO_BASELINE = 1e-9
"""Cameras nearer than this, beside their distance from the origin, have no epipolar lines."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The stage blamed, and why, in a sentence with figures; both '' where nothing failed."""

    stage: str = ''
    detail: str = ''


@dataclass(frozen=True, slots=True, eq=False)
class TrueView:
    """Where the camera of a query truly was, and what it is."""

    map_from_cam: RigidTransform
    camera: Camera


@dataclass(frozen=True, slots=True)
class _TrueMatches:
    """Matches beside the true pose.

    Attributes:
        count: distinct query keypoints with a true match.
        by_chance: of them to be expected if all matches were wrong.
        total: matches.
        agreement: share of all matches as near to their epipolar lines as `accept` wants it.
    """

    count: int
    by_chance: float
    total: int
    agreement: float


class FailureAnalysis:
    """Explains the failures of one localizer in one map.

    What needs the images of the map is worked out when the first failure asks for it.
    """

    def __init__(
        self,
        reference_map: ReferenceMap,
        config: LocalizationConfig,
        limits: PoseError | None = None,
    ) -> None:
        """Prepare.

        Args:
            reference_map: in which queries were localized.
            config: settings they were localized with.
            limits: position (map units) and rotation (degrees) error of a success; None takes
                `SUCCESS_LIMITS`, or a fraction of the scene's depth if the map is not in metres.
        """
        self._map = reference_map
        self._config = config
        self._given_limits = limits

    @cached_property
    def limits(self) -> PoseError:
        """Position (map units) and rotation (degrees) error of a success."""
        if self._given_limits is not None:
            return self._given_limits
        if self._map.units == 'm':
            return SUCCESS_LIMITS
        depth = float(np.median(self._overlap.depths))
        return SUCCESS_DEPTH_FRACTION * depth, SUCCESS_LIMITS[1]

    def explain(self, localization: Localization, view: TrueView | None) -> Failure:
        """Blame a stage for a query that has no pose, or a wrong one.

        Args:
            localization: with its matches.
            view: the truth; None if it is not known, then only unusable input is found out.
        """
        if localization.status in (Status.ERROR, Status.NO_FEATURES):
            return Failure('input', localization.reason)
        if view is None or self._succeeded(localization, view):
            return Failure()
        true = self._true_matches(localization.pairs, view)
        if true.count - true.by_chance >= self._config.min_inliers:
            return self._blame_pose(localization, view, true)
        return self._blame_images(localization, view, true)

    @cached_property
    def _overlap(self) -> ViewOverlap:
        return ViewOverlap.of_map(self._map)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self._map.image_names)}

    def _succeeded(self, localization: Localization, view: TrueView) -> bool:
        position, rotation = measure_error(localization.camera_pose, view.map_from_cam)
        return position <= self.limits[0] and rotation <= self.limits[1]

    def _blame_pose(
        self, localization: Localization, view: TrueView, true: _TrueMatches
    ) -> Failure:
        matches = f'{true.count} keypoints have true matches'
        status = localization.status
        if status is Status.GATED:
            return Failure('gate', f'{matches}, but the pose was refused: {localization.reason}')
        least = self._config.min_match_agreement
        if status is Status.TOO_FEW_INLIERS and true.agreement < least:
            return Failure(
                'gate',
                f'{matches}, but only {true.agreement:.1%} of all {true.total} matches agree with '
                f'the true pose: min_match_agreement ({least:.1%}) would have refused it',
            )
        if localization.camera_pose is None:
            return Failure('geometry', f'{matches}, but no pose: {localization.reason}')
        return Failure('geometry', f'{matches}, but the pose is {self._wrong(localization, view)}')

    def _blame_images(
        self, localization: Localization, view: TrueView, true: _TrueMatches
    ) -> Failure:
        sharing = self._overlap.sharing(view.map_from_cam, view.camera)
        used = self._used_images(localization)
        right = [name for name in used if sharing[self._index[name]]]
        if right and _matches_nothing(localization):
            stage = 'geometry' if localization.localized else 'gate'
            said = localization.reason or f'the pose is {self._wrong(localization, view)}'
            return Failure(stage, f'a right image was retrieved, but {said}')
        if right:
            needed = math.ceil(self._config.min_inliers + true.by_chance)
            return Failure(
                'matching',
                f'{len(right)} of {len(used)} images retrieved share its view, but of '
                f'{true.total} matches only those of {true.count} keypoints are true, {needed} '
                'are needed',
            )
        if sharing.any():
            count = int(sharing.sum())
            said = f'none of the {len(used)} retrieved' if used else 'none was retrieved'
            return Failure('retrieval', f'{count} map images share its view, but {said}')
        return Failure('input', f'no map image shares its view: {self._nearest(view)}')

    def _used_images(self, localization: Localization) -> list[str]:
        """Map images the answer could be built on."""
        names = localization.retrieved or tuple(pair.image_name for pair in localization.pairs)
        if _matches_nothing(localization):
            names = names[:1]
        return [name for name in names if name in self._index]

    def _true_matches(self, pairs: tuple[PairMatches, ...], view: TrueView) -> _TrueMatches:
        known = [pair for pair in pairs if pair.image_name in self._index]
        found: list[Array] = []
        total = agreeing = 0
        for pair in known:
            errors, front = self._epipolar_errors(pair, view)
            found.append(pair.query_points2D[(errors <= TRUE_MATCH_PX) & front])
            total += len(errors)
            agreeing += int((errors <= AGREEMENT_THRESHOLD_PX).sum())
        count = len(np.unique(np.concatenate(found), axis=0)) if found else 0
        camera = view.camera
        # Of a line across the image, the part within the threshold on either side; half of that
        # lies in front of both cameras.
        diagonal = math.hypot(camera.width, camera.height)
        by_chance = total * TRUE_MATCH_PX * diagonal / (camera.width * camera.height)
        return _TrueMatches(count, by_chance, total, agreeing / total if total else 0.0)

    def _epipolar_errors(
        self, pair: PairMatches, view: TrueView
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Distances (N,) from the true epipolar lines, pixels, and which meet in front."""
        index = self._index[pair.image_name]
        camera = self._map.camera(index)
        points = MatchedPoints(
            view.camera.normalize(pair.query_points2D),
            camera.normalize(pair.map_points2D),
            view.camera.mean_focal_length,
            camera.mean_focal_length,
        )
        cam_from_ref = view.map_from_cam.inverse() @ self._map.cam_from_map(index).inverse()
        angles = _ray_angles(cam_from_ref, points)
        baseline = float(np.linalg.norm(cam_from_ref.translation))
        if baseline <= NO_BASELINE * (1.0 + float(np.linalg.norm(view.map_from_cam.translation))):
            errors = angles * points.query_focal_length
        else:
            essential = skew(cam_from_ref.translation) @ cam_from_ref.rotation
            errors = np.abs(sampson_errors(essential, points))
        front = in_front(cam_from_ref, points) | (angles < PARALLEL_RAYS)
        return np.nan_to_num(errors, nan=np.inf), front

    def _wrong(self, localization: Localization, view: TrueView) -> str:
        position, rotation = measure_error(localization.camera_pose, view.map_from_cam)
        return f'{length_text(position, self._map.units)} and {angle_text(rotation)} wrong'

    def _nearest(self, view: TrueView) -> str:
        distances = np.linalg.norm(self._map.centres - view.map_from_cam.translation, axis=1)
        index = int(distances.argmin())
        axes = self._map.cam_from_map(index).rotation[2], view.map_from_cam.rotation[:, 2]
        angle = math.degrees(math.acos(float(np.clip(axes[0] @ axes[1], -1.0, 1.0))))
        distance = length_text(float(distances[index]), self._map.units)
        return f'the nearest was taken {distance} away, looking {angle_text(angle)} elsewhere'


def _matches_nothing(localization: Localization) -> bool:
    """Tell whether the method answers without matches, as retrieval and regression do."""
    answered = localization.status in (Status.LOCALIZED, Status.GATED)
    # Regression refuses what is unlike its training images, and names the nearest of them.
    refused = localization.status is Status.NO_RETRIEVAL and bool(localization.retrieved)
    return (answered or refused) and not localization.pairs


def _ray_angles(cam_from_ref: RigidTransform, points: MatchedPoints) -> Array:
    """Angles (N,) between both rays of matches, radians."""
    query = np.column_stack([points.query, np.ones(len(points.query))])
    reference = np.column_stack([points.reference, np.ones(len(points.reference))])
    turned = reference @ cam_from_ref.rotation.T
    sine = np.linalg.norm(np.cross(query, turned), axis=1)
    angles: Array = np.arctan2(sine, (query * turned).sum(axis=1))
    return angles
