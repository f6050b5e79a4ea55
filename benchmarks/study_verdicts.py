# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What Zhou et al. found, asked of any figures: ours, and those of the paper itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
import math
from typing import Generic, TypeVar

from study_figures import Source
from study_scenes import Column

from relloc_ros.evaluation.metrics import PoseError

__all__ = [
    'FAILS',
    'FINDINGS',
    'Comparison',
    'Finding',
    'compared',
    'factors',
    'format_error',
    'verdict',
]

FAILS = 2.0
"""An error that is this many times as large is a failure to generalize."""
ALIKE = 1.5
"""Errors that differ by no more than this factor are alike."""

NETWORKS = {'essnet': 'EssNet', 'nc_essnet': 'NC-EssNet'}
Figures = TypeVar('Figures')

LOTS = ('rooms', 'facades', 'unrelated', 'real')
FEATURES = (
    *('nc_essnet-rooms', 'nc_essnet-facades', 'nc_essnet-real'),
    *('essnet-rooms', 'essnet-facades', 'essnet-unrelated', 'essnet-real'),
    *('imagenet', 'essnet-megadepth', 'essnet-all', 'rpr-rooms', 'relocnet-rooms'),
)
"""Trainings that features for the hybrid come from."""


@dataclass(frozen=True)
class Comparison:
    """One place where a finding can be looked for.

    Attributes:
        where: column.
        what: is compared, and the figures.
        holds: whether it is there; None where figures are infinite that must not be.
    """

    where: str
    what: str
    holds: bool | None


@dataclass(frozen=True)
class Finding(Generic[Figures]):
    """A finding of a paper.

    Attributes:
        letter: short name.
        claim: one sentence.
        criterion: how it is judged here.
        compare: looks for it in figures.
    """

    letter: str
    claim: str
    criterion: str
    compare: Callable[[Figures], Iterator[Comparison]]


def verdict(comparisons: Sequence[Comparison]) -> str:
    """Sum up."""
    if not comparisons:
        return 'not run'
    known = [each for each in comparisons if each.holds is not None]
    if not known:
        return 'cannot be told: too many queries without a pose'
    held = sum(bool(each.holds) for each in known)
    count = f'{held} of {len(known)} comparisons'
    open_ = len(comparisons) - len(known)
    count += f', {open_} cannot be told' if open_ else ''
    if held == len(known):
        return f'reached: {count}'
    return f'not reached: {count}' if held == 0 else f'reached in part: {count}'


def regression_is_worse(source: Source) -> Iterator[Comparison]:
    """Compare regressed matrices with SIFT + 5pt on the scenes trained on."""
    for column in source.columns:
        sift = source.error('sift_5pt-none', column)
        for network, name in NETWORKS.items():
            error = source.error(f'{network}-{column.own}', column) if column.own else None
            if error is not None and sift is not None:
                yield compared(column.name, f'{name} beside SIFT + 5pt', error, sift, _is_worse)


def regression_fails_elsewhere(source: Source) -> Iterator[Comparison]:
    """Compare networks on scenes they have not seen with those trained there."""
    for column in source.columns:
        for network, name in NETWORKS.items():
            for lot in LOTS:
                error = source.error(f'{network}-{lot}', column)
                if lot == column.own or error is None:
                    continue
                known = _own_scenes(source, column, network, lot)
                if known is None:
                    continue
                where, own = known
                yield compared(column.name, f'{name} of {lot} beside {where}', error, own, _fails)


def _own_scenes(
    source: Source, column: Column, network: str, lot: str
) -> tuple[str, PoseError] | None:
    """Give what a network reaches that knows the scenes; of unseen ones, on its own."""
    if column.own:
        error = source.error(f'{network}-{column.own}', column)
        return None if error is None else (_with_doubt(source, column, network), error)
    home = next((each for each in source.columns if each.own == lot), None)
    is_same_kind = home is not None and column.name == f'unseen {home.name}'
    if home is None or not is_same_kind:
        return None
    error = source.error(f'{network}-{lot}', home)
    doubt = _doubt(source, home, network)
    return None if error is None else (f'itself on scenes trained on{doubt}', error)


def _with_doubt(source: Source, column: Column, network: str) -> str:
    return f'that of {column.own}{_doubt(source, column, network)}'


