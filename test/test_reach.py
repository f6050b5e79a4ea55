# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How far from a camera helpful map images are, derived from maps of known layout."""

from __future__ import annotations

import numpy as np
import pytest

from relloc_ros.map.reach import MARGIN
from relloc_ros.map.reach import reach as reach_of
from relloc_ros.map.similarity_search import ExactSearch

Arrays = tuple[np.ndarray, np.ndarray]


def reach(centres: np.ndarray, descriptors: np.ndarray, k: int) -> float:
    return reach_of(centres, descriptors, ExactSearch(descriptors), k)


def row_of_places(num_places: int, per_place: int, spacing: float, looks: int) -> Arrays:
    """Place images 0.1 apart along a way; places `looks` apart look alike."""
    rng = np.random.default_rng(0)
    appearance = rng.standard_normal((looks, 32))
    centres, descriptors = [], []
    for place in range(num_places):
        for image in range(per_place):
            centres.append([spacing * place + 0.1 * image, 0.0, 0.0])
            descriptors.append(appearance[place % looks] + 0.1 * rng.standard_normal(32))
    rows = np.array(descriptors)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.array(centres), rows.astype(np.float32)


def test_it_is_the_size_of_a_place_where_places_differ() -> None:
    centres, descriptors = row_of_places(12, 6, spacing=50.0, looks=12)
    assert MARGIN * 0.1 <= reach(centres, descriptors, 5) <= MARGIN * 0.5


def test_another_place_that_looks_alike_does_not_widen_it() -> None:
    # Of the 8 most similar, 5 are of the same place and 3 of its double 300 away.
    centres, descriptors = row_of_places(12, 6, spacing=50.0, looks=6)
    descriptors = np.hstack([descriptors, 0.3 * np.repeat(np.eye(2), 36, axis=0)])
    assert reach(centres, descriptors.astype(np.float32), 8) <= MARGIN * 0.5


def test_it_scales_with_the_map() -> None:
    centres, descriptors = row_of_places(12, 6, spacing=50.0, looks=12)
    assert reach(7.0 * centres, descriptors, 5) == pytest.approx(
        7.0 * reach(centres, descriptors, 5)
    )


def test_a_small_map_is_covered_whole() -> None:
    centres, descriptors = row_of_places(1, 6, spacing=0.0, looks=1)
    assert reach(centres, descriptors, 50) >= np.ptp(centres[:, 0])


def test_one_image_has_no_others() -> None:
    assert reach(np.zeros((1, 3)), np.ones((1, 4), np.float32), 5) == 0.0
