# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one path: pure, seeded by the stamp, and never raising over an image."""

from dataclasses import replace
from pathlib import Path
import threading
from types import SimpleNamespace
from typing import ClassVar

import cv2
import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.localizers import LOCALIZERS, Localizer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.parallel import kept_threads
from relloc_ros.pipeline import Relocalizer, frame_seed
from relloc_ros.structures import Localization, PoseEstimate, QueryImage, SearchArea, Status

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'


@pytest.fixture(scope='module')
def queries():
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')
    return [QueryImage(read_image(p), p.camera, p.stamp_ns, 'cam', p.name) for p in posed]


@pytest.fixture(scope='module')
def relocalizer(office_map):
    return Relocalizer(ReferenceMap.open(office_map))


def image_message(image, stamp_ns=5_000_000_007, **changes):
    height, width = image.shape[:2]
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    fields = {
        'header': SimpleNamespace(stamp=stamp, frame_id='cam'),
        'height': height,
        'width': width,
        'encoding': 'bgr8',
        'is_bigendian': 0,
        'step': width * 3,
        'data': image.tobytes(),
    }
    return SimpleNamespace(**{**fields, **changes})


def test_seeds_differ_by_frame_and_by_setting():
    stamps = range(1000, 1200)
    assert len({frame_seed(0, stamp) for stamp in stamps}) == 200
    assert frame_seed(0, 1000) != frame_seed(1, 1000)
    assert frame_seed(3, 1000) == frame_seed(3, 1000) < 2**31


def test_the_order_of_the_images_changes_nothing(office_map, queries):
    forward = Relocalizer(ReferenceMap.open(office_map))
    backward = Relocalizer(ReferenceMap.open(office_map))
    first = {query.name: forward.process(query) for query in queries}
    second = {query.name: backward.process(query) for query in reversed(queries)}
    for name, result in first.items():
        assert result.localized
        np.testing.assert_array_equal(
            result.camera_pose.map_from_body.matrix, second[name].camera_pose.map_from_body.matrix
        )
        np.testing.assert_array_equal(
            result.camera_pose.covariance, second[name].camera_pose.covariance
        )


def test_a_message_gives_the_same_pose_as_its_image(relocalizer, queries):
    query = queries[0]
    message = image_message(query.image, query.stamp_ns)
    from_message = relocalizer.process_message(message, query.camera, 'topic')
    from_image = relocalizer.process(query)
    np.testing.assert_array_equal(
        from_message.camera_pose.map_from_body.matrix, from_image.camera_pose.map_from_body.matrix
    )
    assert from_message.stamp_ns == query.stamp_ns
    assert 'decoding' in from_message.timings_ms


@pytest.mark.parametrize('localizer', ['essential', 'retrieval', 'structure'])
def test_a_search_area_leaves_the_rest_of_the_map_out(office_points_map, queries, localizer):
    settings = {'localizer': localizer, 'top_k': 4, 'min_similarity': -1}
    relocalizer = Relocalizer(
        ReferenceMap.open(office_points_map), make_config(LocalizationConfig, settings)
    )
    reference_map = relocalizer.reference_map
    reference_map.images_near = lambda centre, radius, k: centre[0] < reference_map.centres[:, 0]
    middle = np.median(reference_map.centres, axis=0)
    query = queries[0]
    message = image_message(query.image, query.stamp_ns)
    area = SearchArea(middle, 0.5)
    result = relocalizer.process_message(message, query.camera, search_area=area)
    everywhere = relocalizer.process_message(message, query.camera)
    x = dict(zip(reference_map.image_names, reference_map.centres[:, 0], strict=True))
    assert len(result.retrieved) == 4
    assert min(x[name] for name in result.retrieved) > middle[0]
    assert min(x[name] for name in everywhere.retrieved) < middle[0]


