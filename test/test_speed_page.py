# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of speed: times of steps, other ways to a pose, the page made of the figures."""

from __future__ import annotations

from collections.abc import Iterator
import importlib
from pathlib import Path
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig, make_config, read_config_file
from relloc_ros.geometry import skew
from relloc_ros.image_decoding import decode_image

ROOT = Path(__file__).parents[1]
ACCURACY = {
    'median_position_error_m': 0.0123,
    'median_rotation_error_deg': None,
    'recall': {'0.05m_5deg': 0.975},
    'availability': 1.0,
}


@pytest.fixture
def load() -> Iterator[Any]:
    """Imports a benchmark by its name."""
    sys.path.insert(0, str(ROOT / 'benchmarks'))
    before = set(sys.modules)

    def load_one(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load_one
    sys.path.remove(str(ROOT / 'benchmarks'))
    for name in set(sys.modules) - before:
        if str(ROOT / 'benchmarks') in str(getattr(sys.modules[name], '__file__', '')):
            del sys.modules[name]


def test_stopwatch_takes_each_step_once_and_starts_with_another_each_turn(load: Any) -> None:
    stopwatch = load('stopwatch').Stopwatch()
    order: list[str] = []

    def step(name: str) -> Any:
        return lambda: order.append(name) or len(name)

    steps = [(name, step(name)) for name in ('a', 'bb', 'ccc')]
    for turn in range(4):
        assert stopwatch.time_in_turn(steps, turn) == {'a': 1, 'bb': 2, 'ccc': 3}
    assert [order[i] for i in (0, 3, 6, 9)] == ['a', 'bb', 'ccc', 'a']
    assert sorted(order[:3]) == ['a', 'bb', 'ccc']
    for name, _ in steps:
        assert len(stopwatch.wall_ms[name]) == len(stopwatch.cpu_ms[name]) == 4
        assert min(stopwatch.wall_ms[name]) >= 0.0


def test_unknown_figures_stay_unknown(load: Any) -> None:
    stopwatch = load('stopwatch')
    assert stopwatch.percentile([], 50) is None
    assert stopwatch.percentile([1.0, 2.0, 4.0], 50) == 2.0
    assert stopwatch.ratio(3.0, 2.0) == 1.5
    assert stopwatch.ratio(3.0, None) is None
    assert stopwatch.ratio(3.0, 0.0) is None
    assert stopwatch.added([1.0, 2.0], [10.0, 20.0]) == [11.0, 22.0]


def test_messages_show_the_same_image_in_every_encoding(load: Any) -> None:
    decoding = load('decoding')
    ramp = np.tile(np.linspace(0, 255, 96, dtype=np.uint8), (54, 1))
    messages = decoding.make_messages(ramp)
    assert {'bgr8', 'rgb8', 'mono8', 'bayer_rggb8', 'jpeg', 'jpeg_grey'} == set(messages)
    images = {name: decode_image(m, decoding.CAMERA).image for name, m in messages.items()}
    for image in images.values():
        assert image.shape[:2] == (1080, 1920)
    np.testing.assert_array_equal(images['bgr8'][..., 1], images['mono8'])
    assert np.abs(images['jpeg_grey'].astype(int) - images['mono8']).mean() < 3.0


def test_paper_peer_matches_by_ratio(load: Any) -> None:
    peers = load('peers')
    reference = np.eye(4, dtype=np.float32)
    query = np.array([[1, 0, 0, 0], [0.7, 0.7, 0, 0]], dtype=np.float32)
    np.testing.assert_array_equal(peers._match_by_ratio(query, reference), [[0, 0]])
    assert peers._match_by_ratio(query[:0], reference).shape == (0, 2)


def test_paper_peer_finds_the_essential_matrix_of_normalized_points(load: Any) -> None:
    points = np.random.default_rng(3).uniform([-1, -1, 3], [1, 1, 6], (60, 3))
    translation = np.array([0.5, 0.1, -0.05])
    moved = points + translation
    found = load('peers')._essential_matrix(
        points[:, :2] / points[:, 2:], moved[:, :2] / moved[:, 2:], 500.0
    )
    expected = skew(translation)
    expected /= np.linalg.norm(expected)
    found /= np.linalg.norm(found)
    assert min(np.abs(found - expected).max(), np.abs(found + expected).max()) < 1e-3


@pytest.mark.parametrize('name', ['fast', 'accurate'])
def test_settings_of_profiles_are_valid_and_differ_from_the_default(name: str) -> None:
    config = make_config(LocalizationConfig, read_config_file(ROOT / 'config' / f'{name}.yaml'))
    assert config != LocalizationConfig()


def test_page_shows_figures_targets_and_what_is_left_out(load: Any) -> None:
    page = load('speed_page').make_page(some_figures())
    assert '| kitchen | 640x480 | 40 | 50 | 70 | 90 | 1.40 (≤ 1.5) | 1.80 (≤ 2.5) |' in page
    assert '| kitchen | 41 | – | 70 |' in page
    assert '| kitchen | paper | 0.0123 | – | 97.5% | 100.0% | 140 | 2.0 |' in page
    assert '| kitchen | pycolmap | no points |' in page
    assert '| kitchen | `fast` | 0.0123 |' in page
    assert '| `relloc --help` | 0.40 s | 0.30 s | ≤ 0.5 s |' in page
    assert '| node to active, with the map | not measured | – | ≤ 4 s |' in page
    assert '| 1920x1080 `mono8` to pixels | 0.10 ms | – | ≤ 15 ms |' in page
    columns = {line.count('|') for line in page.splitlines() if line.startswith('| kitchen | `')}
    assert len(columns) == 1


def some_figures() -> dict[str, Any]:
    query = {
        'image_size': '640x480',
        'queries': 40,
        'reference_ms_p50': 50.0,
        'total_ms_p50': 70.0,
        'total_ms_p95': 90.0,
        'total_cpu_ms_p50': 80.0,
        'total_per_reference_p50': 1.4,
        'total_per_reference_p95': 1.8,
        'total_per_reference_cpu_p50': 1.5,
        'total_per_reference_cpu_p95': 1.9,
        'stages_ms_p50': {'features': 41.0, 'essential_matrices': None},
        'peers': {
            'paper': {
                'ms_p50': 140.0,
                'per_total': 2.0,
                'cpu_ms_p50': 150.0,
                'per_total_cpu': 1.9,
                **ACCURACY,
            },
            'pycolmap': {'left_out': 'no points'},
        },
        **ACCURACY,
    }
    profile = {
        'ms_p50': 60.0,
        'ms_p95': 70.0,
        'per_reference_p50': 1.2,
        'per_reference_cpu_p50': 1.3,
        **ACCURACY,
    }
    machine = ('processor', 'usable_cores', 'opencv_threads', 'python', 'opencv', 'numpy')
    return {
        'machine': dict.fromkeys(machine, 'some'),
        'load_average_before': (0.1, 0.1, 0.1),
        'load_average_after': (1.1, 0.6, 0.3),
        'latency': {'kitchen': query},
        'profiles': {'kitchen': {'fast': profile, 'default': profile}},
        'decoding': {'mono8': {'ms_p50': 0.1}},
        'start': {
            'import_relloc_ros': {'s_p50': 0.1},
            'relloc_help': {'s_p50': 0.4, 'cpu_s_p50': 0.3},
            'node_active': {'left_out': 'rclpy is not installed'},
        },
        'node': {'node_overhead_ms_p50': None},
    }


def test_soak_compares_the_beginning_with_the_end(load: Any) -> None:
    pytest.importorskip('rclpy')
    soak = load('soak')
    marks = [
        {
            'images': 10 * i,
            'memory_mib': 300.0 + min(i, 2),
            'open_files': 30,
            'threads': 9,
            'cpu_s': i,
        }
        for i in range(21)
    ]
    latency = [*[50.0] * 10, *[60.0] * 180, *[100.0] * 9, float('nan')]
    figures = soak.summarize(soak.Record(latency, [40.0] * 199, marks))
    assert (figures['images'], figures['images_lost'], figures['part']) == (200, 1, 10)
    assert figures['last_per_first_p50'] == 2.0
    assert figures['kolmogorov_smirnov'] == 1.0
    assert figures['memory_growth_mib'] == 1.0
    assert figures['open_files_growth'] == figures['threads_growth'] == 0
    assert figures['cpu_ms_per_image_first'] == figures['cpu_ms_per_image_last'] == 100.0
