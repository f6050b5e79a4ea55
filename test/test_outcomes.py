# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs come back from their files as they were; what is damaged says so."""

from __future__ import annotations

from dataclasses import fields, replace
import json
import math

import numpy as np
import pytest

from relloc_ros.errors import DataError
from relloc_ros.evaluation.outcomes import LeftOut, Outcome, Run, read_run, write_run
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.structures import PoseEstimate, Status


def random_pose(rng):
    return RigidTransform(exp_so3(rng.normal(size=3)), 1e6 * rng.normal(size=3))


def make_run():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(6, 6))
    outcomes = (
        Outcome(
            name='left cam/ä b.png',
            stamp_ns=1_341_847_980_722_988_123,
            status=Status.LOCALIZED,
            reason='',
            estimate=PoseEstimate(random_pose(rng), factor @ factor.T),
            truth=random_pose(rng),
            num_matches=700,
            num_inliers=123,
            confidence=0.99,
            retrieved=('a.png', 'b\n\u2028.png'),
            timings_ms={'features': 1 / 3, 'total': 0.1},
            failure='geometry',
            failure_detail='it is "wrong"',
        ),
        Outcome(
            name='unknown covariance',
            stamp_ns=-5,
            status=Status.LOCALIZED,
            reason='',
            estimate=PoseEstimate(random_pose(rng), np.full((6, 6), math.nan)),
            truth=random_pose(rng),
        ),
        Outcome('failed', 0, Status.GATED, 'too unsure', None, random_pose(rng)),
        Outcome('elsewhere', 1, Status.NO_RETRIEVAL, 'nothing', None, None, negative=True),
    )
    return Run(
        outcomes=outcomes,
        left_out=(LeftOut('x', 'the map has it'),),
        body='base_link',
        localizer='essential',
        settings={'essential.refinement': 'none', 'top_k': 5, 'match_ratio': 0.85, 'flag': True},
        map_path='maps/office',
        map_id='0123456789ab',
        units='m',
        version='0.1.0',
        sequence=True,
    )


def assert_same(one, other):
    if isinstance(one, RigidTransform):
        np.testing.assert_array_equal(one.matrix, other.matrix)
    elif isinstance(one, PoseEstimate):
        assert_same(one.map_from_body, other.map_from_body)
        np.testing.assert_array_equal(one.covariance, other.covariance)
    else:
        assert one == other
        assert type(one) is type(other)


def test_runs_come_back_to_the_last_bit(tmp_path):
    run = make_run()
    write_run(run, tmp_path / 'a' / 'run')
    found = read_run(tmp_path / 'a' / 'run')
    for field in fields(Run):
        if field.name != 'outcomes':
            assert getattr(found, field.name) == getattr(run, field.name)
    for one, other in zip(run.outcomes, found.outcomes, strict=True):
        for field in fields(Outcome):
            assert_same(getattr(one, field.name), getattr(other, field.name))
        assert one.error == other.error
        assert one.nees == other.nees


def test_a_run_of_nothing(tmp_path):
    run = replace(make_run(), outcomes=())
    write_run(run, tmp_path)
    assert read_run(tmp_path).outcomes == ()


def test_what_follows_from_an_outcome():
    localized, unknown, failed, negative = make_run().outcomes
    assert localized.localized
    assert localized.error[0] > 1e5
    assert localized.nees > 0
    assert unknown.nees is None
    assert failed.error == (math.inf, math.inf)
    assert (failed.localized, failed.nees) == (False, None)
    assert (negative.error, negative.nees) == (None, None)


def test_scored_and_negatives():
    run = make_run()
    assert [outcome.name for outcome in run.scored] == [
        'left cam/ä b.png',
        'unknown covariance',
        'failed',
    ]
    assert [outcome.name for outcome in run.negatives] == ['elsewhere']


@pytest.mark.parametrize(
    ('localizer', 'settings', 'label'),
    [
        ('essential', {'essential.pair_estimator': 'rpr'}, 'essential + rpr'),
        (
            'essential',
            {'essential.pair_estimator': 'nc_5pt', 'essential.refinement': 'none'},
            'essential + nc_5pt + none',
        ),
        ('essential', {}, 'essential'),
        ('essential', {'essential.refinement': 'local_structure'}, 'essential'),
        ('essential', {'essential.refinement': 'none'}, 'essential + none'),
        ('retrieval', {'retrieval.interpolation': 'none'}, 'retrieval'),
        ('retrieval', {'retrieval.interpolation': 'affine'}, 'retrieval + affine'),
        ('hloc', {}, 'hloc'),
    ],
)
def test_labels(localizer, settings, label):
    assert replace(make_run(), localizer=localizer, settings=settings).label == label


def test_no_run(tmp_path):
    with pytest.raises(DataError, match=r'cannot read .*run\.json: No such file.*relloc evaluate'):
        read_run(tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='cannot write a run to'):
        write_run(make_run(), tmp_path / 'file' / 'run')


def damage_header(tmp_path, **changes):
    path = tmp_path / 'run.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'format_version': 9}, 'has format version 9, this is 1'),
        ({'outcomes': 5}, r'has 4 outcomes, run\.json speaks of 5'),
        ({'units': 3}, r'run\.json is damaged: .*3 is no str'),
        ({'sequence': 1}, r'run\.json is damaged'),
        ({'left_out': [{'name': 'a'}]}, r'run\.json is damaged'),
        ({'settings': []}, r'run\.json is damaged'),
    ],
)
def test_damaged_headers(tmp_path, changes, message):
    write_run(make_run(), tmp_path)
    damage_header(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        read_run(tmp_path)


@pytest.mark.parametrize('text', ['', '{', '[]', '\xff', '[' * 100_000])
def test_headers_that_are_no_json(tmp_path, text):
    write_run(make_run(), tmp_path)
    (tmp_path / 'run.json').write_bytes(text.encode('latin1'))
    with pytest.raises(DataError, match=r'run\.json'):
        read_run(tmp_path)


@pytest.mark.parametrize(
    'changes',
    [
        {'name': None},
        {'stamp_ns': 1.5},
        {'num_inliers': True},
        {'status': 'FINE'},
        {'map_from_body': [1, 2, 3]},
        {'map_from_body': [[1, 0, 0, 'x'], [0, 1, 0, 0], [0, 0, 1, 0]]},
        {'covariance': [[1]]},
        {'truth': {}},
        {'timings_ms': 3},
        {'retrieved': None},
    ],
)
def test_damaged_outcomes(tmp_path, changes):
    write_run(make_run(), tmp_path)
    path = tmp_path / 'outcomes.jsonl'
    first, *others = path.read_text('utf-8').split('\n')
    lines = [json.dumps({**json.loads(first), **changes}), *others]
    path.write_text('\n'.join(lines), 'utf-8')
    with pytest.raises(DataError, match=r'outcomes\.jsonl, line 1 is damaged'):
        read_run(tmp_path)


def test_a_file_cut_short(tmp_path):
    write_run(make_run(), tmp_path)
    path = tmp_path / 'outcomes.jsonl'
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r'outcomes\.jsonl, line 4 is no JSON'):
        read_run(tmp_path)
