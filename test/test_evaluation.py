# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation: which queries count, what is written, and that folder and bag agree."""

from __future__ import annotations

import csv
from dataclasses import replace
import json
import math
from pathlib import Path
import shutil
from types import SimpleNamespace

from bag_messages import image, info, pose, tf, write
import numpy as np
import pytest
from synthetic_maps import PINHOLE, make_posed

from relloc_ros.bags.reader import BagReader
from relloc_ros.bags.writer import write_bag
from relloc_ros.config import LocalizationConfig, TrackingConfig, flatten
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.evaluation.outcomes import read_run
from relloc_ros.evaluation.queries import BagQueries, FolderQueries, format_stamp
from relloc_ros.evaluation.run import evaluate
from relloc_ros.evaluation.summary import summarize
from relloc_ros.evaluation.writers import prepare_output, write_results
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.builder import build_map
from relloc_ros.map.image_index import image_digest
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, PairMatches, PoseEstimate, QueryImage, Status
from relloc_ros.tracker import TrackingState, Verdict

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
COVARIANCE = np.diag([1e-2, 1e-2, 1e-2, 1e-4, 1e-4, 1e-4])
METRICS_KEYS = [
    'localizer',
    'queries',
    'localized',
    'availability',
    'median_position_error_m',
    'median_rotation_error_deg',
    'localized_median_position_error_m',
    'localized_median_rotation_error_deg',
    'recall',
    'latency_ms',
]


class FakeRelocalizer:
    """Answers from a table of camera poses by stamp; what is not in it fails."""

    def __init__(self, poses, map_names=(), map_images=()):
        self.config = LocalizationConfig()
        self.poses = poses
        self.processed = []
        digests = {image_digest(pixels): f'twin {i}' for i, pixels in enumerate(map_images)}
        self.reference_map = SimpleNamespace(
            image_names=tuple(map_names),
            find_same=lambda pixels: digests.get(image_digest(pixels)),
            path=Path('the_map'),
            map_id='0123456789ab',
            units='m',
            # One image of another place, which is what failures are explained with.
            num_images=1,
            centres=np.full((1, 3), 1e3),
            cam_from_map=lambda index: RigidTransform(np.eye(3), np.full(3, -1e3)),
            camera=lambda index: PINHOLE,
            global_descriptors=lambda indices: np.zeros((1, 2)),
            retrieve=lambda descriptor, k: (np.zeros(1, int), np.ones(1)),
        )

    def process(self, query: QueryImage) -> Localization:
        self.processed.append(query.stamp_ns)
        timings = {'features': 3.0, 'total': 10.0}
        if query.stamp_ns not in self.poses:
            return Localization(
                Status.TOO_FEW_MATCHES, 'only 3, "few"', query.stamp_ns, 'fake', timings_ms=timings
            )
        estimate = PoseEstimate(self.poses[query.stamp_ns], COVARIANCE)
        nothing = np.zeros((0, 2))
        pairs = (PairMatches('map image', nothing, nothing, np.zeros(0, bool)),)
        return Localization(
            Status.LOCALIZED,
            '',
            query.stamp_ns,
            'fake',
            estimate,
            num_matches=50,
            num_inliers=42,
            confidence=0.98765,
            pairs=pairs,
            timings_ms=timings,
        )

    process_message = Relocalizer.process_message
    _error = Relocalizer._error


def moved(transform: RigidTransform, x: float) -> RigidTransform:
    return replace(transform, translation=transform.translation + np.array([x, 0.0, 0.0]))


def true_poses(posed, error=0.0):
    return {each.stamp_ns: moved(each.cam_from_map.inverse(), error) for each in posed}


def read_results(folder):
    metrics = json.loads((folder / 'metrics.json').read_text('utf-8'))
    with (folder / 'errors.csv').open(encoding='utf-8', newline='') as file:
        rows = list(csv.DictReader(file))
    poses = [line.split() for line in (folder / 'poses.tum').read_text('utf-8').splitlines()]
    return metrics, rows, poses


@pytest.fixture
def posed(tmp_path):
    return make_posed(tmp_path / 'images', 4)


