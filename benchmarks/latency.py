# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time per query, beside what feature extraction alone costs on the same images in the same run.

    python benchmarks/latency.py --map MAP --images DIR --list FILE --json OUT

The measurements are interleaved image by image, so that a busy machine slows all of them alike:
our own path, its reference, and two other ways to a pose (`peers`). Then the node, the decoding of
large images, and the start of the programs are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
import json
import os
from pathlib import Path
import resource
from typing import Annotated, Any, Optional

from decoding import measure_decoding
from peers import Peer, make_peers
from rich.progress import track
from startup import measure_start
from stopwatch import Stopwatch, added, machine, percentile, ratio
from timed_queries import WARM_UP_IMAGES, Reference, TimedQueries, pose_of, read_queries
import typer

from relloc_ros.allocation import keep_freed_memory
from relloc_ros.config import (
    LocalizationConfig,
    make_config,
    parse_assignments,
    read_config_file,
)
from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, QueryImage
from relloc_ros.vision.features import to_grey

Answers = dict[str, list[Any]]


def main(
    map_folder: Annotated[Path, typer.Option('--map', help='Folder of the map.')],
    images: Annotated[Path, typer.Option(help='Folder of the images.')],
    list_file: Annotated[Path, typer.Option('--list', help='Names of the queries.')],
    output: Annotated[Path, typer.Option('--json', help='File to write.')],
    source: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='COLMAP model with the true poses; by default beside DIR.'),
    ] = None,
    config_file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--config', help='YAML file of settings, as in relloc evaluate.'),
    ] = None,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--set', help='KEY=VALUE, as in relloc evaluate.'),
    ] = None,
    count: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help='So many queries, spread over the list; by default all.'),
    ] = None,
    with_peers: Annotated[bool, typer.Option('--peers/--no-peers', help='Other ways.')] = True,
    with_node: Annotated[bool, typer.Option('--node/--no-node', help='The ROS node.')] = True,
    with_start: Annotated[
        bool, typer.Option('--start/--no-start', help='Decoding of messages, start of programs.')
    ] = True,
) -> None:
    """Measure and write OUT; the camera is the map's."""
    keep_freed_memory()
    values: dict[str, Any] = {} if config_file is None else read_config_file(config_file)
    config = make_config(LocalizationConfig, {**values, **parse_assignments(settings or [])})
    load_before = os.getloadavg()
    result = measure_latency(
        map_folder, images, list_file, config, source=source, count=count, with_peers=with_peers
    )
    if with_start:
        result['decoding_1080p'] = measure_decoding()
        result['start'] = measure_start(map_folder if with_node else None)
    if with_node:
        result |= node_figures(map_folder, images, list_file, source)
    result |= {
        'machine': machine(),
        'load_average_before': load_before,
        'load_average_after': os.getloadavg(),
    }
    output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    print(json.dumps(result, indent=2))


def measure_latency(
    map_folder: Path,
    images: Path,
    list_file: Path,
    config: LocalizationConfig,
    *,
    source: Path | None = None,
    count: int | None = None,
    with_peers: bool = True,
) -> dict[str, Any]:
    """Localize queries, and time that beside the reference and other ways.

    Args:
        map_folder: the map.
        images: folder of the queries.
        list_file: their names.
        config: settings of the localizer.
        source: model with the true poses; None looks beside the images.
        count: so many of the queries, spread over the list; None takes all.
        with_peers: other ways as well.

    Returns:
        Figures by name.
    """
    with ReferenceMap.open(
        map_folder, config.descriptor_cache_mb, config.weights_folder
    ) as reference_map:
        queries = read_queries(reference_map, images, list_file, source, count)
        peers, left_out = make_peers(reference_map, config) if with_peers else ([], {})
        stopwatch, answers = _measure(queries, Relocalizer(reference_map, config), peers)
    result = summarize(stopwatch, answers['total'], queries)
    result['peers'] = {
        peer.name: _peer_figures(stopwatch, peer.name, queries.accuracy(answers[peer.name]))
        for peer in peers
    } | {name: {'left_out': reason} for name, reason in left_out.items()}
    memory_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result['peak_memory_mib'] = round(memory_kib / 1024, 1)
    return result


def node_figures(
    map_folder: Path, images: Path, list_file: Path, source: Path | None = None
) -> dict[str, Any]:
    """Measure what the node adds; says why not where ROS or true poses are missing."""
    try:
        from node_overhead import measure_overhead

        return measure_overhead(map_folder, images, list_file, source=source)
    except ImportError as error:
        reason = f'{error.name} is not installed'
    except (DataError, SystemExit) as error:  # what was measured before must not be lost
        reason = str(error)
    return {'node_overhead_ms_p50': None, 'node_left_out': reason}


