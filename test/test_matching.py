# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Matching of descriptors against a plain search."""

import numpy as np
import pytest

from relloc_ros.vision.matching import count_mutual_ratio, match_mutual_ratio, unit_descriptors


def descriptors(count, seed):
    values = np.random.default_rng(seed).integers(0, 256, size=(count, 128))
    return unit_descriptors(values.astype(np.uint8))


def plain_search(query, reference, ratio):
    distances = np.linalg.norm(query[:, None] - reference[None], axis=2)
    pairs = []
    for i, row in enumerate(distances):
        order = np.argsort(row)
        j = order[0]
        if row[j] <= ratio * row[order[1]] and distances[:, j].argmin() == i:
            pairs.append((i, j))
    return pairs


@pytest.mark.parametrize('ratio', [0.8, 0.98, 1.0])
def test_equals_a_plain_search(ratio):
    reference = descriptors(90, 0)
    query = reference[:60] + np.random.default_rng(1).normal(size=(60, 128)) * 0.05
    query = np.concatenate([query, descriptors(40, 2)]).astype(np.float32)
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    expected = plain_search(query, reference, ratio)
    assert [tuple(pair) for pair in match_mutual_ratio(query, reference, ratio)] == expected
    assert count_mutual_ratio(query, [reference], ratio) == [len(expected)]
    assert len(expected) >= 50


def test_copies_are_matched_to_themselves():
    features = descriptors(50, 3)
    order = np.random.default_rng(0).permutation(50)
    matches = match_mutual_ratio(features, features[order], 0.8)
    assert len(matches) == 50
    np.testing.assert_array_equal(order[matches[:, 1]], matches[:, 0])


def test_a_repeated_descriptor_is_ambiguous():
    reference = descriptors(20, 4)
    reference[1] = reference[0]
    matches = match_mutual_ratio(reference[:1], reference, 0.9)
    assert len(matches) == 0
    assert count_mutual_ratio(reference[:1], [reference], 0.9) == [0]


@pytest.mark.parametrize(('num_query', 'num_reference'), [(0, 5), (5, 0), (5, 1), (0, 0)])
def test_too_few_to_compare(num_query, num_reference):
    query, reference = descriptors(num_query, 0), descriptors(num_reference, 1)
    assert match_mutual_ratio(query, reference, 0.8).shape == (0, 2)
    assert count_mutual_ratio(query, [reference], 0.8) == [0]


def test_unit_descriptors_survive_zeros():
    values = unit_descriptors(np.zeros((2, 128), dtype=np.uint8))
    assert np.isfinite(values).all()
