# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc score: the errors of poses from elsewhere."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Optional

import typer

from relloc_ros.cli.console import print_note, print_warning
from relloc_ros.cli.gates import FailIf, apply_gates, read_gates
from relloc_ros.cli.metrics_table import print_metrics
from relloc_ros.cli.options import Overwrite

if TYPE_CHECKING:
    from relloc_ros.evaluation.outcomes import Run
    from relloc_ros.evaluation.pose_files import PoseFile

__all__ = [
    'FormatName',
    'PoseFormatOption',
    'QueryList',
    'read_true_poses',
    'score',
    'score_file',
]

NAMES_SHOWN = 3


class FormatName(str, Enum):
    """Formats of pose files."""

    COLMAP = 'colmap'
    TUM = 'tum'
    KITTI = 'kitti'


PoseFormatOption = Annotated[
    Optional[FormatName],  # noqa: UP045
    typer.Option(
        '--format',
        help='How lines of the files are read; by default told from the first.',
        show_default=False,
    ),
]
QueryList = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--list',
        metavar='FILE',
        help='Text file with the images that were to be localized, one name (or time in seconds) '
        'a line; by default all that have a true pose.',
        show_default=False,
    ),
]


def score(
    estimates: Annotated[
        Path, typer.Argument(metavar='ESTIMATES', help='Text file of poses.', show_default=False)
    ],
    truth: Annotated[
        Path,
        typer.Option(
            '--truth',
            metavar='POSES',
            help='Text file of true poses, or folder with a COLMAP model.',
            show_default=False,
        ),
    ],
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            '--output',
            metavar='DIR',
            help='Folder for the run, to be compared later.',
            show_default=False,
        ),
    ] = None,
    list_file: QueryList = None,
    format: PoseFormatOption = None,
    overwrite: Overwrite = False,
    fail_if: FailIf = None,
) -> None:
    """Judge poses that were estimated elsewhere.

    Files hold a pose a line: `image qw qx qy qz tx ty tz` (COLMAP's order, camera from world),
    `stamp tx ty tz qx qy qz qw` (TUM) or twelve numbers (KITTI). Images are known by name, stamp
    or line. Those that have a true pose and no estimate are failures.
    """
    from relloc_ros.evaluation.summary import summarize
    from relloc_ros.evaluation.writers import prepare_output, write_results

    gates = read_gates(fail_if)
    run = score_file(estimates, read_true_poses(truth, list_file, format), format)
    if output is not None:
        prepare_output(output, overwrite=overwrite)
        write_results(run, output)
    metrics = summarize(run)
    print_metrics(metrics)
    if output is not None:
        print_note(f'written to {output}')
    apply_gates(gates, metrics)


def read_true_poses(truth: Path, list_file: Path | None, format: FormatName | None) -> PoseFile:
    """Read the true poses of the images that were to be localized.

    Raises:
        DataError: unreadable files, or an image of the list without a true pose.
    """
    from relloc_ros.evaluation.pose_files import read_truth
    from relloc_ros.evaluation.scores import select
    from relloc_ros.map.sources import read_list

    poses = read_truth(truth, _plain(format))
    return poses if list_file is None else select(poses, read_list(list_file))


def score_file(estimates: Path, truth: PoseFile, format: FormatName | None) -> Run:
    """Judge a file of poses; what belongs to no image is said on stderr.

    Raises:
        DataError: unreadable, or not of the same images as the truth.
    """
    from relloc_ros.evaluation.pose_files import read_pose_file
    from relloc_ros.evaluation.scores import score as score_poses

    scored = score_poses(read_pose_file(estimates, _plain(format)), truth)
    if scored.extra:
        names = ', '.join(scored.extra[:NAMES_SHOWN])
        more = ', ...' if len(scored.extra) > NAMES_SHOWN else ''
        print_warning(
            f'{estimates}: {len(scored.extra)} estimates belong to no image with a true pose and '
            f'are passed over ({names}{more})'
        )
    return scored.run


def _plain(format: FormatName | None) -> Literal['colmap', 'tum', 'kitti'] | None:
    return None if format is None else format.value