def test_what_is_written(tmp_path, posed):
    relocalizer = FakeRelocalizer(true_poses(posed[:3], error=0.2))
    evaluation = evaluate(FolderQueries(posed), relocalizer)
    output = tmp_path / 'a' / 'results'
    prepare_output(output)
    write_results(evaluation, output)
    metrics, rows, poses = read_results(output)

    assert list(metrics)[: len(METRICS_KEYS)] == METRICS_KEYS
    assert (metrics['queries'], metrics['localized'], metrics['availability']) == (4, 3, 0.75)
    assert metrics['median_position_error_m'] == pytest.approx(0.2)
    assert metrics['recall']['0.25m_2deg'] == 0.75
    assert metrics['latency_ms'] == {
        'p50': 10,
        'p95': 10,
        'p99': 10,
        'max': 10,
        'stages': {'features': 3},
        'stages_p95': {'features': 3},
    }
    assert metrics['statuses'] == {'LOCALIZED': 3, 'TOO_FEW_MATCHES': 1}
    assert metrics['config']['random_seed'] == 0
    # 0.2 with a standard deviation of 0.1
    assert metrics['median_nees'] == pytest.approx(4.0)

    assert [row['name'] for row in rows] == [each.name for each in posed]
    assert rows[0]['stamp'] == '1.000000000'
    assert float(rows[0]['position_error_m']) == pytest.approx(0.2)
    assert (rows[0]['inliers'], rows[0]['nees'], rows[0]['ms']) == ('42', '4', '10')
    assert rows[0]['confidence'] == '0.98765'
    assert [row['failure'] for row in rows] == ['', '', '', 'input']
    assert rows[3]['failure_detail'].startswith('no map image shares its view: the nearest was')
    assert rows[3]['status'] == 'TOO_FEW_MATCHES'
    assert rows[3]['reason'] == 'only 3, "few"'
    assert float(rows[3]['position_error_m']) == math.inf
    assert rows[3]['nees'] == ''

    assert [pose[0] for pose in poses] == ['1.000000000', '1.000000001', '1.000000002']
    truth = posed[1].cam_from_map.inverse()
    expected = [*moved(truth, 0.2).translation, *truth.quat_xyzw]
    assert np.array(poses[1][1:], dtype=float) == pytest.approx(expected, abs=1e-9)


def test_half_failed_means_null_medians(posed):
    metrics = summarize(evaluate(FolderQueries(posed), FakeRelocalizer(true_poses(posed[:2]))))
    assert metrics['median_position_error_m'] is None
    assert metrics['localized_median_position_error_m'] == pytest.approx(0.0, abs=1e-12)


def test_map_images_are_left_out_by_name_and_by_content(posed):
    relocalizer = FakeRelocalizer(
        true_poses(posed), map_names=[posed[0].name], map_images=[read_image(posed[2])]
    )
    evaluation = evaluate(FolderQueries(posed), relocalizer)
    assert relocalizer.processed == [posed[1].stamp_ns, posed[3].stamp_ns]
    metrics = summarize(evaluation)
    assert metrics['queries'] == 2
    assert metrics['left_out'] == [
        {'name': posed[0].name, 'reason': 'the map has an image of this name'},
        {'name': posed[2].name, 'reason': 'the map has the same image as twin 0'},
    ]


def test_map_images_are_taken_on_request(posed):
    relocalizer = FakeRelocalizer(true_poses(posed), map_names=[each.name for each in posed])
    evaluation = evaluate(FolderQueries(posed), relocalizer, allow_map_images=True)
    assert len(evaluation.outcomes) == 4
    assert evaluation.left_out == ()


def test_nothing_left_is_an_error(posed):
    relocalizer = FakeRelocalizer({}, map_names=[each.name for each in posed])
    with pytest.raises(DataError, match='all 4 queries are images of the map the_map; --allow'):
        evaluate(FolderQueries(posed), relocalizer)


def test_an_undecodable_image_is_a_failed_query(posed):
    posed[1].path.write_bytes(b'no image')
    evaluation = evaluate(FolderQueries(posed), FakeRelocalizer(true_poses(posed)))
    outcome = evaluation.outcomes[1]
    assert outcome.status is Status.ERROR
    assert 'image 1.png' in outcome.reason
    assert outcome.error == (math.inf, math.inf)
    assert summarize(evaluation)['availability'] == 0.75


def test_progress(posed):
    calls = []
    evaluate(
        FolderQueries(posed),
        FakeRelocalizer({}, map_names=[posed[0].name]),
        progress=lambda done, total, name: calls.append((done, total, name)),
    )
    assert calls == [(i + 1, 4, each.name) for i, each in enumerate(posed)]


