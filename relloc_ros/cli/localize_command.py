# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc localize: poses of single images as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from relloc_ros.cli.console import print_error
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.localizing import prepare_localizer
from relloc_ros.cli.options import (
    ConfigFile,
    LocalizerName,
    MapFolder,
    Settings,
    localization_config,
)
from relloc_ros.cli.source_options import given_camera
from relloc_ros.errors import DataError, MapError

if TYPE_CHECKING:
    from relloc_ros.camera import Camera
    from relloc_ros.map.reference_map import ReferenceMap
    from relloc_ros.pipeline import Relocalizer
    from relloc_ros.structures import Localization

__all__ = ['localize']


def localize(
    images: Annotated[
        list[Path], typer.Argument(metavar='IMAGE', help='Image files to localize.')
    ],
    map_folder: MapFolder,
    camera: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar='CAMERA',
            help="Camera of the images: the ID of one of the map's cameras, a calibration file "
            '(camera_info YAML), or `MODEL,WIDTH,HEIGHT,PARAMETERS` as in COLMAP. '
            "By default the map's only one.",
            show_default=False,
        ),
    ] = None,
    localizer: LocalizerName = None,
    settings: Settings = None,
    config: ConfigFile = None,
) -> None:
    """Localize images in a map and print one JSON object a line.

    Each has `status`, `reason`, `position` and `quat_xyzw` of the camera in the map
    (null unless LOCALIZED), the 6x6 `covariance` (position, rotation), `inliers` and `ms`.
    The exit code is 1 if an image could not be used at all.
    """
    from relloc_ros.map.reference_map import ReferenceMap

    terminate_quietly()
    pipeline_config = localization_config(config, settings, localizer)
    with ReferenceMap.open(
        map_folder, pipeline_config.descriptor_cache_mb, pipeline_config.weights_folder
    ) as reference_map:
        relocalizer = prepare_localizer(reference_map, pipeline_config)
        query_camera = _choose_camera(camera, reference_map)
        num_unusable = 0
        for path in images:
            localization = _localize_file(path, query_camera, relocalizer)
            # Not by rich, which would wrap it.
            typer.echo(json.dumps({'image': str(path), **localization.to_dict()}))
            if localization.status.value == 'ERROR':
                num_unusable += 1
                print_error(localization.reason)
    if num_unusable:
        raise typer.Exit(1)


def _localize_file(path: Path, camera: Camera, relocalizer: Relocalizer) -> Localization:
    from relloc_ros.map.sources import read_pixels, stamp_from_name
    from relloc_ros.structures import Localization, QueryImage, Status

    stamp_ns = stamp_from_name(path.name) or 0
    try:
        query = QueryImage(read_pixels(path, camera), camera, stamp_ns, name=str(path))
    except DataError as error:
        return Localization(Status.ERROR, str(error), stamp_ns, relocalizer.config.localizer)
    return relocalizer.process(query)


def _choose_camera(choice: str | None, reference_map: ReferenceMap) -> Camera:
    if choice is None:
        try:
            return reference_map.the_camera()
        except MapError as error:
            raise MapError(f'{error}, or give your own, with --camera') from error
    if choice.isdecimal():
        if int(choice) not in reference_map.cameras:
            known = ', '.join(map(str, reference_map.cameras))
            raise DataError(f'map {reference_map.path} has no camera {choice}; its IDs: {known}')
        return reference_map.cameras[int(choice)]
    return given_camera(choice)
