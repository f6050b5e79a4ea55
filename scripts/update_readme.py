# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the table of parameters into README.md from the schema; a test compares the two."""

from __future__ import annotations

from pathlib import Path
import re

from relloc_ros.config import Parameter
from relloc_ros.ros.parameter_file import node_parameters

README = Path(__file__).resolve().parent.parent / 'README.md'
START, END = '<!-- parameters -->\n', '<!-- end of parameters -->'


def parameter_table() -> str:
    """Give the table in Markdown."""
    lines = ['| name | default | unit | meaning |', '|---|---|---|---|']
    lines += [_row(parameter) for parameter in node_parameters().values()]
    return '\n'.join(lines) + '\n'


def with_table(text: str) -> str:
    """Put the table between its marks."""
    pattern = re.escape(START) + '.*?' + re.escape(END)
    return re.sub(pattern, lambda _: START + parameter_table() + END, text, flags=re.DOTALL)


def _row(parameter: Parameter) -> str:
    default = str(parameter.default).lower() if parameter.type is bool else parameter.default
    choices = ''.join(f' `{choice}`' for choice in parameter.choices)
    meaning = parameter.description + (f' One of{choices}.' if choices else '')
    shown = 'empty' if default in ('', ['']) else f'`{default}`'
    return f'| `{parameter.name}` | {shown} | {parameter.unit} | {meaning} |'


if __name__ == '__main__':
    README.write_text(with_table(README.read_text()))
