# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of parameters from the schema; a test compares texts and schema.

README.md says what each means, docs/ros.md also the range and when a change is taken.
"""

from __future__ import annotations

from pathlib import Path
import re

from relloc_ros.config import Parameter
from relloc_ros.ros.parameter_file import MUTABILITY, node_parameters, range_text

ROOT = Path(__file__).resolve().parent.parent
START, END = '<!-- parameters -->\n', '<!-- end of parameters -->'


def with_table(text: str, *, complete: bool = False) -> str:
    """Put the table between its marks.

    Args:
        text: Markdown with the two marks.
        complete: with range and mutability.
    """
    head = ['name', 'default', 'unit', *(['range', 'change'] if complete else []), 'meaning']
    rows = [_row(parameter, complete) for parameter in node_parameters().values()]
    lines = [head, ['---'] * len(head), *rows]
    table = ''.join(f'| {" | ".join(line)} |\n' for line in lines)
    pattern = re.escape(START) + '.*?' + re.escape(END)
    return re.sub(pattern, lambda _: START + table + END, text, flags=re.DOTALL)


def _row(parameter: Parameter, complete: bool) -> list[str]:
    default = str(parameter.default).lower() if parameter.type is bool else parameter.default
    choices = ''.join(f' `{choice}`' for choice in parameter.choices)
    meaning = parameter.description + (f' One of{choices}.' if choices else '')
    shown = 'empty' if default in ('', ['']) else f'`{default}`'
    more = [range_text(parameter), MUTABILITY[parameter.mutability]] if complete else []
    return [f'`{parameter.name}`', shown, parameter.unit, *more, meaning]


if __name__ == '__main__':
    for name in ('README.md', 'docs/ros.md'):
        path = ROOT / name
        path.write_text(with_table(path.read_text(), complete=name != 'README.md'))