def test_bags_are_scored_at_the_base(tmp_path, posed):
    write_bag(posed, tmp_path / 'bag')
    stamps = {each.stamp_ns: each for each in posed}
    relocalizer = FakeRelocalizer(true_poses(posed))
    with BagReader(tmp_path / 'bag') as reader:
        evaluation = evaluate(BagQueries(reader), relocalizer)
    assert evaluation.body == 'base_link'
    assert [outcome.stamp_ns for outcome in evaluation.outcomes] == list(stamps)
    for outcome in evaluation.outcomes:
        camera = stamps[outcome.stamp_ns].cam_from_map.inverse()
        distance = np.linalg.norm(outcome.estimate.map_from_body.translation - camera.translation)
        assert distance == pytest.approx(math.hypot(0.1, 0.2))
        assert outcome.error == pytest.approx((0.0, 0.0), abs=1e-6)
        assert outcome.name == format_stamp(outcome.stamp_ns)


class FakeTracker:
    """Trusts every second pose."""

    config = TrackingConfig()

    def __init__(self):
        self.observations = []

    def update(self, observation):
        self.observations.append(observation)
        accepted = observation.pose is not None and len(self.observations) % 2 == 1
        return Verdict(TrackingState.SUSPECT, accepted, 'I do not like it')


class FusingTracker:
    """Trusts each pose, and says that the robot is somewhere else."""

    config = TrackingConfig()
    fused = PoseEstimate(RigidTransform(np.eye(3), np.array([7.0, 8.0, 9.0])), 2.0 * np.eye(6))

    def update(self, observation):
        assert observation.pose is not None
        return Verdict(TrackingState.LOCALIZED, True, fused=self.fused)


def test_a_fused_pose_is_what_is_judged(tmp_path, posed):
    write_bag(posed[:3], tmp_path / 'bag')
    with BagReader(tmp_path / 'bag') as reader:
        localizer = FakeRelocalizer(true_poses(posed[:3]))
        run = evaluate(BagQueries(reader), localizer, tracker=FusingTracker())
    assert [outcome.estimate for outcome in run.outcomes] == [FusingTracker.fused] * 3
    assert all(outcome.error[0] > 1.0 for outcome in run.outcomes)


def test_what_needs_odometry_says_so(tmp_path, posed):
    write_bag(posed, tmp_path / 'bag')
    with BagReader(tmp_path / 'bag') as reader:
        BagQueries(reader).require_odometry('fusion: pgo')
    with BagReader(tmp_path / 'bag', odom_frame='wheels') as reader:
        queries = BagQueries(reader)
        with pytest.raises(ConfigError, match=r'fusion: pgo needs odometry, and bag .*bag has no'):
            queries.require_odometry('fusion: pgo')


def test_poses_that_the_tracker_rejects_are_gated(tmp_path, posed):
    write_bag(posed, tmp_path / 'bag')
    tracker = FakeTracker()
    with BagReader(tmp_path / 'bag') as reader:
        run = evaluate(BagQueries(reader), FakeRelocalizer(true_poses(posed[:3])), tracker=tracker)
        frames = list(reader)
    assert [outcome.status.value for outcome in run.outcomes] == [
        'LOCALIZED',
        'GATED',
        'LOCALIZED',
        'TOO_FEW_MATCHES',
    ]
    assert [outcome.localized for outcome in run.outcomes] == [True, False, True, False]
    assert run.outcomes[1].reason == 'I do not like it'
    assert run.outcomes[1].num_inliers == 42
    assert run.outcomes[3].reason == 'only 3, "few"'
    for frame, observation, each in zip(frames, tracker.observations, posed, strict=True):
        assert observation.stamp_ns == each.stamp_ns
        expected = frame.odom_from_base
        assert np.array_equal(observation.odom_from_base.matrix, expected.matrix)
    first = tracker.observations[0].pose.map_from_body
    assert np.allclose(first.matrix, frames[0].truth.matrix)
    assert [o.pose is None for o in tracker.observations] == [False, False, False, True]
    assert run.settings == flatten(LocalizationConfig()) | flatten(TrackingConfig())


def test_odometry_of_a_bag(tmp_path):
    odom, base = ('wheel_odom', 'odom'), ('robot', 'base_link')
    messages = [info(1), image(1), image(9)]
    messages += [tf(t, odom[i], base[i], 2.0 + i + t) for t in (0, 2) for i in (0, 1)]
    path = write(tmp_path / 'bag', messages)
    for frames, expected in (
        ({}, 4.0),
        ({'odom_frame': odom[0], 'base_frame': base[0]}, 3.0),
        ({'odom_frame': 'nowhere'}, None),
    ):
        with BagReader(path, **frames) as reader:
            queries = list(BagQueries(reader))
        assert queries[1].odom_from_body is None
        found = queries[0].odom_from_body
        assert expected == (None if found is None else pytest.approx(found.translation[0]))


