# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps of the study of essential matrices, and what each of them depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from study_methods import LAYER, Method, methods_of
from study_scales import SCALES, Scale
from study_scenes import REAL, UNRELATED, Column, Scene, columns_of, made_scenes, real_scenes
from study_steps import Step, Steps

from relloc_ros.config import TrainingConfig

__all__ = ['REAL_SETS', 'Choice', 'Plan', 'Training']

VALIDATION_PART = 6
"""`relloc train` holds out one image in so many."""
REAL_SETS = ('redkitchen', 'south_building', 'castle_p30')


@dataclass(frozen=True)
class Choice:
    """What the user has chosen, kept in RESULTS/study.json.

    Attributes:
        scale: name of one.
        epochs: most epochs of a training, if others than those of the scale.
        backbone: name of the file that all networks begin with; '' for random weights.
        real: shorter side of the images, pixels, of each real set that takes part.
    """

    scale: str
    epochs: int | None
    backbone: str
    real: Mapping[str, int]


@dataclass(frozen=True)
class Training:
    """A network trained on the maps of a lot of scenes."""

    network: str
    lot: str

    @property
    def name(self) -> str:
        """Of its folder."""
        return f'{self.network}-{self.lot}'


@dataclass(frozen=True)
class Plan(Steps):
    """All steps, in an order in which they can be done."""

    choice: Choice

    @property
    def backbone(self) -> str:
        """Name of the file that networks begin with; '' for random weights."""
        return self.choice.backbone

    @property
    def epochs(self) -> int:
        """Most epochs of a training."""
        return self.scale.epochs

    @cached_property
    def scale(self) -> Scale:
        """Sizes; epochs as chosen."""
        scale = SCALES[self.choice.scale]
        return replace(scale, epochs=self.choice.epochs or scale.epochs)

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes."""
        return (*made_scenes(self.scale), *real_scenes(self.choice.real))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What is tested."""
        return columns_of(self.scenes)

    @cached_property
    def trainings(self) -> tuple[Training, ...]:
        """All trainings; each after those whose weights it begins with."""
        found = [Training('essnet', UNRELATED)]
        for lot in dict.fromkeys(scene.lot for scene in self.scenes if scene.lot):
            if lot != UNRELATED:
                found += [Training('essnet', lot), Training('nc_essnet', lot)]
        # As in the paper, relative poses are regressed for rooms only.
        for network in ('rpr', 'relocnet'):
            found += [Training(network, lot) for lot in ('rooms', UNRELATED)]
        return (*found, Training(*LAYER.split('-')))

    @cached_property
    def methods(self) -> tuple[Method, ...]:
        """All methods, each tested on all scenes that are tested."""
        return methods_of([each.name for each in self.trainings])

    @cached_property
    def steps(self) -> dict[str, Step]:
        """All steps by name."""
        steps = (
            *self._scene_steps(),
            *self._training_steps(),
            self._initial_step(),
            *self._cell_steps(),
        )
        return {step.name: step for step in steps}

    def most_training_steps(self, training: str) -> int | None:
        """Give how many steps a training takes if each image gets all its pairs."""
        lot = next(each.lot for each in self.trainings if training == f'train/{each.name}')
        scenes = [scene for scene in self.scenes if scene.lot == lot]
        if any(scene.kind == REAL for scene in scenes):
            return None
        scale, usual = self.scale, TrainingConfig()
        pairs = int(scale.training.get('pairs_per_image', usual.pairs_per_image))
        batch = int(scale.training.get('batch_size', usual.batch_size))
        images = len(scenes) * (scale.map_images - scale.map_images // VALIDATION_PART)
        return images * pairs // batch * scale.epochs

    def _scene_steps(self) -> Iterator[Step]:
        scale = self.scale
        for scene in self.scenes:
            folder, name = _folder(scene), f'scene/{scene.name}'
            if scene.kind != REAL:
                command = ['relloc', 'synth', '--output', folder, '--scene', scene.kind]
                command += ['--seed', str(scene.seed), '--count', str(scale.map_images)]
                command += ['--queries', str(scale.queries), '--size', scale.size]
                yield Step(name, tuple(command))
            command = ['relloc', 'map', 'build', folder, '--list', f'{folder}/map.txt']
            command += ['--output', f'RESULTS/map/{scene.name}']
            needs = () if scene.kind == REAL else (name,)
            yield Step(f'map/{scene.name}', tuple(command), needs)

    def _training_steps(self) -> Iterator[Step]:
        for training in self.trainings:
            needs = [f'map/{each.name}' for each in self.scenes if each.lot == training.lot]
            command = ['relloc', 'train', training.network]
            command += ['--output', f'RESULTS/train/{training.name}']
            for name in needs:
                command += ['--map', f'RESULTS/{name}']
            for key, value in {**self.scale.network, **self.scale.training}.items():
                command += ['--set', f'{key}={value}']
            if self.choice.backbone:
                command += ['--backbone', 'BACKBONE']
            elif training.name == LAYER:
                # Its features stay as they are, and random ones have little to match by.
                needs.append(f'train/essnet-{UNRELATED}')
                command += ['--backbone', f'RESULTS/{needs[-1]}/best.safetensors']
            limit = ('--set', f'max_epochs={self.scale.epochs}')
            yield Step(f'train/{training.name}', tuple(command), tuple(needs), limit)

    def _initial_step(self) -> Step:
        settings = (f'{key}={value}' for key, value in self.scale.network.items())
        backbone = ('--backbone', 'BACKBONE') if self.choice.backbone else ()
        command = ('study_initial.py', 'RESULTS/initial/features', *settings, *backbone)
        return Step('initial/features', command)

    def _cell_steps(self) -> Iterator[Step]:
        for method in self.methods:
            for scene in self.scenes:
                if scene.lot != UNRELATED:
                    yield self._cell(method, scene)

    def _cell(self, method: Method, scene: Scene) -> Step:
        name, folder = f'cell/{method.name}/{scene.name}', _folder(scene)
        queries = f'RESULTS/queries/{scene.name}' if scene.kind == REAL else f'{folder}/query'
        command = [
            'study_evaluate.py',
            'evaluate',
            folder,
            '--list',
            f'{queries}.txt',
            '--no-report',
        ]
        command += ['--map', f'RESULTS/map/{scene.name}', '--output', f'RESULTS/{name}']
        settings = method.settings(scene.is_indoors, scene.shorter_side, self.scale)
        for key, value in settings.items():
            command += ['--set', f'{key}={value}']
        return Step(name, tuple(command), (f'map/{scene.name}', *method.needs))


def _folder(scene: Scene) -> str:
    return f'DATA/{scene.name}' if scene.kind == REAL else f'RESULTS/scene/{scene.name}'
