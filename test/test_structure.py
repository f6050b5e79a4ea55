# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The structure-based localizer, by retrieved images and directly."""

from pathlib import Path

import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import MapError
from relloc_ros.geometry import pose_error
from relloc_ros.localizers.point_matching import images_of_matches, lift_matches, search_points
from relloc_ros.localizers.reference_matching import (
    MatchedImage,
    extract_query,
    match_reference_images,
)
from relloc_ros.map.points import NO_POINT
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage, Status
from relloc_ros.vision.matching import MutualRatio

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
MATCHINGS = ('retrieved', 'direct')


@pytest.fixture(scope='module')
def posed():
    return read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')


@pytest.fixture(scope='module')
def queries(posed):
    return [QueryImage(read_image(p), p.camera, p.stamp_ns, 'cam', p.name) for p in posed]


@pytest.fixture(scope='module')
def reference_map(office_points_map):
    return ReferenceMap.open(office_points_map)


def run(reference_map, query, matching, **settings):
    values = {'localizer': 'structure', 'structure.matching': matching, **settings}
    return Relocalizer(reference_map, make_config(LocalizationConfig, values)).process(query)


@pytest.mark.parametrize('matching', MATCHINGS)
class TestStructure:
    def test_accurate(self, reference_map, queries, posed, matching):
        errors = []
        for query, truth in zip(queries, posed, strict=True):
            result = run(reference_map, query, matching)
            assert result.localized, result.reason
            pose = result.camera_pose.map_from_body
            errors.append(pose_error(pose, truth.cam_from_map.inverse()))
        assert (np.median(errors, axis=0) < (0.02, np.deg2rad(0.5))).all()

    def test_stages_and_pairs(self, reference_map, queries, matching):
        result = run(reference_map, queries[0], matching)
        assert {'features', 'matching', 'absolute_pose'} <= result.timings_ms.keys()
        assert ('retrieval' in result.timings_ms) == (matching == 'retrieved')
        assert result.num_inliers >= 20
        assert sum(pair.inliers.sum() for pair in result.pairs) >= 3 * result.num_inliers / 2
        for pair in result.pairs:
            assert pair.query_points2D[:, 0].max() <= 640
            assert pair.map_points2D[:, 1].max() <= 480

    def test_mirrored_images_are_not_localized(self, reference_map, queries, matching):
        for query in queries:
            mirrored = QueryImage(query.image[:, ::-1].copy(), query.camera, query.stamp_ns)
            result = run(reference_map, mirrored, matching)
            assert result.status in {Status.TOO_FEW_MATCHES, Status.TOO_FEW_INLIERS}

    def test_too_few_matches(self, reference_map, queries, matching):
        result = run(reference_map, queries[0], matching, min_inliers=5000)
        assert result.status is Status.TOO_FEW_MATCHES
        assert '3D points' in result.reason

    def test_too_few_inliers(self, reference_map, queries, matching):
        result = run(
            reference_map,
            queries[0],
            matching,
            **{'structure.reprojection_threshold_px': 0.001, 'structure.max_matches': 100},
        )
        assert result.status is Status.TOO_FEW_INLIERS

    def test_gated(self, reference_map, queries, matching):
        result = run(reference_map, queries[0], matching, max_position_std=1e-6)
        assert result.status is Status.GATED


