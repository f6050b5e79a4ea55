# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Targets beside what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from accuracy import TARGETS as ACCURACY_TARGETS
from accuracy import Target
from calibration import COVERAGES, MEDIANS

__all__ = ['Judged', 'judge']

Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """A figure and its target.

    Attributes:
        what: was measured.
        figure: as text.
        target: as text.
        reached: whether it is.
    """

    what: str
    figure: str
    target: str
    reached: bool

    @property
    def verdict(self) -> str:
        """As a word."""
        return 'reached' if self.reached else '**missed**'


def judge(figures: Figures) -> list[Judged]:
    """Judge all that has been measured.

    Args:
        figures: by name of the part; those that were not measured are not there.
    """
    judged: list[Judged] = []
    for name, values in figures.items():
        for prefix, judge_one in _JUDGES.items():
            if name.startswith(prefix):
                judged += judge_one(name.partition('_')[2], values)
    return judged


def at_most(what: str, value: float | None, limit: float, unit: str = '') -> Judged:
    """Judge a figure that is to be small; one that is not known misses."""
    space = '' if unit in ('', '°') else ' '
    figure = 'not known' if value is None else f'{value:.3g}{space}{unit}'
    target = f'≤ {limit:g}{space}{unit}' if limit else '0'
    return Judged(what, figure, target, value is not None and value <= limit)


def _latency(name: str, values: Figures) -> Iterator[Judged]:
    title = f'{name}, {values["image_size"]}: time of a query over reference'
    yield at_most(f'{title}, p50', values['total_per_reference_p50'], 1.5)
    yield at_most(f'{title}, p95', values['total_per_reference_p95'], 2.5)
    if 'node_overhead_ms_p50' in values and 'node_left_out' not in values:
        yield from _node('raw', values)


def _node(name: str, values: Figures) -> Iterator[Judged]:
    what = f'node overhead, {name} images, p50'
    yield at_most(what, values['node_overhead_ms_p50'], 5.0, 'ms')


def _decoding(_: str, values: Figures) -> Iterator[Judged]:
    name, slowest = max(values.items(), key=lambda item: item[1]['ms_p50'])
    yield at_most(f'decoding 1920x1080, the slowest ({name}), p50', slowest['ms_p50'], 15.0, 'ms')


def _start(_: str, values: Figures) -> Iterator[Judged]:
    yield at_most('`import relloc_ros`', values['import_relloc_ros']['s_p50'], 0.3, 's')
    yield at_most('`relloc --help`', values['relloc_help']['s_p50'], 0.5, 's')
    active = values.get('node_active', {}).get('s_p50')
    yield at_most('node to active with the map of redkitchen', active, 4.0, 's')


def _soak(_: str, values: Figures) -> Iterator[Judged]:
    limits, count = values['limits'], values['images']
    part = values['part']
    for key, what, unit in (
        ('images_lost', 'images lost', ''),
        ('memory_growth_mib', 'memory grown after warm-up', 'MiB'),
        ('open_files_growth', 'open files grown', ''),
        ('threads_growth', 'threads grown', ''),
        ('last_per_first_p50', f'median latency, last {part} over first', ''),
        ('kolmogorov_smirnov', f'Kolmogorov–Smirnov distance, last {part} to first', ''),
    ):
        yield at_most(f'soak of {count} images: {what}', values[key], limits[key], unit)


def _accuracy(_: str, values: Figures) -> Iterator[Judged]:
    for name, figures in values.items():
        if name == 'strangers':
            count = sum(each['queries'] for each in figures.values())
            localized = sum(each['localized'] for each in figures.values())
            if count:
                what = f'images of other places localized, of {count}'
                yield Judged(what, str(localized), '0', localized == 0)
        else:
            yield from _accuracy_of(name, figures['default'], ACCURACY_TARGETS[name])


def _accuracy_of(name: str, found: Figures, target: Target) -> Iterator[Judged]:
    position, rotation = found['median_position_error_m'], found['median_rotation_error_deg']
    yield at_most(f'{name}: median position error', position, target.position, found['units'])
    yield at_most(f'{name}: median rotation error', rotation, target.rotation, '°')
    yield at_least(f'{name}: availability', found['availability'], target.availability)
    if target.recall:
        recall = found['recall']['0.05m_5deg']
        yield at_least(f'{name}: recall within 5 cm, 5°', recall, target.recall)
    if target.far is not None:
        what = f'{name}: errors over {target.far:g} {found["units"]} outside their covariance'
        yield at_most(what, found['far_and_not_covered'], 0)


def at_least(what: str, share: float, limit: float) -> Judged:
    """Judge a share that is to be large."""
    return Judged(what, f'{share:.1%}', f'≥ {limit:.0%}', share >= limit)


def _calibration(_: str, values: Figures) -> Iterator[Judged]:
    for localizer, found in values.get('pooled', {}).items():
        median, coverage = found['median_nees'], found['coverage']
        what = f'calibration, pooled, {localizer}, n = {found["count"]}'
        yield Judged(
            f'{what}: median NEES',
            f'{median:.2f}',
            f'{MEDIANS[0]:g} to {MEDIANS[1]:g}',
            MEDIANS[0] <= median <= MEDIANS[1],
        )
        yield Judged(
            f'{what}: 95 % coverage',
            f'{coverage:.1%}',
            f'{COVERAGES[0]:.0%} to {COVERAGES[1]:.0%}',
            COVERAGES[0] <= coverage <= COVERAGES[1],
        )
    for name, localizers in values.items():
        if name != 'pooled':
            for localizer, found in localizers.items():
                yield _calibration_of(f'calibration, {name}, {localizer}', found, 'line' in name)


def _calibration_of(what: str, found: Figures, is_line: bool) -> Judged:
    low, high = found['binomial_interval_99']
    count = found['count']
    if is_line:
        inside = found['along_line']
        return Judged(
            f'{what}: along the line in the 95 % interval',
            f'{inside} of {count}',
            f'≥ {low}',
            inside >= low,
        )
    inside = found['inside']
    return Judged(
        f'{what}: in the 95 % region',
        f'{inside} of {count}',
        f'{low} to {high}',
        low <= inside <= high,
    )


def _degeneracy(_: str, values: Any) -> Iterator[Judged]:
    verdicts = [each['verdict'] for each in values]
    wrong = verdicts.count('WRONG')
    yield at_most(f'degenerate cases: wrong, of {len(verdicts)} by case and method', wrong, 0)


def _fuzz(name: str, values: Figures) -> Iterator[Judged]:
    verdicts = Counter(each['verdict'] for each in values['cases'])
    accepted = sum(verdicts[verdict] for verdict in ('right', 'other', 'wrong'))
    what = f'fuzz of {name}, {len(values["cases"])} cases, {accepted} poses accepted'
    for verdict, text in (
        ('wrong', 'poses over 5 σ from the truth'),
        ('crash', 'crashes'),
        ('hang', f'answers that took over {values["limit_s"]:g} s'),
        ('memory', 'out of memory'),
    ):
        yield at_most(f'{what}: {text}', verdicts[verdict], 0)


def _listed(_: str, values: Figures) -> Iterator[Judged]:
    """Benchmarks that judge themselves."""
    for each in values.get('targets', ()):
        yield Judged(each['what'], each['figure'], each['target'], each['reached'])


_JUDGES = {
    'latency': _latency,
    'node': _node,
    'decoding': _decoding,
    'start': _start,
    'soak': _soak,
    'accuracy': _accuracy,
    'calibration': _calibration,
    'degeneracy': _degeneracy,
    'acceptance': _listed,
    'fuzz': _fuzz,
}
