# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What pose regression costs: processes of their own, networks nobody trained, the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import importlib
from io import StringIO
from pathlib import Path
import sys
from types import ModuleType
from typing import Any

import cv2
import pytest
from rich.console import Console

from relloc_ros.errors import DataError

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / 'examples' / 'fr3_office'


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a benchmark by its name."""
    monkeypatch.syspath_prepend(str(ROOT / 'benchmarks'))
    before, threads = set(sys.modules), cv2.getNumThreads()

    def load_one(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load_one
    cv2.setNumThreads(threads)
    for name in set(sys.modules) - before:
        if str(ROOT / 'benchmarks') in str(getattr(sys.modules[name], '__file__', '')):
            del sys.modules[name]


@pytest.fixture
def apr_cost(load: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The benchmark, leaving the memory of the tests alone."""
    module = load('apr_cost')
    monkeypatch.setattr(module, 'keep_freed_memory', lambda: None)
    return module


def row(name: str, total: float, cpu: float, **stages: float) -> dict[str, Any]:
    return {
        'name': name,
        'backbone': 'googlenet' if stages else '',
        'ms_p50': total,
        'ms_p95': 2 * total,
        'cpu_ms_p50': cpu,
        'stages_ms_p50': {name.replace('_', ' '): value for name, value in stages.items()},
        'memory_mb': 1234.5,
        'disk_mb': 90.0,
    }


def test_a_process_of_its_own_has_one_thread_and_a_peak_of_its_own(
    load: Any, tmp_path: Path
) -> None:
    script = tmp_path / 'script.py'
    script.write_text(
        'import json, os, sys\n'
        f'sys.path.insert(0, {str(ROOT / "benchmarks")!r})\n'
        'from own_process import peak_mb\n'
        'before = peak_mb()\n'
        "kept = b'1' * 2**28\n"
        "print(json.dumps([*{'threads': os.environ['OMP_NUM_THREADS'], 'name': sys.argv[1],"
        "'grown': peak_mb() - before}.items()]))\n",
        encoding='utf-8',
    )
    found = load('own_process').run_alone(str(script), ['apr'])
    assert (found['threads'], found['name']) == ('1', 'apr')
    assert 200 < found['grown'] < 400


def test_a_process_that_fails_says_why(load: Any, tmp_path: Path) -> None:
    script = tmp_path / 'script.py'
    script.write_text("raise SystemExit('there is no map')\n", encoding='utf-8')
    with pytest.raises(SystemExit, match=r'script\.py apr failed:\nthere is no map'):
        load('own_process').run_alone(str(script), ['apr'])


def test_a_stage_that_an_image_did_not_come_to_took_nothing(load: Any) -> None:
    timings = [{'a': 3.0, 'b': 9.0}, {'a': 1.0}, {'a': 2.0}]
    assert load('own_process').medians(timings) == {'a': 2.0, 'b': 0.0}


def test_queries_are_spread_over_the_list(load: Any) -> None:
    every = load('own_process').read_queries(EXAMPLE, 100)
    some = load('own_process').read_queries(EXAMPLE, 2)
    assert len(every) == 5
    assert [each.name for each in some] == [every[0].name, every[2].name]


def test_ratios_are_to_essential_and_the_table_is_whole(apr_cost: Any) -> None:
    rows = apr_cost.compared(
        [
            row('retrieval', 20.0, 13.0),
            row('essential', 80.0, 104.0),
            row('posenet_learned, small', 2000.0, 52.0, regression=120.4, mirror_image=19.96),
        ]
    )
    assert [each['per_essential'] for each in rows] == [0.25, 1.0, 25.0]
    assert [each['per_essential_cpu'] for each in rows] == [0.125, 1.0, 0.5]
    console = Console(width=apr_cost.console.width, file=StringIO(), record=True)
    console.print(apr_cost.table(rows))
    lines = [line.strip() for line in console.export_text().splitlines() if line.strip()]
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    assert cells[0] == list(apr_cost.COLUMNS)
    assert cells[3][:7] == ['`essential`', '', '80', '160', '1.00', '104', '1.00']
    assert cells[3][7:9] == ['', '']
    assert cells[4][:2] == ['`posenet_learned, small`', 'googlenet']
    assert cells[4][2:] == ['2000', '4000', '25.00', '52', '0.50', '20.0', '120', '1234', '90']


def test_figures_of_a_localizer(apr_cost: Any) -> None:
    timings = [{'retrieval': 1.0, 'total': float(n), 'processor': 2.0 * n} for n in range(1, 22)]
    figures = apr_cost.summarized(timings, 5.0)
    assert (figures['ms_p50'], figures['ms_p95'], figures['cpu_ms_p50']) == (11.0, 20.0, 22.0)
    assert (figures['stages_ms_p50'], figures['memory_mb']) == ({'retrieval': 1.0}, 5.0)


def test_networks_measures_as_before(load: Any, office_map: Path) -> None:
    networks = load('networks')
    figures = networks.measure('sift_5pt', EXAMPLE, office_map, None, 1)
    assert list(figures) == ['name', 'first', 'known', 'memory_mb']
    for again in (figures['first'], figures['known']):
        assert {'features', 'matching', 'total', 'processor'} <= set(again)
    networks.show([figures])


class TestUntrained:
    """Networks that have learned nothing are localized with all the same."""

    @pytest.fixture(autouse=True)
    def extra(self) -> None:
        pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
        pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

    def test_every_variant_is_measured_at_its_own_size_and_a_small_one(
        self, apr_cost: Any
    ) -> None:
        from relloc_ros.networks.apr import VARIANTS

        known = apr_cost.configs()
        assert set(known) == {*VARIANTS, 'posenet_learned, small'}
        small = known.pop('posenet_learned, small')
        assert (small.backbone, small.crop, small.uncertainty) == ('small', 96, 'learned')
        assert {config.crop for config in known.values()} == {224}
        assert 'small' not in {config.backbone for config in known.values()}

    @pytest.mark.parametrize('variant', ['bayesian_posenet', 'gposenet', 'vlocnet', 'mapnet'])
    def test_every_image_takes_the_whole_way(
        self, variant: str, apr_cost: Any, office_map: Path, tmp_path: Path
    ) -> None:
        from relloc_ros.networks.apr import load_trained

        own = apr_cost.configs()[variant]
        config = replace(own, backbone='small', shorter_side=104, crop=96, embedding_size=64)
        network = tmp_path / 'best.safetensors'
        apr_cost.write_untrained(network, config, office_map)
        trained = load_trained(network)
        assert trained.network.config == config
        assert (len(trained.embeddings.names), len(trained.held_out.names)) == (11, 3)
        figures = apr_cost.measure('apr', EXAMPLE, office_map, 2, network)
        assert {apr_cost.PASS, apr_cost.COVARIANCE_PASS} <= set(figures['stages_ms_p50'])

    def test_images_that_are_refused_at_once_do_not_count(
        self,
        apr_cost: Any,
        office_map: Path,
        office_network: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        refused = {'total': 1.0, 'processor': 1.0}
        monkeypatch.setattr(apr_cost, 'ask', lambda _, posed: [refused] * len(posed))
        with pytest.raises(DataError, match=r'2 of 2 queries were refused before'):
            apr_cost.measure('apr', EXAMPLE, office_map, 2, office_network)
