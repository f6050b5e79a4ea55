# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Absolute pose regression: what every variant promises, its base poses, losses and files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relloc_ros.errors import ConfigError, DataError
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error, rotation_angle

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.networks.apr import (  # noqa: E402
    VARIANTS,
    AbsolutePoseBatch,
    PoseRegressor,
    TrainingEmbeddings,
    load_trained,
    make_absolute_pose_net,
    save_trained,
    variant_config,
)
from relloc_ros.networks.apr.projection import (  # noqa: E402
    NUM_ROTATION,
    nearest_numbers,
    rotation_from_numbers,
)
from relloc_ros.networks.backbones import BACKBONES, make_backbone  # noqa: E402
from relloc_ros.networks.checkpoint import load_network, save_network  # noqa: E402
from relloc_ros.networks.rigid_motion import exp_se3  # noqa: E402

SIDE, COUNT, SIZE = 32, 6, 24
SMALL = {
    'backbone': 'small',
    'last_stage': 3,
    'shorter_side': SIDE,
    'crop': SIDE,
    'embedding_size': SIZE,
    'inducing_points': 16,
}
FAR_AWAY = np.array([300.0, -200.0, 50.0])


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other are slow where other tests run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def settings_of(name: str, **more):
    return variant_config(name, {**SMALL, **more})


def make_batch(seed: int = 3) -> AbsolutePoseBatch:
    generator = torch.Generator().manual_seed(seed)
    rotation, position = exp_se3(torch.randn(COUNT, 6, generator=generator))
    position = position.double() + torch.from_numpy(FAR_AWAY)
    in_camera = torch.randn(COUNT, 9, 3, generator=generator).double()
    in_camera[:, :, 2] += 5.0
    points = position[:, None] + in_camera @ rotation.double().transpose(1, 2)
    image = torch.randn(COUNT, 3, SIDE, SIDE, generator=generator)
    return AbsolutePoseBatch(image, position, rotation, points)


def make_net(name: str, **more):
    """A network that knows the frame of the batch."""
    network = make_absolute_pose_net(settings_of(name, **more))
    batch = make_batch()
    network.fit_frame(batch.position.numpy(), batch.rotation.double().numpy())
    return network


def window_of(name: str) -> dict[str, int]:
    """Windows that fit into the batch."""
    return {'window': 3} if VARIANTS[name].settings.get('window', 1) > 1 else {}