def _doubt(source: Source, column: Column, network: str) -> str:
    """Say where a network has learned too little even at home."""
    error = source.error(f'{network}-{column.own}', column)
    retrieval = source.error('retrieval', column)
    if error is None or retrieval is None or _is_worse(retrieval, error):
        return ''
    return ' (which does not beat retrieval there)'


def hybrid_generalizes(source: Source) -> Iterator[Comparison]:
    """Compare, on scenes not trained on, matches of features with regression from them."""
    for column in source.columns:
        home = source.error(f'nc_5pt-nc_essnet-{column.own}', column) if column.own else None
        for lot in LOTS:
            hybrid = source.error(f'nc_5pt-nc_essnet-{lot}', column)
            regressed = source.error(f'nc_essnet-{lot}', column)
            if lot == column.own or hybrid is None:
                continue
            what = f'features of {lot}: regressed beside matched'
            if regressed is not None:
                yield compared(column.name, what, regressed, hybrid, _is_worse)
            if home is not None:
                what = f'matched: features of {lot} beside those of {column.own}'
                yield compared(column.name, what, hybrid, home, _is_alike)


def features_are_alike(source: Source) -> Iterator[Comparison]:
    """Compare the worst with the best of all features, matched by the same layer."""
    names = [f'nc_5pt-{name}' for name in FEATURES]
    if source.is_pretrained:
        names.append('nc_5pt-initial')
    for column in source.columns:
        known = [source.error(name, column) for name in names]
        errors = [error for error in known if error is not None]
        if len(errors) < 2:
            continue
        worst, best = (
            (select(error[0] for error in errors), select(error[1] for error in errors))
            for select in (max, min)
        )
        what = f'{len(errors)} trainings: largest beside smallest error'
        yield compared(column.name, what, worst, best, _is_alike)


def compared(
    where: str,
    what: str,
    first: PoseError,
    second: PoseError,
    judge: Callable[[PoseError, PoseError], bool],
) -> Comparison:
    """Compare two errors, with both in words."""
    times = factors(first, second)
    text = f'{what}, {format_error(first)} against {format_error(second)}'
    if times is None:
        return Comparison(where, text, None)
    ratios = ' and '.join(f'{each:.{0 if each >= 10 else 1}f}' for each in times)
    return Comparison(where, f'{text}: {ratios} times'.replace('inf', '∞'), judge(first, second))


def factors(first: PoseError, second: PoseError) -> PoseError | None:
    """How many times position and rotation are as large; None where the second has no figure."""
    if not all(math.isfinite(each) and each > 0 for each in second):
        return None
    return first[0] / second[0], first[1] / second[1]


def _is_worse(first: PoseError, second: PoseError) -> bool:
    return first[0] > second[0] and first[1] > second[1]


def _fails(first: PoseError, second: PoseError) -> bool:
    return first[0] >= FAILS * second[0] and first[1] >= FAILS * second[1]


def _is_alike(first: PoseError, second: PoseError) -> bool:
    return first[0] <= ALIKE * second[0] and first[1] <= ALIKE * second[1]


def format_error(error: PoseError | None, *, digits: int = 3) -> str:
    """Write position and rotation; nothing where nothing is known."""
    if error is None:
        return ''
    if not all(map(math.isfinite, error)):
        return 'no pose'
    return f'{error[0]:.{digits}f}/{error[1]:.2f}'


FINDINGS: tuple[Finding[Source], ...] = (
    Finding(
        'a',
        'On the scenes that it was trained on, a regressed essential matrix is less accurate '
        'than SIFT and the 5-point solver.',
        'position and rotation are both worse',
        regression_is_worse,
    ),
    Finding(
        'b',
        'On scenes that it was not trained on, regression fails.',
        f'position and rotation are both at least {FAILS:g} times those of a network trained '
        'there; on unseen scenes of the same kind, of the same network on those trained on',
        regression_fails_elsewhere,
    ),
    Finding(
        'c',
        'Matched instead of regressed from, the same features generalize.',
        'matching is better than regression in position and rotation, and features of other '
        f'scenes are at most {ALIKE:g} times as inaccurate as those of the scenes themselves',
        hybrid_generalizes,
    ),
    Finding(
        'd',
        'Of which training the features come hardly matters.',
        'with the same matching layer, the largest error of all trainings is at most '
        f'{ALIKE:g} times the smallest, in position and rotation',
        features_are_alike,
    ),
)
