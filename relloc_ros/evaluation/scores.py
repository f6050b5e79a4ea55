# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses from elsewhere, judged as if they were ours.

The truth says which images were to be localized: those without an estimate are failures.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
import re

import numpy as np

from relloc_ros import __version__
from relloc_ros.errors import DataError
from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.evaluation.pose_files import FilePose, PoseFile, read_stamp
from relloc_ros.evaluation.queries import format_stamp
from relloc_ros.map.sources import FIRST_STAMP_NS, FRAME_PERIOD_NS, stamp_from_name
from relloc_ros.structures import PoseEstimate, Status

__all__ = ['Scored', 'score', 'select']

MAX_STAMP_DIFFERENCE_NS = 20_000_000
"""As in the tools of the TUM benchmark."""

UNKNOWN_COVARIANCE = np.full((6, 6), np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Estimates beside the truth.

    Attributes:
        run: an outcome for each true pose.
        extra: names, stamps or lines of estimates without a true pose.
    """

    run: Run
    extra: tuple[str, ...]


def score(estimates: PoseFile, truth: PoseFile) -> Scored:
    """Judge estimates by true poses.

    Images are known by their names, else by their stamps (20 ms apart at most), else by their
    lines. The covariance of the estimates is not known: NaN.

    Args:
        estimates: what came out elsewhere.
        truth: a pose for each image that was to be localized.

    Raises:
        DataError: formats without a name, stamp or line in common, or no estimate of any image.
    """
    partners = _associate(estimates, truth)
    if not partners:
        raise DataError(
            f'none of the {len(estimates.poses)} poses of {estimates.path} belongs to an image of '
            f'{truth.path}: they begin with {_label(estimates, 0)} and {_label(truth, 0)}'
        )
    outcomes = [
        _outcome(_label(truth, index), pose, partners.get(index))
        for index, pose in enumerate(_stamped(truth))
    ]
    run = Run(
        outcomes=tuple(sorted(outcomes, key=lambda outcome: outcome.stamp_ns)),
        left_out=(),
        body='camera' if estimates.named else 'body',
        localizer=estimates.path.stem,
        settings={},
        map_path='',
        map_id='',
        units='m',
        version=__version__,
        sequence=truth.timed or not truth.named,
    )
    used = {id(pose) for pose in partners.values()}
    extra = [i for i, pose in enumerate(estimates.poses) if id(pose) not in used]
    return Scored(run, tuple(_label(estimates, i) for i in extra))


def select(truth: PoseFile, wanted: Sequence[str]) -> PoseFile:
    """Keep the true poses of some images.

    Args:
        truth: poses of more images, or of a motion capture that knows no images.
        wanted: names of images; where the truth has no names, they are times in seconds.

    Raises:
        DataError: one of them has no true pose.
    """
    if truth.named:
        by_name = {pose.name: pose for pose in truth.poses}
        chosen = [by_name.get(name) for name in wanted]
    elif truth.timed:
        times = [read_stamp(name) or stamp_from_name(name) for name in wanted]
        queries = [FilePose('', stamp_ns, None) for stamp_ns in times]
        partners = _by_stamp(truth.poses, queries)
        chosen = [partners.get(index) for index in range(len(wanted))]
    else:
        raise DataError(f'{truth.path} knows its images by line only: --list needs names or times')
    missing = [name for name, pose in zip(wanted, chosen, strict=True) if pose is None]
    if missing:
        raise DataError(
            f'{len(missing)} images of the list have no pose in {truth.path}, the first is '
            f'{missing[0]!r}'
        )
    return replace(truth, poses=tuple(pose for pose in chosen if pose is not None))


def _outcome(name: str, truth: FilePose, partner: FilePose | None) -> Outcome:
    pose = None if partner is None else partner.map_from_body
    return Outcome(
        name=name,
        stamp_ns=truth.stamp_ns or 0,
        status=Status.ERROR if pose is None else Status.LOCALIZED,
        reason='there is no estimate of it' if pose is None else '',
        estimate=None if pose is None else PoseEstimate(pose, UNKNOWN_COVARIANCE),
        truth=truth.map_from_body,
    )


def _associate(estimates: PoseFile, truth: PoseFile) -> dict[int, FilePose]:
    """Estimates by the index of the true pose."""
    if estimates.named and truth.named:
        by_name = {pose.name: pose for pose in estimates.poses}
        named = {i: by_name.get(pose.name) for i, pose in enumerate(truth.poses)}
        return {i: pose for i, pose in named.items() if pose is not None}
    if estimates.timed and truth.timed:
        return _by_stamp(estimates.poses, truth.poses)
    if estimates.format == truth.format:
        return dict(enumerate(estimates.poses[: len(truth.poses)]))
    raise DataError(
        f'{estimates.path} ({estimates.format}) and {truth.path} ({truth.format}) have neither '
        'names nor times in common: convert one of them'
    )


def _by_stamp(poses: Sequence[FilePose], wanted: Sequence[FilePose]) -> dict[int, FilePose]:
    """Nearest poses by the index of what is wanted, nearest first, each once."""
    ordered = sorted(poses, key=lambda pose: pose.stamp_ns or 0)
    stamps = [pose.stamp_ns or 0 for pose in ordered]
    candidates = []
    for index, query in enumerate(wanted):
        if query.stamp_ns is None:
            continue
        low = bisect_left(stamps, query.stamp_ns - MAX_STAMP_DIFFERENCE_NS)
        while low < len(stamps) and stamps[low] <= query.stamp_ns + MAX_STAMP_DIFFERENCE_NS:
            candidates.append((abs(stamps[low] - query.stamp_ns), index, low))
            low += 1
    found: dict[int, FilePose] = {}
    taken: set[int] = set()
    for _, index, place in sorted(candidates):
        if index not in found and place not in taken:
            found[index] = ordered[place]
            taken.add(place)
    return found


def _stamped(file: PoseFile) -> list[FilePose]:
    """Give each pose a stamp: its own, or one counted up by name or line."""
    if file.timed:
        return list(file.poses)
    order = list(range(len(file.poses)))
    if file.named:
        order.sort(key=lambda index: _natural(file.poses[index].name))
    place = {index: number for number, index in enumerate(order)}
    return [
        replace(pose, stamp_ns=FIRST_STAMP_NS + place[index] * FRAME_PERIOD_NS)
        for index, pose in enumerate(file.poses)
    ]


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key that puts frame 9 before frame 10."""
    parts = re.split(r'(\d+)', name)
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in parts]


def _label(file: PoseFile, index: int) -> str:
    pose = file.poses[index]
    if file.named:
        return pose.name
    return f'line {index + 1}' if pose.stamp_ns is None else format_stamp(pose.stamp_ns)
