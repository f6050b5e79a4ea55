# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks: times of steps, other ways to a pose, which parts run, the page of the figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import importlib
from pathlib import Path
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from relloc_ros.config import LocalizationConfig, make_config, read_config_file
from relloc_ros.geometry import RigidTransform, skew
from relloc_ros.image_decoding import decode_image
from relloc_ros.structures import PoseEstimate
from relloc_ros.tracker import Observation

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
    pytest.importorskip('jinja2')
    make_page, records = load('page').make_page, some_records(load('record').Record)
    page = make_page(records, some_figures())
    assert '| kitchen | 640x480 | 40 | 50 | 70 | 90 | 1.40 | 2.60 |' in page
    assert (
        '| kitchen, 640x480: time of a query over reference, p50 | 1.4 | ≤ 1.5 | reached |' in page
    )
    assert (
        '| kitchen, 640x480: time of a query over reference, p95 | 2.6 | ≤ 2.5 | **missed** |'
        in page
    )
    assert '| kitchen | 41 | – | 70 |' in page
    assert '| kitchen | paper | 0.0123 | – | 97.5% | 100.0% | 140 | 2.0 |' in page
    assert '| kitchen | pycolmap | no points |' in page
    assert '| kitchen | `fast` | 0.0123 |' in page
    assert '| `relloc --help` | 0.40 s | – | 0.30 s |' in page
    assert '| node to active, with the map of redkitchen | – | – | – |' in page
    assert '| node to active with the map of redkitchen | not known | ≤ 4 s | **missed** |' in page
    assert '| 1920x1080 `mono8` to pixels | 0.10 ms | – | – |' in page
    assert '| start | measured | 1 min 05 s | 0.1 | 1.1 | 2026-01-02 03:04:05 | abc |' in page
    assert '| soak | left out: ROS 2 is not installed |' in page
    assert 'Machine: some, 2 cores, 8 GiB of memory' in page
    assert 'An impression only' not in page
    assert 'The machine was busy' not in page
    busy = replace(records[0], load_before=3.0, quick=True)
    page = make_page([busy], some_figures())
    assert 'The machine was busy** when these began: start.' in page
    assert 'An impression only' in page
    columns = {line.count('|') for line in page.splitlines() if line.startswith('| kitchen | `')}
    assert len(columns) == 1


def test_page_of_nothing_says_so(load: Any) -> None:
    pytest.importorskip('jinja2')
    assert 'Nothing has been measured.' in load('page').make_page([], {})


def some_records(record: Any) -> list[Any]:
    machine = {
        **dict.fromkeys(
            ('processor', 'opencv_threads', 'python', 'opencv', 'numpy', 'matching'), 'some'
        ),
        'usable_cores': 2,
        'memory_gib': 8,
        'versions': {'scipy': '1.8'},
    }
    start = record(
        'start',
        ['startup.py', '--map', 'MAPS/kitchen'],
        'mark',
        'measured',
        date='2026-01-02T03:04:05+00:00',
        revision='abc',
        load_before=0.1,
        load_after=1.1,
        seconds=65.0,
        machine=machine,
    )
    left_out = record('soak', ['soak.py'], 'mark', 'left out', 'ROS 2 is not installed')
    return [start, left_out]


