# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc evaluate: baselines, gates and the bag of results, from the command line."""

import json
from pathlib import Path
import shutil
import signal

import cv2
import pytest
from rosbags.highlevel import AnyReader

from relloc_ros.cli.main import main
from relloc_ros.evaluation.exports import TRAJECTORY_FILES
from relloc_ros.evaluation.outcomes import read_run
from relloc_ros.evaluation.result_bag import DEBUG_IMAGE_TOPIC, POSE_TOPIC, STATUS_TOPIC

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
NUM_QUERIES = 5


@pytest.fixture
def evaluate(capsys, monkeypatch, office_map, tmp_path):
    """Run the command in this process on the sample; gives code, stdout and stderr."""
    monkeypatch.setenv('COLUMNS', '200')
    handler = signal.getsignal(signal.SIGTERM)

    def run(*options):
        arguments = [
            *('evaluate', OFFICE, '--list', OFFICE / 'query.txt', '--map', office_map),
            *('--output', tmp_path / 'run', *options),
        ]
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    yield run
    signal.signal(signal.SIGTERM, handler)


def test_baselines_and_trajectories_come_with_it(evaluate, tmp_path):
    code, out, err = evaluate()
    assert code == 0, err
    assert 'sanity check passed: essential beats retrieval and retrieval + affine' in out
    metrics = json.loads((tmp_path / 'run' / 'metrics.json').read_text('utf-8'))
    assert len(metrics['sanity']) == 3
    for name in TRAJECTORY_FILES:
        assert len((tmp_path / 'run' / name).read_text('utf-8').splitlines()) == NUM_QUERIES
    labels = [read_run(folder).label for folder in (tmp_path / 'run' / 'baselines').iterdir()]
    assert sorted(labels) == ['retrieval', 'retrieval + affine']


def test_a_method_that_is_no_better_than_retrieval_is_marked(evaluate):
    code, out, err = evaluate(
        *('--localizer', 'retrieval', '--set', 'retrieval.interpolation=equal'),
        *('--set', 'max_position_std=0', '--set', 'max_orientation_std=0'),
    )
    assert code == 0, err
    assert 'sanity check NOT passed: retrieval + equal does not beat retrieval + affine' in out


def test_gates_end_with_3_after_the_results_are_written(evaluate, tmp_path):
    code, _, err = evaluate(
        *('--fail-if', 'recall[0.05m_5deg]<0.5'),
        *('--fail-if', 'median_position_error_m>0.0001', '--fail-if', 'queries<6'),
    )
    assert code == 3
    lines = [line for line in err.splitlines() if line.startswith('error: ')]
    assert len(lines) == 2
    assert 'median_position_error_m is 0.00' in lines[0]
    assert 'queries is 5 (queries<6)' in lines[1]
    assert (tmp_path / 'run' / 'metrics.json').exists()


def test_gates_that_are_passed(evaluate):
    code, _, err = evaluate('--fail-if', 'recall[0.05m_5deg]<0.9')
    assert code == 0
    assert 'error:' not in err


def test_a_gate_that_is_wrong_stops_before_the_work(evaluate, tmp_path):
    code, _, err = evaluate('--fail-if', 'recal[0.05m_5deg]<0.5')
    assert code == 1
    assert "did you mean 'recall[0.05m_5deg]'" in err
    assert not (tmp_path / 'run').exists()


def test_the_bag_has_pictures(evaluate, tmp_path):
    code, _, err = evaluate('--bag', tmp_path / 'run.mcap')
    assert code == 0, err
    with AnyReader([tmp_path / 'run.mcap']) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
        connections = [c for c in reader.connections if c.topic == DEBUG_IMAGE_TOPIC]
        connection, _, raw = next(reader.messages(connections))
        message = reader.deserialize(raw, connection.msgtype)
    assert counts[POSE_TOPIC] == counts[STATUS_TOPIC] == counts[DEBUG_IMAGE_TOPIC] == NUM_QUERIES
    picture = cv2.imdecode(message.data, cv2.IMREAD_COLOR)
    # The query, 640 x 480, beside a map image of the same shape, under a banner.
    height, width, _ = picture.shape
    assert width == 2 * 480
    assert 360 < height < 500


def test_a_bag_that_exists_stops_before_the_work(evaluate, tmp_path):
    (tmp_path / 'bag').mkdir()
    code, _, err = evaluate('--bag', tmp_path / 'bag')
    assert code == 1
    assert 'exists' in err
    assert not (tmp_path / 'run').exists()


def test_negatives_are_counted_apart(evaluate, tmp_path):
    """Mirror images of the queries show a place that does not exist."""
    mirrored = tmp_path / 'mirrored'
    shutil.copytree(OFFICE / 'sparse', mirrored / 'sparse')
    names = (OFFICE / 'query.txt').read_text('utf-8').split()
    keep = set(names)
    for path in (OFFICE / 'images').iterdir():
        # The rest of the model's images are there, but show nothing.
        image = cv2.imread(str(path))
        image = image[:, ::-1] if path.name in keep else image * 0
        (mirrored / 'images').mkdir(exist_ok=True)
        cv2.imwrite(str(mirrored / 'images' / path.name), image)
    code, out, err = evaluate(
        '--negatives', mirrored, '--no-report', '--fail-if', 'false_accepts>0'
    )
    assert code == 0, err
    assert 'false accepts' in out
    metrics = json.loads((tmp_path / 'run' / 'metrics.json').read_text('utf-8'))
    run = read_run(tmp_path / 'run')
    assert metrics['negatives'] == len(run.negatives) == len(list((OFFICE / 'images').iterdir()))
    assert metrics['false_accepts'] == 0
    assert metrics['queries'] == metrics['localized'] == NUM_QUERIES
    assert all(outcome.truth is None for outcome in run.negatives)


def test_negatives_that_do_not_exist_stop_it_at_once(evaluate, tmp_path):
    code, _, err = evaluate('--negatives', tmp_path / 'nothing')
    assert code == 1
    assert 'nothing' in err
    assert not (tmp_path / 'run').exists()