def test_direct_never_retrieves(reference_map, queries, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError('image retrieval was called')

    monkeypatch.setattr(ReferenceMap, 'retrieve', fail)
    monkeypatch.setattr(ReferenceMap, 'describe', fail)
    assert run(reference_map, queries[0], 'direct').localized
    with pytest.raises(AssertionError):
        run(reference_map, queries[0], 'retrieved')


def test_no_retrieval(reference_map, queries):
    result = run(reference_map, queries[0], 'retrieved', min_similarity=0.999)
    assert result.status is Status.NO_RETRIEVAL


def test_a_map_without_points_names_the_command(office_map):
    with (
        ReferenceMap.open(office_map) as plain,
        pytest.raises(MapError, match=f'relloc map triangulate {office_map}'),
    ):
        Relocalizer(plain, LocalizationConfig(localizer='structure'))


class TestDirectSearch:
    @pytest.fixture
    def features(self, reference_map, queries):
        return extract_query(reference_map, queries[0], 2000)

    def test_stops_when_there_are_enough(self, reference_map, features):
        def search(limit):
            return search_points(
                reference_map, reference_map.points, features, ratio=0.85, max_matches=limit
            )

        few, all_of_them = search(30), search(10**6)
        assert 30 <= len(few) < 60 < len(all_of_them)
        # More search finds better keypoints for a point, never other points first.
        assert few.points.tolist() == all_of_them.points[: len(few)].tolist()

    def test_each_point_and_keypoint_once(self, reference_map, features):
        matches = search_points(
            reference_map, reference_map.points, features, ratio=0.85, max_matches=10**6
        )
        assert len(np.unique(matches.points)) == len(matches)
        assert len(np.unique(matches.keypoints)) == len(matches)

    def test_images_of_matches_see_all_of_them(self, reference_map, features):
        points = reference_map.points
        matches = search_points(reference_map, points, features, ratio=0.85, max_matches=200)
        images = images_of_matches(reference_map, points, matches)
        sizes = [len(image.matches) for image in images]
        assert max(sizes) == sizes[0]
        shown_keypoints = np.concatenate([image.matches[:, 0] for image in images])
        assert set(shown_keypoints.tolist()) == set(matches.keypoints.tolist())
        point_of = dict(zip(matches.keypoints.tolist(), matches.points.tolist(), strict=True))
        for image in images:
            shown = points.of_image(image.index)[image.features.rows[image.matches[:, 1]]]
            assert shown.tolist() == [point_of[k] for k in image.matches[:, 0].tolist()]


class TestLifting:
    def test_most_images_decide(self, reference_map):
        points = reference_map.points
        which, images, rows = points.observations_of(np.arange(len(points)))
        popular = int(np.bincount(which).argmax())
        seen_in = images[which == popular][:3], rows[which == popular][:3]
        other_row = int(np.flatnonzero(points.of_image(seen_in[0][2]) >= 0)[0])
        chosen = [seen_in[1][0], seen_in[1][1], other_row]
        matched = [
            matched_image(reference_map, int(index), [(5, int(row))])
            for index, row in zip(seen_in[0], chosen, strict=True)
        ]
        lifted = lift_matches(points, matched)
        assert lifted.keypoints.tolist() == [5]
        assert lifted.points.tolist() == [popular]

    def test_keypoints_without_points_are_left_out(self, reference_map):
        row = int(np.flatnonzero(reference_map.points.of_image(0) == NO_POINT)[0])
        matched = [matched_image(reference_map, 0, [(7, row)])]
        assert len(lift_matches(reference_map.points, matched)) == 0
        assert len(lift_matches(reference_map.points, [])) == 0

    def test_matches_of_a_query(self, reference_map, queries):
        features = extract_query(reference_map, queries[0], 1000)
        matched = match_reference_images(
            reference_map,
            features,
            np.arange(reference_map.num_images),
            matcher=MutualRatio(0.85),
            ratio=0.85,
            max_images=6,
            distance_limits=(0.0, 0.0),
        )
        lifted = lift_matches(reference_map.points, matched)
        assert len(lifted) > 100
        assert len(np.unique(lifted.keypoints)) == len(lifted)


def matched_image(reference_map, index, matches):
    """Matches by rows of the database."""
    features = reference_map.features(index)
    columns = [(k, int(np.flatnonzero(features.rows == row)[0])) for k, row in matches]
    return MatchedImage(
        index,
        reference_map.image_names[index],
        reference_map.cam_from_map(index),
        reference_map.camera(index).mean_focal_length,
        features,
        np.array(columns, dtype=np.intp),
    )