def test_negatives_must_not_be_localized(tmp_path, posed):
    others = make_posed(tmp_path / 'others', 2)
    others = [replace(each, stamp_ns=each.stamp_ns + 100) for each in others]
    poses = true_poses(posed) | {others[0].stamp_ns: RigidTransform.identity()}
    calls = []
    run = evaluate(
        FolderQueries(posed),
        FakeRelocalizer(poses),
        negatives=FolderQueries(others),
        progress=lambda done, total, name: calls.append((done, total)),
    )
    assert calls == [(i + 1, 6) for i in range(6)]
    assert [outcome.negative for outcome in run.outcomes] == [False] * 4 + [True] * 2
    assert all(outcome.truth is None for outcome in run.negatives)
    assert [outcome.failure for outcome in run.negatives] == ['', '']
    metrics = summarize(run)
    assert (metrics['queries'], metrics['availability'], metrics['scored']) == (4, 1.0, 4)
    assert (metrics['negatives'], metrics['false_accepts']) == (2, 1)


def test_bags_and_images_named_by_time_are_sequences(tmp_path, posed):
    relocalizer = FakeRelocalizer(true_poses(posed))
    assert not evaluate(FolderQueries(posed), relocalizer).sequence
    named = [replace(each, name=f'{1_700_000_000 + i}.5.png') for i, each in enumerate(posed)]
    assert evaluate(FolderQueries(named), relocalizer).sequence
    write_bag(posed, tmp_path / 'bag')
    with BagReader(tmp_path / 'bag') as reader:
        assert evaluate(BagQueries(reader), relocalizer).sequence


def test_what_is_written_can_be_read(tmp_path, posed):
    run = evaluate(FolderQueries(posed), FakeRelocalizer(true_poses(posed[:3], error=0.2)))
    write_results(run, tmp_path)
    found = read_run(tmp_path)
    assert summarize(found) == summarize(run)
    assert found.settings == run.settings


def test_a_bag_of_map_images_is_left_out_by_content(tmp_path, posed):
    write_bag(posed, tmp_path / 'bag')
    relocalizer = FakeRelocalizer({}, map_images=[read_image(each) for each in posed[:3]])
    with BagReader(tmp_path / 'bag') as reader:
        evaluation = evaluate(BagQueries(reader), relocalizer)
    assert [item.name for item in evaluation.left_out] == [
        format_stamp(each.stamp_ns) for each in posed[:3]
    ]


def test_frames_that_lack_something_are_failures_with_a_reason(tmp_path):
    messages = [
        image(1),
        info(2),
        image(3, frame='nowhere'),
        tf(4, 'base_link', 'cam', 0.5, static=True),
        image(5),
        pose(0, 0.0),
        pose(1, 1.0),
        pose(3, 3.0),
    ]
    path = write(tmp_path / 'bag', messages)
    relocalizer = FakeRelocalizer({5_000_000_000: RigidTransform.identity()})
    with BagReader(path) as reader:
        evaluation = evaluate(BagQueries(reader), relocalizer)
    first, second, third = evaluation.outcomes
    assert first.status is second.status is Status.ERROR
    assert 'no camera_info' in first.reason
    assert "'nowhere'" in second.reason
    assert first.error == (math.inf, math.inf)
    # Localized, but nobody knows where it was.
    assert third.localized
    assert third.error is third.nees is None
    metrics = summarize(evaluation)
    assert (metrics['queries'], metrics['localized'], metrics['scored']) == (3, 1, 2)
    assert metrics['recall']['5m_10deg'] == 0.0


def test_an_uncalibrated_camera_is_a_failure_with_a_reason(tmp_path):
    topic, stamp_ns, message = info(1)
    message = replace(message, k=np.zeros(9))
    messages = [(topic, stamp_ns, message), tf(1, 'base_link', 'cam', 0.5, static=True), image(2)]
    with BagReader(write(tmp_path / 'bag', messages)) as reader:
        (outcome,) = evaluate(BagQueries(reader), FakeRelocalizer({})).outcomes
    assert outcome.status is Status.ERROR
    assert 'K[0] = 0' in outcome.reason


