# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page docs/study_apr.md and its figures, made of raw outputs; nothing is measured."""

from __future__ import annotations

from pathlib import Path

from page import fill
from record import read_record
from study_apr_drawing import draw_ways
from study_apr_figures import AprPublished, OursApr
from study_apr_plan import AprPlan
from study_apr_tables import (
    dense_table,
    off_training_table,
    published_dense_table,
    real_table,
    statements_table,
    ways_table,
)
from study_apr_verdicts import FINDINGS
from study_document import about, describe_findings, machines_of
from study_steps import valid_record

__all__ = ['write_page']

TEMPLATE = 'study_apr.md.jinja'
IMAGES = 'images'


def write_page(plan: AprPlan, results: Path, output: Path) -> None:
    """Write the page, and figures into a folder of its name in `images` beside it.

    Args:
        plan: of the study.
        results: raw outputs.
        output: Markdown file.

    Raises:
        DataError: a raw output is damaged.
        MapError: a map is.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    ours = OursApr(plan, results)
    pictures = [
        {
            'link': each.file.relative_to(output.parent).as_posix(),
            'alt': f'Training positions, queries and estimates from above. {each.text}',
            'title': each.title,
            'text': each.text,
        }
        for each in draw_ways(ours, output.parent / IMAGES / output.stem)
    ]
    scale = plan.scale
    text = fill(
        TEMPLATE,
        **about(ours),
        scale=plan.choice.scale,
        what=scale.what,
        size=scale.size,
        map_images=scale.map_images,
        most_queries=scale.queries,
        settings=', '.join(f'`{key}: {value}`' for key, value in scale.settings.items()),
        machines=machines_of(record.machine for record in ours.records),
        findings=describe_findings(FINDINGS, ours, AprPublished()),
        ways='\n'.join(ways_table(plan, results, ours)),
        off_training='\n'.join(off_training_table(plan, ours)),
        statements='\n'.join(statements_table(plan, results)),
        dense='\n'.join(dense_table(plan, results, ours)),
        dense_published='\n'.join(published_dense_table(plan)),
        real=list(plan.choice.real),
        real_table='\n'.join(real_table(plan, ours)),
        pictures=pictures,
        unfinished=_unfinished(plan, results),
    )
    output.write_text(text, 'utf-8')


def _unfinished(plan: AprPlan, results: Path) -> list[str]:
    """Name the trainings that were begun and have not ended as the plan wants them."""
    trainings = (step.name for step in plan.steps.values() if step.sort == 'train')
    return [
        name.partition('/')[2]
        for name in trainings
        if read_record(results, name) is not None and valid_record(plan, results, name) is None
    ]
