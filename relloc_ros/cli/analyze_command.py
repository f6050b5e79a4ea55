# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc analyze-apr: what a trained network for absolute poses can and cannot predict."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relloc_ros.cli.console import print_note, progress_bar, stdout
from relloc_ros.cli.evaluate_command import AllowMapImages
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.localizing import prepare_localizer
from relloc_ros.cli.options import (
    ConfigFile,
    ImagesFolder,
    ListFile,
    LocalizerName,
    MapFolder,
    Overwrite,
    Settings,
    SplitOption,
    localization_config,
)
from relloc_ros.cli.query_source import (
    BaseFrame,
    CameraFrame,
    CameraInfoTopic,
    GroundTruthTopic,
    ImageTopic,
    MapFrame,
    OdomFrame,
    open_source,
)
from relloc_ros.cli.source_options import (
    CameraOption,
    FormatName,
    MaxPoseGap,
    SensorName,
    TimeOffset,
)
from relloc_ros.errors import DataError

if TYPE_CHECKING:
    from relloc_ros.analysis.embedding import SeenQueries
    from relloc_ros.config import LocalizationConfig
    from relloc_ros.evaluation.queries import Queries
    from relloc_ros.map.reference_map import ReferenceMap
    from relloc_ros.networks.apr import TrainedPoseNet, TrainingEmbeddings

__all__ = ['analyze_apr']


def analyze_apr(
    model: Annotated[
        Path,
        typer.Argument(
            metavar='MODEL',
            help='File of a network that `relloc train apr` has trained.',
            show_default=False,
        ),
    ],
    map_folder: MapFolder,
    queries: Annotated[
        Path,
        typer.Option(
            '--queries',
            metavar='SOURCE',
            help='Posed images of any format that `relloc map build` finds out, or a rosbag.',
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option('--output', metavar='DIR', help='Folder for results.', show_default=False),
    ],
    images: ImagesFolder = None,
    list_file: ListFile = None,
    split: SplitOption = None,
    localizer: LocalizerName = None,
    no_localizer: Annotated[
        bool, typer.Option('--no-localizer', help='Localize the queries with the network alone.')
    ] = False,
    settings: Settings = None,
    config: ConfigFile = None,
    allow_map_images: AllowMapImages = False,
    overwrite: Overwrite = False,
    image_topic: ImageTopic = None,
    camera_info_topic: CameraInfoTopic = None,
    ground_truth_topic: GroundTruthTopic = None,
    map_frame: MapFrame = None,
    base_frame: BaseFrame = None,
    camera_frame: CameraFrame = None,
    odom_frame: OdomFrame = None,
    source_format: FormatName = None,
    camera: CameraOption = None,
    sensor: SensorName = None,
    max_pose_gap: MaxPoseGap = None,
    time_offset: TimeOffset = None,
) -> None:
    """Show what a network for absolute poses can predict, from its base poses and coefficients.

    Says which point, line or plane its predictions cannot leave, which queries were taken outside,
    and how close it is to retrieval. Writes `summary.md`, `analysis.json`, `animation.html`, which
    needs nothing but itself, and the folder `figures` to DIR. Another localizer's estimates of the
    same queries are drawn beside.
    """
    from relloc_ros.analysis.writing import (
        AnalysedNetwork,
        prepare_folder,
        write_analysis,
    )
    from relloc_ros.evaluation.report import require_report_packages
    from relloc_ros.map.reference_map import ReferenceMap
    from relloc_ros.networks.apr import load_trained

    terminate_quietly()
    require_report_packages()
    trained = load_trained(model)
    folder_options = {
        'images': images,
        'list_file': list_file,
        'split': split,
        'source_format': source_format,
        'sensor': sensor,
        'max_pose_gap': max_pose_gap,
    }
    bag_options = {
        'image_topic': image_topic,
        'camera_info_topic': camera_info_topic,
        'ground_truth_topic': ground_truth_topic,
        'map_frame': map_frame,
        'base_frame': base_frame,
        'camera_frame': camera_frame,
        'odom_frame': odom_frame,
    }
    shared_options = {'camera': camera, 'time_offset': time_offset}
    pipeline_config = localization_config(config, settings, localizer)
    with ExitStack() as stack:
        reference_map = stack.enter_context(
            ReferenceMap.open(
                map_folder, pipeline_config.descriptor_cache_mb, pipeline_config.weights_folder
            )
        )
        embeddings = _embeddings(trained, reference_map, model)
        source = stack.enter_context(
            open_source(queries, folder_options, bag_options, shared_options)
        )
        prepare_folder(output, overwrite=overwrite)
        seen = _see(
            source,
            trained,
            reference_map,
            None if no_localizer else pipeline_config,
            allow_map_images,
        )
        network = AnalysedNetwork(
            f'{trained.network.config.variant} ({model.name})',
            trained.network.base_poses(),
            embeddings,
            reference_map,
            pipeline_config.localizer,
        )
        with progress_bar('drawing') as progress:
            lines = write_analysis(network, seen, output, progress=progress)
    for line in lines:
        stdout.print(line)
    print_note(f'written to {output}: summary.md, analysis.json, animation.html and figures')


def _embeddings(
    trained: TrainedPoseNet, reference_map: ReferenceMap, model: Path
) -> TrainingEmbeddings:
    """Give those of the file, after a look at whether it is of this map."""
    if trained.embeddings is None:
        raise DataError(
            f'{model} holds no coefficients of training images: give the best.safetensors of a '
            'training that has ended'
        )
    known = trained.about.get('map_id')
    if known is not None and known != reference_map.map_id:
        raise DataError(
            f'{model} was trained on map {known}, {reference_map.path} is '
            f'{reference_map.map_id}: poses of one mean nothing in the other; give that map'
        )
    return trained.embeddings


def _see(
    queries: Queries,
    trained: TrainedPoseNet,
    reference_map: ReferenceMap,
    config: LocalizationConfig | None,
    allow_map_images: bool,
) -> SeenQueries:
    from relloc_ros.analysis.embedding import see_queries
    from relloc_ros.networks.apr import PoseRegressor

    relocalizer = None if config is None else prepare_localizer(reference_map, config)
    with progress_bar('looking at the queries') as progress:
        return see_queries(
            queries,
            PoseRegressor(trained.network),
            reference_map,
            relocalizer,
            allow_map_images=allow_map_images,
            progress=progress,
        )
