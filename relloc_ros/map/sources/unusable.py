# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A few damaged images are left out of a map, and named; many are an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
import logging
from typing import Any, TypeVar

from relloc_ros.errors import DataError
from relloc_ros.map.sources.posed_image import read_image

__all__ = ['without_unusable']

logger = logging.getLogger(__name__)

MAX_SHARE = 0.05
"""Of a source: who records for an hour has a few broken images. More, and something is wrong."""

WORKERS = 2
NAMED = 5

Image = TypeVar('Image')


def without_unusable(
    posed: Sequence[Image],
    progress: Callable[[int, int, str], None] | None = None,
    read: Callable[[Any], object] = read_image,
) -> list[Image]:
    """Read all images, and leave out those that cannot be, with a warning that names them.

    Args:
        posed: the images.
        progress: called with the number read, the number in all and what is done.
        read: reads one of them.

    Raises:
        DataError: all are unusable, or more than one and than 5 %.
    """
    usable: list[Image] = []
    problems: list[DataError] = []
    pool = ThreadPoolExecutor(WORKERS)
    try:
        for number, (image, problem) in enumerate(
            zip(posed, pool.map(partial(_problem, read), posed), strict=True), start=1
        ):
            if problem is None:
                usable.append(image)
            else:
                problems.append(problem)
            if progress is not None:
                progress(number, len(posed), 'looking at the images')
    finally:
        pool.shutdown(cancel_futures=True)
    if posed and (not usable or len(problems) > max(1, MAX_SHARE * len(posed))):
        raise DataError(
            f'{len(problems)} of {len(posed)} images are unusable, too many to leave them out; '
            f'the first: {problems[0]}'
        )
    for problem in problems[:NAMED]:
        logger.warning('left out: %s', problem)
    if len(problems) > 1:
        logger.warning('left out %d of %d images in all', len(problems), len(posed))
    return usable


def _problem(read: Callable[[Any], object], image: object) -> DataError | None:
    try:
        read(image)
    except DataError as error:
        return error
    return None
