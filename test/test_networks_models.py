# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Networks: what each promises, backbones and their files, correlation and consensus."""

from __future__ import annotations

from itertools import product
from pathlib import Path
import subprocess
import sys

import numpy as np
import pytest

from relloc_ros.errors import ConfigError, DataError

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.networks import NETWORKS, PairBatch, make_network, network_class  # noqa: E402
from relloc_ros.networks.backbones import make_backbone  # noqa: E402
from relloc_ros.networks.consensus import Conv4d, NeighbourhoodConsensus  # noqa: E402
from relloc_ros.networks.correlation import as_channels, correlate, mutual_matching  # noqa: E402
from relloc_ros.networks.preprocessing import (  # noqa: E402
    crop_square,
    resize_shorter_side,
    to_tensor,
)
from relloc_ros.networks.rigid_motion import exp_se3  # noqa: E402
from relloc_ros.networks.weight_files import load_part  # noqa: E402

SIDE = 32
LOSSES = ('euclidean', 'sign_invariant', 'epipolar')
VARIANTS = [
    *product(('essnet', 'nc_essnet'), ({'loss': loss} for loss in LOSSES)),
    ('nc_matching', {}),
    ('rpr', {}),
    ('rpr', {'rotation_weight': 0.0}),
    ('relocnet', {}),
]


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other are slow where other tests run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small(name: str, **settings):
    config = network_class(name).config_class(
        backbone='resnet18', last_stage=2, shorter_side=SIDE, crop=SIDE, **settings
    )
    return make_network(name, config)


def make_batch(count: int = 2, side: int = SIDE) -> PairBatch:
    generator = torch.Generator().manual_seed(3)
    rotation, translation = exp_se3(0.3 * torch.randn(count, 6, generator=generator))
    intrinsics = torch.tensor([[60.0, 0, side / 2], [0, 60.0, side / 2], [0, 0, 1]])
    intrinsics = intrinsics.expand(count, 3, 3)
    images = torch.randn(2, count, 3, side, side, generator=generator)
    overlap = torch.rand(count, generator=generator)
    return PairBatch(*images, rotation, translation, intrinsics, intrinsics, overlap)


