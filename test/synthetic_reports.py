# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs and inspections with all that a report shows, made up."""

import numpy as np
from synthetic_runs import S, make_outcome, make_run, shift

from relloc_ros.config import LocalizationConfig
from relloc_ros.evaluation.inspection import Inspection, MapPicture
from relloc_ros.evaluation.outcomes import LeftOut
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.structures import PairMatches

NASTY = '<script>alert("x")</script>&amp;$\\frac{a}{b}$_' + 'very_long_' * 20 + '.png'
"""A name that is a tag, a formula and longer than any line."""

STAGES = ('retrieval', 'matching', 'geometry', 'gate')


def make_rich_run(count=60, seed=0, spread=0.02, **fields):
    """A round trip with failures of all kinds."""
    rng = np.random.default_rng(seed)
    variances = np.array([spread**2] * 3 + [1e-6] * 3)
    outcomes = []
    for i in range(count):
        angle = 2.0 * np.pi * i / count
        truth = RigidTransform(
            exp_so3(np.array([0.0, angle, 0.0])),
            np.array([4.0 * np.cos(angle), 0.1 * np.sin(5.0 * angle), 2.0 * np.sin(angle)]),
        )
        noise = rng.normal(size=6) * np.sqrt(variances)
        lost, wrong = i % 10 == 3, i % 20 == 7
        if wrong:
            noise[:3] += 0.8
        pose = RigidTransform(exp_so3(noise[3:]) @ truth.rotation, truth.translation + noise[:3])
        stages = {'features': rng.gamma(20.0), 'local_structure': rng.gamma(10.0)}
        outcomes.append(
            make_outcome(
                NASTY if i == 3 else f'images/{i:04d}.png',
                i * S // 10,
                None if lost else pose,
                truth,
                covariance=np.diag(variances),
                num_matches=500,
                num_inliers=12 if lost else 200,
                retrieved=('map <1>.png',),
                timings_ms={**stages, 'total': sum(stages.values())},
                failure=STAGES[i // 10 % 4] if lost else 'geometry' if wrong else '',
                failure_detail=f'why <b>{i}</b>' if lost or wrong else '',
            )
        )
    values = {
        'settings': {'max_pairs': 7, 'min_inliers': LocalizationConfig().min_inliers},
        'map_path': '/maps/hall <A> & B',
        'sequence': True,
        'left_out': (LeftOut('twin <1>.png', 'the map has the same image'),),
        **fields,
    }
    return make_run(outcomes, **values)


def make_baseline(run, label='affine', spread=0.5, seed=1):
    """The same queries, each answered badly."""
    rng = np.random.default_rng(seed)
    outcomes = [
        make_outcome(
            o.name,
            o.stamp_ns,
            RigidTransform(
                exp_so3(rng.normal(0.0, 0.1, 3)) @ o.truth.rotation,
                o.truth.translation + rng.normal(0.0, spread, 3),
            ),
            o.truth,
        )
        for o in run.scored
    ]
    return make_run(
        outcomes,
        localizer='retrieval',
        settings={'retrieval.interpolation': label},
        units=run.units,
        sequence=run.sequence,
    )


def make_negatives(count, accepted):
    """Images of other places; the first get a pose."""
    return [
        make_outcome(
            f'elsewhere/{i}.png', i, shift(i) if i < accepted else None, None, negative=True
        )
        for i in range(count)
    ]


def make_inspections(run, seed=2):
    """A landscape and a portrait query with matches, one without, one without an image."""
    rng = np.random.default_rng(seed)
    failed = [o for o in run.outcomes if o.failure][:4]
    wide = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    small = rng.integers(0, 255, (240, 320, 3)).astype(np.uint8)
    tall = rng.integers(0, 255, (640, 480), dtype=np.uint8)
    pictures = {
        'map <1>.png': MapPicture(small, (640, 480)),
        'map 2.png': MapPicture(small[::-1], (640, 480)),
    }
    inliers = rng.random(300) < 0.5
    pair = PairMatches(
        'map <1>.png', rng.uniform(0, 480, (300, 2)), rng.uniform(0, 480, (300, 2)), inliers
    )
    shown = [(wide, (pair,), pictures), (tall, (pair,), pictures), (wide, (), {}), (None, (), {})]
    return [
        Inspection(outcome, image, pairs, images)
        for outcome, (image, pairs, images) in zip(failed, shown, strict=False)
    ]


def without_truth(run):
    return make_run(
        [
            make_outcome(
                o.name,
                o.stamp_ns,
                None if o.estimate is None else o.estimate.map_from_body,
                None,
                timings_ms=o.timings_ms,
            )
            for o in run.outcomes
        ],
        sequence=True,
    )


def without_covariance(run):
    unknown = np.full((6, 6), np.nan)
    return make_run(
        [
            make_outcome(
                o.name,
                o.stamp_ns,
                None if o.estimate is None else o.estimate.map_from_body,
                o.truth,
                covariance=unknown,
            )
            for o in run.outcomes
        ]
    )


def nothing_localized(count=12):
    return make_run([make_outcome(f'{i}.png', i, None, shift(i)) for i in range(count)])
