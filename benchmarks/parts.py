# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parts of `run.py`: which benchmark, with which arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ['PARTS', 'Part', 'Places', 'find_parts']


@dataclass(frozen=True)
class Places:
    """Where things lie.

    Attributes:
        data: a folder for each set.
        maps: a folder for each set's map.
        results: what the parts write.
    """

    data: Path
    maps: Path
    results: Path

    def fill(self, argument: str) -> str:
        """Put folders in the place of the names that stand for them: DATA/redkitchen/images."""
        name, slash, rest = argument.partition('/')
        folder = {'DATA': self.data, 'MAPS': self.maps, 'RESULTS': self.results}.get(name)
        return argument if folder is None else f'{folder}{slash}{rest}'


@dataclass(frozen=True)
class Part:
    """A benchmark.

    Attributes:
        name: of its files, and for `--only`.
        arguments: script and arguments; DATA, MAPS and RESULTS stand for folders.
        quick: arguments added to get an impression.
        sets: that DATA has to have.
        needs_ros: whether it starts the node.
    """

    name: str
    arguments: tuple[str, ...]
    quick: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    needs_ros: bool = False

    def command(self, *, quick: bool) -> list[str]:
        """Give script and arguments as one would type them."""
        output = ('--json', f'RESULTS/{self.name}.json')
        return [*self.arguments, *output, *(self.quick if quick else ())]


def _queries(script: str, name: str, *arguments: str) -> tuple[str, ...]:
    return (
        *(script, '--map', f'MAPS/{name}', '--images', f'DATA/{name}/images'),
        *('--list', f'DATA/{name}/query.txt', *arguments),
    )


def _fuzz(name: str) -> Part:
    arguments = ('fuzz.py', 'DATA', '--maps', 'MAPS', '--set', name)
    return Part(f'fuzz_{name}', arguments, ('--cases', '60'), (name,))


def _acceptance(localizer: str) -> Part:
    name = f'acceptance_{localizer}'
    answers = f'RESULTS/{name}_answers'
    return Part(
        name,
        (
            *('acceptance.py', 'DATA', '--maps', 'MAPS', '--results', answers),
            *('--localizer', localizer),
        ),
        ('--only', SMALL, '--limit', '20'),
    )


SMALL, INDOORS, OUTDOORS = 'fr3_office', 'redkitchen', 'castle_p30'
FEW_QUERIES = ('--count', '6')

PARTS = (
    Part('decoding', ('decoding.py',)),
    Part('start', ('startup.py', '--map', f'MAPS/{INDOORS}'), sets=(INDOORS,), needs_ros=True),
    Part(
        f'latency_{INDOORS}',
        _queries('latency.py', INDOORS, '--no-start'),
        FEW_QUERIES,
        (INDOORS,),
    ),
    Part(
        f'latency_{OUTDOORS}',
        _queries('latency.py', OUTDOORS, '--no-start', '--no-node'),
        FEW_QUERIES,
        (OUTDOORS,),
    ),
    Part(f'profiles_{INDOORS}', _queries('profiles.py', INDOORS), FEW_QUERIES, (INDOORS,)),
    Part(f'profiles_{OUTDOORS}', _queries('profiles.py', OUTDOORS), FEW_QUERIES, (OUTDOORS,)),
    Part(
        'node_compressed',
        _queries('node_overhead.py', INDOORS, '--compressed'),
        ('--count', '20'),
        (INDOORS,),
        needs_ros=True,
    ),
    Part(
        'soak',
        _queries('soak.py', SMALL, '--picture', 'RESULTS/soak.png'),
        ('--count', '400'),
        (SMALL,),
        needs_ros=True,
    ),
    Part('accuracy', ('accuracy.py', 'DATA', '--maps', 'MAPS'), ('--only', SMALL)),
    Part('calibration', ('calibration.py', 'DATA', '--maps', 'MAPS'), ('--only', SMALL)),
    Part(
        'degeneracy',
        ('degeneracy.py', 'DATA', '--maps', 'MAPS'),
        ('--queries', '3', '--only', 'line'),
    ),
    *(_acceptance(localizer) for localizer in ('essential', 'structure')),
    *(_fuzz(name) for name in (SMALL, 'redkitchen')),
)
"""In the order in which they run: those that need a quiet machine come first."""


def find_parts(names: Sequence[str]) -> list[Part]:
    """Give the parts whose names begin with one of these; all without names.

    Raises:
        KeyError: there is none.
    """
    for name in names:
        if not any(part.name.startswith(name) for part in PARTS):
            raise KeyError(name)
    return [part for part in PARTS if not names or part.name.startswith(tuple(names))]
