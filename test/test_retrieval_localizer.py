# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The retrieval baseline: its weights, its mean of poses, and what it says of its own doubt."""

from pathlib import Path

import numpy as np
import pytest
from rendered_room import look, query_at, write_views
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.geometry import RigidTransform, exp_so3, log_so3, pose_error
from relloc_ros.localizers.retrieval import (
    ROTATION_STD,
    UNKNOWN_POSITION_STD,
    RetrievalLocalizer,
    interpolation_weights,
    mean_pose,
)
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage, Status

EXAMPLE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
INTERPOLATIONS = ('none', 'affine', 'equal', 'inverse_distance')
NO_GATE = {'max_position_std': 0.0, 'max_orientation_std': 0.0}


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def descriptors(count, seed=0, dimension=64):
    rng = np.random.default_rng(seed)
    query = rng.normal(size=dimension)
    return unit(query), unit(query + rng.normal(size=(count, dimension)))


class TestWeights:
    @pytest.mark.parametrize('interpolation', INTERPOLATIONS)
    def test_they_add_up_to_one(self, interpolation):
        for count in (1, 2, 5):
            query, neighbours = descriptors(count)
            weights = interpolation_weights(query, neighbours, interpolation)
            assert weights.shape == (count,)
            assert weights.sum() == pytest.approx(1.0)

    def test_none_is_the_first_alone(self):
        assert interpolation_weights(*descriptors(3), 'none').tolist() == [1, 0, 0]

    def test_inverse_distance(self):
        query = unit(np.eye(4)[0])
        angles = np.array([0.1, 0.2, 0.4])
        neighbours = np.array([[np.cos(a), np.sin(a), 0, 0] for a in angles], dtype=np.float32)
        weights = interpolation_weights(query, neighbours, 'inverse_distance')
        expected = 1 / (2 * np.sin(angles / 2))
        np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-5)

    def test_a_neighbour_with_the_same_descriptor_decides(self):
        query, neighbours = descriptors(3)
        neighbours[1] = query
        for interpolation in ('inverse_distance', 'affine'):
            weights = interpolation_weights(query, neighbours, interpolation)
            np.testing.assert_allclose(weights, [0, 1, 0], atol=2e-3)

    def test_affine_weights_are_the_closest_combination(self):
        query, neighbours = descriptors(4, seed=3)
        weights = interpolation_weights(query, neighbours, 'affine')
        best = minimize(
            lambda a: np.sum((query - a @ neighbours) ** 2),
            np.full(4, 0.25),
            constraints={'type': 'eq', 'fun': lambda a: a.sum() - 1},
            tol=1e-12,
        )
        np.testing.assert_allclose(weights, best.x, atol=5e-3)

    def test_affine_weights_reach_beyond_the_neighbours(self):
        # Descriptors on a line, the query behind the last of them.
        line = np.array([[2.0, 1.0], [3.0, 1.0]], dtype=np.float32)
        query = np.array([1.0, 1.0], dtype=np.float32)
        weights = interpolation_weights(query, line, 'affine')
        np.testing.assert_allclose(weights, [2, -1], atol=0.02)

    def test_equal_neighbours_share(self):
        query, neighbours = descriptors(1)
        same = np.repeat(neighbours, 3, axis=0)
        np.testing.assert_allclose(interpolation_weights(query, same, 'affine'), 1 / 3)
        np.testing.assert_allclose(
            interpolation_weights(same[0], same, 'affine'), 1 / 3, err_msg='and all are the query'
        )


class TestMeanPose:
    def test_on_the_way_from_one_to_the_other_and_beyond(self):
        axis = np.array([0.3, -0.5, 0.8]) / np.linalg.norm([0.3, -0.5, 0.8])
        start = exp_so3(np.array([1.0, 2.0, -0.5]))
        first = RigidTransform(start, np.array([1.0, 0.0, 0.0]))
        second = RigidTransform(exp_so3(0.8 * axis) @ start, np.array([2.0, 4.0, 0.0]))
        for fraction in (-0.5, 0.0, 0.25, 1.0, 1.5):
            mean = mean_pose([first, second], np.array([1 - fraction, fraction]))
            np.testing.assert_allclose(mean.translation, [1 + fraction, 4 * fraction, 0])
            np.testing.assert_allclose(
                mean.rotation, exp_so3(0.8 * fraction * axis) @ start, atol=1e-9
            )

    def test_weighted_rotation_vectors_cancel_at_the_mean(self):
        rng = np.random.default_rng(5)
        start = Rotation.random(random_state=1).as_matrix()
        poses = [
            RigidTransform(exp_so3(rng.normal(scale=0.3, size=3)) @ start, np.zeros(3))
            for _ in range(5)
        ]
        weights = np.array([0.6, 0.5, 0.3, -0.1, -0.3])
        mean = mean_pose(poses, weights)
        vectors = np.array([log_so3(pose.rotation @ mean.rotation.T) for pose in poses])
        np.testing.assert_allclose(weights @ vectors, 0, atol=1e-9)
        np.testing.assert_allclose(mean.rotation @ mean.rotation.T, np.eye(3), atol=1e-12)

    def test_rotations_without_a_mean_keep_the_first(self):
        rng = np.random.default_rng(8)
        poses = [
            RigidTransform(Rotation.random(random_state=rng).as_matrix(), np.full(3, float(i)))
            for i in range(6)
        ]
        mean = mean_pose(poses, np.array([1.0, -2.0, 3.0, -2.0, 2.0, -1.0]))
        np.testing.assert_array_equal(mean.rotation, poses[0].rotation)


