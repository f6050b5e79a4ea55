# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc evaluate: errors of a localizer on images or a bag with known poses."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from relloc_ros.cli.console import print_note, print_warning, progress_bar, stdout
from relloc_ros.cli.gates import FailIf, apply_gates, read_gates
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.localizing import prepare_localizer
from relloc_ros.cli.metrics_table import print_metrics
from relloc_ros.cli.options import (
    ConfigFile,
    ImagesFolder,
    ListFile,
    LocalizerName,
    MapFolder,
    Overwrite,
    Settings,
    SplitOption,
    evaluation_configs,
)
from relloc_ros.cli.query_source import (
    BaseFrame,
    CameraFrame,
    CameraInfoTopic,
    GroundTruthTopic,
    ImageTopic,
    MapFrame,
    NoTracker,
    OdomFrame,
    open_source,
)
from relloc_ros.cli.report_command import (
    BASELINES_FOLDER,
    NoReport,
    report_evaluation,
    wants_report,
)
from relloc_ros.cli.source_options import (
    CameraOption,
    FormatName,
    MaxPoseGap,
    SensorName,
    TimeOffset,
)
from relloc_ros.cli.worker_options import NumWorkers, SchedulerAddress, worker_pool

if TYPE_CHECKING:
    from relloc_ros.config import TrackingConfig
    from relloc_ros.evaluation.outcomes import Run
    from relloc_ros.evaluation.queries import Queries
    from relloc_ros.parallel import TaskPool
    from relloc_ros.pipeline import Relocalizer
    from relloc_ros.tracker import Tracker

__all__ = ['evaluate']

NAMES_SHOWN = 3

Source = Annotated[
    Path,
    typer.Argument(
        metavar='SOURCE',
        help='Posed images of any format that `relloc map build` finds out, or a rosbag: a ROS 1 '
        '.bag, a ROS 2 folder, .mcap or .db3.',
    ),
]
Output = Annotated[
    Path, typer.Option('--output', metavar='DIR', help='Folder for results.', show_default=False)
]
ResultBag = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--bag',
        metavar='BAG',
        help='Write estimates, true poses and pictures of the matches as a rosbag as well, for '
        'RViz or Foxglove: a folder to create, or a file that ends in `.mcap`.',
        show_default=False,
    ),
]
Negatives = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(
        '--negatives',
        metavar='SOURCE',
        help='Images of other places, which must not be localized: a COLMAP model or a bag. Can '
        'be given several times.',
        show_default=False,
    ),
]
AllowMapImages = Annotated[
    bool, typer.Option('--allow-map-images', help='Localize images that are in the map as well.')
]


def evaluate(
    source: Source,
    map_folder: MapFolder,
    output: Output,
    images: ImagesFolder = None,
    list_file: ListFile = None,
    split: SplitOption = None,
    localizer: LocalizerName = None,
    settings: Settings = None,
    config: ConfigFile = None,
    negatives: Negatives = None,
    allow_map_images: AllowMapImages = False,
    overwrite: Overwrite = False,
    fail_if: FailIf = None,
    result_bag: ResultBag = None,
    no_report: NoReport = False,
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
    no_tracker: NoTracker = False,
    workers: NumWorkers = None,
    scheduler: SchedulerAddress = None,
) -> None:
    """Localize images with known poses and report the errors.

    Writes `report.html`, `metrics.json`, `errors.csv` (a line a query) and the poses in several
    formats to DIR and prints a table. Without --list, all images of SOURCE are queries; those
    that are in the map are left out and reported. Errors are those of the camera for images, of
    the robot's base for bags; poses of a bag are judged by the node's tracker, too. Queries
    without a pose count as infinitely wrong. What the retrieval of similar images alone gives on
    the same queries is said beside: a method must
    beat it to mean anything.
    """
    from relloc_ros.bags.new_bag import check_new
    from relloc_ros.evaluation.queries import JoinedQueries
    from relloc_ros.evaluation.sanity import sanity_check
    from relloc_ros.evaluation.writers import prepare_output, write_results
    from relloc_ros.map.reference_map import ReferenceMap

    terminate_quietly()
    gates = read_gates(fail_if)
    if result_bag is not None:
        check_new(result_bag)
    with_report = wants_report(no_report=no_report)
    source_options = {
        'images': images,
        'list_file': list_file,
        'split': split,
        'source_format': source_format,
        'sensor': sensor,
        'max_pose_gap': max_pose_gap,
    }
    shared_options = {'camera': camera, 'time_offset': time_offset}
    bag_options = {
        'image_topic': image_topic,
        'camera_info_topic': camera_info_topic,
        'ground_truth_topic': ground_truth_topic,
        'map_frame': map_frame,
        'base_frame': base_frame,
        'camera_frame': camera_frame,
        'odom_frame': odom_frame,
    }
    pipeline_config, tracking_config = evaluation_configs(config, settings, localizer)
    with (
        ReferenceMap.open(
            map_folder, pipeline_config.descriptor_cache_mb, pipeline_config.weights_folder
        ) as reference_map,
        open_source(source, source_options, bag_options, shared_options) as queries,
        ExitStack() as stack,
    ):
        strangers = JoinedQueries(
            [stack.enter_context(open_source(path)) for path in negatives or []]
        )
        tracker = _tracker(queries, tracking_config, settings, no_tracker)
        relocalizer = prepare_localizer(reference_map, pipeline_config)
        prepare_output(output, overwrite=overwrite)
        pool = stack.enter_context(worker_pool(workers, scheduler))
        run = _localize(
            queries, strangers, relocalizer, tracker, allow_map_images, result_bag, pool
        )
        baselines = _run_baselines(run, queries, relocalizer, allow_map_images, output, pool)
        metrics = write_results(run, output, sanity_check(run, baselines))
        if with_report:
            report_evaluation(
                run, metrics, output, queries, relocalizer, baselines, negatives=strangers
            )
    _print_summary(run, metrics)
    files = f'{"report.html, " if with_report else ""}metrics.json, errors.csv'
    print_note(f'written to {output}: {files}, poses.tum, .kitti and .txt')
    apply_gates(gates, metrics)


