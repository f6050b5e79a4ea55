# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Theory of pose regression: what constructed networks can predict is found out."""

from __future__ import annotations

import numpy as np
import pytest

from relloc_ros.analysis.condition import (
    cone_distances,
    cone_is_span,
    extent,
    is_conical,
    reach_of_mixtures,
    reach_of_relevant,
    reach_of_weights,
    relevant,
    stretch,
)
from relloc_ros.analysis.flats import Flat
from relloc_ros.analysis.nearest import closeness, explained_by_nearest, nearest

OFFSET = np.array([1.0, -2.0, 0.5])
ALONG = np.array([0.6, 0.0, 0.8])
ACROSS = np.array([0.0, 1.0, 0.0])
UPRIGHT = np.cross(ALONG, ACROSS)


def base_in(rng, directions, count=40, size=0.1):
    """Base translations (3, N) in the span of unit vectors."""
    return np.array(directions).T @ rng.normal(0.0, size, (len(directions), count))


def conical_coefficients(rng, images=60, count=40):
    return np.maximum(rng.normal(0.3, 1.0, (images, count)), 0.0)


@pytest.mark.parametrize(
    ('directions', 'kind'),
    [([ALONG], 'line'), ([ALONG, ACROSS], 'plane'), ([ALONG, ACROSS, UPRIGHT], 'space')],
)
def test_no_image_is_predicted_outside_the_span_of_the_base_translations(directions, kind):
    rng = np.random.default_rng(1)
    base = base_in(rng, directions)
    reach = reach_of_weights(OFFSET, base)
    assert reach.flat.kind == kind
    predicted = OFFSET + rng.normal(0.0, 100.0, (50, 40)) @ base.T
    assert reach.flat.distances(predicted).max() < 1e-9
    assert np.isinf(reach.lengths).sum() == len(directions)
    assert reach.singular_values == pytest.approx(
        np.append(np.linalg.svd(base)[1], np.zeros(3))[:3], abs=1e-12
    )


def test_a_network_without_base_translations_predicts_a_point():
    reach = reach_of_weights(OFFSET, np.zeros((3, 8)))
    assert reach.flat.kind == 'point'
    assert reach.flat.distances(OFFSET[None] + ACROSS) == pytest.approx([1.0])
    assert '(1, -2, 0.5)' in reach.flat.said('m')


def test_a_plane_is_said_by_its_normal_and_offset():
    flat = reach_of_weights(OFFSET, base_in(np.random.default_rng(2), [ALONG, ACROSS])).flat
    assert abs(flat.normal @ UPRIGHT) == pytest.approx(1.0)
    assert flat.normal[np.abs(flat.normal).argmax()] > 0.0
    assert flat.offset == pytest.approx(flat.normal @ OFFSET)
    points = OFFSET + np.outer([0.5, -2.0], UPRIGHT) + 7.0 * ALONG
    assert flat.distances(points) == pytest.approx([0.5, 2.0])
    assert flat.said('m') == 'the plane with normal (0.8, 0, -0.6) and offset 0.5 m'


def test_a_line_is_said_by_its_point_nearest_the_origin_and_its_direction():
    flat = Flat(OFFSET + 3.0 * ALONG, np.array([-ALONG, ACROSS, UPRIGHT]), 1)
    assert flat.said('m').endswith('m with direction (0.6, 0, 0.8)')
    assert flat.distances((OFFSET + 2.0 * ACROSS)[None]) == pytest.approx([2.0])


def test_noise_of_the_base_translations_bounds_how_far_predictions_leave_a_line():
    rng = np.random.default_rng(3)
    base = base_in(rng, [ALONG]) + rng.normal(0.0, 1e-4, (3, 40))
    alphas = conical_coefficients(rng)
    reach = reach_of_relevant(OFFSET, base, alphas, tolerance=0.05)
    assert reach.flat.kind == 'line'
    assert reach_of_weights(OFFSET, base).flat.kind == 'space'
    mean = alphas.mean(axis=0)
    radius = np.linalg.norm(alphas - mean, axis=1).max()
    others = rng.normal(0.0, 1.0, (500, 40))
    others = mean + radius * others / np.linalg.norm(others, axis=1)[:, None]
    off = reach.flat.distances(OFFSET + others @ base.T)
    assert 0.0 < off.max() <= reach.leeway < 0.05


def test_parallel_lines_leave_the_plane_of_what_training_images_use():
    rng = np.random.default_rng(4)
    base = np.concatenate([base_in(rng, [ALONG, ACROSS], 30), base_in(rng, [UPRIGHT], 10)], axis=1)
    alphas = conical_coefficients(rng)
    alphas[:, 30:] = 0.0
    used = relevant(base, alphas)
    assert used.sum() == 30
    assert not used[30:].any()
    reach = reach_of_relevant(OFFSET, base, alphas, tolerance=1e-3)
    assert (reach.flat.kind, reach.count) == ('plane', 30)
    assert np.isinf(stretch(OFFSET, base, alphas, (OFFSET + UPRIGHT)[None]))[0]
    assert np.isfinite(stretch(OFFSET, base, alphas, (OFFSET + ALONG - ACROSS)[None]))[0]


