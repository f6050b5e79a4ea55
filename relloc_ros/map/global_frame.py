# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where a map lies in a frame that is not its own, and on the Earth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
import math
from typing import Any

import numpy as np

from relloc_ros.errors import DataError
from relloc_ros.geometry import Array, RigidTransform
from relloc_ros.similarity import Similarity

__all__ = ['GeographicPoint', 'GlobalFrame', 'east_north_up']

SEMI_MAJOR_AXIS_M = 6_378_137.0
FLATTENING = 1 / 298.257_223_563
"""Of the WGS84 ellipsoid."""


@dataclass(frozen=True, slots=True)
class GeographicPoint:
    """A point by WGS84 coordinates.

    Attributes:
        latitude_deg: north of the equator.
        longitude_deg: east of Greenwich.
        altitude_m: above the ellipsoid, or above whatever the source of the numbers takes for it.
    """

    latitude_deg: float
    longitude_deg: float
    altitude_m: float

    def __post_init__(self) -> None:
        """Check that there is such a point."""
        finite = all(map(math.isfinite, (self.latitude_deg, self.longitude_deg, self.altitude_m)))
        if not finite or abs(self.latitude_deg) > 90 or abs(self.longitude_deg) > 360:
            raise DataError(
                f'latitude {self.latitude_deg:g}, longitude {self.longitude_deg:g}, altitude '
                f'{self.altitude_m:g} is no place on Earth: degrees and metres are wanted'
            )


@dataclass(frozen=True, slots=True, eq=False)
class GlobalFrame:
    """A frame beyond the map's own.

    Attributes:
        global_from_map: takes points of the map there.
        origin: what its origin is on the Earth, where its axes are east, north and up; None if
            nobody knows.
    """

    global_from_map: Similarity
    origin: GeographicPoint | None = None

    @classmethod
    def identity(cls) -> GlobalFrame:
        """Return the frame of a map that is in no other: its own."""
        return cls(Similarity.identity())

    @property
    def is_identity(self) -> bool:
        """Whether it is the map's own frame."""
        similarity = self.global_from_map
        return (
            similarity.scale == 1.0
            and bool((similarity.rotation == np.eye(3)).all())
            and not similarity.translation.any()
        )

    def seen_from(self, map_from_other: Similarity) -> GlobalFrame:
        """Give the same frame for another map, which lies so in this one."""
        return replace(self, global_from_map=self.global_from_map @ map_from_other)

    def content(self) -> dict[str, Any]:
        """Give what stands in map.yaml; nothing for the map's own frame."""
        found: dict[str, Any] = {}
        if not self.is_identity:
            rigid = RigidTransform(self.global_from_map.rotation, self.global_from_map.translation)
            found['global_from_map'] = {
                'scale': float(self.global_from_map.scale),
                'quat_xyzw': [float(value) for value in rigid.quat_xyzw],
                'translation': [float(value) for value in rigid.translation],
            }
        if self.origin is not None:
            found['geographic_origin'] = {
                'latitude_deg': self.origin.latitude_deg,
                'longitude_deg': self.origin.longitude_deg,
                'altitude_m': self.origin.altitude_m,
            }
        return found

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> GlobalFrame:
        """Read what `content` gives.

        Raises:
            KeyError, TypeError, ValueError, DataError: something else.
        """
        similarity, origin = Similarity.identity(), None
        if 'global_from_map' in content:
            stored = content['global_from_map']
            rigid = RigidTransform.from_quat_xyzw(stored['quat_xyzw'], stored['translation'])
            scale = float(stored['scale'])
            if not (math.isfinite(scale) and scale > 0 and rigid.translation.shape == (3,)):
                raise ValueError('global_from_map is no similarity')
            similarity = Similarity(scale, rigid.rotation, rigid.translation)
        if 'geographic_origin' in content:
            stored = content['geographic_origin']
            origin = GeographicPoint(
                *(float(stored[key]) for key in ('latitude_deg', 'longitude_deg', 'altitude_m'))
            )
        return cls(similarity, origin)


def east_north_up(points: Sequence[GeographicPoint], origin: GeographicPoint) -> Array:
    """Give points (N, 3) in metres east, north and up of an origin.

    Through the Earth-centred coordinates (Hofmann-Wellenhof et al., "GNSS", 2008, section 8.2),
    not along the surface: a point 10 km away is 8 m below the horizon.
    """
    latitude, longitude = math.radians(origin.latitude_deg), math.radians(origin.longitude_deg)
    sin_lat, cos_lat = math.sin(latitude), math.cos(latitude)
    sin_lon, cos_lon = math.sin(longitude), math.cos(longitude)
    enu_from_earth = np.array(
        [
            [-sin_lon, cos_lon, 0.0],
            [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat],
            [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat],
        ]
    )
    centred = np.array([_earth_centred(point) for point in points]) - _earth_centred(origin)
    return np.asarray(centred @ enu_from_earth.T)


def _earth_centred(point: GeographicPoint) -> Array:
    latitude, longitude = math.radians(point.latitude_deg), math.radians(point.longitude_deg)
    eccentricity = FLATTENING * (2 - FLATTENING)
    normal = SEMI_MAJOR_AXIS_M / math.sqrt(1 - eccentricity * math.sin(latitude) ** 2)
    across = (normal + point.altitude_m) * math.cos(latitude)
    return np.array(
        [
            across * math.cos(longitude),
            across * math.sin(longitude),
            (normal * (1 - eccentricity) + point.altitude_m) * math.sin(latitude),
        ]
    )
