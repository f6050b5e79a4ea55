# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Does a method beat the retrieval of similar images on the same queries?

Sattler et al., "Understanding the Limitations of CNN-based Absolute Camera Pose Regression",
CVPR 2019: a method that does not, on position and on rotation, has learned no geometry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relloc_ros.config import LocalizationConfig, flatten, make_config
from relloc_ros.errors import DataError
from relloc_ros.evaluation.comparison import compare_errors
from relloc_ros.evaluation.outcomes import Run, read_run, write_run
from relloc_ros.evaluation.pairing import pair_runs
from relloc_ros.evaluation.queries import Queries
from relloc_ros.evaluation.run import Progress, evaluate
from relloc_ros.evaluation.wording import angle_text, length_text
from relloc_ros.parallel import TaskPool
from relloc_ros.pipeline import Relocalizer

__all__ = ['BASELINES', 'Verdict', 'judge', 'run_baselines', 'sanity_check']

BASELINES: Mapping[str, Mapping[str, str]] = {
    'retrieval': {'retrieval.interpolation': 'none'},
    'retrieval_affine': {'retrieval.interpolation': 'affine'},
}
"""Settings of each, by the name of its folder."""

QUANTITIES = ('position', 'rotation')


@dataclass(frozen=True, slots=True)
class Verdict:
    """A method beside a baseline, judged by the medians of one kind of error.

    Attributes:
        baseline: its label.
        quantity: `position` or `rotation`.
        ours: median over the queries of known pose; infinite when half of them failed.
        theirs: of the baseline.
        more_than_noise: whether other queries would hardly have turned the difference.
    """

    baseline: str
    quantity: str
    ours: float
    theirs: float
    more_than_noise: bool

    @property
    def better(self) -> bool:
        """Whether the method's median is the smaller one."""
        return self.ours < self.theirs


def run_baselines(
    run: Run,
    queries: Queries,
    relocalizer: Relocalizer,
    folder: Path,
    *,
    allow_map_images: bool = False,
    progress: Progress | None = None,
    pool: TaskPool | None = None,
) -> list[Run]:
    """Localize the queries of a run by the baselines, or read what they gave before.

    The gates on the covariance are off: a baseline answers as well as it can.

    Args:
        run: what is judged.
        queries: it was made of.
        relocalizer: it was made with; the baselines take over its map and settings.
        folder: keeps the baselines' runs, in a folder each.
        allow_map_images: as in the run.
        progress: called with (queries done, all queries, detail).
        pool: localizes the queries; None does it here, one after the other.

    Raises:
        DataError: the folder cannot be written, or the source is damaged.
    """
    runs = []
    for name, settings in BASELINES.items():
        config = _baseline_config(relocalizer.config, settings)
        found = _read_fitting(folder / name, run, config)
        if found is None:
            baseline = Relocalizer(relocalizer.reference_map, config)
            found = evaluate(
                queries,
                baseline,
                allow_map_images=allow_map_images,
                progress=progress,
                pool=pool,
            )
            write_run(found, folder / name)
        runs.append(found)
    return runs


def judge(run: Run, baselines: Sequence[Run]) -> list[Verdict]:
    """Compare the medians of a run with those of baselines, on the queries both have."""
    if not run.scored:
        return []
    verdicts = []
    for baseline in baselines:
        if baseline.label == run.label:
            continue
        differences = compare_errors(pair_runs({run.label: run, baseline.label: baseline}))
        for difference in differences:
            if difference.measure in QUANTITIES:
                verdicts.append(
                    Verdict(
                        baseline.label,
                        difference.measure,
                        *difference.values,
                        difference.more_than_noise,
                    )
                )
    return verdicts


def sanity_check(run: Run, baselines: Sequence[Run]) -> list[str]:
    """Say whether a run beats the baselines: the conclusion, then a line for each baseline.

    Returns:
        Sentences; none where no true pose is known or the run is the only baseline itself.
    """
    verdicts = judge(run, baselines)
    if not verdicts:
        return []
    lines = [_conclusion(run.label, verdicts)]
    for baseline in dict.fromkeys(verdict.baseline for verdict in verdicts):
        parts = [_describe(v, run.units) for v in verdicts if v.baseline == baseline]
        lines.append(f'against {baseline}: {"; ".join(parts)}')
    if run.fused:
        lines.append(
            f'{run.label} uses more information than methods that take each image for itself: '
            'the images before, and odometry'
        )
    return lines


def _conclusion(label: str, verdicts: Sequence[Verdict]) -> str:
    worse = [f'{v.baseline} on {v.quantity}' for v in verdicts if not v.better]
    if worse:
        return f'sanity check NOT passed: {label} does not beat {", ".join(worse)}'
    names = ' and '.join(dict.fromkeys(verdict.baseline for verdict in verdicts))
    doubt = '' if all(v.more_than_noise for v in verdicts) else ', though perhaps by chance'
    return f'sanity check passed: {label} beats {names} on position and rotation{doubt}'


def _describe(verdict: Verdict, units: str) -> str:
    ours, theirs = (
        length_text(value, units) if verdict.quantity == 'position' else angle_text(value)
        for value in (verdict.ours, verdict.theirs)
    )
    word = 'better' if verdict.better else 'not better'
    noise = '' if verdict.more_than_noise else ' (no more than noise)'
    return f'{verdict.quantity} {word}{noise}, median error {ours} against {theirs}'


def _baseline_config(
    config: LocalizationConfig, settings: Mapping[str, str]
) -> LocalizationConfig:
    values = {
        **flatten(config),
        'localizer': 'retrieval',
        'max_position_std': 0.0,
        'max_orientation_std': 0.0,
        'min_similarity': -1.0,
        **settings,
    }
    return make_config(LocalizationConfig, values)


def _read_fitting(folder: Path, run: Run, config: LocalizationConfig) -> Run | None:
    """Read a baseline's run if it was made with the same map, settings and queries."""
    try:
        found = read_run(folder)
    except DataError:
        return None
    same = (
        (found.map_id, found.version, found.body) == (run.map_id, run.version, run.body)
        and dict(found.settings) == flatten(config)
        and _questions(found) == _questions(run)
    )
    return found if same else None


def _questions(run: Run) -> list[tuple[object, ...]]:
    """Names, stamps and true poses, as bytes, of the queries that belong to the map."""
    return [
        (o.name, o.stamp_ns, None if o.truth is None else o.truth.matrix.tobytes())
        for o in run.outcomes
        if not o.negative
    ]
