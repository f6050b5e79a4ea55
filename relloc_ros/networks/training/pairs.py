# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a map are shown to a network together.

As in localization, where a query meets the map images that retrieval finds: each image is paired
with similar ones that share its view and were taken from elsewhere. One image in six is held out;
paired with the others, it tells how queries would fare that the network has never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import TrainingConfig
from relloc_ros.errors import DataError
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.view_overlap import ViewOverlap

__all__ = ['MapPairs', 'choose_pairs', 'held_out', 'read_pairs', 'write_pairs']

VALIDATION_PART = 6
"""One image in so many is held out (Zhou et al., ICRA 2020, section V)."""
STRETCHES = 8
"""Images held out are neighbours in time, in so many stretches: beside a single image of a video
lies its double."""
CANDIDATES = 100
"""Images retrieved for each, of which those with overlap are taken."""
MIN_BASELINE = 0.02
"""In units of the scene's depth: nearer together, the direction of the baseline is noise."""

Report = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True, eq=False)
class MapPairs:
    """Pairs of images of one map.

    Attributes:
        indices: (P, 2) int64 of map image and query.
        overlap: (P,) part of the view in [0, 1] that both share.
        validation: (P,) bool, which are for validation.
    """

    indices: NDArray[np.int64]
    overlap: NDArray[np.float64]
    validation: NDArray[np.bool_]


def held_out(count: int) -> NDArray[np.bool_]:
    """Tell which of `count` images (count,), in the order of time or name, are for validation."""
    wanted = max(1, count // VALIDATION_PART)
    result = np.zeros(count, dtype=bool)
    stretches = np.array_split(np.arange(count), min(STRETCHES, wanted))
    lengths = [len(part) for part in np.array_split(np.arange(wanted), len(stretches))]
    for stretch, length in zip(stretches, lengths, strict=True):
        first = (len(stretch) - length) // 2
        result[stretch[first : first + length]] = True
    return result


def choose_pairs(
    reference_map: ReferenceMap, config: TrainingConfig, report: Report | None = None
) -> MapPairs:
    """Pair each image of a map with similar ones that are not held out.

    Args:
        reference_map: the map.
        config: how many pairs, and their least overlap.
        report: called with (done, total, name).

    Raises:
        DataError: no images share view from different places.
    """
    overlap = ViewOverlap.of_map(reference_map)
    validation = held_out(reference_map.num_images)
    least = MIN_BASELINE * float(np.median(overlap.depths))
    found: list[tuple[int, int]] = []
    shares: list[float] = []
    for query in range(reference_map.num_images):
        shared = _shared(overlap, reference_map, query)
        similar = _similar(reference_map, query, ~validation)
        distances = np.linalg.norm(
            reference_map.centres[similar] - reference_map.centres[query], axis=1
        )
        fit = similar[(shared[similar] >= config.min_overlap) & (distances >= least)]
        # Spread over all that fit: the first of a video are all but the same image.
        spread = np.linspace(0, len(fit) - 1, min(config.pairs_per_image, len(fit)))
        chosen = fit[spread.round().astype(int)]
        found += [(int(reference), query) for reference in chosen]
        shares += shared[chosen].tolist()
        if report is not None:
            report(query + 1, reference_map.num_images, reference_map.image_names[query])
    indices = np.array(found, dtype=np.int64).reshape(-1, 2)
    return _checked(
        MapPairs(indices, np.array(shares), _any(validation, indices)),
        f'map {reference_map.path}',
        'lower min_overlap, or take a map whose images share view from different places',
    )


def read_pairs(path: Path, reference_map: ReferenceMap) -> MapPairs:
    """Read pairs from a text file: the names of map image and query on each line.

    A tab or a single space divides them. Pairs with an image held out are for validation.

    Raises:
        DataError: missing or damaged file, an image that the map does not have, or one paired
            with itself.
    """
    indices = np.array(
        [_pair(line, number, path, reference_map) for number, line in _lines(path)],
        dtype=np.int64,
    ).reshape(-1, 2)
    overlap = ViewOverlap.of_map(reference_map)
    shares = np.zeros(len(indices))
    for query in np.unique(indices[:, 1]):
        mine = indices[:, 1] == query
        shares[mine] = _shared(overlap, reference_map, int(query))[indices[mine, 0]]
    validation = _any(held_out(reference_map.num_images), indices)
    return _checked(
        MapPairs(indices, shares, validation),
        f'pairs {path}',
        'give pairs of images of which none is held out, and others',
    )


def write_pairs(path: Path, names: Iterable[tuple[str, str]]) -> None:
    """Write the names of map images and queries as `read_pairs` reads them."""
    path.write_text(''.join(f'{first}\t{second}\n' for first, second in names), 'utf-8')


def _shared(overlap: ViewOverlap, reference_map: ReferenceMap, index: int) -> NDArray[np.float64]:
    map_from_cam = reference_map.cam_from_map(index).inverse()
    return overlap.shared(map_from_cam, reference_map.camera(index))


def _any(flags: NDArray[np.bool_], indices: NDArray[np.int64]) -> NDArray[np.bool_]:
    return flags[indices[:, 0]] | flags[indices[:, 1]]


def _similar(
    reference_map: ReferenceMap, query: int, allowed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    descriptor = reference_map.global_descriptors(np.array([query]))[0]
    similar, _ = reference_map.retrieve(descriptor, CANDIDATES + 1, allowed)
    return similar[similar != query]


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        lines = path.read_text(encoding='utf-8-sig').split('\n')
    except OSError as error:
        raise DataError(f'cannot read pairs {path}: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise DataError(f'pairs {path} is not UTF-8 text: {error}') from error
    return [(number, line.rstrip('\r')) for number, line in enumerate(lines, 1) if line.strip()]


def _pair(line: str, number: int, path: Path, reference_map: ReferenceMap) -> list[int]:
    names = line.split('\t') if '\t' in line else line.split()
    if len(names) != 2:
        raise DataError(
            f'{path}, line {number}: {line!r} is not two image names; divide names that have '
            'spaces by a tab'
        )
    indices = [reference_map.index_of(name) for name in names]
    for name, index in zip(names, indices, strict=True):
        if index is None:
            raise DataError(
                f'{path}, line {number}: map {reference_map.path} has no image {name!r}'
            )
    if indices[0] == indices[1]:
        raise DataError(f'{path}, line {number}: image {names[0]!r} is paired with itself')
    return [index for index in indices if index is not None]


def _checked(pairs: MapPairs, where: str, remedy: str) -> MapPairs:
    count = int(pairs.validation.sum())
    for kind, number in (('training', len(pairs.validation) - count), ('validation', count)):
        if number == 0:
            raise DataError(f'{where} gives no pairs for {kind}: {remedy}')
    return pairs
