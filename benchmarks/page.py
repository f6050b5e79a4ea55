# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page docs/benchmarks.md, made of what `run.py` has kept; nothing is measured.

python benchmarks/page.py RESULTS --output docs/benchmarks.md
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
import shutil
from typing import Annotated, Any

from judging import Judged, judge
from parts import PARTS
from profiles import table as profile_table
from record import Record, read_figures, read_record
from speed_tables import node_table, peer_table, query_table, row, stage_table
import typer

TEMPLATE = 'page.md.jinja'
PICTURE = 'soak.png'
SPARE_LOAD = 0.5
NODE_PARTS = ('decoding', 'start', 'node_compressed', 'latency_redkitchen')


def main(
    results: Annotated[Path, typer.Argument(help='What run.py has kept.', exists=True)],
    output: Annotated[Path, typer.Option(help='Page to write.')],
) -> None:
    """Write the page."""
    write_page(results, output)


def write_page(results: Path, output: Path) -> None:
    """Write the page and its picture.

    Args:
        results: folder of figures and records.
        output: Markdown file; the picture goes into `images` beside it.
    """
    records = [
        record
        for part in PARTS
        if (record := read_record(results, part.name)) is not None and record.outcome != 'running'
    ]
    figures = {
        record.name: read_figures(results, record.name) for record in records if record.is_measured
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    if 'soak' in figures and (results / PICTURE).exists():
        (output.parent / 'images').mkdir(exist_ok=True)
        shutil.copyfile(results / PICTURE, output.parent / 'images' / PICTURE)
    output.write_text(make_page(records, figures), encoding='utf-8')


def fill(template: str, **values: Any) -> str:
    """Write Markdown by a template beside this file."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)


def make_page(records: Sequence[Record], figures: Mapping[str, Any]) -> str:
    """Write Markdown.

    Args:
        records: of the parts, in their order.
        figures: of those that were measured, by name.
    """
    measured = [record for record in records if record.is_measured]
    latency, profiles = (_by_set(figures, prefix) for prefix in ('latency_', 'profiles_'))
    judged = judge(figures)
    return fill(
        TEMPLATE,
        is_quick=any(record.quick for record in measured),
        machines=_machines(measured),
        busy=[record.name for record in measured if _was_busy(record)],
        missed=sum(not each.reached for each in judged),
        judged=judged,
        targets=_table(_judged_table(judged)),
        queries=_table(query_table(latency)) if latency else '',
        stages=_table(stage_table(latency)) if latency else '',
        peers=_table(peer_table(latency)) if latency else '',
        profiles=_table(profile_table(profiles)) if profiles else '',
        node=_table(node_table(figures)) if _is_known(figures, NODE_PARTS) else '',
        soak=figures.get('soak'),
        verdicts=_verdicts(figures.get('degeneracy')),
        runs=_table(_run_table(records)),
    )


def _is_known(figures: Mapping[str, Any], parts: Sequence[str]) -> bool:
    return any(part in figures for part in parts)


def _by_set(figures: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        name.removeprefix(prefix): values
        for name, values in figures.items()
        if name.startswith(prefix)
    }


def _table(lines: Sequence[str]) -> str:
    return '\n'.join(lines)


def _machines(records: Sequence[Record]) -> list[str]:
    """Say where it was measured: one line, if all parts ran on one machine."""
    return list(dict.fromkeys(describe_machine(record.machine) for record in records))


def describe_machine(machine: Mapping[str, Any]) -> str:
    """Say what a record tells of its machine."""
    parts = (
        machine['processor'],
        f'{machine["usable_cores"]} cores',
        f'{machine["memory_gib"]} GiB of memory',
        f'Python {machine["python"]}',
        f'numpy {machine["numpy"]}',
        f'OpenCV {machine["opencv"]} with {machine["opencv_threads"]} threads',
        *(f'{name} {text}' for name, text in machine['versions'].items()),
        f'matching {machine["matching"]}',
    )
    return ', '.join(parts)


def _was_busy(record: Record) -> bool:
    """Whether others wanted the cores: a part before alone makes no load beyond them."""
    return record.load_before > record.machine['usable_cores'] + SPARE_LOAD


def _judged_table(judged: Sequence[Judged]) -> list[str]:
    lines = ['| what | figure | target | |', '|---|---|---|---|']
    return lines + [row([each.what, each.figure, each.target, each.verdict]) for each in judged]


def _verdicts(outcomes: Sequence[Mapping[str, Any]] | None) -> str:
    if not outcomes:
        return ''
    counts = Counter(outcome['verdict'] for outcome in outcomes)
    return ', '.join(f'{verdict} {count}' for verdict, count in counts.most_common())


def _run_table(records: Sequence[Record]) -> list[str]:
    lines = [
        '| part | outcome | took | load before | load after | begun (UTC) | revision | command |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for record in records:
        command = f'`python benchmarks/{" ".join(record.command)}`'
        outcome = record.outcome if record.is_measured else f'{record.outcome}: {record.reason}'
        cells = [record.name, outcome, *[''] * 5, command]
        if record.outcome != 'left out':
            cells[2:7] = [
                _duration(record.seconds),
                f'{record.load_before:.1f}',
                f'{record.load_after:.1f}',
                record.date.removesuffix('+00:00').replace('T', ' '),
                record.revision,
            ]
        lines.append(row(cells))
    return lines


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f'{minutes} min {rest:02} s' if minutes else f'{rest} s'


if __name__ == '__main__':
    typer.run(main)
