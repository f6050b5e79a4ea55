# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map: build, change, describe and check maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

from rich.table import Table
import typer

from relloc_ros.cli.align_command import align
from relloc_ros.cli.alignment_options import DistanceOption, OdometryOption
from relloc_ros.cli.calibrate_command import calibrate
from relloc_ros.cli.check_command import check
from relloc_ros.cli.console import print_note, progress_bar, stdout
from relloc_ros.cli.edit_commands import add, remove
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.keyframe_options import (
    KeyframeAngle,
    KeyframeDistance,
    KeyframeMode,
    Keyframes,
    thinned,
)
from relloc_ros.cli.options import (
    ConfigFile,
    ImagesFolder,
    ListFile,
    MapArgument,
    Overwrite,
    Settings,
    SplitOption,
    Wait,
    map_config,
)
from relloc_ros.cli.rearrange_commands import export, merge, prune, split
from relloc_ros.cli.refine_command import refine
from relloc_ros.cli.sfm_options import (
    AlignTo,
    FoundPoses,
    MapperOption,
    Sfm,
    poses_by_sfm,
    refuse_without_sfm,
    tell_of_scale,
)
from relloc_ros.cli.source_options import (
    CameraFrame,
    CameraInfoTopic,
    CameraOption,
    Extrinsics,
    FormatName,
    ImageTopic,
    MapFrame,
    MaxPoseGap,
    OdomFrame,
    PoseFrame,
    PoseTopic,
    SensorName,
    TimeOffset,
    read_usable,
)
from relloc_ros.cli.worker_options import NumWorkers, SchedulerAddress, worker_pool

__all__ = ['app']

app = typer.Typer(
    help='Build, change, triangulate, calibrate, describe and check maps.',
    no_args_is_help=True,
    rich_markup_mode='markdown',
)


@app.command()
def build(
    source: Annotated[
        Path,
        typer.Argument(
            metavar='SOURCE',
            help='Posed images: a COLMAP model or the folder that holds it, a data set in its '
            'original layout, a table of poses, a transforms.json, or a rosbag. With --sfm: a '
            'folder of images.',
        ),
    ],
    output: Annotated[
        Path,
        typer.Option('--output', metavar='MAP', help='Folder to create.', show_default=False),
    ],
    images: ImagesFolder = None,
    list_file: ListFile = None,
    split: SplitOption = None,
    source_format: FormatName = None,
    camera: CameraOption = None,
    sensor: SensorName = None,
    max_pose_gap: MaxPoseGap = None,
    time_offset: TimeOffset = None,
    image_topic: ImageTopic = None,
    camera_info_topic: CameraInfoTopic = None,
    pose_topic: PoseTopic = None,
    map_frame: MapFrame = None,
    pose_frame: PoseFrame = None,
    camera_frame: CameraFrame = None,
    odom_frame: OdomFrame = None,
    extrinsics: Extrinsics = None,
    keyframes: KeyframeMode = Keyframes.ALL,
    keyframe_distance: KeyframeDistance = None,
    keyframe_angle: KeyframeAngle = None,
    settings: Settings = None,
    config: ConfigFile = None,
    vocabulary: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            metavar='FILE',
            help='vocabulary.npz of another map; by default one is learned from the images.',
            show_default=False,
        ),
    ] = None,
    units: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help='Unit of length of the poses.', show_default='m'),
    ] = None,
    sfm: Sfm = False,
    mapper: MapperOption = None,
    align_to: AlignTo = None,
    odometry: OdometryOption = None,
    distance: DistanceOption = None,
    overwrite: Overwrite = False,
    wait: Wait = 0.0,
    workers: NumWorkers = None,
    scheduler: SchedulerAddress = None,
) -> None:
    """Build a map from posed images, or with --sfm from images without poses.

    What SOURCE is is found by looking at it; docs/data_sets.md lists what is known.
    For the map of a scene with published halves, give `--split train`.
    A map that exists stays intact until the new one is complete.
    """
    from relloc_ros.map.builder import build_map

    terminate_quietly()
    settings_of_map = map_config(config, settings)
    source_options = {
        'split': split,
        'source_format': source_format,
        'sensor': sensor,
        'max_pose_gap': max_pose_gap,
        'time_offset': time_offset,
        'image_topic': image_topic,
        'camera_info_topic': camera_info_topic,
        'pose_topic': pose_topic,
        'map_frame': map_frame,
        'pose_frame': pose_frame,
        'camera_frame': camera_frame,
        'odom_frame': odom_frame,
        'extrinsics': extrinsics,
    }
    if sfm:
        others = {**source_options, 'units': units}
        fixed_by = (align_to, odometry, distance)
        found = poses_by_sfm(
            source, images, list_file, camera, mapper, settings_of_map, fixed_by, others
        )
    else:
        refuse_without_sfm(mapper=mapper, align_to=align_to, odometry=odometry, distance=distance)
        posed = read_usable(
            source, images=images, list_file=list_file, camera=camera, **source_options
        )
        found = FoundPoses(posed, units or 'm')
    posed, evidence = thinned(
        found.posed,
        keyframes,
        keyframe_distance,
        keyframe_angle,
        found.units,
        settings_of_map,
        vocabulary,
    )
    with progress_bar('building the map') as progress, worker_pool(workers, scheduler) as pool:
        build_map(
            posed,
            output,
            settings_of_map,
            overwrite=overwrite,
            vocabulary=vocabulary,
            source=str(source),
            units=found.units,
            global_frame=found.frame,
            keyframes=evidence,
            wait=wait,
            progress=progress,
            pool=pool,
        )
    print_note(f'map {output} is ready: {len(posed)} images')
    if sfm:
        tell_of_scale(found, output)
    print_note(f'try it: relloc localize IMAGE --map {output}')


@app.command()
def triangulate(
    map_folder: MapArgument,
    wait: Wait = 0.0,
    workers: NumWorkers = None,
    scheduler: SchedulerAddress = None,
) -> None:
    """Add 3D points to a map, for `--localizer structure`; those it has are replaced.

    Its own keypoints are matched between similar images and triangulated from its poses, which
    stay as they are. The map stays as it is until all is done.
    """
    from relloc_ros.map.triangulation import triangulate_map

    terminate_quietly()
    with progress_bar('triangulating') as progress, worker_pool(workers, scheduler) as pool:
        count = triangulate_map(map_folder, wait=wait, progress=progress, pool=pool)
    print_note(f'map {map_folder} has {count} 3D points now')
    print_note(f'try it: relloc localize IMAGE --map {map_folder} --localizer structure')


@app.command()
def info(map_folder: MapArgument) -> None:
    """Describe a map: images, cameras, extent, how it was built."""
    from relloc_ros.map.check import map_info

    table = Table.grid(padding=(0, 2))
    for key, value in map_info(map_folder).items():
        if isinstance(value, dict):
            table.add_row(key, '')
            for name, item in value.items():
                table.add_row(f'  {name}', str(item))
        else:
            text = ' x '.join(map(str, value)) if isinstance(value, list) else str(value)
            table.add_row(key, text)
    stdout.print(table)


for command in (check, calibrate, refine, align, add, remove, prune, split, merge, export):
    app.command()(command)