def test_columns_of_the_rotation_branch_are_not_relevant():
    base = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    alphas = np.array([[0.5, 900.0], [0.2, 1.0]])
    assert relevant(base, alphas).tolist() == [True, False]


def test_rarely_used_base_poses_count_too():
    alphas = np.full((50, 3), 1.0)
    alphas[1:, 1] = 0.0
    alphas[:, 2] = 1e-3
    assert relevant(np.eye(3), alphas).tolist() == [True, True, False]


def test_mixtures_of_images_of_a_line_stay_on_it_though_the_weights_span_all():
    rng = np.random.default_rng(5)
    base = base_in(rng, [ALONG, ACROSS, UPRIGHT])
    change = np.linalg.pinv(base) @ ALONG
    alphas = rng.uniform(0.0, 1.0, 40) + np.outer(np.linspace(-4.0, 4.0, 30), change)
    reach = reach_of_mixtures(OFFSET, base, alphas, tolerance=0.01)
    assert reach.flat.kind == 'line'
    assert abs(reach.flat.direction @ ALONG) == pytest.approx(1.0)
    assert reach.lengths[0] == pytest.approx(4.0, rel=0.1)
    weights = rng.normal(0.0, 1.0, (20, 30))
    weights /= weights.sum(axis=1, keepdims=True)
    assert reach.flat.distances(OFFSET + weights @ alphas @ base.T).max() < 1e-6


def test_stretch_is_one_for_the_furthest_training_image_along_the_only_base():
    alphas = np.array([[0.0], [1.0], [2.0], [5.0]])
    base = np.array([[2.0], [0.0], [0.0]])
    points = OFFSET + alphas @ base.T
    assert stretch(OFFSET, base, alphas, points) == pytest.approx([2 / 3, 1 / 3, 0.0, 1.0])


def test_conical_combinations_of_base_translations_on_one_side_cannot_go_to_the_other():
    base = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert not cone_is_span(base)
    points = OFFSET + np.array([[1.0, 2.0, 3.0], [-1.0, 0.0, 0.0], [4.0, -3.0, -4.0]])
    assert cone_distances(OFFSET, base, points) == pytest.approx([0.0, 1.0, 5.0], abs=1e-9)


def test_base_translations_on_all_sides_reach_as_far_as_signed_ones():
    rng = np.random.default_rng(6)
    base = base_in(rng, [ALONG, ACROSS], 30)
    assert cone_is_span(base)
    points = OFFSET + rng.normal(0.0, 5.0, (10, 3))
    expected = reach_of_weights(OFFSET, base).flat.distances(points)
    assert cone_distances(OFFSET, base, points) == pytest.approx(expected, abs=1e-8)


def test_conical_is_told_from_signed():
    assert is_conical(np.array([[0.0, 0.5], [1.0, 0.0]]))
    assert not is_conical(np.array([[0.0, 0.5], [-1e-3, 0.0]]))


def test_extent_is_along_the_longest_way():
    positions = OFFSET + np.outer([-1.0, 0.0, 4.0], ALONG) + np.outer([0.1, 0.0, 0.1], ACROSS)
    assert extent(positions) == pytest.approx(5.0, rel=0.01)


def test_nearest_images_come_in_order():
    training = np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0]])
    indices, distances = nearest(np.array([[0.0, 0.0], [3.0, 3.0]]), training, 2)
    assert indices.tolist() == [[0, 2], [1, 2]]
    assert distances == pytest.approx(np.array([[0.0, 1.0], [1.0, np.sqrt(13.0)]]))
    assert nearest(training, training, 9)[0].shape == (3, 3)


def test_closeness_goes_from_the_truth_to_retrieval():
    values = closeness(np.array([0.0, 1.0, 3.0, 0.0]), np.array([2.0, 1.0, 0.0, 0.0]))
    assert values[:3] == pytest.approx([0.0, 0.5, 1.0])
    assert np.isnan(values[3])


def test_predictions_that_are_the_poses_of_training_images_are_explained_by_them():
    rng = np.random.default_rng(7)
    retrieved = rng.normal(0.0, 1.0, (400, 3))
    assert explained_by_nearest(retrieved, retrieved) == 1.0
    half = explained_by_nearest(retrieved + rng.normal(0.0, 1.0, (400, 3)), retrieved)
    assert half == pytest.approx(0.5, abs=0.1)
    assert explained_by_nearest(retrieved, retrieved[::-1]) == 0.0
    assert np.isnan(explained_by_nearest(np.ones((3, 3)), retrieved[:3]))
