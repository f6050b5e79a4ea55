# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of the study of absolute pose regression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from study_apr_scales import SCALES, AprScale
from study_methods import EVERY_QUERY
from study_steps import Step, Steps

__all__ = [
    'DENSE',
    'GENERAL',
    'REACHES',
    'REAL_SETS',
    'SPACINGS',
    'WAYS',
    'AprChoice',
    'AprPlan',
]

SCENE, SEED = 'facade', '3'
SPACINGS, REACHES = ('1', '0.5', '0.25'), ('1', '2', '3')
GENERAL = 'general'
WAYS: Mapping[str, tuple[str, str]] = {
    'line': ('line:10', 'line:8'),
    'lines': ('line:8,12', 'line:10'),
    GENERAL: ('walk', 'walk'),
}
"""Ways of map and queries."""
DENSE: Mapping[str, tuple[str, str]] = {
    f'dense-{reach}-{spacing}': (f'grid:{spacing},{reach}', 'walk')
    for reach in REACHES
    for spacing in SPACINGS
}
"""Those of Sattler et al., CVPR 2019, table 1."""
REAL_SETS: Mapping[str, int] = {'fr1_rpy': 2, 'redkitchen': 5}
"""Of each the window step that makes about a third of a second of its map, as MapNet has it."""

CLASSIC: Mapping[str, Mapping[str, str | int]] = {
    'retrieval': {'localizer': 'retrieval', 'retrieval.interpolation': 'none'},
    'retrieval_affine': {'localizer': 'retrieval', 'retrieval.interpolation': 'affine'},
    'essential': {'localizer': 'essential'},
}
STRUCTURE = 'structure'


@dataclass(frozen=True)
class AprChoice:
    """What the user has chosen, kept in RESULTS/study.json.

    Attributes:
        scale: name of one.
        real: names of the real sets that take part.
    """

    scale: str
    real: tuple[str, ...] = ()


@dataclass(frozen=True)
class AprPlan(Steps):
    """All steps, in an order in which they can be done."""

    choice: AprChoice

    backbone = ''

    @property
    def scale(self) -> AprScale:
        """Sizes."""
        return SCALES[self.choice.scale]

    @property
    def epochs(self) -> int:
        """Most epochs of a training."""
        return int(self.scale.settings['max_epochs'])

    @property
    def methods(self) -> tuple[str, ...]:
        """Of the cells; `structure` has none on grids, as in the paper."""
        return (*self.scale.variants, *CLASSIC, STRUCTURE)

    @cached_property
    def steps(self) -> dict[str, Step]:
        """All steps by name."""
        steps = [step for name, ways in WAYS.items() for step in self._made(name, *ways)]
        steps += [step for name in self.choice.real for step in self._real(name)]
        steps += [step for name, ways in DENSE.items() for step in self._made(name, *ways)]
        return {step.name: step for step in steps}

    def named(self, names: Sequence[str]) -> set[str]:
        """Find steps; the name of an experiment stands for all its steps.

        Raises:
            KeyError: none is named so.
        """
        experiments = {*WAYS, *DENSE, *self.choice.real}
        wanted = {
            step
            for step in self.steps
            for name in experiments.intersection(names)
            if step.endswith((f'/{name}', f'-{name}'))
        }
        others = [name for name in names if name not in experiments]
        return wanted | super().named(others) if others or not names else wanted

    def _made(self, name: str, way: str, query_way: str) -> Iterator[Step]:
        scale, data = self.scale, f'RESULTS/scene/{name}'
        made = ['relloc', 'synth', '--output', data, '--scene', SCENE, '--seed', SEED]
        made += ['--way', way, '--query-way', query_way, '--size', scale.size]
        made += ['--count', str(scale.map_images), '--queries', str(scale.queries)]
        yield Step(f'scene/{name}', tuple(made))
        yield from self._experiment(name, data, f'{data}/query.txt', (f'scene/{name}',))

    def _real(self, name: str) -> Iterator[Step]:
        queries = f'RESULTS/queries/{name}.txt'
        step = {'window_step': REAL_SETS[name]}
        yield from self._experiment(name, f'DATA/{name}', queries, (), step)

    def _experiment(
        self,
        name: str,
        data: str,
        queries: str,
        needs: tuple[str, ...],
        own: Mapping[str, int] | None = None,
    ) -> Iterator[Step]:
        """Build a map, train and analyze networks, and test them and what needs none."""
        reference = f'RESULTS/map/{name}'
        built = ('relloc', 'map', 'build', data, '--list', f'{data}/map.txt')
        yield Step(f'map/{name}', (*built, '--output', reference), needs)
        for variant in self.scale.variants:
            run = f'train/{variant}-{name}'
            command = ['relloc', 'train', 'apr', '--variant', variant, '--map', reference]
            command += ['--output', f'RESULTS/{run}']
            for key, value in {**self.scale.settings, **(own or {})}.items():
                command += ['--set', f'{key}={value}']
            yield Step(run, tuple(command), (f'map/{name}',))
            network = f'RESULTS/{run}/best.safetensors'
            settings = {'localizer': 'apr', 'apr.network': network, 'apr.max_novelty': 0}
            yield _cell(variant, name, data, queries, settings, run)
            command = ['relloc', 'analyze-apr', network, '--map', reference, '--queries', data]
            command += ['--list', queries, '--no-localizer']
            command += ['--output', f'RESULTS/analysis/{variant}-{name}']
            yield Step(f'analysis/{variant}-{name}', tuple(command), (run,))
        for method, values in CLASSIC.items():
            yield _cell(method, name, data, queries, values, f'map/{name}')
        if name not in DENSE:
            points, there = f'points/{name}', f'RESULTS/points/{name}'
            yield Step(points, ('study_points.py', reference, there), (f'map/{name}',))
            yield _cell(STRUCTURE, name, data, queries, {'localizer': STRUCTURE}, points)


def _cell(
    method: str,
    name: str,
    data: str,
    queries: str,
    settings: Mapping[str, str | int],
    need: str,
) -> Step:
    """Test a method with what it needs."""
    step = f'cell/{method}/{name}'
    reference = need if method == STRUCTURE else f'map/{name}'
    command = ['study_evaluate.py', 'evaluate', data, '--list', queries]
    command += ['--no-report', '--map', f'RESULTS/{reference}', '--output', f'RESULTS/{step}']
    for key, value in {**EVERY_QUERY, **settings}.items():
        command += ['--set', f'{key}={value}']
    return Step(step, tuple(command), (need,))
