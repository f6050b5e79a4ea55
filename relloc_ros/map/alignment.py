# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Find the similarity that takes the cameras of a map to where they are known to have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import difflib
import math

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.map.global_frame import GlobalFrame
from relloc_ros.map.known_places import KnownPlaces
from relloc_ros.similarity import Fit, Similarity, fit_along, fit_robust, ratio_of_lengths

__all__ = ['METRES', 'Alignment', 'Cameras', 'KnownDistance', 'Odometry', 'Reference', 'align']

METRES = 'm'
LEAST_POINTS = 3
MAX_ANGLE_ERROR = math.radians(3.0)
MAX_SCALE_ERROR = 0.1
"""A fit that is less certain tells nothing that a robot could use."""
STEPS = (1, 2, 4)
"""Odometry is compared over the ways to these following images: far enough to be more than noise,
near enough not to have drifted."""
LEAST_WAY = 0.02
"""Of the longest way: shorter ones are noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Cameras:
    """The images of a map, in one order.

    Attributes:
        names: of the images.
        stamps_ns: of the images.
        poses: cam_from_map of each.
    """

    names: Sequence[str]
    stamps_ns: Sequence[int]
    poses: Sequence[RigidTransform]

    @property
    def centres(self) -> Array:
        """(N, 3) float64 in the map."""
        return np.array([pose.inverse().translation for pose in self.poses])


@dataclass(frozen=True, slots=True)
class KnownDistance:
    """A distance between the places of two images.

    Attributes:
        first: name of an image.
        second: name of another.
        metres: between their camera centres.
    """

    first: str
    second: str
    metres: float


@dataclass(frozen=True, slots=True, eq=False)
class Odometry:
    """Places that drift.

    Attributes:
        places: of the camera, or of a body that carries it.
    """

    places: KnownPlaces


Reference = KnownPlaces | Odometry | KnownDistance


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Where a map lies in the frame of a reference.

    Attributes:
        similarity: reference_from_map.
        units: unit of length of the reference.
        frame: where the frame of the reference lies in another one.
        scale_error: standard error of the scale, relative; None where one distance says it.
        angle_error: standard error of the least certain angle, radians; None where the frame is
            left as it is, or is that of orientations.
        num_known: images whose place the reference knows.
        num_used: those that agree.
        rms: root mean square of their distances, units of the reference; None without positions.
        worst: their largest distance.
        far: names and distances of images that do not agree, the furthest first.
        notes: what else is to be known.
    """

    similarity: Similarity
    units: str
    frame: GlobalFrame
    scale_error: float | None
    angle_error: float | None
    num_known: int
    num_used: int
    rms: float | None = None
    worst: float | None = None
    far: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()


def align(cameras: Cameras, reference: Reference) -> Alignment:
    """Find where a map lies in the frame of a reference.

    Raises:
        DataError: the reference knows too few of the images, or does not settle the similarity.
    """
    if isinstance(reference, KnownDistance):
        return _by_distance(cameras, reference)
    if isinstance(reference, Odometry):
        return _by_odometry(cameras, reference.places)
    return _by_places(cameras, reference)


def _by_places(cameras: Cameras, known: KnownPlaces) -> Alignment:
    found = known.of(cameras.names, cameras.stamps_ns)
    rows = list(found)
    source = cameras.centres[rows]
    target = np.array([place.position for place in found.values()])
    fit = fit_robust(source, target) if len(rows) >= LEAST_POINTS else None
    if fit is not None and fit.angle_error <= MAX_ANGLE_ERROR:
        alignment = _from_fit(fit, cameras, rows, known)
        return replace(alignment, angle_error=fit.angle_error)
    oriented = [i for i, place in enumerate(found.values()) if place.rotation is not None]
    if len(oriented) < 2:
        raise DataError(_free_angle(fit, known, len(rows)))
    rotations = np.array(
        [
            place.rotation @ cameras.poses[row].rotation
            for row, place in found.items()
            if place.rotation is not None
        ]
    )
    kept = [rows[i] for i in oriented]
    alignment = _from_fit(
        fit_along(source[oriented], target[oriented], rotations), cameras, kept, known
    )
    note = 'the places lie on a line: the orientations of the cameras say how the map turns'
    return replace(alignment, notes=(note,))


