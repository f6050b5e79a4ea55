# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images and poses that were stamped apart: which image gets a pose, and why others get none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import logging
from pathlib import Path
from typing import TypeVar

from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources.reading import SourceOptions
from relloc_ros.transform_history import TransformError, TransformErrorKind, TransformHistory

__all__ = ['associate', 'history_lookup', 'max_gap_ns']

logger = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000

MAX_POSE_GAP_S = 0.25
"""Over a longer time a robot that brakes or turns is off a straight line by centimetres."""

Image = TypeVar('Image')

REASONS = {
    TransformErrorKind.TOO_OLD: 'before the first pose',
    TransformErrorKind.IN_FUTURE: 'after the last pose',
    TransformErrorKind.GAP: 'where poses are further apart than --max-pose-gap ({gap:g} s)',
}


def max_gap_ns(options: SourceOptions) -> int:
    """Give the time between two poses that may be bridged."""
    gap_s = MAX_POSE_GAP_S if options.max_pose_gap is None else options.max_pose_gap
    return round(gap_s * NS_PER_S)


def history_lookup(
    history: TransformHistory, options: SourceOptions, nearest_ns: int = 0
) -> Callable[[int, object], RigidTransform]:
    """Make a lookup that interpolates between poses, and takes a single one that is near enough.

    Raises:
        TransformError: by the lookup: TOO_OLD, IN_FUTURE or GAP.
    """

    def lookup(stamp_ns: int, image: object) -> RigidTransform:
        try:
            return history.at(stamp_ns, max_gap_ns=max_gap_ns(options))
        except TransformError:
            near = history.nearest(stamp_ns, nearest_ns)
            if near is None:
                raise
            return near

    return lookup


def associate(
    images: Iterable[tuple[int, Image]],
    lookup: Callable[[int, Image], RigidTransform],
    span_ns: tuple[int, int] | None,
    source: Path,
    options: SourceOptions,
) -> list[tuple[Image, RigidTransform]]:
    """Give the images that have a pose at their time; the others are left out with a warning.

    Args:
        images: stamp and whatever describes the image.
        lookup: pose at a time, of an image; raises TransformError where there is none.
        span_ns: time of the first and of the last pose; None without poses.
        source: for messages.
        options: `time_offset` is added to the stamps.

    Raises:
        DataError: no image has a pose; says when images and poses were taken.
    """
    offset_ns = round((options.time_offset or 0.0) * NS_PER_S)
    posed = []
    reasons: dict[TransformErrorKind, int] = {}
    stamps = []
    for stamp_ns, image in images:
        stamps.append(stamp_ns + offset_ns)
        try:
            posed.append((image, lookup(stamp_ns + offset_ns, image)))
        except TransformError as error:
            if error.kind not in REASONS:
                raise
            reasons[error.kind] = reasons.get(error.kind, 0) + 1
    if not stamps:
        raise DataError(f'{source} has no images')
    if not posed:
        raise DataError(f'{source}: {_nothing(stamps, span_ns, reasons, options)}')
    if reasons:
        logger.warning(
            '%s: left out %d of %d images without a pose at their time: %s',
            source,
            len(stamps) - len(posed),
            len(stamps),
            _counts(reasons, options),
        )
    return posed


def _counts(reasons: dict[TransformErrorKind, int], options: SourceOptions) -> str:
    gap_s = max_gap_ns(options) / NS_PER_S
    return ', '.join(
        f'{count} {REASONS[kind].format(gap=gap_s)}' for kind, count in reasons.items()
    )


def _nothing(
    stamps: list[int],
    span_ns: tuple[int, int] | None,
    reasons: dict[TransformErrorKind, int],
    options: SourceOptions,
) -> str:
    if span_ns is None:
        return 'it has no poses'
    images = f'images are from {_seconds(min(stamps))} to {_seconds(max(stamps))}'
    poses = f'poses from {_seconds(span_ns[0])} to {_seconds(span_ns[1])}'
    text = f'no image has a pose at its time: {images}, {poses}; {_counts(reasons, options)}'
    if max(stamps) < span_ns[0] or min(stamps) > span_ns[1]:
        text += '; where their clocks differ, say by how much with --time-offset SECONDS'
    return text


def _seconds(time_ns: int) -> str:
    return f'{time_ns / NS_PER_S:.3f} s'