@pytest.fixture(scope='module')
def office(office_map):
    with ReferenceMap.open(office_map) as reference_map:
        yield reference_map


@pytest.fixture(scope='module')
def queries():
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')
    return [
        (QueryImage(read_image(p), p.camera, p.stamp_ns, 'cam', p.name), p.cam_from_map.inverse())
        for p in posed
    ]


def localize(reference_map, query, **settings):
    values = {key.replace('__', '.'): value for key, value in settings.items()}
    config = make_config(LocalizationConfig, {'localizer': 'retrieval', **values})
    return Relocalizer(reference_map, config).process(query)


def test_without_interpolation_the_pose_is_that_of_the_top_image(office, queries):
    for query, _ in queries:
        result = localize(office, query, **NO_GATE)
        top = office.image_names.index(result.retrieved[0])
        np.testing.assert_allclose(
            result.camera_pose.map_from_body.matrix, office.cam_from_map(top).inverse().matrix
        )
        assert set(result.timings_ms) == {'retrieval', 'interpolation', 'total'}
        assert (result.num_matches, result.num_inliers, result.pairs) == (0, 0, ())


def test_interpolation_helps_between_single_photos(office, queries):
    errors = {}
    for interpolation in INTERPOLATIONS:
        settings = {**NO_GATE, 'retrieval__interpolation': interpolation}
        results = [localize(office, query, **settings) for query, _ in queries]
        errors[interpolation] = np.median(
            [
                pose_error(result.camera_pose.map_from_body, truth)
                for result, (_, truth) in zip(results, queries, strict=True)
            ],
            axis=0,
        )
    assert (errors['affine'] < 0.5 * errors['none']).all()
    assert (errors['equal'] < errors['none']).all()
    assert (errors['affine'] < errors['inverse_distance']).all()
    assert (errors['inverse_distance'] < errors['equal']).any()


def test_one_neighbour_leaves_nothing_to_interpolate(office, queries):
    poses = [
        localize(
            office,
            queries[0][0],
            retrieval__interpolation=interpolation,
            retrieval__num_neighbours=1,
            **NO_GATE,
        ).camera_pose.map_from_body.matrix
        for interpolation in INTERPOLATIONS
    ]
    for pose in poses[1:]:
        np.testing.assert_allclose(pose, poses[0], atol=1e-12)


def test_the_covariance_covers_the_errors(office, queries):
    for query, truth in queries:
        pose = localize(office, query, **NO_GATE).camera_pose
        distance, angle = pose_error(pose.map_from_body, truth)
        position_std, rotation_std = np.sqrt(np.diag(pose.covariance)[[0, 3]])
        assert distance / 3 < position_std < 10 * distance + 0.5
        assert max(angle / 3, ROTATION_STD) < rotation_std < 1.0


def test_a_robot_gets_no_pose_that_is_too_unsure(office, queries):
    results = [localize(office, query) for query, _ in queries]
    gated = [result for result in results if result.status is Status.GATED]
    assert gated
    assert all('exceeds max_' in result.reason for result in gated)


def test_nothing_similar_enough_is_no_retrieval(office, queries):
    result = localize(office, queries[0][0], min_similarity=0.999)
    assert result.status is Status.NO_RETRIEVAL
    assert 'min_similarity' in result.reason


def test_dissimilar_images_are_not_combined(office, queries):
    query, _ = queries[0]
    _, similarities = office.retrieve(office.describe(query.image), 3)
    limit = float(similarities[1] + similarities[2]) / 2
    result = localize(
        office, query, min_similarity=limit, retrieval__interpolation='equal', **NO_GATE
    )
    assert len(result.retrieved) == 2
    centres = office.centres[[office.image_names.index(name) for name in result.retrieved]]
    np.testing.assert_allclose(
        result.camera_pose.map_from_body.translation, centres.mean(axis=0), atol=1e-12
    )


def test_a_texture_of_nothing_is_no_feature(office, queries):
    query, _ = queries[0]
    blank = QueryImage(np.full_like(query.image, 128), query.camera, 1)
    assert localize(office, blank).status is Status.NO_FEATURES


def test_stored_descriptors_are_those_of_the_images(office):
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'map.txt')
    stored = office.global_descriptors(np.array([3, 0]))
    for row, index in zip(stored, (3, 0), strict=True):
        image = next(p for p in posed if p.name == office.image_names[index])
        np.testing.assert_allclose(row, office.describe(read_image(image)), atol=1e-6)


def test_one_image_or_one_place_tells_no_scale(tmp_path):
    poses = [look((0.2, 0.1, -1.5), yaw) for yaw in (0, 20, 40)]
    views = write_views(tmp_path, poses)
    query = query_at(look((0.3, 0.1, -1.4), 3.0))
    for count in (1, 3):
        with ReferenceMap.open(build_map(views[:count], tmp_path / f'{count}')) as reference_map:
            config = make_config(
                LocalizationConfig, {'localizer': 'retrieval', 'min_similarity': -1}
            )
            result = RetrievalLocalizer(reference_map, config).localize(query, 0)
        deviations = np.sqrt(np.diag(result.camera_pose.covariance))
        np.testing.assert_allclose(deviations[:3], UNKNOWN_POSITION_STD)
        assert deviations[3] >= ROTATION_STD
        assert (deviations[3] == pytest.approx(ROTATION_STD)) == (count == 1)