@pytest.mark.parametrize('name', VARIANTS)
class TestVariants:
    def test_gives_poses_in_the_maps_frame(self, name):
        network = make_net(name).eval()
        batch = make_batch()
        with torch.no_grad():
            predicted = network(batch.image)
            alpha = network.embed(batch.image)
        assert predicted['position'].shape == (COUNT, 3)
        assert predicted['rotation'].shape == (COUNT, 3, 3)
        assert {each.dtype for each in predicted.values()} == {torch.float32}
        assert alpha.dtype == torch.float32
        # An untrained network says what all images have in common.
        centre = batch.position.mean(dim=0)
        assert (predicted['position'] - centre).norm(dim=1).max() < network.scale
        identity = predicted['rotation'] @ predicted['rotation'].transpose(1, 2)
        assert torch.allclose(identity, torch.eye(3), atol=1e-5)
        assert torch.allclose(torch.linalg.det(predicted['rotation']), torch.ones(COUNT))

    def test_is_a_combination_of_its_base_poses(self, name):
        network = make_net(name).eval()
        batch = make_batch()
        with torch.no_grad():
            alpha = network.embed(batch.image)
            predicted = network.project(alpha)
        base = network.base_poses()
        count = alpha.shape[1]
        assert base.positions.shape == (3, count)
        assert base.rotations.shape == (NUM_ROTATION[base.representation], count)
        positions = base.position_offset + alpha.double().numpy() @ base.positions.T
        numbers = base.rotation_offset + alpha.double().numpy() @ base.rotations.T
        assert np.allclose(positions, predicted['position'], atol=1e-4)
        assert np.allclose(numbers, predicted['rotation_numbers'], atol=1e-5)
        if network.config.rotation_branch:
            assert count == 2 * network.num_position
            assert not base.positions[:, network.num_position :].any()
            assert not base.rotations[:, : network.num_position].any()
        else:
            assert count == network.num_position

    def test_all_weights_get_finite_gradients(self, name):
        network = make_net(name, **window_of(name))
        batch = make_batch()
        losses = network.loss(network.predict(batch), batch)
        assert {'loss', 'position', 'rotation'} <= losses.keys()
        losses['loss'].backward()
        for weight, value in network.named_parameters():
            assert value.grad is not None, weight
            assert torch.isfinite(value.grad).all(), weight
            assert value.grad.any(), weight

    def test_mixed_precision_ends_before_the_pose(self, name):
        network = make_net(name).eval()
        batch = make_batch()
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
            alpha = network.embed(batch.image)
            predicted = network.project(alpha)
        with torch.no_grad():
            exact = network.project(alpha.float())
        for key, value in exact.items():
            assert torch.equal(predicted[key], value), key

    def test_the_truth_has_no_error(self, name):
        network = make_net(name, **window_of(name))
        batch = make_batch()
        predicted = network.predict(batch)
        numbers = predicted['rotation_numbers']
        truth = {
            **predicted,
            'position_numbers': ((batch.position - network.centre) / network.scale).float(),
            'rotation': batch.rotation,
            'rotation_numbers': nearest_numbers(batch.rotation, numbers, network.config.rotation),
        }
        losses = network.loss(truth, batch)
        errors = {key: float(value.detach()) for key, value in losses.items() if key != 'loss'}
        # Half rotation vectors of the identity are known to the root of single precision.
        assert max(errors.values()) < 2e-3
        assert losses['loss'] < network.loss(predicted, batch)['loss']

    def test_the_seed_decides_the_weights(self, name):
        first, same, other = (
            make_absolute_pose_net(settings_of(name), seed=seed) for seed in (1, 1, 2)
        )
        pairs = zip(first.state_dict().values(), same.state_dict().values(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)
        assert not torch.equal(next(first.parameters()), next(other.parameters()))

    def test_file_and_regressor_give_the_same_pose(self, name, tmp_path):
        network = make_net(name).eval()
        rng = np.random.default_rng(0)
        images = rng.integers(256, size=(2, 40, 50, 3), dtype=np.uint8)
        regressor = PoseRegressor(network)
        before = regressor.regress(*images)
        embeddings = TrainingEmbeddings(
            before.alpha[None], FAR_AWAY[None], np.array([[1.0, 0, 0, 0]]), ('a/1.jpg',)
        )
        path = tmp_path / 'best.safetensors'
        save_trained(path, network, {'map_id': 'm'}, embeddings)
        trained = load_trained(path)
        assert trained.about['map_id'] == 'm'
        assert trained.network.config == network.config
        assert trained.embeddings is not None
        assert trained.embeddings.names == ('a/1.jpg',)
        assert np.array_equal(trained.embeddings.alphas, before.alpha[None])
        after = PoseRegressor(trained.network).regress(*images)
        assert np.array_equal(after.alpha, before.alpha)
        assert np.array_equal(after.covariance, before.covariance)
        assert pose_error(after.map_from_cam, before.map_from_cam) == (0.0, 0.0)
        assert np.array_equal(regressor.describe(*images), before.alpha)
        assert pose_error(regressor.pose(before.alpha), before.map_from_cam)[0] == 0.0
        assert np.allclose(after.covariance, after.covariance.T)
        assert np.linalg.eigvalsh(after.covariance).min() > 0
        if network.sees_previous:
            assert not np.array_equal(regressor.describe(images[0]), before.alpha)


class TestSettings:
    @pytest.mark.parametrize(
        ('name', 'values', 'message'),
        [
            ('posnet', {}, 'posenet'),
            ('posenet', {'crop': 300}, 'crop 300'),
            ('posenet', {'dropout': 0.0}, 'dropout above 0'),
            ('posenet', {'uncertainty': 'learned'}, 'loss: learned'),
            ('posenet', {'head': 'gaussian_process'}, 'go together'),
            ('gposenet', {'loss': 'learned'}, 'loss of its own'),
            ('mapnet', {'window': 1}, 'window of 2'),
            ('posenet', {'unlabelled': True}, 'relative_weight'),
            ('posenet', {'beta': 3}, 'beta'),
        ],
    )
    def test_contradictions_are_refused(self, name, values, message):
        with pytest.raises(ConfigError, match=message):
            variant_config(name, values)

    def test_images_of_another_size_are_refused(self):
        with pytest.raises(DataError, match=r'\(B, 3, 32, 32\)'):
            make_net('posenet')(torch.zeros(1, 3, 40, 40))

    def test_batches_that_do_not_fit_are_refused(self):
        batch = make_batch()
        with pytest.raises(DataError, match='windows of 4'):
            make_net('mapnet', window=4).predict(batch)
        network = make_net('posenet_geometric')
        with pytest.raises(DataError, match='points'):
            network.loss(network.predict(batch), replace(batch, points=None))
        with pytest.raises(DataError, match='position'):
            replace(batch, position=batch.position[:2])
        with pytest.raises(DataError, match='points'):
            replace(batch, points=batch.points[:, :, :2])
        with pytest.raises(DataError, match='no poses'):
            network.fit_frame(np.empty((0, 3)), np.empty((0, 3, 3)))


class TestFiles:
    def test_other_networks_are_refused_by_name(self, tmp_path):
        path = tmp_path / 'weights.safetensors'
        save_network(path, make_net('posenet'), {})
        assert load_trained(path).embeddings is None
        with pytest.raises(DataError, match="'apr'"):
            load_network(path, ['essnet'])
        from relloc_ros.networks import make_network, network_class

        config = network_class('rpr').config_class(backbone='resnet18', shorter_side=64, crop=64)
        save_network(path, make_network('rpr', config), {})
        with pytest.raises(DataError, match="'rpr', wanted is 'apr'"):
            load_trained(path)

    def test_weights_of_other_settings_are_refused(self, tmp_path):
        path = tmp_path / 'weights.safetensors'
        network = make_net('posenet')
        network.config = settings_of('posenet', embedding_size=2 * SIZE)
        save_network(path, network, {})
        with pytest.raises(DataError, match='do not fit'):
            load_trained(path)

    @pytest.mark.parametrize('name', ['small', 'googlenet', 'resnet18'])
    def test_backbones_come_from_files(self, name, tmp_path):
        source = make_net('posenet', backbone=name)
        path = tmp_path / 'backbone.pth'
        torch.save(source.backbone.state_dict(), path)
        torch.manual_seed(7)
        config = settings_of('mapnet', backbone=name)
        network = make_absolute_pose_net(config, seed=5, backbone_weights=path)
        assert torch.equal(next(network.backbone.parameters()), next(source.backbone.parameters()))
        other = settings_of('mapnet', backbone='resnet34')
        with pytest.raises(DataError, match='another backbone'):
            make_absolute_pose_net(other, backbone_weights=path)


class TestBackbones:
    @pytest.mark.parametrize('name', BACKBONES)
    @pytest.mark.parametrize('last_stage', [1, 2, 3, 4])
    def test_stages_halve_the_image(self, name, last_stage):
        backbone = make_backbone(name, last_stage).eval()
        with torch.no_grad():
            stages = backbone.stages(torch.zeros(1, 3, 64, 96))
        assert [each.shape[1] for each in stages] == backbone.stage_channels
        assert [tuple(each.shape[2:]) for each in stages] == [
            (64 >> stage, 96 >> stage) for stage in range(2, last_stage + 2)
        ]
        assert backbone.channels == backbone.stage_channels[-1]
        assert backbone.stride == 2 ** (last_stage + 1)

    def test_googlenet_has_the_published_names(self):
        tensors = make_backbone('googlenet').state_dict()
        assert sum(each.numel() for key, each in tensors.items() if 'conv' in key) > 5e6
        assert tensors['conv1.conv.weight'].shape == (64, 3, 7, 7)
        assert tensors['inception3a.branch2.1.conv.weight'].shape == (128, 96, 3, 3)
        assert tensors['inception4e.branch4.1.bn.running_var'].shape == (128,)
        assert tensors['inception5b.branch3.1.conv.weight'].shape == (128, 48, 3, 3)


class TestRotations:
    @pytest.mark.parametrize('representation', NUM_ROTATION)
    def test_numbers_are_those_of_the_rotation(self, representation):
        rng = np.random.default_rng(4)
        vectors = rng.normal(size=(50, 3))
        vectors[0] = 0.0
        vectors[1] *= np.pi / np.linalg.norm(vectors[1])
        rotation = torch.tensor(np.array([exp_so3(vector) for vector in vectors]))
        near = torch.tensor(rng.normal(size=(50, NUM_ROTATION[representation])))
        numbers = nearest_numbers(rotation, near, representation)
        found = rotation_from_numbers(numbers, representation)
        assert torch.allclose(found, rotation, atol=1e-6)

    def test_the_nearer_quaternion_counts(self):
        rotation = torch.tensor(exp_so3([0.0, 0.0, 0.2]))[None]
        near = torch.tensor([[-1.0, 0.0, 0.0, -0.1]], dtype=torch.float64)
        assert nearest_numbers(rotation, near, 'quaternion')[0, 0] < -0.9

    def test_gradients_are_finite_at_the_identity(self):
        numbers = torch.zeros(1, 3, requires_grad=True)
        rotation_from_numbers(numbers, 'log_quaternion').sum().backward()
        assert torch.isfinite(numbers.grad).all()


class TestLosses:
    def test_odometry_counts_in_its_own_frame(self):
        network = make_net('mapnet_plus', window=3)
        batch = make_batch()
        labelled = torch.arange(COUNT) < 3
        move = RigidTransform(exp_so3([0.4, -1.0, 0.3]), np.array([7.0, 8.0, 9.0]))
        position, rotation = batch.position.clone(), batch.rotation.double().clone()
        position[3:] = torch.tensor(move.apply(batch.position[3:].numpy()))
        rotation[3:] = torch.tensor(move.rotation) @ rotation[3:]
        moved = replace(batch, position=position, rotation=rotation.float(), is_labelled=labelled)
        network.eval()
        with torch.no_grad():
            predicted = network.predict(batch)
            first = network.loss(predicted, replace(batch, is_labelled=labelled))
            second = network.loss(predicted, moved)
            all_labelled = network.loss(predicted, batch)
        for key, value in first.items():
            assert torch.isclose(second[key], value, rtol=1e-4), key
        assert not torch.isclose(all_labelled['position'], first['position'])

    def test_reprojection_is_the_angle_of_a_turn(self):
        network = make_net('posenet_geometric').eval()
        batch = make_batch()
        angle = 0.01
        with torch.no_grad():
            predicted = network.predict(batch)
            predicted['position_numbers'] = (
                (batch.position - network.centre) / network.scale
            ).float()
            turn = torch.tensor(exp_so3([angle, 0.0, 0.0])).float()
            predicted['rotation'] = batch.rotation @ turn
            loss = network.loss(predicted, batch)['loss']
        assert 0.8 * angle < loss <= 1.01 * angle


class TestUncertainty:
    def test_dropout_gives_the_spread_of_its_samples(self):
        network = make_net('posenet', dropout=0.3, embedding_size=200).eval()
        torch.nn.init.normal_(network.projection.position.weight, std=0.1)
        image = np.random.default_rng(1).integers(256, size=(32, 32, 3), dtype=np.uint8)
        found = PoseRegressor(network).regress(image)
        # Of a sum in which each term stays, 1 / (1 - p) as large, or goes.
        base = network.base_poses().positions * found.alpha
        expected = 0.3 / 0.7 * np.trace(base @ base.T)
        assert np.trace(found.covariance[:3, :3]) == pytest.approx(expected, rel=0.4)

    def test_learned_variances_are_those_of_the_errors(self):
        network = make_net('posenet_learned').eval()
        rng = np.random.default_rng(2)
        errors = rng.normal(scale=0.2, size=(100000, 3))
        mean_length = np.linalg.norm(errors, axis=1).mean()
        with torch.no_grad():
            network.weights.log_variances[0] = float(np.log(mean_length / float(network.scale)))
        image = np.zeros((32, 32, 3), dtype=np.uint8)
        covariance = PoseRegressor(network).regress(image).covariance
        assert np.sqrt(np.diag(covariance)[:3]) == pytest.approx([0.2] * 3, rel=0.01)

    def test_a_gaussian_process_is_unsure_far_from_what_it_knows(self):
        network = make_net('gposenet')
        process = network.process
        with torch.no_grad():
            process.root.mul_(0.01)
            known = process(process.inducing)
            unknown = process(-process.inducing)
        variances = process.variances(known).detach(), process.variances(unknown).detach()
        assert (variances[0] < 0.2 * variances[1]).all()
        assert torch.allclose(variances[1], torch.full_like(variances[1], 1.01), atol=0.1)

    def test_sampling_leaves_no_trace(self):
        network = make_net('bayesian_posenet', feature_dropout=0.4).eval()
        batch = make_batch()
        torch.manual_seed(11)
        before = torch.random.get_rng_state()
        with torch.no_grad():
            first, second = network.embed(batch.image), network.embed(batch.image)
        assert torch.equal(first, second)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert not any(each.training for each in network.modules())


def test_mean_rotation_is_where_predictions_begin():
    network = make_net('posenet')
    turns = [exp_so3([0.0, 0.0, angle]) for angle in (2.9, 3.1, 3.3)]
    network.fit_frame(np.eye(3), np.array(turns))
    bias = network.projection.rotation.bias.detach()[None].double()
    begun = rotation_from_numbers(bias, 'quaternion')[0].numpy()
    assert rotation_angle(begun @ turns[1].T) < 1e-3
