# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Steps of a study, what each of them depends on, and whether it has been done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
import hashlib
from pathlib import Path

from record import Record, read_record

__all__ = ['Step', 'Steps', 'valid_record']


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: sort/thing, also that of its folder in RESULTS.
        command: with RESULTS, DATA and BACKBONE for what may lie elsewhere.
        needs: names of the steps before it.
        limit: further arguments, which may change without a new beginning.
    """

    name: str
    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()

    @property
    def sort(self) -> str:
        """`scene`, `map`, `points`, `train`, `initial`, `cell` or `analysis`."""
        return self.name.partition('/')[0]

    @property
    def wants_data(self) -> bool:
        """Whether it reads a real set."""
        return any(part.startswith('DATA/') for part in self.command)


class Steps(ABC):
    """All steps of a study, in an order in which they can be done."""

    @property
    @abstractmethod
    def steps(self) -> dict[str, Step]:
        """All steps by name."""

    @property
    @abstractmethod
    def backbone(self) -> str:
        """Name of the file that networks begin with; '' for random weights."""

    @property
    @abstractmethod
    def epochs(self) -> int:
        """Most epochs of a training."""

    def most_training_steps(self, training: str) -> int | None:
        """Give how many steps a training takes at most; None if its images tell."""
        return None

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Of each step what it begins with and what it ends with, joined by a dash.

        Steps of the same first part differ in how far they go, themselves or those they need.
        """
        found: dict[str, str] = {}
        for step in self.steps.values():
            parts = [found[name].split('-') for name in step.needs]
            backbone = self.backbone if 'BACKBONE' in step.command else ''
            begun = _digest(*step.command, backbone, *(part[0] for part in parts))
            ended = _digest(begun, *step.limit, *(part[1] for part in parts))
            found[step.name] = f'{begun}-{ended}'
        return found

    def named(self, names: Sequence[str]) -> set[str]:
        """Find the steps whose names begin so, with or without their sort; all without names.

        Raises:
            KeyError: none does.
        """
        if not names:
            return set(self.steps)
        wanted: set[str] = set()
        for name in names:
            found = {
                step
                for step in self.steps
                if step.startswith(name) or step.partition('/')[2].startswith(name)
            }
            if not found:
                raise KeyError(name)
            wanted |= found
        return wanted

    def with_needs(self, names: set[str]) -> list[Step]:
        """Give these steps and all that they need, in order."""
        wanted = set(names)
        for step in reversed(self.steps.values()):
            if step.name in wanted:
                wanted.update(step.needs)
        return [step for step in self.steps.values() if step.name in wanted]


def valid_record(plan: Steps, results: Path, step: str) -> Record | None:
    """Give the record of a step that was done as the plan wants it."""
    record = read_record(results, step)
    if record is None or not record.is_measured:
        return None
    return record if record.fingerprint == plan.fingerprints[step] else None


def _digest(*parts: str) -> str:
    return hashlib.sha256('\0'.join(parts).encode()).hexdigest()[:12]