def _from_fit(fit: Fit, cameras: Cameras, rows: Sequence[int], known: KnownPlaces) -> Alignment:
    if not (fit.similarity.scale > 0 and fit.scale_error <= MAX_SCALE_ERROR):
        raise DataError(
            f'{known.path} ({known.what}) does not settle the scale: the places of '
            f'{len(rows)} images are off by {fit.rms:.3g} {known.units} after the best fit, which '
            'is too much for how far apart they are: are the images, the names and the times the '
            'right ones?'
        )
    far = sorted(
        (
            (cameras.names[row], float(distance))
            for row, distance, good in zip(rows, fit.residuals, fit.inliers, strict=True)
            if not good
        ),
        key=lambda item: -item[1],
    )
    return Alignment(
        fit.similarity,
        known.units,
        known.frame,
        fit.scale_error,
        None,
        num_known=len(rows),
        num_used=int(fit.inliers.sum()),
        rms=fit.rms,
        worst=float(fit.residuals[fit.inliers].max()),
        far=tuple(far),
    )


def _free_angle(fit: Fit | None, known: KnownPlaces, count: int) -> str:
    remedy = (
        'give places off that line, or with the orientations of the cameras; or only the scale, '
        'with --distance IMAGE_A IMAGE_B METRES'
    )
    if fit is None:
        return (
            f'{known.path} ({known.what}) knows {count} of the images: the map could turn about '
            f'the line through them; {remedy}'
        )
    axis = ', '.join(f'{value:.2f}' for value in fit.axis)
    how = (
        'is free'
        if math.isinf(fit.angle_error)
        else f'is known to {math.degrees(fit.angle_error):.1f} deg only'
    )
    return (
        f'{known.path} ({known.what}): the places of the images lie nearly on a line along '
        f'({axis}), so the angle about it {how}; {remedy}'
    )


def _by_distance(cameras: Cameras, known: KnownDistance) -> Alignment:
    if not (math.isfinite(known.metres) and known.metres > 0):
        raise DataError(f'a distance of {known.metres:g} m tells no scale: give a positive one')
    first, second = (cameras.centres[_row(cameras, name)] for name in (known.first, known.second))
    length = float(np.linalg.norm(first - second))
    if length <= 1e-6 * float(np.ptp(cameras.centres, axis=0).max()):
        raise DataError(
            f'{known.first} and {known.second} were taken from the same place of the map: name '
            'two images that are far apart'
        )
    similarity = Similarity(known.metres / length, np.eye(3), np.zeros(3))
    note = 'the frame stays as it is: a distance tells neither where the map is nor what is up'
    return Alignment(similarity, METRES, GlobalFrame.identity(), None, None, 2, 2, notes=(note,))


def _row(cameras: Cameras, name: str) -> int:
    if name not in cameras.names:
        near = difflib.get_close_matches(name, cameras.names, 1)
        hint = f': did you mean {near[0]!r}?' if near else ''
        raise DataError(f'the map has no image {name!r}{hint}')
    return list(cameras.names).index(name)


def _by_odometry(cameras: Cameras, known: KnownPlaces) -> Alignment:
    found = known.of(cameras.names, cameras.stamps_ns)
    rows = sorted(found, key=lambda row: cameras.stamps_ns[row])
    source = cameras.centres[rows]
    target = np.array([found[row].position for row in rows])
    scale, scale_error = _scale_of_ways(source, target, known)
    base = Alignment(
        Similarity(scale, np.eye(3), np.zeros(3)),
        known.units,
        known.frame,
        scale_error,
        None,
        num_known=len(rows),
        num_used=len(rows),
    )
    fit = (
        fit_robust(scale * source, target, with_scale=False) if len(rows) >= LEAST_POINTS else None
    )
    if fit is None or fit.angle_error > MAX_ANGLE_ERROR:
        note = 'the frame stays as it is, only the scale is taken: ' + _free_angle(
            fit, known, len(rows)
        )
        return replace(base, frame=GlobalFrame.identity(), notes=(note,))
    rigid = fit.similarity
    return replace(
        base,
        similarity=Similarity(scale, rigid.rotation, rigid.translation),
        angle_error=fit.angle_error,
        rms=float(np.sqrt(np.mean(fit.residuals**2))),
        worst=float(fit.residuals.max()),
        notes=('the scale is from ways between images near in time, since odometry drifts',),
    )


def _scale_of_ways(source: Array, target: Array, known: KnownPlaces) -> tuple[float, float]:
    """Compare the ways between following images."""
    in_map, in_odometry = (
        np.concatenate([np.linalg.norm(points[step:] - points[:-step], axis=1) for step in STEPS])
        for points in (source, target)
    )
    far = (in_map > LEAST_WAY * in_map.max()) & (in_odometry > 0)
    if not far.any():
        raise DataError(f'{known.path} ({known.what}) does not move between the images')
    scale, error = ratio_of_lengths(in_map[far], in_odometry[far])
    if error > MAX_SCALE_ERROR:
        raise DataError(
            f'{known.path} ({known.what}) does not settle the scale: the ratios of its ways to '
            f'those in the map scatter, the standard error is {error:.0%}'
        )
    return scale, error