def some_figures() -> dict[str, Any]:
    query = {
        'image_size': '640x480',
        'queries': 40,
        'reference_ms_p50': 50.0,
        'total_ms_p50': 70.0,
        'total_ms_p95': 90.0,
        'total_cpu_ms_p50': 80.0,
        'total_per_reference_p50': 1.4,
        'total_per_reference_p95': 2.6,
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
    return {
        'latency_kitchen': query,
        'profiles_kitchen': {'fast': profile, 'default': profile},
        'decoding': {'mono8': {'ms_p50': 0.1}},
        'start': {
            'import_relloc_ros': {'s_p50': 0.1},
            'relloc_help': {'s_p50': 0.4, 'cpu_s_p50': 0.3},
            'node_active': {'left_out': 'rclpy is not installed'},
        },
    }


def test_soak_compares_the_beginning_with_the_end(load: Any) -> None:
    pytest.importorskip('rclpy')
    soak = load('soak')
    marks = [
        {
            'images': 2 * i,
            'memory_mib': 300.0 + min(i, 30),
            'open_files': 30,
            'threads': 9,
            'cpu_s': 0.2 * i,
        }
        for i in range(101)
    ]
    latency = [*[50.0] * 10, *[60.0] * 180, *[100.0] * 9, float('nan')]
    figures = soak.summarize(soak.Record(latency, [40.0] * 199, marks))
    assert (figures['images'], figures['images_lost'], figures['part']) == (200, 1, 10)
    assert figures['last_per_first_p50'] == 2.0
    assert figures['kolmogorov_smirnov'] == 1.0
    assert figures['kolmogorov_smirnov_any_two'] == 0.0
    # From the end of the second twentieth on.
    assert figures['memory_growth_mib'] == 20.0
    assert [block['images'] for block in figures['blocks']] == list(range(5, 201, 5))
    assert set(figures['within_limits']) == {'open_files_growth', 'threads_growth'}
    assert figures['open_files_growth'] == figures['threads_growth'] == 0
    assert figures['cpu_ms_per_image_first'] == figures['cpu_ms_per_image_last'] == 100.0


def test_parts_are_scripts_with_options_that_they_have(load: Any) -> None:
    parts = load('parts')
    names = [part.name for part in parts.PARTS]
    assert len(set(names)) == len(names)
    places = parts.Places(Path('d'), Path('m'), Path('r'))
    for part in parts.PARTS:
        script, *arguments = part.command(quick=True)
        text = (ROOT / 'benchmarks' / script).read_text('utf-8')
        options = [each for each in arguments if each.startswith('--')]
        assert all(_has_option(text, option) for option in options), part.name
        assert not {'DATA', 'MAPS', 'RESULTS'} & set(map(places.fill, arguments))


def _has_option(script: str, option: str) -> bool:
    name = option.removeprefix('--').removeprefix('no-').replace('-', '_')
    return f"'{option}" in script or f'/{option}' in script or f'    {name}: ' in script


def test_parts_are_found_by_how_they_begin(load: Any) -> None:
    find = load('parts').find_parts
    assert [part.name for part in find(['latency', 'soak'])] == [
        'latency_redkitchen',
        'latency_castle_p30',
        'soak',
    ]
    assert find([]) == list(load('parts').PARTS)
    with pytest.raises(KeyError, match='nothing'):
        find(['soak', 'nothing'])


def test_fingerprint_tells_other_arguments_and_maps_but_not_other_dates(
    load: Any, tmp_path: Path
) -> None:
    places = load('parts').Places(tmp_path, tmp_path / 'maps', tmp_path)
    map_file = tmp_path / 'maps' / 'fr3_office' / 'map.yaml'
    map_file.parent.mkdir(parents=True)

    def mark(text: str, *arguments: str, sets: tuple[str, ...] = ()) -> str:
        map_file.write_text(text)
        return str(load('record').fingerprint(['decoding.py', *arguments], places, sets))

    first = mark('map_id: a\ncreated: 1\ncalibrations: [{scale: 2, created: 1}]\n')
    assert mark('map_id: a\ncreated: 2\ncalibrations: [{scale: 2, created: 3}]\n') == first
    assert mark('map_id: a\ncreated: 1\ncalibrations: [{scale: 3, created: 1}]\n') != first
    assert mark('map_id: a\n') != mark('map_id: b\n')
    assert mark('map_id: a\n') != mark('map_id: a\n', '--count')
    assert mark('map_id: a\n', sets=('redkitchen',)) == mark('map_id: b\n', sets=('redkitchen',))


def test_record_comes_back_as_it_was_written(load: Any, tmp_path: Path) -> None:
    record = load('record')
    begun = record.Record.start('decoding', ['decoding.py'], 'mark', quick=True)
    record.write_record(tmp_path, begun)
    assert record.read_record(tmp_path, 'decoding') == begun
    assert record.read_figures(tmp_path, 'decoding') is None
    ended = begun.end('measured', '')
    assert 0.0 <= ended.seconds < 60.0
    record.write_record(tmp_path, ended)
    (tmp_path / 'decoding.json').write_text('{"mono8": 1}')
    assert record.read_figures(tmp_path, 'decoding') == {'mono8': 1}
    assert record.read_record(tmp_path, 'soak') is None


def test_fusion_counts_jumps_by_odometry_and_none_where_the_track_begins(load: Any) -> None:
    fusion = load('fusion')

    def at(x: float) -> RigidTransform:
        return RigidTransform(np.eye(3), np.array([x, 0.0, 0.0]))

    def said(x: float, odometry: float, *, begins: bool = False) -> Any:
        pose = PoseEstimate(at(x), np.diag([0.1] * 6) ** 2)
        return fusion.Said(pose, at(0.0), at(odometry), begins, 2.0)

    row = fusion._row([said(0.0, 5.0, begins=True), said(0.3, 5.1), said(9.0, 5.2, begins=True)])
    assert row == ['3', '30.00, 813.00', '0.000', '20.00, 20.00', '0.000', '67%', '2.0 (2.0)']


def test_fusion_moves_a_tenth_of_the_poses_by_a_little(load: Any) -> None:
    fusion = load('fusion')
    pose = PoseEstimate(RigidTransform.identity(), np.eye(6))
    seen = [Observation(i, pose if i % 2 else None, None) for i in range(1000)]
    moved = fusion._moved(seen)
    assert [each.pose is None for each in moved] == [each.pose is None for each in seen]
    shifts = [
        float(np.linalg.norm(each.pose.map_from_body.translation))
        for each in moved
        if each.pose is not None and each.pose is not pose
    ]
    assert 30 < len(shifts) < 75
    assert 0.1 <= min(shifts) < max(shifts) <= 0.25
