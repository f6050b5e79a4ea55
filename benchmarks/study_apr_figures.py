# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Figures of the study of absolute pose regression: ours, from raw outputs, and the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from study_apr_plan import DENSE, GENERAL, WAYS, AprPlan
from study_cells import Cells
from study_steps import valid_record

from relloc_ros.evaluation.metrics import PoseError
from relloc_ros.evaluation.published import read_table
from relloc_ros.map.reference_map import ReferenceMap

__all__ = ['NETWORKS', 'AprPublished', 'AprSource', 'OursApr', 'published_name']

NETWORKS = {'posenet_learned': 'PoseNet', 'mapnet': 'MapNet'}
NAMES: Mapping[str, str] = {
    'posenet_learned': 'PoseNet, learned weights',
    'mapnet': 'MapNet',
    'retrieval': 'DenseVLAD',
    'retrieval_affine': 'DenseVLAD + interpolation',
    'structure': 'Active Search',
}
"""Methods of Sattler et al., CVPR 2019, that ours stand beside."""
RENDERED, CAMBRIDGE, SEVEN = 'shop_facade_rendered', 'cambridge', '7scenes'
ORIGINAL = 'original'
Off = tuple[float, float]


class AprSource(Protocol):
    """Where figures come from."""

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """Experiments that are judged together, by the name of the group."""

    def error(self, method: str, experiment: str) -> PoseError | None:
        """Median errors; None where they are not known."""

    def off_training(self, method: str, experiment: str) -> Off | None:
        """How far predictions and true positions are from the nearest training position.

        Medians; None where they are not known.
        """


class AprPublished:
    """Figures of Sattler et al., CVPR 2019, tables 1 and 2."""

    @cached_property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """The two data sets of table 2, and table 1."""
        return {
            'dense sampling (Table 1)': (GENERAL, *DENSE),
            **{
                f'{title} (Table 2)': tuple(_errors('sattler2019_table2', key)['DenseVLAD'])
                for key, title in ((CAMBRIDGE, 'Cambridge'), (SEVEN, '7-Scenes'))
            },
        }

    def error(self, method: str, experiment: str) -> PoseError | None:
        """Look up one of our methods."""
        name = NAMES.get(method, method)
        if experiment in (GENERAL, *DENSE):
            column = ORIGINAL if experiment == GENERAL else experiment.removeprefix('dense-')
            return _errors('sattler2019_table1', RENDERED).get(name, {}).get(column)
        found = (_errors('sattler2019_table2', key).get(name, {}) for key in (CAMBRIDGE, SEVEN))
        return next((each[experiment] for each in found if experiment in each), None)

    def off_training(self, method: str, experiment: str) -> Off | None:
        """It is drawn in the paper, and there are no figures of it."""
        return None


class OursApr(Cells):
    """Figures of cells that were run as the plan wants them."""

    def __init__(self, plan: AprPlan, results: Path) -> None:
        """Take a plan, and the folder of what was run."""
        super().__init__(plan, results)
        self._plan = plan

    @property
    def groups(self) -> Mapping[str, Sequence[str]]:
        """Ways, grids and real sets."""
        real = tuple(self._plan.choice.real)
        return {
            'ways': tuple(WAYS),
            'dense sampling': tuple(DENSE),
            **({'real sets': real} if real else {}),
        }

    def error(self, method: str, experiment: str) -> PoseError | None:
        """Median errors of all queries."""
        return self.median(method, experiment)

    def off_training(self, method: str, experiment: str) -> Off | None:
        """Measure from the positions of all map images."""
        known = self.positions(method, experiment), self.training(experiment)
        if known[0] is None or known[1] is None:
            return None
        tree = cKDTree(known[1])
        estimated, true = known[0]
        located = estimated[np.isfinite(estimated).all(axis=1)]
        if not len(located):
            return None
        near, asked = tree.query(located)[0], tree.query(true)[0]
        return float(np.median(near)), float(np.median(asked))

    def training(self, experiment: str) -> NDArray[np.float64] | None:
        """Positions (N, 3) of the map images; None where the map is not there."""
        step, folder = f'map/{experiment}', self._results / 'map' / experiment
        if valid_record(self._plan, self._results, step) is None:
            return None
        if not (folder / 'map.yaml').exists():
            return None
        with ReferenceMap.open(folder) as reference_map:
            return np.array(reference_map.centres)

    def positions(
        self, method: str, experiment: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Estimated and true positions (N, 3), NaN without a pose; None if it was not run."""
        run = self.run(method, experiment)
        if run is None or not run.scored:
            return None
        estimated = [
            np.full(3, np.nan)
            if each.estimate is None
            else each.estimate.map_from_body.translation
            for each in run.scored
        ]
        true = [each.truth.translation for each in run.scored if each.truth is not None]
        return np.array(estimated), np.array(true)


def published_name(method: str) -> str:
    """Name a method as the paper does; '' where it has none."""
    return NAMES.get(method, '')


@lru_cache
def _errors(table: str, data_set: str) -> Mapping[str, Mapping[str, PoseError]]:
    return {row.method: row.figures for row in read_table(table, data_set)}
