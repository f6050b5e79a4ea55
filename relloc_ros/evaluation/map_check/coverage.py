# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where localization in a map will fail: where its own images are not localized in the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from relloc_ros.evaluation.map_check.leave_one_out import LeftOut
from relloc_ros.geometry import Array
from relloc_ros.map.findings import Finding, Level, some_of
from relloc_ros.vision.covariance import standard_deviations

__all__ = ['Place', 'coverage_findings', 'places_of']

COLLINEAR = 0.03
"""Images whose centres leave a line by less than this share of their spread along it."""
MIN_STRETCH = 3
THIN_INLIERS = 40
"""With fewer, a little less light or another view is enough to fail."""
MANY_LOST = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """How localization went where a map image was taken.

    Attributes:
        name: of the image.
        index: of the image in the map.
        position: (3,) of the camera in the map.
        direction: (3,) where it looks.
        status: LOCALIZED, or why there is no pose.
        reason: the same for people.
        inliers: keypoints that support the pose.
        position_std: largest standard deviation of the position, map units; NaN without a pose.
        distance: from the pose found to the one in the map; NaN without a pose.
        straight: whether the map images that help here stand on a line.
    """

    name: str
    index: int
    position: Array
    direction: Array
    status: str
    reason: str
    inliers: int
    position_std: float
    distance: float
    straight: bool

    @property
    def lost(self) -> bool:
        """Whether there is no pose."""
        return not np.isfinite(self.distance)

    def to_dict(self) -> dict[str, object]:
        """Return plain values for a table."""
        x, y, z = (round(float(value), 6) for value in self.position)
        return {
            'image': self.name,
            'x': x,
            'y': y,
            'z': z,
            'status': self.status,
            'inliers': self.inliers,
            'position_std': None if self.lost else round(self.position_std, 6),
            'discrepancy': None if self.lost else round(self.distance, 6),
            'collinear': self.straight,
            'reason': self.reason,
        }


def places_of(left_outs: Sequence[LeftOut]) -> list[Place]:
    """Sum up what leaving images out has shown, in the order of the map."""
    return [_place(left_out) for left_out in sorted(left_outs, key=lambda each: each.index)]


def _place(left_out: LeftOut) -> Place:
    map_from_cam = left_out.cam_from_map.inverse()
    pose, discrepancy = left_out.found.camera_pose, left_out.discrepancy
    return Place(
        left_out.name,
        left_out.index,
        map_from_cam.translation,
        map_from_cam.rotation[:, 2],
        left_out.found.status.value,
        left_out.found.reason,
        left_out.found.num_inliers,
        np.nan if pose is None else standard_deviations(pose.covariance)[0],
        np.nan if discrepancy is None else float(np.linalg.norm(discrepancy.translation)),
        _is_straight(left_out),
    )


def _is_straight(left_out: LeftOut) -> bool:
    """Tell whether the images that were matched stand on one line with this one."""
    centres = [image.cam_from_map.inverse().translation for image in left_out.sighting.matched]
    if len(centres) < 2:
        return False
    offsets = np.array([*centres, left_out.cam_from_map.inverse().translation])
    along, across, *_ = np.linalg.svd(offsets - offsets.mean(axis=0), compute_uv=False)
    return bool(across < COLLINEAR * along)


def coverage_findings(places: Sequence[Place], units: str) -> list[Finding]:
    """Say where localization fails or hangs by a thread, and where images stand on a line."""
    findings = []
    lost = [place for place in places if place.lost]
    thin = [place for place in places if not place.lost and place.inliers < THIN_INLIERS]
    if lost:
        share = len(lost) / len(places)
        findings.append(
            Finding(
                Level.WARNING if share > MANY_LOST else Level.NOTE,
                'hole',
                f'{len(lost)} of {len(places)} images cannot be localized in the rest of the map: '
                f'whoever is there depends on one image ({some_of(_named(lost))})',
                tuple(_named(lost)),
                share,
                'share of the images',
                remedy='add images there, some steps apart and looking the same way',
            )
        )
    if thin:
        findings.append(
            Finding(
                Level.NOTE,
                'thin_coverage',
                f'{len(thin)} of {len(places)} images are localized by fewer than {THIN_INLIERS} '
                f'keypoints ({some_of(_named(thin))})',
                tuple(_named(thin)),
                len(thin) / len(places),
                'share of the images',
                remedy='add images there',
            )
        )
    return [*findings, *_collinear(places, units)]


def _collinear(places: Sequence[Place], units: str) -> list[Finding]:
    """Report stretches of consecutive images whose helpers stand on a line."""
    stretches: list[list[Place]] = [[]]
    for place in places:
        if place.straight:
            stretches[-1].append(place)
        elif stretches[-1]:
            stretches.append([])
    long = [stretch for stretch in stretches if len(stretch) >= MIN_STRETCH]
    if not long:
        return []
    names = [place.name for stretch in long for place in stretch]
    length = max(
        float(np.ptp(np.array([place.position for place in stretch]), axis=0).max())
        for stretch in long
    )
    parts = '; '.join(f'{stretch[0].name} to {stretch[-1].name}' for stretch in long[:5])
    return [
        Finding(
            Level.NOTE,
            'collinear',
            f'{len(names)} images, in stretches of at most {length:.3g} {units}, '
            f'are helped by images that stand on one line with them only ({parts}): beside it '
            'poses are less sure, and `refinement: epipolar` finds none',
            tuple(names),
            length,
            units,
            remedy='add images some steps beside the line, or keep to refinement: local_structure',
        )
    ]


def _named(places: Sequence[Place]) -> list[str]:
    return [place.name for place in places]
