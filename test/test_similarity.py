# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Similarities are what they say, and are found among wrong points."""

import math

import numpy as np
import pytest

from relloc_ros.geometry import RigidTransform, exp_so3, rotation_angle
from relloc_ros.similarity import (
    Similarity,
    fit_along,
    fit_points,
    fit_robust,
    ratio_of_lengths,
)

TRUE = Similarity(2.5, exp_so3(np.array([0.4, -1.1, 2.0])), np.array([10.0, -3.0, 0.7]))


def cloud(count, rng, extent=(4.0, 3.0, 1.0)):
    return rng.uniform(-1, 1, (count, 3)) * extent


def assert_same(found, expected, tolerance=1e-9):
    assert found.scale == pytest.approx(expected.scale, rel=tolerance)
    assert rotation_angle(found.rotation @ expected.rotation.T) < 10 * tolerance
    np.testing.assert_allclose(found.translation, expected.translation, atol=30 * tolerance)


class TestSimilarity:
    def test_chains_as_its_points_do(self):
        points = cloud(5, np.random.default_rng(0))
        other = Similarity(0.2, exp_so3(np.array([1.0, 0.0, 0.3])), np.array([0.0, 1.0, 2.0]))
        np.testing.assert_allclose(
            (TRUE @ other).apply(points), TRUE.apply(other.apply(points)), atol=1e-12
        )

    def test_moves_a_camera_with_what_it_sees(self):
        rng = np.random.default_rng(1)
        points = cloud(5, rng)
        pose = RigidTransform(exp_so3(rng.normal(size=3)), rng.normal(size=3))
        moved = TRUE.apply_to_pose(pose)
        np.testing.assert_allclose(
            moved.apply(TRUE.apply(points)), TRUE.scale * pose.apply(points), atol=1e-12
        )
        np.testing.assert_allclose(
            moved.inverse().translation,
            TRUE.apply(pose.inverse().translation[np.newaxis])[0],
            atol=1e-12,
        )

    def test_the_identity_moves_nothing(self):
        points = cloud(3, np.random.default_rng(2))
        np.testing.assert_array_equal(Similarity.identity().apply(points), points)


class TestLeastSquares:
    @pytest.mark.parametrize('flat', [False, True])
    def test_finds_an_exact_similarity(self, flat):
        points = cloud(8, np.random.default_rng(3), (4.0, 3.0, 0.0 if flat else 1.0))
        assert_same(fit_points(points, TRUE.apply(points)), TRUE)

    def test_never_mirrors(self):
        points = cloud(20, np.random.default_rng(4))
        found = fit_points(points, points * [1, 1, -1])
        assert np.linalg.det(found.rotation) == pytest.approx(1.0)

    def test_keeps_the_scale_if_asked(self):
        points = cloud(8, np.random.default_rng(5))
        found = fit_points(points, TRUE.apply(points), with_scale=False)
        assert found.scale == 1.0
        assert rotation_angle(found.rotation @ TRUE.rotation.T) < 1e-9

    def test_beats_other_similarities_near_it(self):
        rng = np.random.default_rng(6)
        source = cloud(30, rng)
        target = TRUE.apply(source) + 0.1 * rng.normal(size=(30, 3))
        found = fit_points(source, target)
        best = np.sum((found.apply(source) - target) ** 2)
        for _ in range(50):
            step = 1e-2 * rng.normal(size=7)
            other = Similarity(
                found.scale * (1 + step[0]),
                exp_so3(step[1:4]) @ found.rotation,
                found.translation + step[4:],
            )
            assert np.sum((other.apply(source) - target) ** 2) > best


class TestRobustFit:
    @pytest.mark.parametrize(('count', 'wrong'), [(7, 2), (12, 5), (60, 25)])
    def test_leaves_out_wrong_points(self, count, wrong):
        rng = np.random.default_rng(count)
        source = cloud(count, rng)
        target = TRUE.apply(source) + 0.01 * rng.normal(size=(count, 3))
        target[:wrong] += rng.uniform(3, 8, (wrong, 3))
        fit = fit_robust(source, target)
        assert not fit.inliers[:wrong].any()
        assert fit.inliers[wrong:].mean() > 0.9
        assert fit.similarity.scale == pytest.approx(TRUE.scale, rel=0.02)
        assert fit.rms < 0.05

    def test_takes_all_points_that_are_exact(self):
        source = cloud(9, np.random.default_rng(7))
        fit = fit_robust(source, TRUE.apply(source))
        assert fit.inliers.all()
        assert_same(fit.similarity, TRUE)

    def test_is_the_same_each_time(self):
        rng = np.random.default_rng(8)
        source, target = cloud(80, rng), cloud(80, rng)
        first, second = fit_robust(source, target), fit_robust(source, target)
        assert first.similarity.scale == second.similarity.scale
        np.testing.assert_array_equal(first.inliers, second.inliers)

    def test_its_errors_are_those_of_repeated_measurements(self):
        rng = np.random.default_rng(9)
        source = cloud(40, rng, (4.0, 0.5, 0.3))
        fits = [
            fit_robust(source, TRUE.apply(source) + 0.1 * rng.normal(size=source.shape))
            for _ in range(60)
        ]
        spread = np.std([fit.similarity.scale / TRUE.scale for fit in fits])
        assert np.mean([fit.scale_error for fit in fits]) == pytest.approx(spread, rel=0.35)
        about = [
            abs(np.dot(_turn(fit.similarity.rotation @ TRUE.rotation.T), fit.axis)) for fit in fits
        ]
        claimed = np.mean([fit.angle_error for fit in fits])
        assert claimed == pytest.approx(np.sqrt(np.mean(np.square(about))), rel=0.35)

    def test_knows_that_a_line_leaves_an_angle_free(self):
        source = np.linspace(0, 5, 8)[:, np.newaxis] * [0.6, 0.0, 0.8]
        fit = fit_robust(source, TRUE.apply(source))
        assert math.isinf(fit.angle_error)
        direction = TRUE.rotation @ [0.6, 0.0, 0.8]
        assert abs(fit.axis @ direction) == pytest.approx(1.0)


def _turn(rotation):
    return 0.5 * np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )


class TestFitAlongALine:
    def test_orientations_settle_what_the_points_do_not(self):
        rng = np.random.default_rng(10)
        source = np.linspace(0, 5, 9)[:, np.newaxis] * [0.6, 0.0, 0.8]
        target = TRUE.apply(source)
        rotations = np.array([exp_so3(0.01 * rng.normal(size=3)) @ TRUE.rotation for _ in source])
        rotations[:3] = [exp_so3(rng.normal(size=3)) for _ in range(3)]
        target[4] += 5.0
        fit = fit_along(source, target, rotations)
        assert rotation_angle(fit.similarity.rotation @ TRUE.rotation.T) < 0.02
        assert fit.similarity.scale == pytest.approx(TRUE.scale, rel=0.01)
        assert fit.inliers.tolist() == [i != 4 for i in range(9)]


class TestRatioOfLengths:
    def test_passes_over_wrong_lengths(self):
        rng = np.random.default_rng(11)
        source = rng.uniform(0.5, 2.0, 200)
        target = 3.0 * source * (1 + 0.02 * rng.normal(size=200))
        target[:60] *= rng.uniform(1.5, 4.0, 60)
        scale, error = ratio_of_lengths(source, target)
        assert scale == pytest.approx(3.0, rel=0.03)
        assert error < 0.02
