# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Approximate search in large maps, made large by a low limit."""

from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path
import shutil

import numpy as np
from numpy.typing import NDArray
import pytest

from relloc_ros.errors import MapError
from relloc_ros.map import approximate_search, retrieval_index, similarity_search
from relloc_ros.map.approximate_search import ApproximateSearch
from relloc_ros.map.format import Generation
from relloc_ros.map.retrieval_index import index_for
from relloc_ros.map.similarity_search import ExactSearch, open_search
from relloc_ros.map.stored_rows import StoredRows

COUNT, DIMENSION = 3000, 20
FLOAT = np.dtype(np.float32)


def places(count: int, dimension: int) -> NDArray[np.float32]:
    """Draw descriptors of places that ten images show each."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.standard_normal((-(-count // 10), dimension)), 10, axis=0)[:count]
    rows = centres + 0.5 * rng.standard_normal((count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(autouse=True)
def _low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (retrieval_index, similarity_search):
        monkeypatch.setattr(module, 'LARGE_MAP', 1000)
    monkeypatch.setattr(approximate_search, 'FEW_ROWS', 50)


@pytest.fixture(scope='module')
def rows() -> NDArray[np.float32]:
    """Descriptors of a map."""
    return places(COUNT, DIMENSION)


@pytest.fixture(scope='module')
def written(tmp_path_factory: pytest.TempPathFactory, rows: NDArray[np.float32]) -> Generation:
    """A state of a map with its index."""
    pytest.importorskip('faiss')
    generation = Generation(tmp_path_factory.mktemp('map'))
    np.save(generation.global_descriptors, rows)
    retrieval_index.write_index(generation.retrieval, rows)
    return generation


def open_index(generation: Generation) -> ApproximateSearch:
    return ApproximateSearch(
        generation.retrieval, StoredRows(generation.global_descriptors, FLOAT)
    )


def test_it_finds_nearly_what_exact_search_finds(
    written: Generation, rows: NDArray[np.float32]
) -> None:
    search = open_search(written, rows)
    assert isinstance(search, ApproximateSearch)
    exact = ExactSearch(rows)
    hits = 0
    for query in places(COUNT, DIMENSION)[5::100]:
        indices, similarities = search.nearest(query, 5)
        hits += len({*indices.tolist()} & {*exact.nearest(query, 5)[0].tolist()})
        np.testing.assert_allclose(similarities, rows[indices] @ query, rtol=1e-5)
        assert (np.diff(similarities) <= 0).all()
    assert hits >= 0.9 * 5 * len(rows[5::100])


@pytest.mark.parametrize('num_allowed', [0, 3, 40, 60, 500, COUNT])
def test_it_keeps_to_what_is_allowed(
    written: Generation, rows: NDArray[np.float32], num_allowed: int
) -> None:
    search = open_index(written)
    rng = np.random.default_rng(1)
    allowed = np.zeros(COUNT, bool)
    allowed[rng.choice(COUNT, num_allowed, replace=False)] = True
    hits = 0
    queries = rows[::300]
    for query in queries:
        indices, _ = search.nearest(query, 5, allowed)
        assert len(indices) == min(5, num_allowed)
        assert allowed[indices].all()
        hits += len({*indices.tolist()} & {*ExactSearch(rows).nearest(query, 5, allowed)[0]})
    assert hits >= 0.8 * min(5, num_allowed) * len(queries)


def test_dimensions_need_not_be_round(tmp_path: Path) -> None:
    pytest.importorskip('faiss')
    generation = Generation(tmp_path)
    rows = places(1500, 67)
    np.save(generation.global_descriptors, rows)
    recall = index_for(generation, rows)
    assert recall is not None
    assert 0.8 <= recall <= 1.0
    indices, similarities = open_index(generation).nearest(rows[77], 3)
    assert indices[0] == 77
    assert similarities[0] == pytest.approx(1.0, abs=1e-5)


def test_a_small_map_has_no_index(tmp_path: Path) -> None:
    generation = Generation(tmp_path)
    rows = places(999, DIMENSION)
    np.save(generation.global_descriptors, rows)
    assert index_for(generation, rows) is None
    assert list(tmp_path.iterdir()) == [generation.global_descriptors]
    assert isinstance(open_search(generation, rows), ExactSearch)


def test_without_faiss_search_is_exact_and_says_so(
    tmp_path: Path,
    rows: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for module in (retrieval_index, similarity_search):
        monkeypatch.setattr(module, 'find_faiss', lambda: False)
    with caplog.at_level(logging.WARNING):
        assert index_for(Generation(tmp_path), rows) is None
        assert isinstance(open_search(Generation(tmp_path), rows), ExactSearch)
    assert [record.getMessage().count('relloc_ros[large]') for record in caplog.records] == [1, 1]


def test_a_large_map_without_index_is_searched_exactly(
    tmp_path: Path, rows: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip('faiss')
    assert isinstance(open_search(Generation(tmp_path), rows), ExactSearch)
    assert 'built without faiss' in caplog.text


def change(name: str, values: Callable[[NDArray[np.float32]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        np.save(folder / name, np.asarray(values(np.load(folder / name))))

    return damage


def cut(folder: Path) -> None:
    path = folder / approximate_search.LISTS
    path.write_bytes(path.read_bytes()[:-1])


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    'lists cut': (cut, 'lists.bin has'),
    'no lists': (lambda folder: (folder / 'lists.bin').unlink(), 'lists.bin'),
    'no centres': (lambda folder: (folder / 'centres.npy').unlink(), 'centres.npy is missing'),
    'sizes negative': (change('list_sizes.npy', np.negative), 'impossible length'),
    'sizes too large': (change('list_sizes.npy', lambda sizes: sizes + 1), 'it lists'),
    'huge sizes': (
        change('list_sizes.npy', lambda sizes: sizes + 2**62),
        'impossible length',
    ),
    'a list missing': (change('list_sizes.npy', lambda sizes: sizes[1:]), 'lists for'),
    'another dimension': (
        change('centres.npy', lambda centres: centres[:, :-1].copy()),
        'do not fit together',
    ),
    'codebook cut': (change('codebook.npy', lambda book: book[1:]), 'do not fit together'),
    'empty codebook': (change('codebook.npy', lambda book: book[:0]), 'do not fit together'),
    'not finite': (change('centres.npy', lambda centres: np.nan * centres), 'not finite'),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_index_is_refused(written: Generation, tmp_path: Path, damage: str) -> None:
    generation = Generation(tmp_path / 'copy')
    shutil.copytree(written.folder, generation.folder)
    change_it, message = DAMAGES[damage]
    change_it(generation.retrieval)
    with pytest.raises(MapError, match=message):
        open_index(generation)


def test_impossible_numbers_in_lists_are_not_found(written: Generation, tmp_path: Path) -> None:
    generation = Generation(tmp_path / 'copy')
    shutil.copytree(written.folder, generation.folder)
    path = generation.retrieval / approximate_search.LISTS
    path.write_bytes(b'\xff' * path.stat().st_size)
    rows = np.load(generation.global_descriptors)
    indices, similarities = open_index(generation).nearest(rows[0], 5)
    assert len(indices) == len(similarities) == 0


def test_an_index_of_other_images_is_refused(written: Generation, tmp_path: Path) -> None:
    np.save(tmp_path / 'other.npy', places(COUNT + 1, DIMENSION))
    with pytest.raises(MapError, match=f'it lists {COUNT} of {COUNT + 1} images'):
        ApproximateSearch(written.retrieval, StoredRows(tmp_path / 'other.npy', FLOAT))
    np.save(tmp_path / 'other.npy', places(COUNT, 2 * DIMENSION))
    with pytest.raises(MapError, match='the descriptors have 40'):
        ApproximateSearch(written.retrieval, StoredRows(tmp_path / 'other.npy', FLOAT))
