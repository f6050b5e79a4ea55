# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The essential manifold, rigid motions and losses: values and gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest

from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.geometry import skew as numpy_skew

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')

from relloc_ros.networks import losses  # noqa: E402
from relloc_ros.networks.manifold import essential_from_pose, project_to_essential  # noqa: E402
from relloc_ros.networks.rigid_motion import (  # noqa: E402
    exp_se3,
    log_se3,
    quaternion_from_rotation,
    rotation_from_quaternion,
)

gradcheck = torch.autograd.gradcheck
DOUBLE = torch.double


def random(*shape: int, scale: float = 1.0, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, dtype=DOUBLE, generator=generator)


def with_singular_values(*values: float):
    u, _, vt = torch.linalg.svd(random(4, 3, 3))
    return u @ torch.diag(torch.tensor(values, dtype=DOUBLE)) @ vt


def poses(count: int = 3, seed: int = 1):
    return exp_se3(random(count, 6, scale=0.4, seed=seed))


class TestProjection:
    """To the essential manifold."""

    def test_values(self):
        projected = project_to_essential(with_singular_values(3.0, 1.0, 0.5))
        expected = torch.tensor([2.0, 2.0, 0.0], dtype=DOUBLE).expand(4, 3)
        torch.testing.assert_close(torch.linalg.svdvals(projected), expected, atol=1e-9, rtol=0)

    def test_essential_matrices_stay(self):
        essential = essential_from_pose(*poses())
        torch.testing.assert_close(project_to_essential(essential), essential)

    @pytest.mark.parametrize(
        'values', [(3.0, 1.0, 0.5), (2.0, 2.0, 0.5), (1.0, 1.0, 0.0), (1.0, 0.3, 0.0)]
    )
    def test_gradient(self, values):
        """Also where the two largest meet, and singular vectors have no gradient."""
        matrices = with_singular_values(*values).requires_grad_()
        assert gradcheck(project_to_essential, (matrices,))

    def test_gradient_of_any_matrix(self):
        assert gradcheck(project_to_essential, (random(6, 3, 3).requires_grad_(),))

    @pytest.mark.parametrize(
        'values',
        [(1.0, 0.5, 0.5), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1e-9, 0.0)],
    )
    def test_gradient_is_finite_where_the_projection_jumps(self, values):
        matrices = with_singular_values(*values).float().requires_grad_()
        project_to_essential(matrices).square().sum().backward()
        assert matrices.grad.isfinite().all()
        assert matrices.grad.abs().max() < 1e4

    def test_half_precision_becomes_single(self):
        assert project_to_essential(random(2, 3, 3).half()).dtype == torch.float32

    @pytest.mark.parametrize(
        'matrices', [torch.zeros(3, 3), torch.zeros(2, 9), torch.zeros(2, 3, 3, dtype=torch.int)]
    )
    def test_wrong_shapes_are_named(self, matrices):
        with pytest.raises(DataError, match='matrices have shape'):
            project_to_essential(matrices)

    def test_convention(self):
        rotation, translation = poses()
        essential = essential_from_pose(rotation, translation)
        unit = translation[0].numpy() / np.linalg.norm(translation[0].numpy())
        expected = numpy_skew(unit) @ rotation[0].numpy()
        np.testing.assert_allclose(essential[0].numpy(), expected, atol=1e-12)
        in_a = random(3, 3)
        in_b = (rotation @ in_a[:, :, None])[:, :, 0] + translation
        residual = in_b[:, None] @ essential @ in_a[:, :, None]
        assert residual.abs().max() < 1e-12