def test_a_bag_without_truth_is_localized_and_not_scored(tmp_path):
    messages = [info(1), tf(1, 'base_link', 'cam', 0.5, static=True), image(2), image(3)]
    path = write(tmp_path / 'bag', messages)
    relocalizer = FakeRelocalizer({2_000_000_000: RigidTransform.identity()})
    with BagReader(path) as reader:
        evaluation = evaluate(BagQueries(reader), relocalizer)
    output = tmp_path / 'results'
    prepare_output(output)
    write_results(evaluation, output)
    metrics, rows, poses = read_results(output)
    assert (metrics['queries'], metrics['localized'], metrics['scored']) == (2, 1, 0)
    assert metrics['median_position_error_m'] is None
    assert set(metrics['recall'].values()) == {None}
    assert [row['position_error_m'] for row in rows] == ['', '']
    assert len(poses) == 1


def test_equal_stamps_are_two_queries(tmp_path):
    messages = [info(1), tf(1, 'base_link', 'cam', 0.5, static=True), image(2), image(2)]
    with BagReader(write(tmp_path / 'bag', messages)) as reader:
        evaluation = evaluate(BagQueries(reader), FakeRelocalizer({}))
    assert len(evaluation.outcomes) == 2


def test_results_are_not_mixed(tmp_path, posed):
    (tmp_path / 'poses.tum').write_text('of another run')
    (tmp_path / 'notes.txt').write_text('keep me')
    with pytest.raises(DataError, match=r'already holds poses\.tum.*--overwrite'):
        prepare_output(tmp_path)
    prepare_output(tmp_path, overwrite=True)
    assert not (tmp_path / 'poses.tum').exists()
    assert (tmp_path / 'notes.txt').exists()


def test_an_output_that_cannot_be_made(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='cannot write to'):
        prepare_output(tmp_path / 'file' / 'results')


@pytest.mark.parametrize(
    ('stamp_ns', 'text'),
    [
        (0, '0.000000000'),
        (1_341_847_983_738_736_000, '1341847983.738736000'),
        (-5, '-0.000000005'),
    ],
)
def test_stamps_have_nine_decimals(stamp_ns, text):
    assert format_stamp(stamp_ns) == text


@pytest.fixture(scope='module')
def office_map(tmp_path_factory):
    folder = tmp_path_factory.mktemp('office') / 'map'
    build_map(read_source(OFFICE, list_file=OFFICE / 'map.txt'), folder)
    with ReferenceMap.open(folder) as reference_map:
        yield reference_map


def test_folder_and_lossless_bag_agree(tmp_path, office_map):
    posed = read_source(OFFICE, list_file=OFFICE / 'query.txt')
    write_bag(posed, tmp_path / 'bag')
    relocalizer = Relocalizer(office_map)
    with BagReader(tmp_path / 'bag') as reader:
        of_bag = evaluate(BagQueries(reader), relocalizer)
    of_folder = evaluate(FolderQueries(posed), relocalizer)
    assert sum(outcome.localized for outcome in of_folder.outcomes) >= 4
    assert len(of_bag.outcomes) == len(of_folder.outcomes)
    lever_arms = []
    for bag, folder in zip(of_bag.outcomes, of_folder.outcomes, strict=True):
        assert bag.stamp_ns == folder.stamp_ns
        assert bag.status is folder.status
        if folder.estimate is not None:
            base_from_map = bag.estimate.map_from_body.inverse()
            lever_arms.append((base_from_map @ folder.estimate.map_from_body).matrix)
    assert np.linalg.norm(lever_arms[0][:3, 3]) == pytest.approx(math.hypot(0.1, 0.2))
    np.testing.assert_allclose(
        lever_arms, np.tile(lever_arms[0], (len(lever_arms), 1, 1)), atol=1e-6
    )


def test_the_sample_is_localized_within_the_target(office_map):
    posed = read_source(OFFICE, list_file=OFFICE / 'query.txt')
    metrics = summarize(evaluate(FolderQueries(posed), Relocalizer(office_map)))
    assert metrics['availability'] >= 0.8
    assert metrics['median_position_error_m'] <= 0.01
    assert metrics['median_rotation_error_deg'] <= 0.4


def test_a_renamed_map_image_is_found_out(tmp_path, office_map):
    name = (OFFICE / 'map.txt').read_text().splitlines()[0]
    posed = read_source(OFFICE, list_file=OFFICE / 'query.txt')
    copy = tmp_path / 'other name.jpg'
    shutil.copy(OFFICE / 'images' / name, copy)
    disguised = replace(posed[0], name=copy.name, path=copy)
    evaluation = evaluate(FolderQueries([disguised, posed[1]]), Relocalizer(office_map))
    assert [item.reason for item in evaluation.left_out] == [
        f'the map has the same image as {name}'
    ]
