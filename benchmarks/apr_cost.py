# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time, memory and size of absolute pose regression beside `essential`, on the CPU.

    python benchmarks/apr_cost.py SET --map MAP [--count 60] [--json OUT]

SET has `images/` and `query.txt`. Each variant is measured in a process of its own, whose largest
memory is then its own, too; so are the localizers that need no training. Networks, OpenCV and BLAS
have one thread; `essential` and `structure` look for features and for map images side by side.
Weights are random, and so are the coefficients of the training images: what a network computes
takes as long whatever the numbers are. Limits are so wide that every image takes the whole way:
the network with its covariance, the nearest training images, and the network on the mirror image.
Processor time is told beside the time that passes: on a busy machine it is the truer one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
import sys
import tempfile
from typing import TYPE_CHECKING, Annotated, Any, Optional

import numpy as np
from own_process import PROCESSOR, ask, medians, peak_mb, read_queries, run_alone
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from stopwatch import machine, percentile, ratio
import typer

from relloc_ros.allocation import keep_freed_memory
from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import DataError, RellocError
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer

if TYPE_CHECKING:
    from relloc_ros.networks.network_config import AbsolutePoseConfig

BASELINE = 'essential'
APR = 'apr'
SMALL = 'small'
SMALL_VARIANT = 'posenet_learned'
SMALL_SETTINGS = {
    'backbone': 'small',
    'shorter_side': 104,
    'crop': 96,
    'embedding_size': 256,
    'dropout': 0.3,
}
"""The network of docs/apr.md, which a CPU trains."""
WHOLE_WAY = {'max_position_std': 0.0, 'max_orientation_std': 0.0, 'num_threads': 1}
WIDEST = 1000.0
PASS, COVARIANCE_PASS = 'mirror image', 'regression'
"""Stages in which the network is asked for coefficients only, and for pose and covariance, too."""
WARM_UP_IMAGES = 3
HELD_OUT_EVERY = 6
"""As training does."""
SPREAD = 0.1
MIB = 2**20
COLUMNS = (
    *('', 'backbone', 'ms', '95 %', '×', 'CPU', '× CPU'),
    *('pass', 'with cov.', 'memory', 'disk'),
)
LEGEND = (
    'Milliseconds a query, median and 95 %; CPU is the processor time of all threads, × is times '
    f'{BASELINE}. pass: the network once; with cov.: once with pose and covariance. A query is '
    'both. Memory is beyond that of the program with the map opened, disk the file of the network '
    'or the map; MiB.'
)

console = Console(width=120)


def main(
    data_set: Annotated[Path, typer.Argument(metavar='SET', help='With images/ and query.txt.')],
    map_folder: Annotated[Path, typer.Option('--map', help='Folder of its map.')],
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File to write.'),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help='Queries, spread over the list.')] = 60,
    one: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(hidden=True, help='Measure this localizer in this process.'),
    ] = None,
    network: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(hidden=True, help='File of the network for it.'),
    ] = None,
) -> None:
    """Measure every variant of `apr` beside `essential`; print a table in Markdown."""
    try:
        if one is not None:
            figures = measure(one, data_set, map_folder, count, network)
            sys.stdout.write(json.dumps(figures))
            return
        load_before = os.getloadavg()
        rows = compared(_measure_all(data_set, map_folder, count))
    except RellocError as error:
        raise SystemExit(f'{error}') from None
    if output is not None:
        result = {
            'set': data_set.resolve().name,
            'queries': len(read_queries(data_set, count)),
            'machine': machine(),
            'load_average_before': load_before,
            'load_average_after': os.getloadavg(),
            'rows': rows,
        }
        output.write_text(json.dumps(result, indent=1) + '\n', encoding='utf-8')
    console.print(table(rows))
    console.print(LEGEND, highlight=False)


def configs() -> dict[str, AbsolutePoseConfig]:
    """Settings of the networks that are measured, by what the table calls them."""
    from relloc_ros.networks.apr import VARIANTS, variant_config

    small = variant_config(SMALL_VARIANT, SMALL_SETTINGS)
    return {f'{SMALL_VARIANT}, {SMALL}': small} | {name: variant_config(name) for name in VARIANTS}


def _measure_all(data_set: Path, map_folder: Path, count: int) -> list[dict[str, Any]]:
    """Measure one after the other; the baseline comes first."""
    read_queries(data_set, count)  # what is wrong with them is said before anything is measured
    with ReferenceMap.open(map_folder) as reference_map:
        folder = reference_map.generation.folder
        map_mb = sum(each.stat().st_size for each in folder.rglob('*') if each.is_file()) / MIB
        localizers = [BASELINE, 'retrieval', *(['structure'] if reference_map.points else [])]
    known = configs()
    arguments = [str(data_set), '--map', str(map_folder), '--count', str(count)]
    rows = []
    with tempfile.TemporaryDirectory() as temporary, _progress() as progress:
        task = progress.add_task('', total=len(localizers) + len(known))
        for name in localizers:
            progress.update(task, description=name)
            figures = run_alone(__file__, [*arguments, '--one', name])
            rows.append({'name': name, 'backbone': '', **figures, 'disk_mb': map_mb})
            progress.advance(task)
        network = Path(temporary) / 'best.safetensors'
        for name, config in known.items():
            progress.update(task, description=name)
            write_untrained(network, config, map_folder)
            figures = run_alone(__file__, [*arguments, '--one', APR, '--network', str(network)])
            disk_mb = network.stat().st_size / MIB
            rows.append({'name': name, 'backbone': config.backbone, **figures, 'disk_mb': disk_mb})
            progress.advance(task)
    return rows


