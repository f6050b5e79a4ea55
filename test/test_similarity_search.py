# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Exact search, in blocks, among some, and rows on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
import pytest

from relloc_ros.errors import MapError
from relloc_ros.map import similarity_search
from relloc_ros.map.similarity_search import ExactSearch
from relloc_ros.map.stored_rows import StoredRows

FLOAT = np.dtype(np.float32)


def unit_rows(count: int, dimension: int = 16, seed: int = 0) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, queries = unit_rows(100), unit_rows(5, seed=1)
    rows[70] = rows[3]
    queries[0] = rows[3]
    similarities, indices = ExactSearch(rows).search(queries, 7)
    monkeypatch.setattr(similarity_search, 'BLOCK_ROWS', 9)
    in_blocks, found = ExactSearch(rows).search(queries, 7)
    np.testing.assert_array_equal(found, indices)
    np.testing.assert_allclose(in_blocks, similarities, rtol=1e-5)
    expected = np.argsort(-(queries @ rows.T), axis=1)[:, :7]
    np.testing.assert_array_equal(indices[1:], expected[1:])
    assert indices[0, :2].tolist() == [3, 70]


def test_more_than_there_are_gives_all() -> None:
    rows = unit_rows(4)
    indices, similarities = ExactSearch(rows).nearest(rows[2], 10)
    assert sorted(indices.tolist()) == [0, 1, 2, 3]
    assert indices[0] == 2
    assert similarities[0] == pytest.approx(1.0)


def test_only_allowed_rows_are_found() -> None:
    rows = unit_rows(50)
    allowed = np.zeros(50, bool)
    allowed[[4, 9, 30]] = True
    indices, similarities = ExactSearch(rows).nearest(rows[0], 2, allowed)
    expected = sorted([4, 9, 30], key=lambda row: -float(rows[row] @ rows[0]))[:2]
    assert indices.tolist() == expected
    np.testing.assert_allclose(similarities, rows[expected] @ rows[0], rtol=1e-5)


def test_stored_rows_are_those_of_the_matrix(tmp_path: Path) -> None:
    rows = unit_rows(30)
    np.save(tmp_path / 'rows.npy', rows)
    stored = StoredRows(tmp_path / 'rows.npy', FLOAT)
    assert (stored.shape, len(stored)) == ((30, 16), 30)
    wanted = np.array([7, 0, 29, 7])
    np.testing.assert_array_equal(stored[wanted], rows[wanted])
    assert stored[np.array([], dtype=np.int64)].shape == (0, 16)
    for outside in (-1, 30):
        with pytest.raises(IndexError):
            stored[np.array([3, outside])]


def test_other_files_are_no_stored_rows(tmp_path: Path) -> None:
    path = tmp_path / 'rows.npy'
    with pytest.raises(MapError, match='missing or damaged'):
        StoredRows(path, FLOAT)
    for array in (np.zeros(3, np.float32), np.zeros((3, 3)), np.asfortranarray(unit_rows(4))):
        np.save(path, array)
        with pytest.raises(MapError, match=r'rows\.npy'):
            StoredRows(path, FLOAT)
    np.save(path, unit_rows(30))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MapError, match='missing or damaged'):
        StoredRows(path, FLOAT)
