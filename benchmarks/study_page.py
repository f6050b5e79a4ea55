# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page docs/study_essential.md, made of raw outputs; nothing is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from page import fill
from speed_tables import row
from study_document import about, describe_findings, machines_of
from study_figures import Ours, Published
from study_plan import Plan
from study_scenes import REAL, UNRELATED, Scene
from study_tables import (
    answers_table,
    features_table,
    generalization_table,
    state_of_the_art_table,
)
from study_trainings import TrainingResult, read_trainings
from study_verdicts import FINDINGS

__all__ = ['make_page', 'write_page']

TEMPLATE = 'study_essential.md.jinja'


def write_page(plan: Plan, results: Path, output: Path) -> None:
    """Write the page.

    Args:
        plan: of the study.
        results: raw outputs.
        output: Markdown file.

    Raises:
        DataError: a raw output is damaged.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(make_page(plan, results), encoding='utf-8')


def make_page(plan: Plan, results: Path) -> str:
    """Write Markdown."""
    ours = Ours(plan, results)
    trainings = read_trainings(plan, results)
    machines = [
        *(record.machine for record in ours.records),
        *(each.machine for each in trainings),
    ]
    return fill(
        TEMPLATE,
        **about(ours),
        scale=plan.choice.scale,
        what=plan.scale.what,
        machines=machines_of(machines),
        findings=describe_findings(FINDINGS, ours, Published()),
        table_2='\n'.join(state_of_the_art_table(ours)),
        table_3='\n'.join(generalization_table(ours)),
        table_4='\n'.join(features_table(ours)),
        answers='\n'.join(answers_table(ours, [each.name for each in plan.methods])),
        is_pretrained=ours.is_pretrained,
        scenes='\n'.join(_scene_table(plan)),
        trainings='\n'.join(_training_table(plan, trainings)) if trainings else '',
        unfinished=[f'{each.network} of {each.lot}' for each in trainings if not each.is_done],
        network_side=plan.scale.network_side,
        regressed_angle_deg=plan.scale.regressed_angle_deg,
    )


def _scene_table(plan: Plan) -> list[str]:
    scale = plan.scale
    lines = ['| scene | kind | seed | map images | queries | size | networks |', '|---' * 7 + '|']
    for scene in plan.scenes:
        is_real, is_tested = scene.kind == REAL, scene.lot != UNRELATED
        cells = [scene.name, scene.kind, '' if is_real else str(scene.seed)]
        cells += ['all of map.txt'] if is_real else [str(scale.map_images)]
        queries = f'{"at most " if is_real else ""}{scale.queries}' if is_tested else ''
        cells += [queries, f'{scene.shorter_side} px the shorter side' if is_real else scale.size]
        lines.append(row([*cells, _role(scene)]))
    return lines


def _role(scene: Scene) -> str:
    if scene.lot == UNRELATED:
        return 'trained on, not tested'
    return f'trained on (`{scene.lot}`) and tested' if scene.lot else 'tested only'


def _training_table(plan: Plan, trainings: Sequence[TrainingResult]) -> list[str]:
    lines = [
        '| network | trained on | begun with | backbone | shorter side, crop | batch | precision '
        '| learning rate | pairs | steps | epochs | best | took |',
        '|---' * 13 + '|',
    ]
    for each in trainings:
        settings = each.settings
        lines.append(
            row(
                [
                    *(each.network, each.lot, each.begun_with),
                    f'{settings["backbone"]}, {settings["last_stage"]} stages',
                    f'{settings["shorter_side"]}, {settings["crop"]} px',
                    *(str(settings['batch_size']), settings['precision']),
                    f'{settings["learning_rate"]:g}',
                    *(str(each.pairs), str(each.steps)),
                    f'{each.epochs} of at most {max(plan.scale.epochs, each.epochs)}',
                    *(str(each.best_epoch), _duration(each.seconds)),
                ]
            )
        )
    return lines


def _duration(seconds: float) -> str:
    return f'{seconds:.0f} s' if seconds < 120 else f'{seconds / 60:.0f} min'
