# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The option --fail-if of commands that measure: the exit code for continuous integration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from relloc_ros.cli.console import print_error

if TYPE_CHECKING:
    from relloc_ros.evaluation.gates import Gate

__all__ = ['EXIT_FAILED_GATE', 'FailIf', 'apply_gates', 'read_gates']

EXIT_FAILED_GATE = 3

FailIf = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        '--fail-if',
        metavar='CONDITION',
        help='End with exit code 3 if this is so of metrics.json, for example '
        '`recall[0.25m_2deg]<0.9` or `latency_ms.p95>200`. Can be given several times.',
        show_default=False,
    ),
]


def read_gates(conditions: Sequence[str] | None) -> tuple[Gate, ...]:
    """Read conditions before the work begins.

    Raises:
        ConfigError: malformed, or of no metric.
    """
    if not conditions:
        return ()
    from relloc_ros.evaluation.gates import known_metrics, parse_gates

    return parse_gates(conditions, known_metrics())


def apply_gates(gates: Sequence[Gate], metrics: Mapping[str, Any]) -> None:
    """Say a line for each condition that holds and end with exit code 3 if one does."""
    if not gates:
        return
    from relloc_ros.evaluation.gates import check_gates

    failures = check_gates(gates, metrics)
    for failure in failures:
        print_error(f'failed: {failure}')
    if failures:
        raise typer.Exit(EXIT_FAILED_GATE)
