# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map add and remove: change a map without building it again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import typer

from relloc_ros.cli.console import print_note, print_warning, progress_bar
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import ImagesFolder, ListFile, MapArgument, SplitOption, Wait
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

__all__ = ['NamesFile', 'Pattern', 'add', 'chosen_names', 'remove', 'warn_of_same']

NamesFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--list',
        metavar='FILE',
        help='Text file with names of images in the map, one a line.',
        show_default=False,
    ),
]
Pattern = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar='GLOB',
        help="Images whose name matches, for example `'night/*'`; `*` also matches `/`.",
        show_default=False,
    ),
]
SHOWN = 5


def add(
    map_folder: MapArgument,
    source: Annotated[
        Path,
        typer.Argument(
            metavar='SOURCE',
            help='Posed images, as for `relloc map build`, posed in the frame of the map.',
        ),
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
    overwrite_images: Annotated[
        bool,
        typer.Option('--overwrite-images', help='Replace images that the map has by this name.'),
    ] = False,
    units: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help='Unit of length of the poses; refused if the map is in another.',
            show_default='that of the map',
        ),
    ] = None,
    wait: Wait = 0.0,
) -> None:
    """Add posed images to a map; nothing that it has is computed again.

    They are described by the map's own settings and vocabulary. In a map with 3D points they have
    none until `relloc map triangulate`. A node that runs takes the change by `~/reload_map`.
    A few are localized first, to see whether they are posed in the frame of the map.
    """
    from relloc_ros.evaluation.frame_agreement import compare_frames
    from relloc_ros.map.editing import add_images

    terminate_quietly()
    posed = read_usable(
        source,
        images=images,
        list_file=list_file,
        split=split,
        source_format=source_format,
        camera=camera,
        sensor=sensor,
        max_pose_gap=max_pose_gap,
        time_offset=time_offset,
        image_topic=image_topic,
        camera_info_topic=camera_info_topic,
        pose_topic=pose_topic,
        map_frame=map_frame,
        pose_frame=pose_frame,
        camera_frame=camera_frame,
        odom_frame=odom_frame,
        extrinsics=extrinsics,
    )
    with progress_bar('adding images') as progress:
        agreement = compare_frames(map_folder, posed, progress)
        added = add_images(
            map_folder,
            posed,
            replace_images=overwrite_images,
            units=units,
            source=str(source),
            wait=wait,
            progress=progress,
        )
    replaced = f' ({added.num_replaced} replaced)' if added.num_replaced else ''
    print_note(
        f'map {map_folder} has {added.num_images} images now: {added.num_added} added{replaced}'
    )
    warn_of_same(added.same_pixels)
    if agreement.is_doubtful:
        print_warning(
            f'the map saw {agreement.num_far} of {agreement.num_localized} of these images '
            f'elsewhere before, in the median {agreement.distance:.3g} and '
            f'{agreement.angle_deg:.3g} deg off: are their poses in its frame and its units? If '
            'not, take them out again with relloc map remove'
        )
    if added.without_points:
        print_note(
            'the added images have no 3D points yet, which `--localizer structure` needs: '
            f'relloc map triangulate {map_folder}'
        )


def remove(
    map_folder: MapArgument,
    names: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(metavar='[NAME]...', help='Images to remove.', show_default=False),
    ] = None,
    list_file: NamesFile = None,
    pattern: Pattern = None,
    wait: Wait = 0.0,
) -> None:
    """Remove images from a map, and the 3D points that fewer than two others show.

    The vocabulary stays as it is. A node that runs takes the change by `~/reload_map`.
    """
    from relloc_ros.map.editing import remove_images

    terminate_quietly()
    chosen = chosen_names(map_folder, names or [], list_file, pattern)
    with progress_bar('removing images') as progress:
        left = remove_images(map_folder, chosen, wait=wait, progress=progress)
    print_note(f'map {map_folder} has {left} images now: {len(chosen)} removed')


def chosen_names(
    map_folder: Path,
    names: Sequence[str],
    list_file: Path | None,
    pattern: str | None,
    ways: str = 'NAME, --list, --pattern',
) -> set[str]:
    """Collect the images named in any of these ways.

    Raises:
        typer.BadParameter: none is named.
        DataError: unreadable list, or no image matches the pattern.
    """
    from relloc_ros.map.editing import matching_names
    from relloc_ros.map.sources import read_list

    chosen = set(names)
    if list_file is not None:
        chosen.update(read_list(list_file))
    if pattern is not None:
        chosen.update(matching_names(map_folder, pattern))
    if not chosen:
        raise typer.BadParameter(f'say which images: {ways}')
    return chosen


def warn_of_same(pairs: Sequence[tuple[str, str]]) -> None:
    """Warn of images that are in a map twice, under two names."""
    for name, same in pairs[:SHOWN]:
        print_warning(f'{name} shows exactly the same as {same}')
    if len(pairs) > SHOWN:
        print_warning(f'{len(pairs)} images in all show the same as others')
