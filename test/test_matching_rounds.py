# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many map images `essential` matches: as few as give enough points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
ALL = 14


@pytest.mark.parametrize(
    ('settings', 'num_matched'),
    [
        ({'sufficient_points': 20}, 3),
        ({'sufficient_points': 20, 'max_pairs': 5}, 3),
        # More than there are keypoints: never enough.
        ({'sufficient_points': 100_000}, 9),
        ({'sufficient_points': 100_000, 'more_pairs': 0}, 6),
        ({'sufficient_points': 100_000, 'more_pairs': 50}, ALL),
        ({'sufficient_points': 0}, 6),
        ({'sufficient_points': 100_000, 'refinement': 'none'}, 6),
    ],
)
def test_rounds(office_points_map: Path, settings: dict[str, Any], num_matched: int) -> None:
    essential = {'max_pairs': 6, 'more_pairs': 3, **settings}
    values = {'min_similarity': -1.0, **{f'essential.{key}': v for key, v in essential.items()}}
    image = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')[0]
    query = QueryImage(read_image(image), image.camera, image.stamp_ns, name=image.name)
    with ReferenceMap.open(office_points_map) as reference_map:
        assert reference_map.num_images == ALL
        found = Relocalizer(reference_map, make_config(LocalizationConfig, values)).process(query)
    assert found.localized
    assert len(found.pairs) == num_matched
