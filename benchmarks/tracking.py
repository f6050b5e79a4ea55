# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tracker costs in poses and saves in wrong ones, on a bag with true poses.

    relloc evaluate BAG --map MAP --output RUN --no-tracker
    python benchmarks/tracking.py BAG RUN [--set KEY=VALUE]

The poses of the run are judged as they are, and with some of them made wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
from rich.console import Console
from rich.table import Table
import typer

from relloc_ros.bags.reader import BagReader
from relloc_ros.config import TrackingConfig, make_config, parse_assignments
from relloc_ros.evaluation.outcomes import read_run
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.tracker import Observation, Tracker, TrackingEvent

SHARE = 0.3
"""Of the poses, in a run with wrong ones."""
NUM_RUNS = 50
STANDING, CARRIED = 1e-6, 0.1
"""A robot is carried that moves, from one image to the next, by less than this (metres) for its
odometry, and by more than that in truth."""

HEADINGS = (
    'wrong poses',
    'right accepted',
    'wrong accepted',
    'first fix (latest)',
    'found again (latest)',
    'kidnappings',
)


@dataclass(frozen=True)
class Count:
    """What came of a sequence.

    Attributes:
        right: of the right poses, how many were accepted, and how many there were.
        wrong: the same of the wrong ones.
        first_s: until the first accepted pose; None without one.
        found_s: from where a carried robot is put down to its first accepted pose.
        kidnapped: how often that was announced.
    """

    right: tuple[int, int]
    wrong: tuple[int, int]
    first_s: float | None
    found_s: float | None
    kidnapped: int


def main(
    bag: Annotated[Path, typer.Argument(help='Bag with odometry and true poses.')],
    run: Annotated[Path, typer.Argument(help='Run on it, without the tracker.')],
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--set', help='KEY=VALUE of the tracker, as in relloc evaluate.'),
    ] = None,
) -> None:
    """Print a table."""
    config = make_config(TrackingConfig, parse_assignments(settings or []))
    observations, landing = read_observations(bag, run)
    table = Table(title=f'{bag.name}: {len(observations)} images')
    for heading in HEADINGS:
        table.add_column(heading)
    for name, shift in SHIFTS.items():
        num_runs = 1 if shift is None else NUM_RUNS
        counts = [_judge(observations, landing, config, shift, i) for i in range(num_runs)]
        table.add_row(name, *_row(counts))
    Console(width=99).print(table)


def read_observations(bag: Path, run: Path) -> tuple[list[Observation], int | None]:
    """Give what the tracker is told, and the index where a carried robot is put down.

    Args:
        bag: with odometry and true poses.
        run: on it, without the tracker.
    """
    outcomes = {outcome.stamp_ns: outcome for outcome in read_run(run).outcomes}
    with BagReader(bag) as reader:
        frames = list(reader)
    observations = [
        Observation(f.stamp_ns, outcomes[f.stamp_ns].estimate, f.odom_from_base) for f in frames
    ]
    for i, (before, now) in enumerate(pairwise(frames), start=1):
        truly = _motion(before.truth, now.truth)
        felt = _motion(before.odom_from_base, now.odom_from_base)
        if truly is None or felt is None or np.linalg.norm(felt.translation) > STANDING:
            continue
        if pose_error(truly, felt)[0] > CARRIED:
            return observations, i
    return observations, None


def _motion(before: RigidTransform | None, now: RigidTransform | None) -> RigidTransform | None:
    return None if before is None or now is None else before.inverse() @ now


Shift = Callable[[RigidTransform, np.random.Generator], RigidTransform]


def _elsewhere(map_from_base: RigidTransform, random: np.random.Generator) -> RigidTransform:
    """Move it by some metres, each time in another direction."""
    turn = exp_so3(random.normal(size=3) * 0.5)
    step = random.normal(size=3) * 2.0
    return RigidTransform(turn @ map_from_base.rotation, map_from_base.translation + step)


def _beside(distance: float) -> Shift:
    """Move it always by the same, as where the same thing stands in two places."""

    def move(map_from_base: RigidTransform, random: np.random.Generator) -> RigidTransform:
        step = np.array([distance, 0.0, 0.0])
        return RigidTransform(map_from_base.rotation, map_from_base.translation + step)

    return move


SHIFTS: dict[str, Shift | None] = {
    'none': None,
    '30 %, anywhere': _elsewhere,
    '30 %, all 2 m beside': _beside(2.0),
    '30 %, all 0.5 m beside': _beside(0.5),
    '30 %, all 0.2 m beside': _beside(0.2),
}


def _judge(
    observations: Sequence[Observation],
    landing: int | None,
    config: TrackingConfig,
    shift: Shift | None,
    seed: int,
) -> Count:
    random, tracker = np.random.default_rng(seed), Tracker(config)
    counts = {False: [0, 0], True: [0, 0]}
    times_s: list[float] = []
    found: list[float] = []
    kidnapped = 0
    for i, observation in enumerate(observations):
        pose = observation.pose
        is_wrong = shift is not None and pose is not None and random.random() < SHARE
        if is_wrong and shift is not None and pose is not None:
            moved = replace(pose, map_from_body=shift(pose.map_from_body, random))
            observation = replace(observation, pose=moved)  # noqa: PLW2901
        verdict = tracker.update(observation)
        counts[is_wrong][0] += verdict.accepted
        counts[is_wrong][1] += pose is not None
        kidnapped += verdict.event is TrackingEvent.KIDNAPPED
        if verdict.accepted:
            times_s.append((observation.stamp_ns - observations[0].stamp_ns) * 1e-9)
            if landing is not None and i >= landing and not is_wrong:
                found.append((observation.stamp_ns - observations[landing].stamp_ns) * 1e-9)
    return Count(
        (counts[False][0], counts[False][1]),
        (counts[True][0], counts[True][1]),
        times_s[0] if times_s else None,
        found[0] if found else None,
        kidnapped,
    )


def _row(counts: Sequence[Count]) -> list[str]:
    return [
        _share([count.right for count in counts]),
        _share([count.wrong for count in counts]),
        _times([count.first_s for count in counts]),
        _times([count.found_s for count in counts]),
        f'{sum(count.kidnapped for count in counts) / len(counts):.2f}',
    ]


def _share(counts: Sequence[tuple[int, int]]) -> str:
    some, all_of_them = np.sum(counts, axis=0)
    return f'{some / all_of_them:.1%}' if all_of_them else '-'


def _times(times_s: Sequence[float | None]) -> str:
    known = [time_s for time_s in times_s if time_s is not None]
    return f'{np.mean(known):.2f} s ({max(known):.1f})' if known else '-'


if __name__ == '__main__':
    typer.run(main)