class TestContract:
    """What `PairNetwork` promises."""

    @pytest.mark.parametrize('name', NETWORKS)
    def test_prediction(self, name):
        batch = make_batch()
        predicted = small(name)(batch.image_a, batch.image_b)
        if name == 'nc_matching':
            assert predicted['scores'].shape == (2, 4, 4, 4, 4)
        elif 'essential' in predicted:
            assert predicted['essential'].shape == (2, 3, 3)
            values = torch.linalg.svdvals(predicted['essential'].detach())
            torch.testing.assert_close(values[:, 0], values[:, 1], rtol=1e-4, atol=1e-6)
            assert (values[:, 2] < 1e-5).all()
        else:
            rotation = predicted['rotation'].detach()
            identity = torch.eye(3).expand(2, 3, 3)
            torch.testing.assert_close(
                rotation @ rotation.transpose(1, 2), identity, atol=1e-5, rtol=0
            )
            assert (torch.linalg.det(rotation) > 0).all()
            assert predicted['translation'].shape == (2, 3)

    @pytest.mark.parametrize(('name', 'settings'), VARIANTS)
    def test_learns_a_batch_by_heart(self, name, settings):
        network, batch = small(name, **settings), make_batch()
        trained = [each for each in network.parameters() if each.requires_grad]
        optimizer = torch.optim.Adam(trained, 1e-3)
        losses = []
        for _ in range(6):
            loss = network.loss(network(batch.image_a, batch.image_b), batch)['loss']
            optimizer.zero_grad()
            loss.backward()
            assert all(each.grad is not None and each.grad.isfinite().all() for each in trained)
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]

    @pytest.mark.parametrize('name', NETWORKS)
    def test_same_seed_same_network_and_answer(self, name):
        batch = make_batch()
        torch.manual_seed(1)
        before = torch.random.get_rng_state()
        first, second = small(name).eval(), small(name).eval()
        assert torch.equal(torch.random.get_rng_state(), before), 'the global seed is left alone'
        with torch.no_grad():
            one = first(batch.image_a, batch.image_b)
            two = second(batch.image_a, batch.image_b)
        assert all(torch.equal(one[key], two[key]) for key in one)

    @pytest.mark.parametrize('name', NETWORKS)
    def test_mixed_precision(self, name):
        network, batch = small(name), make_batch()
        with torch.autocast('cpu', torch.bfloat16):
            predicted = network(batch.image_a, batch.image_b)
            loss = network.loss(predicted, batch)['loss']
        loss.backward()
        assert loss.isfinite()
        gradients = [each.grad for each in network.parameters() if each.requires_grad]
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert all(gradient.abs().max() > 0 for gradient in gradients[:1])

    @pytest.mark.parametrize('name', NETWORKS)
    def test_features_of_an_image_are_its_own(self, name):
        network, batch = small(name).eval(), make_batch()
        with torch.no_grad():
            whole = network(batch.image_a, batch.image_b)
            parts = network.compare(
                network.describe(batch.image_a), network.describe(batch.image_b)
            )
        for key, value in whole.items():
            torch.testing.assert_close(parts[key], value, rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize('name', NETWORKS)
    def test_wrong_images_are_named(self, name):
        network, batch = small(name), make_batch()
        with pytest.raises(DataError, match=r'image_b has shape \(2, 1, 32, 32\)'):
            network(batch.image_a, batch.image_b[:, :1])
        with pytest.raises(DataError, match=r'image_a is of torch\.float64'):
            network(batch.image_a.double(), batch.image_b)
        with pytest.raises(DataError, match='image_a holds 2 images, image_b 1'):
            network(batch.image_a, batch.image_b[:1])
        if name != 'nc_matching':
            with pytest.raises(DataError, match=r'takes \(B, 3, 32, 32\)'):
                network(batch.image_a[:, :, :16], batch.image_b)

    def test_wrong_batches_are_named(self):
        batch = make_batch()
        with pytest.raises(DataError, match=r'overlap of a batch of 2 pairs has shape \(1,\)'):
            PairBatch(
                batch.image_a,
                batch.image_b,
                batch.rotation,
                batch.translation,
                batch.intrinsics_a,
                batch.intrinsics_b,
                batch.overlap[:1],
            )

    def test_one_pair_teaches_no_matching(self):
        network, batch = small('nc_matching'), make_batch(1)
        predicted = network(batch.image_a, batch.image_b)
        with pytest.raises(DataError, match='batch size'):
            network.loss(predicted, batch)

    def test_matching_leaves_the_backbone_alone(self):
        network, batch = small('nc_matching').train(), make_batch()
        before = {key: value.clone() for key, value in network.backbone.state_dict().items()}
        network.loss(network(batch.image_a, batch.image_b), batch)['loss'].backward()
        after = network.backbone.state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert all(each.grad is None for each in network.backbone.parameters())

    def test_wrong_settings_are_named(self):
        with pytest.raises(ConfigError, match=r"unknown network 'esnet' \(did you mean 'essnet'"):
            make_network('esnet')
        with pytest.raises(ConfigError, match="'rpr' takes RelativePoseNetConfig"):
            make_network('rpr', network_class('essnet').config_class())
        with pytest.raises(ConfigError, match='crop 448 is larger than shorter_side 64'):
            make_network('rpr', network_class('rpr').config_class(shorter_side=64))


class TestBackbones:
    """Shapes and files."""

    @pytest.mark.parametrize(
        ('name', 'parameters', 'tensors', 'channels'),
        # Those of torchvision's models, less the classifier's two.
        [
            ('resnet18', 11_176_512, 120, 512),
            ('resnet34', 21_284_672, 216, 512),
            ('resnet50', 23_508_032, 318, 2048),
        ],
    )
    def test_is_the_published_network(self, name, parameters, tensors, channels):
        backbone = make_backbone(name)
        assert sum(each.numel() for each in backbone.parameters()) == parameters
        assert len(backbone.state_dict()) == tensors
        assert {'conv1.weight', 'layer2.0.downsample.1.running_var'} <= set(backbone.state_dict())
        with torch.no_grad():
            features = backbone.eval()(torch.zeros(1, 3, 70, 96))
        assert features.shape == (1, channels, 3, 3)
        assert (backbone.channels, backbone.stride) == (channels, 32)

    def test_a_cell_looks_around_its_pixel(self):
        torch.manual_seed(0)
        backbone = make_backbone('resnet18', 2).eval()
        images = torch.rand(4, 3, 112, 128, requires_grad=True)
        column, row = 8, 7
        backbone(images)[:, :, row, column].sum().backward()
        seen = images.grad.abs().sum(dim=(0, 1))
        columns = torch.nonzero(seen.sum(dim=0))[:, 0]
        rows = torch.nonzero(seen.sum(dim=1))[:, 0]
        assert abs(float(columns[0] + columns[-1]) / 2 - backbone.stride * column) <= 1
        assert abs(float(rows[0] + rows[-1]) / 2 - backbone.stride * row) <= 1

    @pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
    @pytest.mark.parametrize('is_whole_network', [False, True])
    def test_files_of_others_fit(self, suffix, is_whole_network, tmp_path):
        tensors = make_backbone('resnet18').state_dict()
        tensors = {
            key: value
            for key, value in tensors.items()
            if is_whole_network or not key.endswith('num_batches_tracked')
        }
        prefix = 'backbone.' if is_whole_network else ''
        content = {f'{prefix}{key}': value for key, value in tensors.items()}
        content['fc.weight'] = torch.zeros(1000, 512)
        path = save(content, tmp_path / f'weights.{suffix}')
        loaded = make_network('essnet', small_config('essnet'), seed=5, backbone_weights=path)
        for key, value in loaded.backbone.state_dict().items():
            if not key.endswith('num_batches_tracked'):
                assert torch.equal(value, tensors[key])

    def test_of_another_backbone(self, tmp_path):
        path = save(make_backbone('resnet34').state_dict(), tmp_path / 'weights.pth')
        with pytest.raises(DataError, match=r'another backbone: layer1\.0\.conv1\.weight'):
            load_part(make_backbone('resnet50'), path, 'backbone')

    def test_weights_are_data_never_code(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (Path(tmp_path / 'ran').touch, ())

        torch.save({'conv1.weight': Evil()}, tmp_path / 'weights.pth')
        with pytest.raises(DataError, match='cannot use weights'):
            load_part(make_backbone('resnet18'), tmp_path / 'weights.pth', 'backbone')
        assert not (tmp_path / 'ran').exists()

    @pytest.mark.parametrize('name', ['weights.pth', 'weights.safetensors'])
    def test_damaged_and_missing(self, name, tmp_path):
        with pytest.raises(DataError, match='cannot read weights'):
            load_part(make_backbone('resnet18', 1), tmp_path / name, 'backbone')
        for content in (b'', b'text', b'PK\x03\x04broken'):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DataError, match='cannot use weights'):
                load_part(make_backbone('resnet18', 1), tmp_path / name, 'backbone')


def small_config(name: str):
    return network_class(name).config_class(backbone='resnet18', shorter_side=64, crop=64)


def save(tensors, path: Path) -> Path:
    if path.suffix == '.safetensors':
        from safetensors.torch import save_file

        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


class TestMatching:
    """Correlation, mutual matching, consensus."""

    def test_correlation_is_the_cosine(self):
        a, b = torch.randn(2, 5, 3, 4), torch.randn(2, 5, 2, 6)
        scores = correlate(a, b)
        assert scores.shape == (2, 3, 4, 2, 6)
        expected = torch.cosine_similarity(a[1, :, 2, 3], b[1, :, 0, 5], dim=0)
        torch.testing.assert_close(scores[1, 2, 3, 0, 5], expected)
        assert as_channels(scores).shape == (2, 12, 3, 4)

    def test_features_that_do_not_fit_are_named(self):
        with pytest.raises(DataError, match=r'features_a of shape \(2, 5, 3, 4\)'):
            correlate(torch.zeros(2, 5, 3, 4), torch.zeros(2, 6, 3, 4))
        with pytest.raises(DataError, match='cannot be correlated'):
            correlate(torch.zeros(5, 3, 4), torch.zeros(5, 3, 4))

    def test_mutual_matching_keeps_only_the_best_as_they_are(self):
        scores = torch.rand(1, 2, 3, 3, 2)
        filtered = mutual_matching(scores)
        table, before = filtered[0].reshape(6, 6), scores[0].reshape(6, 6)
        row, column = divmod(int(before.argmax()), 6)
        torch.testing.assert_close(table[row, column], before[row, column], rtol=1e-4, atol=0)
        assert (table <= before).all()
        expected = before**3 / before.amax(1, keepdim=True) / before.amax(0, keepdim=True)
        torch.testing.assert_close(table, expected, rtol=1e-4, atol=1e-6)

    def test_half_precision_loses_no_scores(self):
        scores = torch.full((1, 2, 2, 2, 2), 1e-3)
        scores[0, 0, 0, 0, 0] = 1e-1
        filtered = mutual_matching(scores.half())
        assert (filtered > 0).all()
        torch.testing.assert_close(filtered, mutual_matching(scores), rtol=1e-2, atol=0)

    @pytest.mark.parametrize(('channels_in', 'channels_out'), [(1, 4), (4, 1), (2, 3), (3, 2)])
    def test_4d_convolution_is_the_sum_it_stands_for(self, channels_in, channels_out):
        torch.manual_seed(0)
        layer = Conv4d(channels_in, channels_out).double()
        layer.bias.data.normal_()
        volume = torch.randn(2, channels_in, 4, 5, 3, 6, dtype=torch.double)
        padded = torch.nn.functional.pad(volume, (1, 1) * 4)
        expected = sum(
            torch.einsum(
                'oc,bcijkl->boijkl',
                layer.weight[:, :, i, j, k, m],
                padded[:, :, i : i + 4, j : j + 5, k : k + 3, m : m + 6],
            )
            for i, j, k, m in product(range(3), repeat=4)
        )
        expected = expected + layer.bias.view(1, -1, 1, 1, 1, 1)
        torch.testing.assert_close(layer(volume), expected)

    def test_gradients_of_the_consensus(self):
        torch.manual_seed(0)
        consensus = NeighbourhoodConsensus(2).double()
        scores = torch.rand(1, 2, 3, 2, 2, dtype=torch.double, requires_grad=True)
        assert torch.autograd.gradcheck(consensus, (scores,))

    def test_consensus_treats_both_images_alike(self):
        torch.manual_seed(0)
        consensus = NeighbourhoodConsensus(4)
        scores = torch.rand(1, 3, 4, 5, 2)
        swapped = consensus(scores.permute(0, 3, 4, 1, 2)).permute(0, 3, 4, 1, 2)
        torch.testing.assert_close(consensus(scores), swapped)

    @pytest.mark.parametrize('seed', range(5))
    def test_consensus_is_alive_from_the_start(self, seed):
        torch.manual_seed(seed)
        filtered = NeighbourhoodConsensus(16)(torch.rand(1, 4, 4, 4, 4))
        assert (filtered >= 0).all()
        assert filtered.max() > 0


class TestPreprocessing:
    """Images and intrinsics stay together."""

    def test_pixels_go_where_the_intrinsics_say(self):
        image = np.zeros((120, 200, 3), np.uint8)
        image[20:24, 100:104] = 255
        intrinsics = np.array([[100.0, 0, 90.0], [0, 100.0, 70.0], [0, 0, 1]])
        ray = np.linalg.inv(intrinsics) @ (102.0, 22.0, 1.0)
        resized, between = resize_shorter_side(image, intrinsics, 90)
        assert resized.shape == (90, 150, 3)
        cropped, moved = crop_square(resized, between, 80, (0.25, 0.0))
        assert cropped.shape == (80, 80, 3)
        found = cropped[:, :, 0].astype(float)
        rows, columns = np.mgrid[:80, :80] + 0.5
        centre = np.array([(columns * found).sum(), (rows * found).sum()]) / found.sum()
        np.testing.assert_allclose((moved @ ray)[:2], centre, atol=0.1)

    def test_multiples(self):
        resized, moved = resize_shorter_side(np.zeros((100, 130), np.uint8), np.eye(3), 64, 32)
        assert resized.shape == (64, 96, 3)
        np.testing.assert_allclose(np.diag(moved), (96 / 130, 0.64, 1.0))

    def test_values(self):
        tensor = to_tensor(np.full((2, 2, 3), (0, 0, 255), np.uint8))
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor[0, 0, 0], torch.tensor((1 - 0.485) / 0.229))
        torch.testing.assert_close(tensor[2, 1, 1], torch.tensor(-0.406 / 0.225))

    def test_what_is_no_image_is_named(self):
        with pytest.raises(DataError, match=r'float64 and shape \(4, 4\)'):
            resize_shorter_side(np.zeros((4, 4)), np.eye(3), 8)
        with pytest.raises(DataError, match='smaller than the crop of 8'):
            crop_square(np.zeros((4, 9, 3), np.uint8), np.eye(3), 8)


def test_without_pytorch_the_remedy_is_named():
    script = """
import sys
sys.modules['torch'] = None
from relloc_ros.errors import MissingDependencyError
try:
    import relloc_ros.networks.essnet
except MissingDependencyError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, check=False
    )
    assert "torch: pip install 'relloc_ros[learn]'" in result.stdout, result.stderr
