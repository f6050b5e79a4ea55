# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The text of config/relloc.yaml, written from the schema; a test compares the two.

After a change of the schema: ``python -m relloc_ros.ros.parameter_file > config/relloc.yaml``.
"""

from __future__ import annotations

import sys
import textwrap

import yaml

from relloc_ros.config import (
    LocalizationConfig,
    NodeConfig,
    Parameter,
    TrackingConfig,
    Value,
    parameters,
)

__all__ = ['MUTABILITY', 'node_parameters', 'parameter_file', 'range_text']

HEADER = """\
# All parameters of localization_node with their defaults, made from relloc_ros/config.py.
# Copy what you change into a file of your own and pass that as params_file.
# live: taken at once; reload: taken by the service ~/reload_map or the next activation;
# inactive-only: refused while the node is active; read-only: fixed at start.
/**:
  ros__parameters:
"""

MUTABILITY = {
    'live': 'live',
    'reload': 'reload',
    'inactive': 'inactive-only',
    'read_only': 'read-only',
}

WIDTH = 99


def node_parameters() -> dict[str, Parameter]:
    """List the parameters of the node by name: its own, the tracker's, the localizer's."""
    return parameters(NodeConfig) | parameters(TrackingConfig) | parameters(LocalizationConfig)


def parameter_file() -> str:
    """Write the parameter file: each parameter with its default and a comment above it."""
    lines = []
    blocks: list[str] = []
    for name, parameter in node_parameters().items():
        *new_blocks, leaf = name.split('.')
        if new_blocks != blocks:
            blocks = new_blocks
            lines += [f'{_indent(depth)}{block}:' for depth, block in enumerate(blocks)]
        indent = _indent(len(blocks))
        comment = f'{indent}# '
        lines += textwrap.wrap(
            f'{parameter.description} ({_details(parameter)})',
            WIDTH,
            initial_indent=comment,
            subsequent_indent=comment,
            break_on_hyphens=False,
        )
        lines.append(f'{indent}{leaf}: {_yaml(parameter.default)}')
    return HEADER + '\n'.join(lines) + '\n'


def _indent(depth: int) -> str:
    return ' ' * (4 + 2 * depth)


def _details(parameter: Parameter) -> str:
    details = [parameter.unit, range_text(parameter), ' | '.join(parameter.choices)]
    return '; '.join([*filter(None, details), MUTABILITY[parameter.mutability]])


def range_text(parameter: Parameter) -> str:
    """Write the allowed range as ``low..high``; '' where there is none."""
    if parameter.low is None and parameter.high is None:
        return ''
    low = '' if parameter.low is None else f'{parameter.low:.10g}'
    high = '' if parameter.high is None else f'{parameter.high:.10g}'
    return f'{low}..{high}'


def _yaml(value: Value) -> str:
    style = "'" if isinstance(value, str) else None
    text = yaml.safe_dump(value, default_style=style, default_flow_style=True)
    return str(text).splitlines()[0]


if __name__ == '__main__':
    sys.stdout.write(parameter_file())
