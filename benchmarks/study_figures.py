# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of the study of essential matrices: ours, from raw outputs, and those of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from study_cells import Cells
from study_plan import Plan
from study_scenes import Column

from relloc_ros.evaluation.metrics import PoseError
from relloc_ros.evaluation.published import MEAN, mean_error, read_table

__all__ = ['Ours', 'Published', 'Source']

ZHOU = 'zhou2020_table'
DATA_SETS = {'Cambridge': 'cambridge', '7 Scenes': '7scenes'}
SEVEN, CAMBRIDGE = '7-Scenes', 'Cambridge'

ROWS: Mapping[str, tuple[str, str, str]] = {
    'retrieval': ('2', 'DenseVLAD', ''),
    'retrieval_affine': ('2', 'DenseVLAD + interpolation', ''),
    'rpr-rooms': ('2', 'Relative PN', SEVEN),
    'rpr-unrelated': ('2', 'Relative PN', 'University'),
    'relocnet-rooms': ('2', 'RelocNet', SEVEN),
    'relocnet-unrelated': ('2', 'RelocNet', 'ScanNet'),
    'sift_5pt-none': ('2', 'SIFT + 5pt', ''),
    'essnet-rooms': ('3', 'EssNet', SEVEN),
    'essnet-facades': ('3', 'EssNet', CAMBRIDGE),
    'nc_essnet-rooms': ('3', 'NC-EssNet', SEVEN),
    'nc_essnet-facades': ('3', 'NC-EssNet', CAMBRIDGE),
    'nc_5pt-imagenet': ('4', 'ImageNet + NCM + 5pt', 'ImageNet'),
    'nc_5pt-nc_essnet-rooms': ('4', 'NC-EssNet + NCM + 5pt', SEVEN),
    'nc_5pt-nc_essnet-facades': ('4', 'NC-EssNet + NCM + 5pt', CAMBRIDGE),
    'nc_5pt-essnet-unrelated': ('4', 'EssNet224 + NCM + 5pt', 'ScanNet'),
    'nc_5pt-essnet-megadepth': ('4', 'EssNet224 + NCM + 5pt', 'MegaDepth'),
    'nc_5pt-essnet-all': ('4', 'EssNet224 + NCM + 5pt', 'MegaDepth, 7-Scenes, Cambridge'),
}
"""Table of Zhou et al., method and training data that our methods stand beside."""


class Source(Protocol):
    """Where figures come from."""

    @property
    def columns(self) -> Sequence[Column]:
        """What was tested."""

    @property
    def is_pretrained(self) -> bool:
        """Whether `initial` features come from another task, not from random weights."""

    def error(self, method: str, column: Column) -> PoseError | None:
        """Mean of the median errors; None where not all of them are known."""


class Published:
    """Figures of Zhou et al., ICRA 2020."""

    columns = (Column('Cambridge', (), 'facades'), Column('7 Scenes', (), 'rooms'))
    is_pretrained = False

    def error(self, method: str, column: Column) -> PoseError | None:
        """Look a method up: ours, or a name of Table II."""
        row = ROWS.get(method, ('2', method, ''))
        return _table(row[0], DATA_SETS[column.name]).get(row[1:])


@lru_cache
def _table(number: str, data_set: str) -> Mapping[tuple[str, str], PoseError]:
    rows = read_table(f'{ZHOU}{number}', data_set)
    return {(row.method, row.trained_on): row.figures[MEAN] for row in rows}


class Ours(Cells):
    """Figures of cells that were run as the plan wants them."""

    def __init__(self, plan: Plan, results: Path) -> None:
        """Take a plan, and the folder of what was run."""
        super().__init__(plan, results)
        self._plan = plan

    @property
    def columns(self) -> Sequence[Column]:
        """What the plan tests."""
        return self._plan.columns

    @property
    def is_pretrained(self) -> bool:
        """Whether networks began with a file."""
        return bool(self._plan.choice.backbone)

    def error(self, method: str, column: Column) -> PoseError | None:
        """Mean over the scenes; infinite where a median is."""
        errors = [self.median(method, scene) for scene in column.scenes]
        known = [error for error in errors if error is not None]
        return mean_error(known) if known and len(known) == len(errors) else None