def _measure(
    queries: TimedQueries, relocalizer: Relocalizer, peers: Sequence[Peer]
) -> tuple[Stopwatch, Answers]:
    """Time each step of each query; keeps the answers of the first round."""
    reference, stopwatch = Reference(relocalizer.reference_map), Stopwatch()
    first = queries.images[:WARM_UP_IMAGES]
    reference.warm_up(first)
    for query in first:
        relocalizer.process(query)
    for peer in peers:
        peer.localize(first[0])
    answers: Answers = {name: [] for name in ('total', *(peer.name for peer in peers))}
    for i, query in enumerate(track(queries.rounds, 'measuring', transient=True)):
        is_first_round = i < len(queries.images)
        # They take seconds each; once for each query is enough for a ratio.
        asked = peers if is_first_round else ()
        found = stopwatch.time_in_turn(_steps(query, reference, relocalizer, asked), i)
        if is_first_round:
            for name, kept in answers.items():
                kept.append(found[name])
    return stopwatch, answers


def _steps(
    query: QueryImage, reference: Reference, relocalizer: Relocalizer, peers: Sequence[Peer]
) -> list[tuple[str, Callable[[], Localization | RigidTransform | None]]]:
    return [
        ('features', partial(reference.features, to_grey(query.image))),
        ('global_descriptor', partial(reference.global_descriptor, query.image)),
        ('total', partial(relocalizer.process, query)),
        *((peer.name, partial(peer.localize, query)) for peer in peers),
    ]


def summarize(
    stopwatch: Stopwatch, answers: Sequence[Localization], queries: TimedQueries
) -> dict[str, Any]:
    """Put together the figures of our own path.

    Args:
        stopwatch: with `features`, `global_descriptor` and `total`.
        answers: to each query.
        queries: with their true poses.
    """
    wall, cpu = stopwatch.wall_ms, stopwatch.cpu_ms
    reference, reference_cpu = (
        added(times['features'], times['global_descriptor']) for times in (wall, cpu)
    )
    features_ms, reference_ms = percentile(wall['features'], 50), percentile(reference, 50)
    reference_cpu_ms = percentile(reference_cpu, 50)
    total_ms, total_p95 = (percentile(wall['total'], percent) for percent in (50, 95))
    total_cpu_ms, total_cpu_p95 = (percentile(cpu['total'], percent) for percent in (50, 95))
    height, width = queries.images[0].image.shape[:2]
    return {
        'features_ms_p50': features_ms,
        'reference_ms_p50': reference_ms,
        'total_ms_p50': total_ms,
        'total_ms_p95': total_p95,
        'total_per_features': ratio(total_ms, features_ms),
        'total_per_reference_p50': ratio(total_ms, reference_ms),
        'total_per_reference_p95': ratio(total_p95, reference_ms),
        'reference_cpu_ms_p50': reference_cpu_ms,
        'total_cpu_ms_p50': total_cpu_ms,
        'total_cpu_ms_p95': total_cpu_p95,
        'total_per_reference_cpu_p50': ratio(total_cpu_ms, reference_cpu_ms),
        'total_per_reference_cpu_p95': ratio(total_cpu_p95, reference_cpu_ms),
        **queries.accuracy([pose_of(answer) for answer in answers]),
        'queries': len(queries.images),
        'image_size': f'{width}x{height}',
        'samples': len(wall['total']),
        'stages_ms_p50': _stages(answers),
    }


def _peer_figures(stopwatch: Stopwatch, name: str, accuracy: dict[str, Any]) -> dict[str, Any]:
    wall, cpu = stopwatch.wall_ms, stopwatch.cpu_ms
    return {
        'ms_p50': percentile(wall[name], 50),
        'ms_p95': percentile(wall[name], 95),
        'cpu_ms_p50': percentile(cpu[name], 50),
        'per_total': ratio(percentile(wall[name], 50), percentile(wall['total'], 50)),
        'per_total_cpu': ratio(percentile(cpu[name], 50), percentile(cpu['total'], 50)),
        **accuracy,
    }


def _stages(answers: Sequence[Localization]) -> dict[str, float | None]:
    names = dict.fromkeys(name for answer in answers for name in answer.timings_ms)
    return {
        name: percentile([a.timings_ms[name] for a in answers if name in a.timings_ms], 50)
        for name in names
        if name != 'total'
    }


if __name__ == '__main__':
    typer.run(main)
