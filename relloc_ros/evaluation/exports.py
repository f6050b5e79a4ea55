# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trajectories in the formats other programs read: TUM, KITTI, and text as hloc writes it.

- TUM: `stamp tx ty tz qx qy qz qw`, map_from_body, stamps in seconds. poses.tum holds localized
  queries, truth.tum all whose truth is known; evo and others associate them by stamp.
- KITTI: the first three rows of map_from_body, row after row. It knows neither names nor gaps:
  line n of poses.kitti and line n of truth.kitti are the same query, whose stamp and name is
  line n of frames.kitti. Queries that are not localized are in none of the three.
- hloc: `name qw qx qy qz tx ty tz`, cam_from_map in COLMAP's order, names as in the image folder.
  In bags, where images have no names, the stamp is the name, and it is body_from_map.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.evaluation.queries import format_stamp
from relloc_ros.geometry import RigidTransform

__all__ = ['TRAJECTORY_FILES', 'write_trajectories']

TRAJECTORY_FILES = (
    'poses.tum',
    'poses.kitti',
    'poses.txt',
    'truth.tum',
    'truth.kitti',
    'truth.txt',
    'frames.kitti',
)

PosedOutcome = tuple[Outcome, RigidTransform]


def write_trajectories(run: Run, folder: Path) -> None:
    """Write estimates and true poses of a run in all formats.

    Args:
        run: what came out.
        folder: exists already.

    Raises:
        OSError: the folder cannot be written.
    """
    estimates = [(o, o.estimate.map_from_body) for o in run.outcomes if o.estimate is not None]
    truth = [(o, o.truth) for o in run.outcomes if o.truth is not None]
    pairs = [(o, pose) for o, pose in estimates if o.truth is not None or not truth]
    _write(folder / 'poses.tum', map(_tum_line, estimates))
    _write(folder / 'truth.tum', map(_tum_line, truth))
    _write(folder / 'poses.txt', map(_hloc_line, estimates))
    _write(folder / 'truth.txt', map(_hloc_line, truth))
    _write(folder / 'poses.kitti', map(_kitti_line, pairs))
    _write(folder / 'truth.kitti', (_kitti_line((o, o.truth)) for o, _ in pairs if o.truth))
    _write(folder / 'frames.kitti', (f'{format_stamp(o.stamp_ns)} {o.name}' for o, _ in pairs))


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')


def _tum_line(posed: PosedOutcome) -> str:
    outcome, pose = posed
    numbers = _text([*pose.translation, *pose.quat_xyzw])
    return f'{format_stamp(outcome.stamp_ns)} {numbers}'


def _kitti_line(posed: PosedOutcome) -> str:
    return _text(posed[1].matrix[:3].ravel().tolist())


def _hloc_line(posed: PosedOutcome) -> str:
    outcome, map_from_body = posed
    pose = map_from_body.inverse()
    return f'{outcome.name} {_text([*pose.quat_wxyz, *pose.translation])}'


def _text(numbers: list[float]) -> str:
    # All digits: node and offline are compared by these files.
    return ' '.join(f'{number:.9f}' for number in numbers)
