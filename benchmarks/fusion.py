# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What fusion does to the poses of a bag: errors, jumps from image to image, covariances, time.

    relloc evaluate BAG --map MAP --output RUN --no-tracker
    python benchmarks/fusion.py BAG RUN [--set KEY=VALUE]

The poses of the run are judged as they are, and with a tenth of them moved by so little that the
tracker lets most of them through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
import time
from typing import Annotated, Optional

import numpy as np
from rich.console import Console
from rich.table import Table
from tracking import read_observations
import typer

from relloc_ros.bags.reader import BagReader
from relloc_ros.config import TrackingConfig, make_config, parse_assignments
from relloc_ros.geometry import RigidTransform, log_so3, pose_error
from relloc_ros.structures import PoseEstimate
from relloc_ros.tracker import Observation, Tracker

SHARE = 0.1
"""Of the poses that are moved, in a run with outliers."""
SHIFT = (0.10, 0.25)
"""By how much, metres, in any direction."""
IN_ELLIPSOID = 12.59
"""Squared Mahalanobis distance within which 95 % of the errors are (6 degrees of freedom)."""

HEADINGS = (
    'poses',
    'fusion',
    'accepted',
    'error median, 95 % (cm)',
    'median (deg)',
    'jump mean, 95 % (cm)',
    'mean (deg)',
    'in 95 %',
    'CPU ms (largest)',
)


@dataclass(frozen=True)
class Said:
    """What was said of an accepted pose.

    Attributes:
        pose: by fusion, or as it was.
        truth: true map_from_base.
        odom_from_base: odometry.
        begins: whether the track does, so that this pose may be anywhere.
        ms: of the processor, for the tracker to say it.
    """

    pose: PoseEstimate
    truth: RigidTransform
    odom_from_base: RigidTransform
    begins: bool
    ms: float


def main(
    bag: Annotated[Path, typer.Argument(help='Bag with odometry and true poses.')],
    run: Annotated[Path, typer.Argument(help='Run on it, without the tracker.')],
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--set', help='KEY=VALUE of the tracker, as in relloc evaluate.'),
    ] = None,
) -> None:
    """Print a table."""
    chosen = parse_assignments(settings or [])
    observations, _ = read_observations(bag, run)
    with BagReader(bag) as reader:
        truths = [frame.truth for frame in reader]
    table = Table(title=f'{run.name}: {len(observations)} images')
    for heading in HEADINGS:
        table.add_column(heading)
    for name, seen in (('as they are', observations), ('with outliers', _moved(observations))):
        for fusion in ('none', 'pgo'):
            config = make_config(TrackingConfig, {**chosen, 'fusion': fusion})
            table.add_row(name, fusion, *_row(_track(seen, truths, config)))
    Console(width=120).print(table)


def _moved(observations: Sequence[Observation]) -> list[Observation]:
    """Move some of the poses."""
    random = np.random.default_rng(0)
    moved = []
    for observation in observations:
        pose = observation.pose
        step = random.normal(size=3)
        step *= random.uniform(*SHIFT) / np.linalg.norm(step)
        if pose is None or random.random() >= SHARE:
            moved.append(observation)
            continue
        before = pose.map_from_body
        beside = RigidTransform(before.rotation, before.translation + step)
        moved.append(replace(observation, pose=PoseEstimate(beside, pose.covariance)))
    return moved


def _track(
    observations: Sequence[Observation],
    truths: Sequence[RigidTransform | None],
    config: TrackingConfig,
) -> list[Said]:
    tracker = Tracker(config)
    said = []
    for observation, truth in zip(observations, truths, strict=True):
        start_s = time.process_time()
        verdict = tracker.update(observation)
        ms = 1e3 * (time.process_time() - start_s)
        pose, odom_from_base = verdict.fused or observation.pose, observation.odom_from_base
        if verdict.accepted and pose and truth and odom_from_base:
            said.append(Said(pose, truth, odom_from_base, verdict.event is not None, ms))
    return said


def _row(said: Sequence[Said]) -> list[str]:
    if not said:
        return ['0']
    errors = np.array([pose_error(each.pose.map_from_body, each.truth) for each in said])
    jumps = np.array(
        [_jump(before, now) for before, now in pairwise(said) if not now.begins]
    ).reshape(-1, 2)
    inside = np.mean([_squared(each) <= IN_ELLIPSOID for each in said])
    ms = [each.ms for each in said]
    metres, degrees = 1e2 * errors[:, 0], np.rad2deg(errors[:, 1])
    return [
        str(len(said)),
        f'{np.median(metres):.2f}, {np.percentile(metres, 95):.2f}',
        f'{np.median(degrees):.3f}',
        f'{1e2 * jumps[:, 0].mean():.2f}, {1e2 * np.percentile(jumps[:, 0], 95):.2f}',
        f'{np.rad2deg(jumps[:, 1].mean()):.3f}',
        f'{inside:.0%}',
        f'{np.median(ms):.1f} ({max(ms):.1f})',
    ]


def _jump(before: Said, now: Said) -> tuple[float, float]:
    """Say how far a pose is from where the one before and odometry put the robot."""
    motion = before.odom_from_base.inverse() @ now.odom_from_base
    return pose_error(now.pose.map_from_body, before.pose.map_from_body @ motion)


def _squared(said: Said) -> float:
    found, truth = said.pose.map_from_body, said.truth
    turn = log_so3(truth.rotation @ found.rotation.T)
    error = np.concatenate([truth.translation - found.translation, turn])
    return float(error @ np.linalg.solve(said.pose.covariance, error))


if __name__ == '__main__':
    typer.run(main)
