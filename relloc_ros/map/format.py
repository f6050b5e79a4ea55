# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The layout of a map on disk: file names and map.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from relloc_ros.config import MapConfig, flatten, make_config
from relloc_ros.errors import ConfigError, DataError, MapError
from relloc_ros.map.calibration import Calibration
from relloc_ros.map.global_frame import GlobalFrame
from relloc_ros.map.plain_files import check_plain

__all__ = [
    'FORMAT_VERSION',
    'Generation',
    'Manifest',
    'current_generation',
]

FORMAT_VERSION = 1
CURRENT = 'current'
GENERATIONS = 'generations'
FRAME_ID = 'map'
VISIBLE = ('sparse', 'database.db', 'map.yaml')
"""Shown at the map's top through `current`."""

PLAIN_FOLDERS = ('sparse', 'points', 'retrieval')
"""Thumbnails are as many as images: each is looked at when it is read."""


@dataclass(frozen=True, slots=True)
class Generation:
    """Paths of one complete state of a map."""

    folder: Path

    @property
    def manifest(self) -> Path:
        """Settings and checksums."""
        return self.folder / 'map.yaml'

    @property
    def sparse(self) -> Path:
        """COLMAP model, binary."""
        return self.folder / 'sparse'

    @property
    def database(self) -> Path:
        """COLMAP database."""
        return self.folder / 'database.db'

    @property
    def poses(self) -> Path:
        """(N, 7) float64 cam_from_map: qw qx qy qz tx ty tz."""
        return self.folder / 'poses.npy'

    @property
    def images(self) -> Path:
        """N lines: image ID, camera ID, stamp_ns, digest, name."""
        return self.folder / 'images.txt'

    @property
    def global_descriptors(self) -> Path:
        """(N, D) float32."""
        return self.folder / 'global_descriptors.npy'

    @property
    def retrieval(self) -> Path:
        """Folder of the index of the global descriptors, of a large map."""
        return self.folder / 'retrieval'

    @property
    def vocabulary(self) -> Path:
        """Of the global descriptor."""
        return self.folder / 'vocabulary.npz'

    @property
    def points(self) -> Path:
        """Folder of the 3D points, once the map is triangulated."""
        return self.folder / 'points'

    @property
    def thumbnails(self) -> Path:
        """Folder of small copies of the images."""
        return self.folder / 'thumbnails'

    def thumbnail(self, image_id: int) -> Path:
        """Small copy of an image."""
        return self.thumbnails / f'{image_id:06d}.jpg'


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of map.yaml.

    Attributes:
        map_id: short hash of the content.
        created: time of the build, ISO 8601, UTC.
        source: what the map was built from.
        frame_id: name of the map's frame.
        units: unit of length.
        num_images: number of images.
        config: settings of the build.
        features_weights: SHA-256 of the weights of the network for local features; '' without.
        checksums: SHA-256 of each kind of content.
        retrieval_recall: part of the 5 most similar images that approximate search finds; None in
            a map that has no index for it.
        global_frame: where the map lies in another frame, set by `relloc map align`.
        keyframes: how localization fared before and after images were left out at the build, on
            some of those; empty where that was not measured.
        calibrations: of the covariances, set by `relloc map calibrate`.
    """

    map_id: str
    created: str
    source: str
    frame_id: str
    units: str
    num_images: int
    config: MapConfig
    features_weights: str
    checksums: Mapping[str, str]
    retrieval_recall: float | None = None
    global_frame: GlobalFrame = field(default_factory=GlobalFrame.identity)
    keyframes: Mapping[str, float] = field(default_factory=dict)
    calibrations: tuple[Calibration, ...] = ()

    def write(self, path: Path) -> None:
        """Write map.yaml."""
        content: dict[str, Any] = {
            'format_version': FORMAT_VERSION,
            'map_id': self.map_id,
            'created': self.created,
            'source': self.source,
            'frame_id': self.frame_id,
            'units': self.units,
            'num_images': self.num_images,
            'config': flatten(self.config),
            'features_weights': self.features_weights,
            'checksums': dict(self.checksums),
        }
        if self.retrieval_recall is not None:
            content['retrieval_recall'] = round(self.retrieval_recall, 4)
        content.update(self.global_frame.content())
        if self.keyframes:
            content['keyframes'] = dict(self.keyframes)
        if self.calibrations:
            content['calibrations'] = [each.content() for each in self.calibrations]
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), 'utf-8')

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read map.yaml.

        Raises:
            MapError: damaged, or of another format version.
        """
        try:
            text = path.read_text('utf-8')
            # Nested references let a short file spell out to gigabytes.
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
                raise ValueError('it has references')
            content = yaml.safe_load(text)
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise MapError(f'cannot read {path}: {error}; build the map again') from error
        version = content.get('format_version') if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            raise MapError(
                f'{path} has format version {version!r}, this program reads {FORMAT_VERSION}: '
                'build the map again, or use the program that built it'
            )
        return cls._checked(content, path)

    @classmethod
    def _checked(cls, content: dict[str, Any], path: Path) -> Manifest:
        try:
            return cls(
                map_id=str(content['map_id']),
                created=str(content['created']),
                source=str(content['source']),
                frame_id=str(content['frame_id']),
                units=str(content['units']),
                num_images=int(content['num_images']),
                config=make_config(MapConfig, content['config']),
                features_weights=str(content.get('features_weights', '')),
                checksums={str(key): str(value) for key, value in content['checksums'].items()},
                retrieval_recall=_recall(content.get('retrieval_recall')),
                global_frame=GlobalFrame.from_content(content),
                keyframes=_figures(content.get('keyframes', {})),
                calibrations=tuple(map(Calibration.from_content, content.get('calibrations', []))),
            )
        except (
            KeyError,
            TypeError,
            ValueError,
            OverflowError,
            AttributeError,
            ConfigError,
            DataError,
        ) as error:
            raise MapError(f'{path} is damaged ({error!r}): build the map again') from error


def _figures(content: Any) -> dict[str, float]:
    for key, value in content.items():
        if not isinstance(value, (int, float)):
            raise ValueError(f'keyframes: {key} is {value!r}, no number')
    return {str(key): value for key, value in content.items()}


def _recall(value: Any) -> float | None:
    return None if value is None else float(value)


def current_generation(path: Path) -> Generation:
    """Find the state that `path`, a map, shows now.

    Raises:
        MapError: no such folder, no map, or a link that leads out of it.
    """
    if not path.is_dir():
        raise MapError(f'map {path} does not exist: make one with `relloc map build`')
    folder = (path / CURRENT).resolve()
    if not (path / CURRENT).is_symlink() or not folder.is_dir():
        raise MapError(
            f'{path} is not a map (no `{CURRENT}` link): build one with `relloc map build`'
        )
    if folder.parent != path.resolve() / GENERATIONS:
        raise MapError(f'{path}/{CURRENT} leads out of the map to {folder}: build the map again')
    check_plain(folder, PLAIN_FOLDERS)
    return Generation(folder)
