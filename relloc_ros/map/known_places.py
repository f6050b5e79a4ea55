# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where images were taken, from whoever knows: maps, posed sources, tables, tracks, GPS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.editing import open_state
from relloc_ros.map.format import CURRENT
from relloc_ros.map.global_frame import GeographicPoint, GlobalFrame, east_north_up
from relloc_ros.map.gps import read_gps
from relloc_ros.map.place_tables import Place, is_track, read_table, read_track
from relloc_ros.map.sources import SOURCES, SourceOptions, find_format
from relloc_ros.map.sources.names import unique_names
from relloc_ros.map.unposed_images import image_files
from relloc_ros.similarity import Similarity
from relloc_ros.transform_history import TransformError, TransformHistory

__all__ = ['KnownPlaces', 'read_places']

MAX_GAP_NS = 250_000_000
NEAREST_NS = 20_000_000
"""As for posed sources: times between positions that are bridged, and how near one must be."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownPlaces:
    """Places of images by name, or over time.

    Attributes:
        path: who says so.
        what: kind of source, for people.
        named: by image name.
        track: positions over time, of a body near the camera; its orientation is not the camera's.
        units: unit of length.
        frame: where the frame of the places lies in another one.
    """

    path: Path
    what: str
    named: Mapping[str, Place] = field(default_factory=dict)
    track: TransformHistory | None = None
    units: str = 'm'
    frame: GlobalFrame = field(default_factory=GlobalFrame.identity)

    def of(self, names: Sequence[str], stamps_ns: Sequence[int]) -> dict[int, Place]:
        """Find the places of images, by their numbers in the sequences given.

        Raises:
            DataError: fewer than two are known.
        """
        found = {i: self.named[name] for i, name in enumerate(names) if name in self.named}
        if not found and self.track is not None:
            found = {
                i: place
                for i, stamp_ns in enumerate(stamps_ns)
                if (place := self._at(stamp_ns)) is not None
            }
        if len(found) < 2:
            raise DataError(self._too_few(len(found), names, stamps_ns))
        return found

    def _at(self, stamp_ns: int) -> Place | None:
        assert self.track is not None
        try:
            return Place(self.track.at(stamp_ns, max_gap_ns=MAX_GAP_NS).translation)
        except TransformError:
            near = self.track.nearest(stamp_ns, NEAREST_NS)
            return None if near is None else Place(near.translation)

    def _too_few(self, count: int, names: Sequence[str], stamps_ns: Sequence[int]) -> str:
        text = f'{self.path} ({self.what}) knows {count} of the {len(names)} images'
        if self.named and self.track is None:
            known = next(iter(self.named))
            return f'{text}: it has names like {known!r}, the map like {names[0]!r}'
        span = None if self.track is None else self.track.span_ns
        if span is None:
            return text
        return (
            f'{text}: it is from {_seconds(span[0])} to {_seconds(span[1])}, the images from '
            f'{_seconds(min(stamps_ns))} to {_seconds(max(stamps_ns))} (times of images are read '
            'from their names, in seconds)'
        )


def read_places(path: Path) -> KnownPlaces:
    """Read places of images; what `path` is is found by looking at it.

    Args:
        path: a map; a table (`.csv`) or track of places; posed images of any known format; or a
            folder of images with GPS positions in their EXIF.

    Raises:
        DataError: nothing of the kind, or damaged.
        MapError: a damaged map.
        MissingDependencyError: GPS positions in image files cannot be read.
    """
    if not path.exists():
        raise DataError(f'{path} does not exist')
    if (path / CURRENT).is_symlink():
        return _from_map(path)
    if path.suffix == '.csv':
        return _from_table(path)
    if path.is_file() and is_track(path):
        return KnownPlaces(path, 'a track', track=read_track(path))
    if path.is_dir() and not any(known.matches(path) for known in SOURCES.values()):
        return _from_exif(path)
    return _from_source(path)


def _from_map(path: Path) -> KnownPlaces:
    with open_state(path) as state:
        poses = [state.reference_map.cam_from_map(row) for row in range(len(state.names))]
        named = {
            name: _place(pose.inverse()) for name, pose in zip(state.names, poses, strict=True)
        }
        manifest = state.manifest
    return KnownPlaces(path, 'a map', named, units=manifest.units, frame=manifest.global_frame)


def _from_table(path: Path) -> KnownPlaces:
    table = read_table(path)
    if table.points:
        return _on_earth(path, 'GPS positions', table.points)
    return KnownPlaces(path, 'a table of places', table.places, table.track)


def _from_exif(path: Path) -> KnownPlaces:
    points = read_gps(image_files(path))
    if not points:
        raise DataError(
            f'{path} holds no posed images, and no image with a GPS position in its EXIF: give a '
            'map, posed images, a table with the columns image,x,y,z or image,lat,lon,alt, or a '
            'track of lines `time tx ty tz qx qy qz qw`'
        )
    return _on_earth(path, 'GPS positions in EXIF', points)


def _from_source(path: Path) -> KnownPlaces:
    _, chosen = find_format(path)
    try:
        images = unique_names(chosen.read(path, SourceOptions()).images, path)
    except DataError as error:
        if '--' not in str(error):
            raise
        raise DataError(
            f'{error}; for this source build a map with these options by `relloc map build`, and '
            'align to that map'
        ) from error
    named = {name: _place(image.cam_from_map.inverse()) for name, image in images.items()}
    track = TransformHistory()
    for image in images.values():
        # Never a stamp that is made up: images of the map would be taken for others.
        if image.stamp_ns is not None:
            track.insert(image.stamp_ns, image.cam_from_map.inverse())
    return KnownPlaces(path, chosen.title, named, track if len(track) else None)


def _on_earth(path: Path, what: str, points: Mapping[str, GeographicPoint]) -> KnownPlaces:
    origin = next(iter(points.values()))
    positions = east_north_up(list(points.values()), origin)
    named = {name: Place(position) for name, position in zip(points, positions, strict=True)}
    return KnownPlaces(path, what, named, frame=GlobalFrame(Similarity.identity(), origin))


def _place(map_from_cam: RigidTransform) -> Place:
    return Place(map_from_cam.translation, map_from_cam.rotation)


def _seconds(time_ns: int) -> str:
    return f'{time_ns / 1e9:.3f} s'
