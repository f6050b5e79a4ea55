# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc train: networks that tell how two images lie to each other, or where one was taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
import typer

from relloc_ros.cli.console import (
    print_note,
    progress_bar,
    show_notes,
    show_warnings,
    stdout,
)
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.lessons import Lesson, read_lesson
from relloc_ros.cli.options import ImagesFolder
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
)
from relloc_ros.cli.train_options import (
    ABSOLUTE,
    Backbone,
    DryRun,
    Maps,
    NetworkName,
    OdometrySource,
    PairFiles,
    Resume,
    RunOutput,
    Sources,
    TrainingFile,
    TrainingSettings,
    VariantName,
)
from relloc_ros.cli.training_run import (
    Choices,
    describe,
    resumed,
    settings_of,
)
from relloc_ros.errors import DataError

if TYPE_CHECKING:
    from relloc_ros.config import TrainingConfig
    from relloc_ros.networks.training.fit import Outcome
    from relloc_ros.networks.training.run_folder import RunFolder

__all__ = ['train']


def train(
    network: NetworkName,
    output: RunOutput = None,
    maps: Maps = None,
    sources: Sources = None,
    pairs: PairFiles = None,
    variant: VariantName = None,
    odometry: OdometrySource = None,
    backbone: Backbone = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    settings: TrainingSettings = None,
    config: TrainingFile = None,
    images: ImagesFolder = None,
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
) -> None:
    """Train a network on pairs of a map's images, or for `apr` on images and their poses.

    One image in six is held out to see when the network stops learning. RUN gets
    `best.safetensors`, the weights; `epoch.csv`, `step.csv` and `losses.png`, the losses; and
    `state.safetensors`, from which --resume goes on exactly. docs/training.md lists the settings
    for --set. To see what a machine needs for it, begin with --dry-run.
    """
    from relloc_ros.networks.training.launching import check_devices

    terminate_quietly()
    source_options = {
        'images': images and images.absolute(),
        'source_format': source_format,
        'camera': camera,
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
    choices = Choices(
        network,
        tuple(maps or ()),
        tuple(sources or ()),
        {key: value for key, value in source_options.items() if value is not None},
        tuple(pairs or ()),
        backbone,
        _values(config, settings),
        variant,
        odometry,
    )
    # Unknown networks and settings first, before the run is looked at.
    settings_of(choices)
    run = _run_folder(output, choices, resume=resume, dry_run=dry_run)
    if resume and run is not None:
        choices = resumed(choices, run)
    training, network_config = settings_of(choices)
    lesson = read_lesson(choices, training, network_config)
    if run is None:
        _describe_training(lesson, training)
        return
    digest = lesson.about['data']
    if resume:
        _check_same(digest, run)
    else:
        check_devices(training, len(lesson.training))
        description = describe(choices, training, network_config, digest)
        run.create(description, lesson.pair_names)
    _tell(_train(lesson, training, run), run)


def _values(file: Path | None, assignments: list[str] | None) -> dict[str, Any]:
    from relloc_ros.config import parse_assignments, read_config_file

    values: dict[str, Any] = {} if file is None else read_config_file(file)
    return {**values, **parse_assignments(assignments or [])}


def _run_folder(
    output: Path | None, choices: Choices, *, resume: bool, dry_run: bool
) -> RunFolder | None:
    """Check which options go together; give the run, None for none."""
    from relloc_ros.networks.training.run_folder import RunFolder

    for option, given in (('--source', choices.sources), ('--pairs', choices.pairs)):
        if given and len(given) != len(choices.maps):
            raise typer.BadParameter(
                f'{len(given)} times {option} for {len(choices.maps)} times --map: give one for '
                'each map, in the same order'
            )
    _check_kind(choices, resume=resume)
    if resume and dry_run:
        raise typer.BadParameter('--dry-run says what a new run would be: leave out --resume')
    if not resume and not choices.maps:
        raise typer.BadParameter('name a map with --map, or go on with a run by --resume')
    if dry_run:
        return None
    if output is None:
        raise typer.BadParameter('name the folder of the run with --output')
    run = RunFolder(output)
    if not resume:
        run.check_new()
    return run


def _check_kind(choices: Choices, *, resume: bool) -> None:
    """Check that the options are those of the kind of network."""
    if choices.network != ABSOLUTE:
        for option, given in (('--variant', choices.variant), ('--odometry', choices.odometry)):
            if given is not None:
                raise typer.BadParameter(
                    f'{option} is for {ABSOLUTE}: leave it out to train {choices.network}'
                )
        return
    if choices.pairs:
        raise typer.BadParameter(f'{ABSOLUTE} learns from single images: leave out --pairs')
    if len(choices.maps) > 1:
        raise typer.BadParameter(
            f'{ABSOLUTE} learns the poses in one map, got {len(choices.maps)}: give one --map, '
            'and train a network for each'
        )
    if choices.variant is None and not resume:
        from relloc_ros.networks.apr.variants import VARIANTS

        known = ', '.join(VARIANTS)
        raise typer.BadParameter(f'name a variant of {ABSOLUTE} with --variant: {known}')


def _check_same(digest: str, run: RunFolder) -> None:
    if run.describe().get('data') != digest:
        raise DataError(
            f'the images, poses or pairs are not those that {run.folder} was begun with: give '
            'the maps as they were, or begin another run'
        )


def _train(lesson: Lesson, config: TrainingConfig, run: RunFolder) -> Outcome:
    from relloc_ros.networks.training.fit import fit

    outcome = fit(
        lesson.objective,
        lesson.training,
        lesson.validation,
        config,
        run,
        dict(lesson.about),
        _losses_bar,
    )
    if lesson.poses is not None:
        from relloc_ros.networks.training.embedding import keep_embeddings

        keep_embeddings(run.best, lesson.poses, config)
    return outcome


@contextmanager
def _losses_bar() -> Iterator[Any]:
    """Show the losses in the process that trains, which may be a spawned one."""
    show_warnings()
    show_notes('relloc_ros.networks.training.fit')
    with progress_bar('training') as report:
        yield report


def _steps_bar() -> AbstractContextManager[Any]:
    return progress_bar('timing a step')


def _describe_training(lesson: Lesson, config: TrainingConfig) -> None:
    """Say what would happen, after a few steps to see how long they take."""
    from relloc_ros.networks.training.fit import time_step
    from relloc_ros.networks.training.stepping import steps_in_epoch

    count = len(lesson.training)
    seconds = time_step(lesson.objective, lesson.training, config, _steps_bar)
    steps = steps_in_epoch(count, config)
    weights = sum(each.numel() for each in lesson.network.parameters() if each.requires_grad)
    table = Table.grid(padding=(0, 2))
    for key, value in {
        'network': f'{lesson.network.name}, {weights:,} weights to train',
        'images': '{} for training, {} for validation'.format(*lesson.num_images),
        lesson.unit: f'{count} for training, {len(lesson.validation)} for validation',
        'a step': f'{min(config.batch_size, count)} {lesson.unit}, {_duration(seconds)}',
        'an epoch': f'{steps} steps, {_duration(steps * seconds)} and validation',
        'epochs': f'at most {config.max_epochs}, {_duration(config.max_epochs * steps * seconds)}',
    }.items():
        table.add_row(key, value)
    stdout.print(table)
    print_note('nothing was written: to train, leave out --dry-run')


def _duration(seconds: float) -> str:
    for unit, length in (('days', 86400.0), ('h', 3600.0), ('min', 60.0)):
        if seconds >= 2 * length:
            return f'{seconds / length:.1f} {unit}'
    return f'{seconds:.3g} s'


def _tell(outcome: Outcome, run: RunFolder) -> None:
    reason = 'validation got no better' if outcome.stopped_early else 'max_epochs is reached'
    print_note(f'ended after {outcome.epochs} epochs: {reason}')
    print_note(
        f'{run.best} holds the weights of epoch {outcome.best_epoch}, validation loss '
        f'{outcome.best_loss:.4g}; the losses are in {run.figure}'
    )