def _tracker(
    queries: Queries, config: TrackingConfig, settings: list[str] | None, no_tracker: bool
) -> Tracker | None:
    """Make the node's tracker for a bag; None for images that are taken each for itself."""
    from relloc_ros.config import parameters, parse_assignments
    from relloc_ros.evaluation.queries import BagQueries
    from relloc_ros.tracker import Tracker

    if isinstance(queries, BagQueries) and not no_tracker:
        if config.fusion != 'none':
            queries.require_odometry(f'fusion: {config.fusion}')
        return Tracker(config)
    if no_tracker and not isinstance(queries, BagQueries):
        raise typer.BadParameter('--no-tracker is for bags: images of folders have no tracker')
    for key in parse_assignments(settings or []):
        if key in parameters(type(config)):
            raise typer.BadParameter(f'--set {key}: this run has no tracker')
    return None


def _localize(
    queries: Queries,
    negatives: Queries,
    relocalizer: Relocalizer,
    tracker: Tracker | None,
    allow_map_images: bool,
    result_bag: Path | None,
    pool: TaskPool | None,
) -> Run:
    from relloc_ros.evaluation.debug_pictures import DebugPictures
    from relloc_ros.evaluation.result_bag import write_result_bag
    from relloc_ros.evaluation.run import evaluate as run_evaluation

    with ExitStack() as stack:
        pictures: DebugPictures | None = None
        if result_bag is not None:
            folder = stack.enter_context(TemporaryDirectory(prefix='relloc-'))
            pictures = DebugPictures(Path(folder), relocalizer.reference_map)
        with progress_bar('localizing') as progress:
            run = run_evaluation(
                queries,
                relocalizer,
                tracker=tracker,
                negatives=negatives,
                allow_map_images=allow_map_images,
                progress=progress,
                observer=None if pictures is None else pictures.draw,
                pool=pool,
            )
        if result_bag is not None and pictures is not None:
            write_result_bag(run, result_bag, pictures.jpeg)
            print_note(f'bag {result_bag} is ready')
    return run


def _run_baselines(
    run: Run,
    queries: Queries,
    relocalizer: Relocalizer,
    allow_map_images: bool,
    output: Path,
    pool: TaskPool | None,
) -> list[Run]:
    """Localize by the baselines, whose runs are kept beside it."""
    from relloc_ros.evaluation.sanity import run_baselines

    if not run.scored:
        return []
    with progress_bar('baselines') as progress:
        return run_baselines(
            run,
            queries,
            relocalizer,
            output / BASELINES_FOLDER,
            allow_map_images=allow_map_images,
            progress=progress,
            pool=pool,
        )


def _print_summary(run: Run, metrics: Mapping[str, Any]) -> None:
    left_out = run.left_out
    if left_out:
        names = ', '.join(item.name for item in left_out[:NAMES_SHOWN])
        more = ', ...' if len(left_out) > NAMES_SHOWN else ''
        print_note(f'left out, because they are in the map: {len(left_out)} ({names}{more})')
    unknown = metrics['queries'] - metrics['scored']
    if unknown:
        print_warning(
            f'{unknown} of {metrics["queries"]} queries have no true pose and are not '
            'scored; --ground-truth-topic names where the poses are'
        )
    print_metrics(metrics)
    for line in metrics['sanity']:
        stdout.print(line)
