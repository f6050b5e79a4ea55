# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of the study of absolute pose regression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from study_methods import EVERY_QUERY
from study_steps import Step, Steps

__all__ = ['EXPERIMENTS', 'SCALES', 'AprPlan', 'AprScale']

SCENE, SEED = 'facade', '3'
SPACINGS, REACHES = ('1', '0.5', '0.25'), ('1', '2', '3')
EXPERIMENTS: Mapping[str, tuple[str, str]] = {
    'line': ('line:10', 'line:8'),
    'lines': ('line:8,12', 'line:10'),
    'general': ('walk', 'walk'),
    **{
        f'dense-{reach}-{spacing}': (f'grid:{spacing},{reach}', 'walk')
        for reach in REACHES
        for spacing in SPACINGS
    },
}
"""Ways of map and queries. `dense` are those of Sattler et al., CVPR 2019, table 1."""

CLASSIC: Mapping[str, Mapping[str, str | int]] = {
    'retrieval': {'localizer': 'retrieval', 'retrieval.interpolation': 'none'},
    'retrieval_affine': {'localizer': 'retrieval', 'retrieval.interpolation': 'affine'},
    'essential': {'localizer': 'essential'},
}


@dataclass(frozen=True)
class AprScale:
    """Sizes.

    Attributes:
        what: in words.
        size: of the images, pixels.
        map_images: of a way, without those of a grid.
        queries: of a way.
        variants: that are trained.
        settings: of networks and trainings.
    """

    what: str
    size: str
    map_images: int
    queries: int
    variants: tuple[str, ...]
    settings: Mapping[str, str | int | float]


SMALL: Mapping[str, str | int | float] = {
    'backbone': 'small',
    'shorter_side': 104,
    'crop': 96,
    'embedding_size': 256,
    'learning_rate': 0.001,
    'reading_threads': 1,
    # The default is for video; a way has two images a second.
    'window_step': 1,
}
SCALES: Mapping[str, AprScale] = {
    'tiny': AprScale(
        'a test of the study itself, whose figures mean nothing',
        '128x96',
        24,
        4,
        ('posenet_learned', 'mapnet'),
        {**SMALL, 'embedding_size': 32, 'batch_size': 8, 'max_epochs': 2},
    ),
    'cpu': AprScale(
        'for the cores of a laptop',
        '192x144',
        200,
        40,
        ('posenet_learned', 'mapnet'),
        {**SMALL, 'max_epochs': 160, 'patience': 160},
    ),
}


@dataclass(frozen=True)
class AprPlan(Steps):
    """All steps, in an order in which they can be done."""

    scale_name: str

    backbone = ''

    @property
    def scale(self) -> AprScale:
        """Sizes."""
        return SCALES[self.scale_name]

    @property
    def methods(self) -> tuple[str, ...]:
        """Of the cells; each is tested in all experiments."""
        return (*self.scale.variants, *CLASSIC)

    @cached_property
    def steps(self) -> dict[str, Step]:
        """All steps by name."""
        steps = [step for name in EXPERIMENTS for step in self._steps_of(name)]
        return {step.name: step for step in steps}

    def _steps_of(self, name: str) -> Iterator[Step]:
        scale, (way, query_way) = self.scale, EXPERIMENTS[name]
        data, reference = f'RESULTS/scene/{name}', f'RESULTS/map/{name}'
        made = ['relloc', 'synth', '--output', data, '--scene', SCENE, '--seed', SEED]
        made += ['--way', way, '--query-way', query_way, '--size', scale.size]
        made += ['--count', str(scale.map_images), '--queries', str(scale.queries)]
        yield Step(f'scene/{name}', tuple(made))
        built = ('relloc', 'map', 'build', data, '--list', f'{data}/map.txt')
        yield Step(f'map/{name}', (*built, '--output', reference), (f'scene/{name}',))
        for variant in scale.variants:
            run = f'train/{variant}-{name}'
            command = ['relloc', 'train', 'apr', '--variant', variant, '--map', reference]
            command += ['--output', f'RESULTS/{run}']
            for key, value in scale.settings.items():
                command += ['--set', f'{key}={value}']
            yield Step(run, tuple(command), (f'map/{name}',))
            network = f'RESULTS/{run}/best.safetensors'
            settings = {'localizer': 'apr', 'apr.network': network, 'apr.max_novelty': 0}
            yield self._cell(variant, name, settings, run)
            command = ['relloc', 'analyze-apr', network, '--map', reference, '--queries', data]
            command += ['--list', f'{data}/query.txt', '--no-localizer']
            command += ['--output', f'RESULTS/analysis/{variant}-{name}']
            yield Step(f'analysis/{variant}-{name}', tuple(command), (run,))
        for method, values in CLASSIC.items():
            yield self._cell(method, name, values, f'map/{name}')

    def _cell(self, method: str, name: str, settings: Mapping[str, str | int], need: str) -> Step:
        data, step = f'RESULTS/scene/{name}', f'cell/{method}/{name}'
        command = ['study_evaluate.py', 'evaluate', data, '--list', f'{data}/query.txt']
        command += ['--no-report', '--map', f'RESULTS/map/{name}', '--output', f'RESULTS/{step}']
        for key, value in {**EVERY_QUERY, **settings}.items():
            command += ['--set', f'{key}={value}']
        return Step(step, tuple(command), (need,))
