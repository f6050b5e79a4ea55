# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Theory of pose regression: what constructed networks can predict is found out."""

from __future__ import annotations

import base64
import json
import re

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
from relloc_ros.analysis.model_analysis import (
    BaseTranslations,
    EmbeddedImages,
    analyse,
    network_limits,
)
from relloc_ros.analysis.nearest import closeness, explained_by_nearest, nearest
from relloc_ros.analysis.numbers import analysis_numbers
from relloc_ros.analysis.statements import limits_said, queries_said, summary
from relloc_ros.analysis.top_view import flat_line, views_of
from relloc_ros.errors import DataError
from relloc_ros.geometry import exp_so3

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
    directions = np.array([ALONG, ACROSS, (ALONG + ACROSS) / np.sqrt(2.0)])
    along = np.abs((OFFSET + others @ base.T - reach.flat.origin) @ directions.T)
    assert (along.max(axis=0) <= reach.along(directions)).all()
    assert reach.along(reach.flat.axes) == pytest.approx(reach.lengths)


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


def turned(rng, count, angle):
    return np.array([exp_so3(vector) for vector in rng.normal(0.0, angle, (count, 3))])


def line_network(rng, count=40):
    """A network that was trained on a line, and learned nothing about what lies beside it."""
    base = base_in(rng, [ALONG]) + rng.normal(0.0, 1e-5, (3, count))
    # Base translations on both sides: conical combinations go either way.
    return BaseTranslations(OFFSET, base)


def images_of(base, alphas, rng, beside=0.0):
    positions = base.predict(alphas) + beside * ACROSS
    names = tuple(f'{beside:g}_{number}.jpg' for number in range(len(alphas)))
    return EmbeddedImages(names, alphas, positions, turned(rng, len(alphas), 0.1))


@pytest.fixture
def beside_the_line():
    """Queries 1.5 m beside a line, which look to the network like images on it."""
    rng = np.random.default_rng(8)
    base = line_network(rng)
    training = images_of(base, conical_coefficients(rng), rng)
    mixed = rng.dirichlet(np.ones(60), 12) @ training.alphas
    queries = images_of(base, mixed, rng, beside=1.5)
    predicted = base.predict(queries.alphas)
    return analyse(base, training, queries, predicted, queries.rotations)


def test_queries_beside_a_line_are_known_to_be_out_of_reach(beside_the_line):
    limits, figures = beside_the_line.limits, beside_the_line.figures
    assert limits.binding is limits.relevant
    assert (limits.relevant.flat.kind, limits.mixtures.flat.kind) == ('line', 'line')
    assert limits.conical
    assert not limits.signs_matter
    assert figures.off_mixtures == pytest.approx(np.full(12, 1.5), abs=1e-3)
    assert figures.predicted_off_mixtures.max() < 1e-3
    assert figures.off_weights.max() == 0.0
    assert figures.stretch.min() > 10.0
    assert figures.part_stretch.min() > 10.0
    assert figures.position_errors == pytest.approx(np.full(12, 1.5))
    assert figures.rotation_errors == pytest.approx(np.zeros(12), abs=1e-9)


def test_a_prediction_is_that_of_the_nearest_image_and_an_offset(beside_the_line):
    training, figures = beside_the_line.training, beside_the_line.figures
    retrieved = training.positions[figures.nearest]
    moves = np.linalg.norm(beside_the_line.predicted_positions - retrieved, axis=1)
    assert figures.offsets == pytest.approx(moves)
    errors = figures.position_errors
    assert figures.position_closeness == pytest.approx(errors / (errors + moves))
    assert 0.0 <= figures.explained <= 1.0


def test_what_is_said_names_the_line_and_how_many_queries_are_off_it(beside_the_line):
    said = limits_said(beside_the_line.limits, 'm')
    assert 'cannot leave the line through' in said
    assert 'with direction (0.6, 0, 0.8)' in said
    lines = queries_said(beside_the_line, 'm')
    assert lines[0].startswith('12 of 12 queries were taken off the line of the training images')
    assert 'by 1.50 m in the median' in lines[0]
    page = summary(beside_the_line, 'm', 'posenet', ['a remark'])
    assert said in page
    assert page.endswith('- a remark\n')


def test_numbers_are_plain_and_complete(beside_the_line):
    numbers = analysis_numbers(beside_the_line, 'm', np.eye(4, 40), None)
    read = json.loads(json.dumps(numbers, allow_nan=False))
    assert read['weights']['lengths'] == [None, None, None]
    assert read['relevant']['direction'] == pytest.approx(ALONG, abs=1e-3)
    assert read['rotation_singular_values'] == [1.0] * 4
    assert len(read['base_translations']) == len(read['mean_weights']) == 40
    assert [query['outside'] for query in read['queries']] == [True] * 12
    assert read['queries'][3]['off_mixtures'] == pytest.approx(1.5, abs=1e-3)


