# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled matching and that of NumPy find the same; the compiled one is there after a build."""

from importlib.util import find_spec
import logging
import shutil

import numpy as np
import pytest

from relloc_ros.vision import mutual_ratio
from relloc_ros.vision.mutual_ratio import CompiledMatching, NumpyMatching, quickest_matching


def unit(count, dimension, seed):
    values = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def noisy(descriptors, seed, sigma=0.05):
    noise = np.random.default_rng(seed).normal(size=descriptors.shape)
    moved = (descriptors + sigma * noise).astype(np.float32)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


@pytest.fixture
def compiled():
    matching = quickest_matching()
    # With a compiler, installing leaves no way around it.
    assert isinstance(matching, CompiledMatching) or shutil.which('c++') is None
    if not isinstance(matching, CompiledMatching):
        pytest.skip('no C++ compiler was there')
    return matching


# Around the 4, 8 and 16 lanes of processors, and the 8 rows that are searched together.
@pytest.mark.parametrize('num_query', [1, 7, 8, 9, 250])
@pytest.mark.parametrize('num_reference', [2, 3, 4, 15, 16, 17, 33, 401])
def test_both_find_the_same(compiled, num_query, num_reference):
    reference = unit(num_reference, 128, 0)
    known = noisy(reference[np.arange(num_query) % num_reference], 1)
    query = np.concatenate([known, unit(num_query, 128, 2)])
    search = query[:, :32].copy(), reference[:, :32].copy()
    for ratio in (0.85, 1.0):
        expected = NumpyMatching().match(query, reference, search, ratio)
        np.testing.assert_array_equal(compiled.match(query, reference, search, ratio), expected)
        images = [reference, reference[:1], noisy(reference, 3), reference[:0]]
        counts = NumpyMatching().count(query, images, ratio)
        assert compiled.count(query, images, ratio) == counts
        assert counts[1] == counts[3] == 0
    assert len(expected) >= min(num_query, num_reference) // 2


@pytest.mark.parametrize('dimension', [1, 5, 33, 64, 130])
def test_descriptors_of_any_length(compiled, dimension):
    reference = unit(60, dimension, 4)
    query = noisy(reference[:40], 5, 0.01)
    expected = NumpyMatching().match(query, reference, (query, reference), 0.9)
    found = compiled.match(query, reference, (query, reference), 0.9)
    np.testing.assert_array_equal(found, expected)
    assert len(found) > 0 or dimension == 1  # on a line all are at its two ends


@pytest.mark.parametrize('matching', [NumpyMatching(), quickest_matching()])
def test_the_first_of_equal_ones_counts(matching):
    reference = np.repeat(unit(20, 32, 6), 2, axis=0)
    found = matching.match(reference[::2], reference, (reference[::2], reference), 1.0)
    np.testing.assert_array_equal(found, np.column_stack([np.arange(20), np.arange(0, 40, 2)]))
    # The same twice is ambiguous below 1.
    assert matching.count(reference[::2], [reference], 0.99) == [0]


@pytest.mark.parametrize('matching', [NumpyMatching(), quickest_matching()])
@pytest.mark.parametrize(('num_query', 'num_reference'), [(0, 5), (5, 1), (5, 0), (0, 0)])
def test_too_few(matching, num_query, num_reference):
    query, reference = unit(5, 64, 7)[:num_query], unit(5, 64, 8)[:num_reference]
    assert matching.match(query, reference, (query, reference), 0.8).shape == (0, 2)
    assert matching.count(query, [reference], 0.8) == [0]
    assert matching.count(query, [], 0.8) == []


@pytest.mark.parametrize('matching', [NumpyMatching(), quickest_matching()])
def test_however_they_lie_in_memory(matching):
    reference = unit(90, 64, 9)
    query = noisy(reference[::-1], 10)
    expected = np.column_stack([np.arange(90), np.arange(90)[::-1]])
    strided = np.asfortranarray(query), reference[:, ::-1].copy()[:, ::-1]
    np.testing.assert_array_equal(matching.match(*strided, strided, 0.9), expected)
    assert matching.count(strided[0], [strided[1]], 0.9) == [90]


@pytest.mark.parametrize('matching', [NumpyMatching(), quickest_matching()])
def test_descriptors_of_two_kinds(matching):
    query, reference = unit(20, 64, 11), unit(20, 128, 12)
    with pytest.raises(ValueError):  # noqa: PT011  NumPy says it in its own words
        matching.match(query, reference, (query, reference), 0.9)
    with pytest.raises(ValueError):  # noqa: PT011
        matching.count(query, [reference], 0.9)


def test_rows_that_are_missing(compiled):
    query, reference = unit(20, 64, 11), unit(20, 64, 12)
    with pytest.raises(ValueError, match='do not belong together'):
        compiled.match(query, reference, (query[:19], reference), 0.9)


@pytest.fixture
def fresh_choice():
    quickest_matching.cache_clear()
    yield
    quickest_matching.cache_clear()


def test_without_anything_compiled(monkeypatch, fresh_choice):
    monkeypatch.setattr(mutual_ratio, 'find_spec', lambda name: None)
    assert isinstance(quickest_matching(), NumpyMatching)


def test_compiled_for_another_machine(monkeypatch, fresh_choice, tmp_path, caplog):
    foreign = tmp_path / '_mutual_ratio.so'
    foreign.write_bytes(b'MZ')
    spec = find_spec('relloc_ros')
    spec.origin = str(foreign)
    monkeypatch.setattr(mutual_ratio, 'find_spec', lambda name: spec)
    with caplog.at_level(logging.WARNING):
        assert isinstance(quickest_matching(), NumpyMatching)
    assert 'install relloc_ros again' in caplog.text
