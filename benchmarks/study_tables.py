# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tables of the study, in the layout of Tables II to IV of Zhou et al., ICRA 2020."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from speed_tables import row
from study_figures import Ours, Published, Source
from study_scenes import REAL, Column
from study_verdicts import format_error

from relloc_ros.evaluation.published import read_table

__all__ = [
    'answers_table',
    'features_table',
    'generalization_table',
    'state_of_the_art_table',
]

OWN = '{own}'
"""Stands for the lot that was trained on the scenes of a column."""
TITLES = ('Zhou et al.: Cambridge', 'Zhou et al.: 7 Scenes')
OTHER_KINDS = ('3D', 'APR')


@dataclass(frozen=True)
class _Row:
    """A row: what it says first, and whose figures it has, where they are published."""

    cells: tuple[str, ...]
    method: str
    published: str = ''


def state_of_the_art_table(ours: Ours) -> list[str]:
    """Write Table II: a column for each scene trained on, and their means."""
    columns: list[Column] = []
    for column in ours.columns:
        if not column.own:
            continue
        if column.own != REAL:
            columns += [Column(name, (name,), column.own) for name in column.scenes]
        if column.own == REAL or len(column.scenes) > 1:
            columns.append(column)
    others = [
        _Row((each.kind, each.method, ''), each.method)
        for each in read_table('zhou2020_table2', '7scenes')
        if each.kind in OTHER_KINDS
    ]
    here = 'the same scenes'
    rows = [
        _Row(('IR', 'DenseVLAD', ''), 'retrieval'),
        _Row(('IR', 'DenseVLAD + interpolation', ''), 'retrieval_affine'),
        *others,
        _Row(('RPR', 'Relative PN', 'unrelated scenes'), 'rpr-unrelated'),
        _Row(('RPR', 'Relative PN', here), f'rpr-{OWN}'),
        _Row(('RPR', 'RelocNet', 'unrelated scenes'), 'relocnet-unrelated'),
        _Row(('RPR', 'RelocNet', here), f'relocnet-{OWN}'),
        _Row(('RPR', 'AnchorNet', here), 'AnchorNet'),
        _Row(('E', 'SIFT + 5pt', ''), 'sift_5pt-none'),
        _Row(('E', 'SIFT + 5pt, then `epipolar`', ''), 'sift_5pt-epipolar'),
        _Row(('E', 'SIFT + 5pt, then `local_structure`', ''), 'sift_5pt-local_structure'),
        _Row(('E', 'EssNet', here), f'essnet-{OWN}'),
        _Row(('E', 'NC-EssNet', here), f'nc_essnet-{OWN}'),
        _Row(('E', 'NC-EssNet + NCM + 5pt', 'rooms'), 'nc_5pt-nc_essnet-rooms'),
        _Row(
            ('E', 'NC-EssNet + NCM + 5pt, then `local_structure`', 'rooms'),
            'nc_5pt-nc_essnet-rooms-local_structure',
        ),
        *(
            replace(each, cells=('E', f'{each.cells[0]} features + NCM + 5pt', ''))
            for each in _untrained(ours)
        ),
        _Row(('E', 'EssNet + NCM + 5pt', 'unrelated scenes'), 'nc_5pt-essnet-unrelated'),
    ]
    return _table(('', 'method', 'trained on'), rows, ours, columns)


def generalization_table(ours: Ours) -> list[str]:
    """Write Table III, and below what the same features give when they are matched."""
    lots = [each.own for each in ours.columns if each.own and each.own != REAL]
    lots = [*reversed(lots), *dict.fromkeys(each.own for each in ours.columns if each.own == REAL)]
    names = {'essnet': 'EssNet', 'nc_essnet': 'NC-EssNet'}
    rows = [
        _Row((title, lot), f'{network}-{lot}') for lot in lots for network, title in names.items()
    ]
    rows += [
        _Row(('EssNet', 'unrelated'), 'essnet-unrelated'),
        _Row(('Relative PN', 'rooms'), 'rpr-rooms'),
        _Row(('Relative PN', 'unrelated'), 'rpr-unrelated'),
        _Row(('RelocNet', 'rooms'), 'relocnet-rooms'),
        _Row(('RelocNet', 'unrelated'), 'relocnet-unrelated'),
    ]
    for lot in lots:
        rows.append(_Row(('NC-EssNet + NCM + 5pt', lot), f'nc_5pt-nc_essnet-{lot}'))
    rows.append(_Row(('DenseVLAD', ''), 'retrieval'))
    rows.append(_Row(('SIFT + 5pt', ''), 'sift_5pt-none'))
    return _table(('essential matrices', 'trained on'), rows, ours, ours.columns)