def test_nothing_is_claimed_of_a_network_that_reaches_all_directions():
    rng = np.random.default_rng(9)
    base = BaseTranslations(OFFSET, base_in(rng, [ALONG, ACROSS, UPRIGHT]))
    limits = network_limits(base, images_of(base, conical_coefficients(rng), rng))
    assert limits.binding is None
    assert 'Nothing keeps predictions' in limits_said(limits, 'm')


def test_a_plane_in_the_weights_is_said_to_hold_whatever_the_image():
    rng = np.random.default_rng(10)
    base = BaseTranslations(OFFSET, base_in(rng, [ALONG, ACROSS]))
    limits = network_limits(base, images_of(base, conical_coefficients(rng), rng))
    assert limits.binding is limits.weights
    said = limits_said(limits, 'm')
    assert 'cannot leave the plane with normal' in said
    assert said.endswith('whatever the image.')


def test_conical_coefficients_of_one_sided_base_translations_matter():
    rng = np.random.default_rng(11)
    base = BaseTranslations(OFFSET, np.abs(rng.normal(0.0, 0.1, (3, 40))))
    training = images_of(base, conical_coefficients(rng), rng)
    behind = EmbeddedImages(
        ('behind.jpg',), training.alphas[:1], OFFSET[None] - 2.0, training.rotations[:1]
    )
    analysis = analyse(base, training, behind, base.predict(behind.alphas), training.rotations[:1])
    assert analysis.limits.signs_matter
    assert analysis.figures.off_weights == pytest.approx([np.sqrt(12.0)])
    assert '1 of 1 queries are where no image can be predicted.' in queries_said(analysis, 'm')


def test_images_that_do_not_belong_together_are_refused(beside_the_line):
    training = beside_the_line.training
    with pytest.raises(DataError, match='as many of each'):
        EmbeddedImages(('a',), training.alphas, training.positions, training.rotations)
    with pytest.raises(DataError, match='8 base poses and 40 coefficients'):
        network_limits(BaseTranslations(OFFSET, np.zeros((3, 8))), training)


def test_the_line_is_seen_from_above(beside_the_line):
    views = views_of(beside_the_line)
    limits = np.array([[-2.0, -2.0], [2.0, 2.0]])
    ends = flat_line(beside_the_line.limits.mixtures.flat, views, limits)
    along = views.flatten(ALONG)[0]
    seen = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    assert abs(seen @ along) == pytest.approx(np.linalg.norm(along), abs=1e-3)
    across = Flat(OFFSET, np.array([ALONG, ACROSS, UPRIGHT]), 3)
    assert flat_line(across, views, limits) is None


@pytest.mark.parametrize('size', [0.0, 0.1])
def test_one_image_is_enough_to_draw(size):
    pytest.importorskip('matplotlib', reason='Matplotlib is not installed: extra report')
    from relloc_ros.analysis.figures import base_plot, coefficient_plot, position_plot
    from relloc_ros.analysis.reach_figures import reach_plot, retrieval_plot
    from relloc_ros.evaluation.report.theme import drawing, svg

    rng = np.random.default_rng(12)
    base = BaseTranslations(OFFSET, rng.normal(0.0, 1.0, (3, 4)) * size)
    images = images_of(base, conical_coefficients(rng, 1, 4), rng)
    analysis = analyse(base, images, images, images.positions, images.rotations)
    views, nowhere = views_of(analysis), np.full((1, 3), np.nan)
    with drawing():
        plots = [
            base_plot(analysis, views, 'm'),
            coefficient_plot(analysis, views, 'm'),
            position_plot(analysis, views, 'm', nowhere, 'essential'),
            reach_plot(analysis, 'm'),
            retrieval_plot(analysis, 'm', nowhere, 'essential'),
        ]
        assert all('</svg>' in svg(plot.figure) for plot in plots)
    assert len({plot.name for plot in plots}) == 5


def test_a_page_shows_the_images_and_asks_for_nothing(beside_the_line):
    pytest.importorskip('jinja2', reason='Jinja2 is not installed: extra report')
    pytest.importorskip('matplotlib', reason='Matplotlib is not installed: extra report')
    from relloc_ros.analysis.animation import Pictures, animation

    grey = np.full((30, 40), 99, np.uint8)
    pictures = Pictures([grey] * 12, lambda index: None)
    page = animation(beside_the_line, views_of(beside_the_line), 'm', '</script><b>', pictures)
    assert '<b>' not in page
    assert 'http:' not in page
    assert 'https:' not in page
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    data = json.loads(text)
    assert len(data['queries']) == 12
    assert len(data['base']) == 40
    for frame in data['queries']:
        weights = np.frombuffer(base64.b64decode(frame['weights']), np.uint8)
        assert len(weights) == 40
        assert frame['picture'].startswith('data:image/jpeg;base64,')
        assert 0 <= frame['nearest'] < len(data['training'])
    assert all(data['training'][index]['picture'] is None for index in data['training_frames'])
