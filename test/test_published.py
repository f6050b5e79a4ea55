# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The published tables: complete, consistent with each other, and as printed in the papers."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from relloc_ros.evaluation.published import (
    MEAN,
    MEAN_SCENES,
    TABLES,
    Kind,
    PublishedRow,
    mean_error,
    published_rows,
    read_table,
)

ROUNDING = 0.005 + 1e-9
DATA_SETS = ('shop_facade_rendered', 'cambridge', '7scenes', 'tum_lsi', 'deeploc')
NUM_ROWS = {
    ('sattler2019_table1', 'shop_facade_rendered'): 5,
    ('sattler2019_table2', 'cambridge'): 14,
    ('sattler2019_table2', '7scenes'): 21,
    ('sattler2019_table3', 'tum_lsi'): 5,
    ('sattler2019_table4', 'deeploc'): 9,
    ('zhou2020_table2', 'cambridge'): 17,
    ('zhou2020_table2', '7scenes'): 22,
    ('zhou2020_table3', 'cambridge'): 5,
    ('zhou2020_table3', '7scenes'): 5,
    ('zhou2020_table4', 'cambridge'): 7,
    ('zhou2020_table4', '7scenes'): 7,
}


def find(rows: list[PublishedRow], label: str) -> PublishedRow:
    (row,) = [row for row in rows if row.label == label]
    return row


def test_all_rows_are_there() -> None:
    counts = {
        (table, data_set): len(read_table(table, data_set))
        for table in TABLES
        for data_set in DATA_SETS
    }
    assert {key: count for key, count in counts.items() if count} == NUM_ROWS


@pytest.mark.parametrize('table', TABLES)
def test_rows_are_well_formed(table: str) -> None:
    for data_set in DATA_SETS:
        rows = read_table(table, data_set)
        assert len({row.label for row in rows}) == len(rows)
        for row in rows:
            assert row.kind in get_args(Kind)
            assert row.source.startswith(('Sattler et al., CVPR 2019', 'Zhou et al., ICRA 2020'))
            for position, rotation in row.figures.values():
                assert 0 < position < 25
                assert 0 < rotation < 90


@pytest.mark.parametrize('data_set', MEAN_SCENES)
def test_means_of_one_paper_are_those_of_the_other(data_set: str) -> None:
    per_scene = {row.label: row for row in read_table('sattler2019_table2', data_set)}
    num_compared = 0
    for row in read_table('zhou2020_table2', data_set):
        if row.label in per_scene:
            figures = per_scene[row.label].figures
            mean = mean_error([figures[scene] for scene in MEAN_SCENES[data_set]])
            assert mean == pytest.approx(row.figures[MEAN], abs=ROUNDING), row.label
            num_compared += 1
    assert num_compared == {'cambridge': 11, '7scenes': 16}[data_set]


@pytest.mark.parametrize(
    ('table', 'data_set', 'label', 'scene', 'expected'),
    [
        ('sattler2019_table1', 'shop_facade_rendered', 'MapNet', '3-0.25', (0.33, 1.46)),
        ('sattler2019_table1', 'shop_facade_rendered', 'Active Search', 'original', (0.01, 0.04)),
        ('sattler2019_table2', 'cambridge', 'AnchorNet', 'Street', (7.86, 24.2)),
        ('sattler2019_table2', 'cambridge', 'Active Search', 'Street', (0.85, 0.8)),
        ('sattler2019_table2', 'cambridge', 'BTBRF', 'StMarysChurch', (0.20, 0.40)),
        ('sattler2019_table2', 'cambridge', 'SVS-Pose', 'ShopFacade', (0.63, 5.73)),
        ('sattler2019_table2', '7scenes', 'Hourglass PN', 'chess', (0.15, 6.17)),
        ('sattler2019_table2', '7scenes', 'GPoseNet', 'office', (0.28, 8.83)),
        ('sattler2019_table2', '7scenes', 'MapNet+PGO', 'heads', (0.12, 8.45)),
        ('sattler2019_table2', '7scenes', 'RelocNet (ScanNet)', 'pumpkin', (0.40, 10.9)),
        ('sattler2019_table2', '7scenes', 'DenseVLAD', 'redkitchen', (0.30, 12.3)),
        ('sattler2019_table2', '7scenes', 'InLoc', 'stairs', (0.09, 2.47)),
        ('sattler2019_table3', 'tum_lsi', 'DenseVLAD + interpolation', 'all', (0.49, 2.01)),
        ('sattler2019_table4', 'deeploc', 'VLocNet++ MTL', 'original', (0.32, 1.48)),
        ('sattler2019_table4', 'deeploc', 'Active Search', 'sfm', (0.01, 0.04)),
        ('zhou2020_table2', 'cambridge', 'SIFT + 5pt', MEAN, (0.47, 0.88)),
        ('zhou2020_table2', '7scenes', 'NC-EssNet (the same data set)', MEAN, (0.21, 7.50)),
        ('zhou2020_table3', '7scenes', 'EssNet (Cambridge)', MEAN, (0.57, 80.06)),
        ('zhou2020_table4', 'cambridge', 'EssNet224 + NCM + 5pt (MegaDepth)', MEAN, (0.98, 1.4)),
    ],
)
def test_as_printed(
    table: str, data_set: str, label: str, scene: str, expected: tuple[float, float]
) -> None:
    assert find(read_table(table, data_set), label).figures[scene] == expected


def test_what_was_not_published_is_not_there() -> None:
    rows = read_table('sattler2019_table2', 'cambridge')
    assert 'Street' not in find(rows, 'MapNet').figures
    assert 'MapNet+PGO' not in [row.method for row in rows]
    deeploc = read_table('sattler2019_table4', 'deeploc')
    assert 'original' not in find(deeploc, 'Active Search').figures


def test_equal_rows_of_several_tables_become_one() -> None:
    rows = published_rows('7scenes')
    assert len({row.label for row in rows}) == len(rows) == 32
    posenet = find(rows, 'PoseNet')
    assert posenet.figures['chess'] == (0.32, 8.12)
    assert posenet.figures[MEAN] == (0.44, 10.44)
    assert posenet.source == 'Sattler et al., CVPR 2019, Table 2; Zhou et al., ICRA 2020, Table II'
    assert find(rows, 'SIFT + 5pt').source.count('Table') == 3
    # Printed in one table, and again in the study of its training, where others are worse.
    own = find(rows, 'EssNet (the same data set)')
    assert own.source.count('Table') == 2
    assert find(rows, 'EssNet (Cambridge)').figures[MEAN] == (0.57, 80.06)


def test_a_mean_needs_all_its_scenes() -> None:
    rows = published_rows('cambridge')
    expected = mean_error([(1.61, 2.29), (2.62, 3.89), (1.14, 5.73), (2.93, 6.46)])
    assert find(rows, 'GPoseNet').figures[MEAN] == pytest.approx(expected)
    assert all(MEAN in row.figures for row in rows)
    assert mean_error([(1.0, 2.0), (math.inf, math.inf)]) == (math.inf, math.inf)
