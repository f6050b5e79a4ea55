# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of the run of a part beside its figures: when, of which code, on which machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
import hashlib
from importlib.metadata import PackageNotFoundError, version
import json
import os
from pathlib import Path
import subprocess
import time
from typing import Any

from hard_queries import SETS
from parts import Places
from stopwatch import machine
import yaml

__all__ = ['Record', 'fingerprint', 'read_figures', 'read_record', 'write_record']

HERE = Path(__file__).parent
ROOT = HERE.parent
PACKAGES = ('pycolmap', 'poselib', 'scipy', 'torch', 'rclpy')


@dataclass(frozen=True)
class Record:
    """Of one part.

    Attributes:
        name: of the part.
        command: script and arguments, with DATA, MAPS and RESULTS for the folders.
        fingerprint: of code, command and maps.
        outcome: running, measured, failed or left out.
        reason: why it failed or was left out.
        quick: an impression only.
        date: when it began, UTC.
        revision: of the code.
        load_before: load average of the last minute when it began.
        load_after: when it had ended.
        seconds: that it took.
        machine: on which, and with which versions.
    """

    name: str
    command: list[str]
    fingerprint: str
    outcome: str
    reason: str = ''
    quick: bool = False
    date: str = ''
    revision: str = ''
    load_before: float = 0.0
    load_after: float = 0.0
    seconds: float = 0.0
    machine: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def start(name: str, command: list[str], mark: str, *, quick: bool) -> Record:
        """Begin a record."""
        return Record(
            name,
            command,
            mark,
            'running',
            quick=quick,
            date=datetime.now(timezone.utc).isoformat(timespec='seconds'),
            revision=_revision(),
            load_before=os.getloadavg()[0],
            seconds=-time.monotonic(),
            machine={**machine(), **_memory(), 'versions': _versions()},
        )

    def end(self, outcome: str, reason: str) -> Record:
        """Complete what `start` has begun."""
        return replace(
            self,
            outcome=outcome,
            reason=reason,
            load_after=os.getloadavg()[0],
            seconds=round(self.seconds + time.monotonic(), 1),
        )

    @property
    def is_measured(self) -> bool:
        """Whether there are figures."""
        return self.outcome == 'measured'


def read_record(results: Path, name: str) -> Record | None:
    """Read the record of a part, if there is one."""
    file = results / f'{name}.run.json'
    return Record(**json.loads(file.read_text('utf-8'))) if file.exists() else None


def write_record(results: Path, record: Record) -> None:
    """Write the record of a part."""
    text = json.dumps(asdict(record), indent=2) + '\n'
    (results / f'{record.name}.run.json').write_text(text, 'utf-8')


def read_figures(results: Path, name: str) -> Any:
    """Read the figures of a part; None if it has not been measured."""
    record = read_record(results, name)
    if record is None or not record.is_measured:
        return None
    return json.loads((results / f'{name}.json').read_text('utf-8'))


def fingerprint(command: Sequence[str], places: Places, sets: Sequence[str]) -> str:
    """Digest what figures depend on: package, settings, script, arguments, maps.

    Args:
        command: script and arguments.
        places: of the maps.
        sets: whose maps are used; by default all.
    """
    digest = hashlib.sha256(' '.join(command).encode())
    for file in sorted({*_sources(), *_scripts(HERE / command[0])}):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    for name in sets or SETS:
        file = places.maps / name / 'map.yaml'
        if file.exists():
            digest.update(_without_dates(file).encode())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    yield from (ROOT / 'relloc_ros').rglob('*.py')
    yield from (ROOT / 'config').iterdir()


def _scripts(script: Path) -> set[Path]:
    """A script, and what it imports of this folder."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file in found or not file.exists():
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text('utf-8'))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                waiting.append(HERE / f'{node.module}.py')
    return found


def _without_dates(file: Path) -> str:
    content = yaml.safe_load(file.read_text('utf-8'))
    for each in (content, *content.get('calibrations', ())):
        each.pop('created', None)
    return json.dumps(content, sort_keys=True, default=str)


def _revision() -> str:
    """The commit, with + if the code differs from it; empty without git."""
    try:
        commit, changes = (
            subprocess.run(
                ['git', *arguments], cwd=ROOT, check=True, capture_output=True, text=True
            ).stdout.strip()
            for arguments in (
                ('rev-parse', '--short', 'HEAD'),
                ('status', '--porcelain', '--untracked-files=no', 'relloc_ros', 'benchmarks'),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return ''
    return commit + ('+' if changes else '')


def _memory() -> dict[str, int]:
    return {'memory_gib': round(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30)}


def _versions() -> dict[str, str]:
    """Versions of what is installed."""
    versions = {'ROS_DISTRO': os.environ.get('ROS_DISTRO', '')}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {name: text for name, text in versions.items() if text}
