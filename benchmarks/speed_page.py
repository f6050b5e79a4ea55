# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page docs/speed.md, made of the figures of `speed.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from profiles import accuracy_cells, number, table

TARGETS = {
    'total_per_reference_p50': 1.5,
    'total_per_reference_p95': 2.5,
    'import_s': 0.3,
    'help_s': 0.5,
    'active_s': 4.0,
    'node_overhead_ms': 5.0,
    'decoding_ms': 15.0,
}

INTRODUCTION = (
    'Written by `python benchmarks/speed.py DATA --maps MAPS --output docs/speed.md`; '
    'do not edit it.',
    """*Reference* is what every such localizer has to do: 2000 SIFT features of OpenCV, and the
global descriptor of the map, one after the other. All that is compared was measured in turn on
each image of the same run. Wall time counts where the machine is idle; CPU is the processor time
of all threads, which means something on a busy machine, too. Medians of errors (map units,
degrees) are over all queries, a failure counting as infinite.""",
)

STAGES = """The median milliseconds of each stage. `features` and `retrieval` run side by side, so
that the stages add up to more than the whole."""

PEERS = """The same queries in the same run, each with five map images. *pycolmap*: its own SIFT
with as many features, its matcher against the features of the map, absolute pose with refinement
on the map's points, all in its defaults. *paper*: Zhou et al., ICRA 2020: SIFT, brute-force
matching by ratio, `cv2.findEssentialMat` in its defaults, the pose from pairs without refinement.
× *ours* is their time over ours."""

SETTINGS = """`fast` and `accurate` are `config/fast.yaml` and `config/accurate.yaml`, for
`--config` and as parameter files of the node."""


def make_page(figures: dict[str, Any]) -> str:
    """Write Markdown of the figures of `speed.py`."""
    latency = figures['latency']
    blocks = [
        '# Speed',
        *map(_one_line, INTRODUCTION),
        _machine(figures),
        '## A query',
        *_lines(_queries(latency)),
        '## Where the time goes',
        _one_line(STAGES),
        *_lines(_stages(latency)),
        '## Other ways',
        _one_line(PEERS),
        *_lines(_peers(latency)),
        '## Settings',
        _one_line(SETTINGS),
        *_lines(table(figures['profiles'])),
        '## Node, decoding, start',
        *_lines(_others(figures)),
    ]
    return '\n\n'.join(blocks) + '\n'


def _one_line(text: str) -> str:
    return text.replace('\n', ' ')


def _lines(lines: Sequence[str]) -> list[str]:
    return ['\n'.join(lines)]


def _machine(figures: dict[str, Any]) -> str:
    machine = figures['machine']
    before, after = (figures[f'load_average_{when}'][0] for when in ('before', 'after'))
    return (
        f'Machine: {machine["processor"]}, {machine["usable_cores"]} cores, load average '
        f'{before:.1f} before and {after:.1f} after; Python {machine["python"]}, OpenCV '
        f'{machine["opencv"]} with {machine["opencv_threads"]} threads, numpy {machine["numpy"]}.'
    )


def _queries(latency: dict[str, Any]) -> list[str]:
    lines = [
        '| set | image | queries | reference ms | ms p50 | ms p95 | p50 × reference | '
        'p95 × reference | p50 × reference, CPU | p95 × reference, CPU |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for name, values in latency.items():
        cells = [
            name,
            values['image_size'],
            str(values['queries']),
            number(values['reference_ms_p50'], 0),
            number(values['total_ms_p50'], 0),
            number(values['total_ms_p95'], 0),
            judged(values, 'total_per_reference_p50'),
            judged(values, 'total_per_reference_p95'),
            number(values['total_per_reference_cpu_p50'], 2),
            number(values['total_per_reference_cpu_p95'], 2),
        ]
        lines.append(_row(cells))
    return lines


def judged(values: dict[str, Any], key: str) -> str:
    """Write a figure beside its target."""
    return f'{number(values[key], 2)} (≤ {TARGETS[key]:g})'


def _stages(latency: dict[str, Any]) -> list[str]:
    stages = dict.fromkeys(name for values in latency.values() for name in values['stages_ms_p50'])
    lines = [_row(['set', *stages, 'total']), '|' + '---|' * (len(stages) + 2)]
    for name, values in latency.items():
        cells = [number(values['stages_ms_p50'].get(stage), 0) for stage in stages]
        lines.append(_row([name, *cells, number(values['total_ms_p50'], 0)]))
    return lines


def _peers(latency: dict[str, Any]) -> list[str]:
    lines = [
        '| set | way | position | rotation | within 5 cm, 5° | localized | ms p50 | × ours | '
        'CPU ms p50 | × ours, CPU |',
        '|---|---|---|---|---|---|---|---|---|---|',
    ]
    for name, values in latency.items():
        ours = {
            **values,
            'ms_p50': values['total_ms_p50'],
            'cpu_ms_p50': values['total_cpu_ms_p50'],
            'per_total': 1.0,
            'per_total_cpu': 1.0,
        }
        for way, peer in {'ours': ours, **values['peers']}.items():
            if 'left_out' in peer:
                lines.append(_row([name, way, peer['left_out'], *[''] * 7]))
                continue
            cells = [
                number(peer['ms_p50'], 0),
                number(peer['per_total'], 1),
                number(peer['cpu_ms_p50'], 0),
                number(peer['per_total_cpu'], 1),
            ]
            lines.append(_row([name, way, *accuracy_cells(peer), *cells]))
    return lines


def _others(figures: dict[str, Any]) -> list[str]:
    start, node = figures['start'], figures['node']
    rows = [
        ('`import relloc_ros`', start['import_relloc_ros'], 's', 'import_s'),
        ('`relloc --help`', start['relloc_help'], 's', 'help_s'),
        ('node to active, with the map', start['node_active'], 's', 'active_s'),
        (
            'node: message in to pose out, less the localizer',
            {'ms_p50': node['node_overhead_ms_p50']},
            'ms',
            'node_overhead_ms',
        ),
        *(
            (f'1920x1080 `{name}` to pixels', values, 'ms', 'decoding_ms')
            for name, values in figures['decoding'].items()
        ),
    ]
    lines = ['| what | p50 | the same, CPU | target |', '|---|---|---|---|']
    for what, values, unit, target in rows:
        wall, cpu = values.get(f'{unit}_p50'), values.get(f'cpu_{unit}_p50')
        cells = [
            'not measured' if wall is None else f'{wall:.2f} {unit}',
            '–' if cpu is None else f'{cpu:.2f} {unit}',
            f'≤ {TARGETS[target]:g} {unit}',
        ]
        lines.append(_row([what, *cells]))
    return lines


def _row(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'
