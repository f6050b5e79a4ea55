# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What Sattler et al. found, asked of any figures: ours, and those of the paper itself."""

from __future__ import annotations

from collections.abc import Iterator
import math

from study_apr_figures import NETWORKS, AprSource
from study_apr_plan import DENSE, GENERAL, REACHES, SPACINGS
from study_verdicts import FAILS, Comparison, Finding, compared

from relloc_ros.evaluation.metrics import PoseError

__all__ = ['FINDINGS']

BASELINES = {'retrieval': 'retrieval', 'retrieval_affine': 'retrieval + affine'}
GEOMETRIC = ('structure', 'essential')
LINES = ('line', 'lines')


def stays_where_trained(source: AprSource) -> Iterator[Comparison]:
    """Look how far from the lines of training predictions are, and queries were."""
    for experiment in LINES:
        for method, title in NETWORKS.items():
            known = source.off_training(method, experiment)
            if known is not None:
                predicted, asked = known
                text = f'{title}: predictions {predicted:.2f} m off, queries {asked:.2f} m'
                yield Comparison(experiment, text, FAILS * predicted <= asked)


def more_images_help(source: AprSource) -> Iterator[Comparison]:
    """Compare the finest grids with no grid."""
    for method, title in {**NETWORKS, **BASELINES}.items():
        without = source.error(method, GENERAL)
        for reach in REACHES:
            experiment = f'dense-{reach}-{SPACINGS[-1]}'
            error = source.error(method, experiment)
            if error is not None and without is not None:
                what = f'{title} without a grid beside it with one'
                yield compared(experiment, what, without, error, _is_further_off)


def retrieval_is_not_beaten(source: AprSource) -> Iterator[Comparison]:
    """Count where a network beats both baselines."""
    for group, experiments in source.groups.items():
        for method, title in NETWORKS.items():
            beaten, known = 0, 0
            for experiment in experiments:
                error = source.error(method, experiment)
                others = [source.error(each, experiment) for each in BASELINES]
                if error is None or None in others:
                    continue
                known += 1
                beaten += all(each is not None and _is_better(error, each) for each in others)
            if known:
                text = f'{title} is better than both in {beaten} of {known}'
                yield Comparison(group, text, beaten < known)


def geometry_is_more_accurate(source: AprSource) -> Iterator[Comparison]:
    """Compare networks with methods that use geometry."""
    for experiment, method, title in _cases(source):
        error = source.error(method, experiment)
        for reference in GEOMETRIC:
            other = _reference(source, reference, experiment)
            if error is not None and other is not None:
                what = f'{title} beside `{reference}`'
                yield compared(experiment, what, error, other, _is_far_off)


def nearer_to_retrieval(source: AprSource) -> Iterator[Comparison]:
    """Compare how many times networks differ from retrieval, and from structure."""
    for experiment, method, title in _cases(source):
        error = source.error(method, experiment)
        structure = _reference(source, 'structure', experiment)
        found = [source.error(each, experiment) for each in BASELINES]
        baselines = [each[0] for each in found if each is not None]
        if error is None or structure is None or not baselines:
            continue
        best, position = min(baselines), error[0]
        if not all(math.isfinite(each) and each > 0 for each in (best, position, structure[0])):
            yield Comparison(experiment, f'{title}: too many queries have no pose', None)
            continue
        apart, beside = _times(position, structure[0]), _times(position, best)
        text = f'{title}: {apart:.1f} times apart from structure, {beside:.1f} from retrieval'
        yield Comparison(experiment, text, beside < apart)


def _cases(source: AprSource) -> Iterator[tuple[str, str, str]]:
    for experiments in source.groups.values():
        for experiment in experiments:
            for method, title in NETWORKS.items():
                yield experiment, method, title


def _reference(source: AprSource, method: str, experiment: str) -> PoseError | None:
    """Errors of a geometric method; on grids without the grid, as in the paper."""
    return source.error(method, GENERAL if experiment in DENSE else experiment)


def _times(first: float, second: float) -> float:
    return max(first, second) / min(first, second)


def _is_further_off(first: PoseError, second: PoseError) -> bool:
    return first[0] > second[0]


def _is_better(first: PoseError, second: PoseError) -> bool:
    return first[0] < second[0] and first[1] < second[1]


def _is_far_off(first: PoseError, second: PoseError) -> bool:
    return first[0] >= FAILS * second[0]


FINDINGS: tuple[Finding[AprSource], ...] = (
    Finding(
        'a',
        'Trained along a line or two parallel ones, networks predict poses along these lines, '
        'wherever the images were taken.',
        'in the median, predictions are at most half as far from the nearest training position as '
        'the queries truly are',
        stays_where_trained,
    ),
    Finding(
        'b',
        'Images on a dense grid around the training trajectory make networks and retrieval more '
        'accurate.',
        f'with a grid every {SPACINGS[-1]} m, the position error is smaller than without one',
        more_images_help,
    ),
    Finding(
        'c',
        'No network consistently outperforms image retrieval.',
        'a network is not better everywhere, in position and rotation, than retrieval with and '
        'without interpolation',
        retrieval_is_not_beaten,
    ),
    Finding(
        'd',
        'Methods that use geometry are far more accurate, also than networks with dense training '
        'images.',
        f'the position error of a network is at least {FAILS:g} times that of the other; on grids '
        'the other has the images without the grid, as in the paper',
        geometry_is_more_accurate,
    ),
    Finding(
        'e',
        'Networks are closer to retrieval than to structure.',
        'the position errors of network and the better retrieval are fewer times apart than those '
        'of network and structure',
        nearer_to_retrieval,
    ),
)
