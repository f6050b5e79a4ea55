# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What can be said about a source of posed images, and reading one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from relloc_ros.cli.console import progress_bar, show_notes

if TYPE_CHECKING:
    from relloc_ros.camera import Camera
    from relloc_ros.geometry import RigidTransform
    from relloc_ros.map.sources import PosedImage

__all__ = [
    'BAG_PANEL',
    'CameraFrame',
    'CameraInfoTopic',
    'CameraOption',
    'Extrinsics',
    'FormatName',
    'ImageTopic',
    'MapFrame',
    'MaxPoseGap',
    'OdomFrame',
    'PoseFrame',
    'PoseTopic',
    'SensorName',
    'TimeOffset',
    'given_camera',
    'given_extrinsics',
    'read_posed',
    'read_usable',
]

FORMATS = (
    'cambridge',
    '7scenes',
    'tum',
    'kitti',
    'euroc',
    'kapture',
    'csv',
    'transforms',
    'rosbag',
    'colmap',
)
"""The names in SOURCES, which take long to import."""

BAG_PANEL = 'Options for bags'

FormatName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        '--format',
        metavar='NAME',
        help=f'Format of SOURCE: {", ".join(FORMATS)}. By default found by looking at it.',
        show_default=False,
    ),
]
CameraOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        '--camera',
        '--camera-info',
        metavar='CAMERA',
        help='Calibration where SOURCE has none, or one to take instead (bags, TUM, tables, '
        '7-Scenes): a camera_info YAML file, or `MODEL,WIDTH,HEIGHT,PARAMETERS` as in COLMAP.',
        show_default=False,
    ),
]
SensorName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        '--sensor',
        metavar='NAME',
        help='Camera to take, of several in KITTI (`image_2`), EuRoC (`cam0`) or kapture.',
        show_default=False,
    ),
]
MaxPoseGap = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        '--max-pose-gap',
        metavar='SECONDS',
        min=0.0,
        help='Images between poses that are further apart in time are left out (bags, TUM, '
        'EuRoC); by default 0.25.',
        show_default=False,
    ),
]
TimeOffset = Annotated[
    Optional[float],  # noqa: UP045
    typer.Option(
        '--time-offset',
        metavar='SECONDS',
        help="To add to the images' stamps where their clock differs from that of the poses "
        '(bags, TUM, EuRoC).',
        show_default=False,
    ),
]
ImageTopic = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='TOPIC',
        help='Camera images; by default the only camera.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
CameraInfoTopic = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='TOPIC',
        help='Calibration; by default camera_info beside the images.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
PoseTopic = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='TOPIC',
        help='Poses (PoseStamped, PoseWithCovarianceStamped, Odometry), or `/tf`; by default TF '
        'if it leads from the map to the camera, else the only such topic.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
MapFrame = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='FRAME',
        help='Frame that becomes the map; by default `map`.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
PoseFrame = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='FRAME',
        help='Frame whose poses a topic gives, for example `base_link`; PoseStamped and '
        'PoseWithCovarianceStamped do not say. Odometry does: its child_frame_id.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
CameraFrame = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='FRAME',
        help="Optical frame of the camera; by default the images' frame_id.",
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
OdomFrame = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='FRAME',
        help='Frame of odometry, which corrections move by jumps; by default every frame named '
        '`odom`.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]
Extrinsics = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='X,Y,Z,QX,QY,QZ,QW',
        help="The camera's optical frame in the frame whose poses the bag has (--pose-frame), "
        'where TF does not say.',
        show_default=False,
        rich_help_panel=BAG_PANEL,
    ),
]


def given_camera(choice: str) -> Camera:
    """Read a camera from a calibration file or from text.

    Raises:
        DataError: neither.
    """
    from relloc_ros.camera_info import camera_from_text, camera_from_yaml

    if ',' in choice and not Path(choice).exists():
        return camera_from_text(choice)
    return camera_from_yaml(Path(choice))


def given_extrinsics(text: str) -> RigidTransform:
    """Read position and quaternion.

    Raises:
        typer.BadParameter: not seven numbers.
        DataError: no unit quaternion, or a number is not finite.
    """
    from relloc_ros.geometry import RigidTransform

    try:
        x, y, z, *quat_xyzw = (float(item) for item in text.split(','))
        if len(quat_xyzw) != 4:
            raise ValueError
    except ValueError as error:
        raise typer.BadParameter(
            f'--extrinsics {text}: seven numbers X,Y,Z,QX,QY,QZ,QW, for example '
            '0.1,0,0.2,-0.5,0.5,-0.5,0.5'
        ) from error
    return RigidTransform.from_quat_xyzw(quat_xyzw, (x, y, z))


def read_posed(
    source: Path,
    *,
    images: Path | None = None,
    list_file: Path | None = None,
    split: Any = None,
    source_format: str | None = None,
    camera: str | None = None,
    extrinsics: str | None = None,
    **options: Any,
) -> list[PosedImage]:
    """Read posed images as the options say; fields of `SourceOptions` go on as they are.

    Raises:
        DataError: as `read_source`.
    """
    from relloc_ros.map.sources import SourceOptions, read_source

    show_notes('relloc_ros.map.sources.rosbag')
    with progress_bar('looking into the source') as progress:
        given = SourceOptions(
            images=images,
            split=None if split is None else split.value,
            camera=None if camera is None else given_camera(camera),
            extrinsics=None if extrinsics is None else given_extrinsics(extrinsics),
            progress=progress,
            **options,
        )
        return read_source(source, list_file=list_file, options=given, source_format=source_format)


def read_usable(source: Path, **options: Any) -> list[PosedImage]:
    """Read posed images as `read_posed`, without the few that are damaged.

    Raises:
        DataError: as `read_posed`, or too many are.
    """
    from relloc_ros.map.sources import without_unusable

    posed = read_posed(source, **options)
    with progress_bar('looking at the images') as progress:
        return without_unusable(posed, progress)