class TestRigidMotion:
    """Rotations and twists."""

    @pytest.mark.parametrize('angle', [0.0, 1e-9, 1e-4, 0.5, 3.0, math.pi - 1e-3])
    def test_log_undoes_exp(self, angle):
        axis = torch.nn.functional.normalize(random(5, 3), dim=1)
        twist = torch.cat([angle * axis, random(5, 3, seed=2)], dim=1)
        torch.testing.assert_close(log_se3(*exp_se3(twist)), twist, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize('scale', [1e-6, 0.1, 1.0])
    def test_gradients(self, scale):
        twist = random(3, 6, scale=scale).requires_grad_()
        assert gradcheck(exp_se3, (twist,))
        assert gradcheck(lambda t: log_se3(*exp_se3(t)), (twist,))

    def test_gradients_are_finite_at_half_a_turn(self):
        rotation = torch.diag(torch.tensor([1.0, -1.0, -1.0]))[None].requires_grad_()
        log_se3(rotation, torch.ones(1, 3)).sum().backward()
        assert rotation.grad.isfinite().all()

    def test_quaternions(self):
        rotation, _ = exp_se3(random(50, 6, scale=2.0))
        quaternion = quaternion_from_rotation(rotation)
        torch.testing.assert_close(rotation_from_quaternion(3.0 * quaternion), rotation)
        expected = [RigidTransform(each.numpy(), np.zeros(3)).quat_wxyz for each in rotation]
        np.testing.assert_allclose(quaternion.numpy(), expected, atol=1e-9)

    def test_half_a_turn_as_a_quaternion(self):
        rotation = torch.diag(torch.tensor([1.0, -1.0, -1.0]))[None]
        quaternion = quaternion_from_rotation(rotation)
        torch.testing.assert_close(rotation_from_quaternion(quaternion), rotation)

    def test_a_quaternion_of_zeros_is_no_number_lost(self):
        quaternion = torch.zeros(1, 4, requires_grad=True)
        rotation_from_quaternion(quaternion).sum().backward()
        assert quaternion.grad.isfinite().all()


class TestLosses:
    """Zero for the truth, the right gradient, indifferent where they should be."""

    def test_essential_distances(self):
        truth, other = essential_from_pose(*poses()), essential_from_pose(*poses(seed=5))
        assert losses.essential_distance(truth, truth) == 0
        torch.testing.assert_close(
            losses.essential_distance(-truth, truth),
            torch.tensor(2 * math.sqrt(2), dtype=DOUBLE),
        )
        assert losses.essential_distance_up_to_sign(-truth, truth) == 0
        expected = (other - truth).flatten(1).norm(dim=1).mean()
        torch.testing.assert_close(losses.essential_distance(other, truth), expected)

    def test_the_gradient_at_the_truth_is_finite(self):
        predicted = essential_from_pose(*poses()).requires_grad_()
        losses.essential_distance(predicted, predicted.detach().clone()).backward()
        assert predicted.grad.isfinite().all()

    def intrinsics(self):
        matrix = [[400.0, 0, 320.0], [0, 410.0, 240.0], [0, 0, 1]]
        return torch.tensor(matrix, dtype=DOUBLE).expand(3, 3, 3)

    def test_epipolar_error(self):
        rotation, translation = poses()
        known = (rotation, translation, self.intrinsics(), (640, 480))
        truth = essential_from_pose(rotation, translation)
        assert losses.epipolar_error(truth, *known) < 1e-12
        assert losses.epipolar_error(-3.0 * truth, *known) < 1e-12
        small = essential_from_pose(*exp_se3(log_se3(rotation, translation) + 1e-3))
        large = essential_from_pose(*exp_se3(log_se3(rotation, translation) + 1e-1))
        error = losses.epipolar_error(small, *known)
        assert 1e-5 < error < 1e-2 < losses.epipolar_error(large, *known)

    def test_epipolar_error_without_a_baseline_is_a_number(self):
        rotation, translation = poses()
        known = (rotation, 0.0 * translation, self.intrinsics(), (640, 480))
        predicted = random(3, 3, 3).requires_grad_()
        losses.epipolar_error(predicted, *known).backward()
        assert predicted.grad.isfinite().all()

    def test_gradients(self):
        rotation, translation = poses()
        predicted = random(3, 3, 3).requires_grad_()
        truth = essential_from_pose(rotation, translation)
        known = (rotation, translation, self.intrinsics(), (640, 480))
        for loss, rest in (
            (losses.essential_distance, (truth,)),
            (losses.essential_distance_up_to_sign, (truth,)),
            (losses.epipolar_error, known),
        ):
            assert gradcheck(
                lambda e, f=loss, r=rest: f(project_to_essential(e), *r), (predicted,)
            )
        twist = random(3, 6, scale=0.5, seed=7).requires_grad_()
        assert gradcheck(
            lambda t: losses.se3_distance(*exp_se3(t), rotation, translation), (twist,)
        )

    def test_se3_distance(self):
        rotation, translation = poses()
        assert losses.se3_distance(rotation, translation, rotation, translation) < 1e-6
        # Seen from the true frame, whose axes are turned.
        moved = translation + rotation @ torch.tensor([0.0, 0.3, 0.4], dtype=DOUBLE)
        distance = losses.se3_distance(rotation, moved, rotation, translation)
        torch.testing.assert_close(distance, torch.tensor(0.5, dtype=DOUBLE))

    def test_overlap_error(self):
        same = torch.nn.functional.normalize(random(2, 8), dim=1)
        assert losses.overlap_error(same, same, torch.ones(2, dtype=DOUBLE)) == 0
        assert losses.overlap_error(same, same, torch.zeros(2, dtype=DOUBLE)) == 1

    def test_learned_weights(self):
        weights = losses.LearnedWeights((0.0, -3.0))
        parts = torch.tensor([0.5, 0.1])
        assert math.isclose(weights(parts).item(), 0.5 + 0.1 * math.exp(3) - 3, rel_tol=1e-5)
        optimizer = torch.optim.Adam(weights.parameters(), 0.05)
        for _ in range(400):
            optimizer.zero_grad()
            weights(parts).backward()
            optimizer.step()
        # The best weight of a loss is one over it.
        torch.testing.assert_close(
            torch.exp(weights.log_variances.detach()), parts, rtol=0.05, atol=0
        )