def _progress() -> Progress:
    return Progress(
        TextColumn('{task.description:24}'),
        BarColumn(30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def write_untrained(path: Path, config: AbsolutePoseConfig, map_folder: Path) -> None:
    """Write what `relloc train apr` writes, of a network that has learned nothing.

    Args:
        path: of the file.
        config: of the network.
        map_folder: the map whose images it might have learned.
    """
    import torch

    from relloc_ros.networks.apr import TrainingEmbeddings, make_absolute_pose_net, save_trained

    network = make_absolute_pose_net(config).eval()
    rng = np.random.default_rng(0)
    with ReferenceMap.open(map_folder) as opened:
        poses = [opened.cam_from_map(row).inverse() for row in range(opened.num_images)]
        names = tuple(opened.image_names)
        about = {'map_id': opened.map_id, 'frame_id': opened.frame_id, 'units': opened.units}
    positions = np.array([pose.translation for pose in poses])
    quats_wxyz = np.array([pose.quat_wxyz for pose in poses])
    network.fit_frame(positions, np.array([pose.rotation for pose in poses]))
    noise = rng.standard_normal((1, 3, config.crop, config.crop), dtype=np.float32)
    with torch.inference_mode():
        alpha = network.embed(torch.from_numpy(noise))[0].numpy()
    # About as long as those of images: no image then is too new to be asked for its mirror image.
    factors = 1.0 + SPREAD * rng.standard_normal((len(poses), len(alpha)), dtype=np.float32)
    is_held_out = np.arange(len(poses)) % HELD_OUT_EVERY == 0

    def embeddings(chosen: np.ndarray) -> TrainingEmbeddings:
        return TrainingEmbeddings(
            alpha * factors[chosen],
            positions[chosen],
            quats_wxyz[chosen],
            tuple(names[row] for row in np.flatnonzero(chosen)),
        )

    save_trained(path, network, about, embeddings(~is_held_out), embeddings(is_held_out))


def measure(
    localizer: str, data_set: Path, map_folder: Path, count: int, network: Path | None = None
) -> dict[str, Any]:
    """Localize queries, after a few that nobody counts.

    Args:
        localizer: its name.
        data_set: the queries.
        map_folder: the map.
        count: of the queries.
        network: for localizer `apr`.

    Raises:
        DataError: an image did not take the whole way.
    """
    keep_freed_memory()
    posed = read_queries(data_set, count)
    settings = {**WHOLE_WAY, 'localizer': localizer}
    if network is not None:
        settings |= {'apr.network': str(network), 'apr.max_novelty': WIDEST}
    config = make_config(LocalizationConfig, settings)
    with ReferenceMap.open(map_folder, config.descriptor_cache_mb) as reference_map:
        before = peak_mb()
        relocalizer = Relocalizer(reference_map, config)
        ask(relocalizer, posed[:WARM_UP_IMAGES])
        timings = ask(relocalizer, posed)
        memory_mb = peak_mb() - before
    asked = sum(PASS in each for each in timings)
    if network is not None and asked < len(timings):
        raise DataError(
            f'{len(timings) - asked} of {len(timings)} queries were refused before the network '
            'was asked about their mirror images: give images that show something'
        )
    return summarized(timings, memory_mb)


def summarized(timings: list[dict[str, float]], memory_mb: float) -> dict[str, Any]:
    """Put together the figures of a localizer: those of queries, and its memory, MiB."""
    stages_ms = medians(timings)
    return {
        'ms_p50': round(stages_ms.pop('total'), 3),
        'ms_p95': percentile([each['total'] for each in timings], 95),
        'cpu_ms_p50': round(stages_ms.pop(PROCESSOR), 3),
        'stages_ms_p50': {name: round(value, 3) for name, value in stages_ms.items()},
        'memory_mb': round(memory_mb, 1),
    }


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add how much longer each takes than the baseline."""
    baseline = next(row for row in rows if row['name'] == BASELINE)
    return [
        {
            **row,
            'per_essential': ratio(row['ms_p50'], baseline['ms_p50']),
            'per_essential_cpu': ratio(row['cpu_ms_p50'], baseline['cpu_ms_p50']),
        }
        for row in rows
    ]


def table(rows: list[dict[str, Any]]) -> Table:
    """Lay out the figures; a stage that a localizer does not have stays empty."""
    result = Table(box=box.MARKDOWN)
    for number, heading in enumerate(COLUMNS):
        result.add_column(heading, justify='left' if number < 2 else 'right', no_wrap=True)
    for row in rows:
        passes = [row['stages_ms_p50'].get(stage) for stage in (PASS, COVARIANCE_PASS)]
        result.add_row(
            f'`{row["name"]}`',
            row['backbone'],
            *(_milliseconds(row[key]) for key in ('ms_p50', 'ms_p95')),
            f'{row["per_essential"]:.2f}',
            _milliseconds(row['cpu_ms_p50']),
            f'{row["per_essential_cpu"]:.2f}',
            *map(_milliseconds, passes),
            *(f'{row[key]:.0f}' for key in ('memory_mb', 'disk_mb')),
        )
    return result


def _milliseconds(value: float | None) -> str:
    return '' if value is None else f'{value:.1f}' if value < 20 else f'{value:.0f}'


if __name__ == '__main__':
    typer.run(main)