def features_table(ours: Ours) -> list[str]:
    """Write Table IV: features by what they were trained for, and by the matching layer."""
    task, layer = 'E regressed', 'unrelated'
    columns = ours.columns
    lots = [each.own for each in columns if each.own]
    rows = [replace(each, cells=(*each.cells, '', '', layer)) for each in _untrained(ours)]
    for network, title in (('nc_essnet', 'NC-EssNet'), ('essnet', 'EssNet')):
        for lot in (*dict.fromkeys(lots), *(('unrelated',) if network == 'essnet' else ())):
            rows.append(_Row((title, task, lot, layer), f'nc_5pt-{network}-{lot}'))
    rows += [
        _Row(('EssNet', task, '(MegaDepth)', layer), 'nc_5pt-essnet-megadepth'),
        _Row(('EssNet', task, '(MegaDepth, 7 Scenes, Cambridge)', layer), 'nc_5pt-essnet-all'),
        _Row(('Relative PN', 'R, t regressed', 'rooms', layer), 'nc_5pt-rpr-rooms'),
        _Row(('RelocNet', 'R, t and overlap', 'rooms', layer), 'nc_5pt-relocnet-rooms'),
    ]
    for lot in dict.fromkeys(lots):
        cells = ('NC-EssNet', task, lot, 'its own')
        rows.append(_Row(cells, f'nc_5pt-nc_essnet-{lot}-own_layer'))
    rows.append(_Row(('SIFT + 5pt', '', '', ''), 'sift_5pt-none'))
    return _table(('features', 'training task', 'trained on', 'layer of'), rows, ours, columns)


def answers_table(ours: Ours, methods: Sequence[str]) -> list[str]:
    """Write how many queries of each method have a pose, and the medians of these alone."""
    lines = [row(('method', 'queries', 'with a pose', 'their median')), '|---' * 4 + '|']
    for method in methods:
        queries, errors = ours.answers(method)
        if queries:
            positions, rotations = zip(*errors, strict=True) if errors else ((), ())
            found = (median(positions), median(rotations)) if errors else None
            lines.append(row((method, str(queries), str(len(errors)), format_error(found))))
    return lines


def _untrained(ours: Ours) -> list[_Row]:
    """Give features before any training of ours; random ones are not those of the paper."""
    if ours.is_pretrained:
        return [_Row(('pretrained',), 'nc_5pt-initial', 'nc_5pt-imagenet')]
    return [_Row(('ImageNet',), 'nc_5pt-imagenet'), _Row(('random',), 'nc_5pt-initial')]


def _table(
    titles: Sequence[str], rows: Sequence[_Row], ours: Ours, columns: Sequence[Column]
) -> list[str]:
    published = Published()
    titles = (*titles, *map(_title, columns), *TITLES)
    lines = [row(titles), row(['---'] * len(titles))]
    for each in rows:
        figures = [_cell(ours, each.method, column) for column in columns]
        known = each.published or each.method
        figures += [_cell(published, known, column) for column in published.columns]
        lines.append(row([*each.cells, *figures]))
    return lines


def _title(column: Column) -> str:
    return f'{column.name}, mean' if len(column.scenes) > 1 else column.name


def _cell(source: Source, method: str, column: Column) -> str:
    if OWN in method and not column.own:
        return ''
    error = source.error(method.replace(OWN, column.own), column)
    return format_error(error, digits=2 if isinstance(source, Published) else 3)
