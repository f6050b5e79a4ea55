# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of the two papers this package follows, to be printed beside ours.

Sattler et al., CVPR 2019 (Tables 1 to 4), and Zhou et al., ICRA 2020 (Tables II to IV): one YAML
file a table, one line of figures a method. Columns are named ``data set/scene``; the scene `mean`
is the mean over the scenes of a data set, without Cambridge's Street.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
import math
from typing import Any, Literal

import yaml

from relloc_ros.evaluation.metrics import PoseError

__all__ = [
    'MEAN',
    'MEAN_SCENES',
    'TABLES',
    'Kind',
    'PublishedRow',
    'mean_error',
    'published_rows',
    'read_table',
]

Kind = Literal['APR', 'RPR', 'sequence', 'IR', '3D', 'essential']
"""Absolute or relative pose regression, regression from image sequences, image retrieval,
structure-based, essential matrices."""

MEAN = 'mean'

TABLES = (
    'sattler2019_table1',
    'sattler2019_table2',
    'sattler2019_table3',
    'sattler2019_table4',
    'zhou2020_table2',
    'zhou2020_table3',
    'zhou2020_table4',
)

MEAN_SCENES: Mapping[str, tuple[str, ...]] = {
    'cambridge': ('KingsCollege', 'OldHospital', 'ShopFacade', 'StMarysChurch'),
    '7scenes': ('chess', 'fire', 'heads', 'office', 'pumpkin', 'redkitchen', 'stairs'),
}
"""The scenes both papers average over."""

MEAN_ROUNDING = (0.0101, 0.0101)
"""Two roundings of one mean (m, deg) differ by no more than this."""


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """What a table says about a method on one data set.

    Attributes:
        method: its name.
        kind: what it is.
        trained_on: data the published network was trained on, where a table compares that.
        source: where the figures are published, for example 'Sattler et al., CVPR 2019, Table 2'.
        figures: median position (m) and rotation error (degrees) by scene, or `mean`.
    """

    method: str
    kind: Kind
    trained_on: str
    source: str
    figures: Mapping[str, PoseError]

    @property
    def label(self) -> str:
        """The method, and what it was trained on."""
        return f'{self.method} ({self.trained_on})' if self.trained_on else self.method


def read_table(name: str, data_set: str) -> list[PublishedRow]:
    """Read the rows of one of TABLES that have figures for a data set."""
    text = files(__name__).joinpath(f'{name}.yaml').read_text(encoding='utf-8')
    table = yaml.safe_load(text)
    columns = [column.split('/') for column in table['columns']]
    rows = (_row(entry, table['source'], columns, data_set) for entry in table['rows'])
    return [row for row in rows if row.figures]


def published_rows(data_set: str) -> list[PublishedRow]:
    """All published rows of a data set: one for each method, or for each training of it.

    Where several tables have the same, scenes and mean become one row that names all sources.
    """
    rows: list[PublishedRow] = []
    for name in TABLES:
        for printed in read_table(name, data_set):
            row = _with_mean(printed, data_set)
            known = next((i for i, other in enumerate(rows) if _is_same(row, other)), None)
            if known is None:
                rows.append(row)
            else:
                rows[known] = _merge(rows[known], row)
    return rows


def mean_error(errors: Sequence[PoseError]) -> PoseError:
    """Mean of position and rotation errors; infinite if one is."""
    positions, rotations = zip(*errors, strict=True)
    return math.fsum(positions) / len(errors), math.fsum(rotations) / len(errors)


def _row(
    entry: Mapping[str, Any], source: str, columns: Sequence[Sequence[str]], data_set: str
) -> PublishedRow:
    figures = {}
    for (column_set, scene), text in zip(columns, entry['figures'].split(), strict=True):
        if column_set == data_set and text != '-':
            position, rotation = map(float, text.split('/'))
            figures[scene] = (position, rotation)
    trained_on = entry.get('trained_on', '')
    return PublishedRow(entry['method'], entry['kind'], trained_on, source, figures)


def _with_mean(row: PublishedRow, data_set: str) -> PublishedRow:
    """Add the mean where the row has all scenes for it and does not say it itself."""
    scenes = MEAN_SCENES.get(data_set, ())
    if MEAN in row.figures or not scenes or not all(scene in row.figures for scene in scenes):
        return row
    mean = mean_error([row.figures[scene] for scene in scenes])
    return replace(row, figures={**row.figures, MEAN: mean})


def _is_same(row: PublishedRow, other: PublishedRow) -> bool:
    """Tell whether two rows are about the same method, trained the same way."""
    if row.method != other.method or MEAN not in row.figures or MEAN not in other.figures:
        return False
    pairs = zip(row.figures[MEAN], other.figures[MEAN], MEAN_ROUNDING, strict=True)
    return all(abs(a - b) <= rounding for a, b, rounding in pairs)


def _merge(row: PublishedRow, other: PublishedRow) -> PublishedRow:
    # A mean as printed goes before one of rounded figures.
    return replace(
        row, source=f'{row.source}; {other.source}', figures={**row.figures, **other.figures}
    )