def test_the_right_area_changes_no_pose(relocalizer, queries):
    query = queries[0]
    free = relocalizer.process(query)
    area = SearchArea(free.camera_pose.map_from_body.translation, 0.5)
    restricted = relocalizer.process(replace(query, search_area=area))
    np.testing.assert_allclose(
        restricted.camera_pose.map_from_body.matrix,
        free.camera_pose.map_from_body.matrix,
        atol=0.05,
    )


def test_stages_are_timed(relocalizer, queries):
    timings = relocalizer.process(queries[0]).timings_ms
    assert {'features', 'retrieval', 'matching', 'local_structure', 'total'} <= set(timings)
    # Features are found while map images are retrieved.
    side_by_side = {stage: timings.pop(stage) for stage in ('features', 'retrieval')}
    total = timings.pop('total')
    assert 0.0 < max(side_by_side.values()) + sum(timings.values()) <= total


def test_queries_start_no_threads(relocalizer, queries, monkeypatch):
    # OpenCV keeps some memory of every thread that has called it.
    for query in queries[:2]:
        relocalizer.process(query)
    started = []
    start = threading.Thread.start
    monkeypatch.setattr(
        threading.Thread, 'start', lambda thread: (started.append(thread), start(thread))
    )
    num_kept = kept_threads()._max_workers
    for query in queries * 2:
        assert relocalizer.process(query).localized
    assert len(started) < num_kept


def test_a_size_other_than_the_cameras_is_an_error_status(relocalizer, queries):
    query = queries[0]
    small = QueryImage(query.image[:240, :320], query.camera, 9, 'cam', 'small.png')
    result = relocalizer.process(small)
    assert result.status is Status.ERROR
    assert '320x240' in result.reason
    assert '640x480' in result.reason
    assert result.stamp_ns == 9


def test_an_undecodable_message_is_an_error_status(relocalizer, queries):
    query = queries[0]
    broken = image_message(query.image, data=query.image.tobytes()[:1000])
    result = relocalizer.process_message(broken, query.camera)
    assert result.status is Status.ERROR
    assert result.stamp_ns == 5_000_000_007
    assert result.camera_pose is None
    assert result.reason


class Recorder(Localizer):
    """Answers with a pose that is infinitely sure, or with an error, and keeps the seeds."""

    seeds: ClassVar[list[int]] = []

    def localize(self, query, seed):
        self.seeds.append(seed)
        if query.name == 'unusable':
            raise DataError('cannot be used')
        pose = PoseEstimate(RigidTransform.identity(), np.zeros((6, 6)))
        return Localization(Status.LOCALIZED, '', query.stamp_ns, 'recorder', pose)


def test_any_localizer_is_seeded_gated_and_kept_from_raising(office_map, queries, monkeypatch):
    monkeypatch.setitem(LOCALIZERS, 'recorder', Recorder)
    monkeypatch.setattr(Recorder, 'seeds', [])
    config = make_config(LocalizationConfig, {'localizer': 'recorder', 'random_seed': 7})
    relocalizer = Relocalizer(ReferenceMap.open(office_map), config)
    assert relocalizer.process(queries[0]).status is Status.GATED
    result = relocalizer.process(replace(queries[1], name='unusable'))
    assert result.status is Status.ERROR
    assert result.reason == 'cannot be used'
    assert result.localizer == 'recorder'
    assert Recorder.seeds == [frame_seed(7, query.stamp_ns) for query in queries[:2]]


def test_threads_are_set_when_asked_for(office_map):
    before = cv2.getNumThreads()
    try:
        for wanted in (1, 2):
            config = make_config(LocalizationConfig, {'num_threads': wanted})
            Relocalizer(ReferenceMap.open(office_map), config)
            assert cv2.getNumThreads() == wanted
        Relocalizer(ReferenceMap.open(office_map))
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def test_an_unknown_localizer_names_the_nearest(office_map):
    config = make_config(LocalizationConfig, {'localizer': 'esential'})
    with pytest.raises(ConfigError, match=r"'esential' \(did you mean 'essential'\?\)"):
        Relocalizer(ReferenceMap.open(office_map), config)
