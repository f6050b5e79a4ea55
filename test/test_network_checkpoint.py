# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files of trained networks: what they say, and what is refused."""

from __future__ import annotations

import json
import pickle

import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from relloc_ros.errors import DataError  # noqa: E402
from relloc_ros.networks import make_network  # noqa: E402
from relloc_ros.networks.checkpoint import (  # noqa: E402
    KIND,
    load_network,
    save_network,
    write_checkpoint,
)
from relloc_ros.networks.network_config import EssNetConfig  # noqa: E402

CONFIG = EssNetConfig(backbone='resnet18', last_stage=1, shorter_side=40, crop=32)


@pytest.fixture
def network():
    return make_network('essnet', CONFIG, seed=3)


@pytest.fixture
def file(network, tmp_path):
    path = tmp_path / 'net.safetensors'
    save_network(path, network, {'data': 'abc', 'epoch': 7})
    return path


def rewritten(file, **changes):
    """Write a checkpoint again, with something else in what it says of itself."""
    with safe_open(file, 'pt') as opened:
        about = json.loads(opened.metadata()['relloc_ros'])
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    save_file(tensors, file, {'relloc_ros': json.dumps({**about, **changes})})


def test_a_network_comes_back_as_it_was(network, file):
    loaded = load_network(file, ['essnet', 'nc_essnet'])
    assert loaded.config == CONFIG
    assert not loaded.training
    image = torch.rand(2, 3, 32, 32, generator=torch.manual_seed(0))
    network.eval()
    with torch.no_grad():
        expected = network(image, image.flip(0))['essential']
        assert torch.equal(loaded(image, image.flip(0))['essential'], expected)


def test_the_file_says_what_it_is_and_is_the_same_each_time(network, file, tmp_path):
    with safe_open(file, 'pt') as opened:
        about = json.loads(opened.metadata()['relloc_ros'])
    assert about['network'] == 'essnet'
    assert about['config']['crop'] == 32
    assert (about['data'], about['epoch']) == ('abc', 7)
    save_network(tmp_path / 'again.safetensors', network, {'data': 'abc', 'epoch': 7})
    assert (tmp_path / 'again.safetensors').read_bytes() == file.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'again.safetensors',
        'net.safetensors',
    ]


def test_another_network_is_refused_by_name(file):
    with pytest.raises(DataError, match='holds the weights of essnet, wanted are those of rpr'):
        load_network(file, ['rpr'])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'network': 'imagenet'}, "holds network 'imagenet'; known: essnet"),
        ({'config': {'backbone': 'vgg'}}, 'no usable settings of essnet'),
        ({'config': None}, 'no usable settings of essnet'),
        ({'config': {}}, 'do not fit'),
        ({'format_version': 2}, 'is of format 2'),
        ({'kind': 'another'}, f'is no {KIND}'),
    ],
)
def test_files_that_say_something_else_are_refused(changes, message, file):
    rewritten(file, **changes)
    with pytest.raises(DataError, match=message):
        load_network(file)


def test_damaged_files_and_pickles_are_refused(file, network, tmp_path):
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match='no intact safetensors file'):
        load_network(file)
    file.write_bytes(pickle.dumps({'a': 1}))
    with pytest.raises(DataError, match='no intact safetensors file'):
        load_network(file)
    save_file({'a': torch.zeros(1)}, file, {'relloc_ros': '[' * 10_000})
    with pytest.raises(DataError, match='no intact safetensors file'):
        load_network(file)
    save_file(network.state_dict(), file)
    with pytest.raises(DataError, match='is no relloc_ros network'):
        load_network(file)
    with pytest.raises(DataError, match='does not exist'):
        load_network(tmp_path / 'none')


def test_a_file_is_replaced_when_all_is_written(file, monkeypatch):
    before = file.read_bytes()
    monkeypatch.setattr('os.fsync', lambda number: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_checkpoint(file, KIND, {'a': torch.zeros(3)}, {})
    assert file.read_bytes() == before
