# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time per query, beside what feature extraction alone costs on the same images in the same run.

    python benchmarks/latency.py --map MAP --images DIR --list FILE --json OUT

The measurements are interleaved image by image, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import json
import os
from pathlib import Path
import platform
import resource
import time
from typing import Annotated, Any, Optional

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track
import typer

from relloc_ros.config import LocalizationConfig, make_config, parse_assignments
from relloc_ros.errors import DataError
from relloc_ros.evaluation.metrics import error_statistics, measure_error
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_list, read_pixels, read_source, stamp_from_name
from relloc_ros.map.sources.colmap import find_model
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, QueryImage
from relloc_ros.vision.features import to_grey

FEATURES = 2000
WARM_UP_IMAGES = 3
MIN_SAMPLES = 60
"""Short lists are gone through several times."""


def main(
    map_folder: Annotated[Path, typer.Option('--map', help='Folder of the map.')],
    images: Annotated[Path, typer.Option(help='Folder of the images.')],
    list_file: Annotated[Path, typer.Option('--list', help='Names of the queries.')],
    output: Annotated[Path, typer.Option('--json', help='File to write.')],
    source: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='COLMAP model with the true poses; by default beside DIR.'),
    ] = None,
    settings: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option('--set', help='KEY=VALUE, as in relloc evaluate.'),
    ] = None,
) -> None:
    """Measure and write OUT; the camera is the map's."""
    config = make_config(LocalizationConfig, parse_assignments(settings or []))
    load_before = os.getloadavg()
    with ReferenceMap.open(
        map_folder, config.descriptor_cache_mb, config.weights_folder
    ) as reference_map:
        truth = _true_poses(images, list_file, source)
        queries = _read_queries(images, list_file, truth, reference_map)
        samples, answers = _measure(queries, Relocalizer(reference_map, config))
    result = _summarize(samples, answers, queries, truth)
    result |= {
        'machine': _machine(),
        'load_average_before': load_before,
        'load_average_after': os.getloadavg(),
        'peak_memory_mib': round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    print(json.dumps(result, indent=2))


def _true_poses(
    images: Path, list_file: Path, source: Path | None
) -> dict[str, tuple[int, RigidTransform]]:
    """Stamp and map_from_cam by name; empty where there is no model beside the images."""
    folder = images.parent if source is None else source
    try:
        find_model(folder)
    except DataError:
        if source is not None:
            raise
        return {}
    posed = read_source(folder, images, list_file)
    return {image.name: (image.stamp_ns, image.cam_from_map.inverse()) for image in posed}


def _read_queries(
    images: Path,
    list_file: Path,
    truth: dict[str, tuple[int, RigidTransform]],
    reference_map: ReferenceMap,
) -> list[QueryImage]:
    camera = reference_map.the_camera()
    queries = []
    for name in read_list(list_file):
        # The stamp is part of the seed: as in `relloc evaluate`.
        stamp_ns = truth[name][0] if name in truth else stamp_from_name(name) or 0
        pixels = read_pixels(images / name, camera)
        queries.append(QueryImage(pixels, camera, stamp_ns, name=name))
    return queries


def _measure(
    queries: list[QueryImage], relocalizer: Relocalizer
) -> tuple[dict[str, list[float]], list[Localization]]:
    """Milliseconds of each stage of each query, and the answers of the first round."""
    sift = _create_sift()
    samples: dict[str, list[float]] = {'features': [], 'global_descriptor': [], 'total': []}
    answers: list[Localization] = []
    rounds = -(-MIN_SAMPLES // len(queries))
    for query in queries[:WARM_UP_IMAGES]:
        sift.detectAndCompute(to_grey(query.image), None)
        relocalizer.process(query)
    for i, query in enumerate(track(queries * rounds, 'measuring', transient=True)):
        grey = to_grey(query.image)
        steps: list[tuple[str, Callable[[], Any]]] = [
            ('features', partial(sift.detectAndCompute, grey, None)),
            ('global_descriptor', partial(relocalizer.reference_map.describe, query.image)),
            ('total', partial(relocalizer.process, query)),
        ]
        # Whoever comes first finds colder caches.
        for name, step in steps[i % 3 :] + steps[: i % 3]:
            start = time.perf_counter()
            answer = step()
            samples[name].append(1e3 * (time.perf_counter() - start))
            if name == 'total' and i < len(queries):
                answers.append(answer)
    return samples, answers


def _create_sift() -> Any:
    try:
        return cv2.SIFT.create(nfeatures=FEATURES, enable_precise_upscale=True)
    except (cv2.error, TypeError):  # before OpenCV 4.8
        return cv2.SIFT.create(nfeatures=FEATURES)


def _summarize(
    samples: dict[str, list[float]],
    answers: list[Localization],
    queries: list[QueryImage],
    truth: dict[str, tuple[int, RigidTransform]],
) -> dict[str, Any]:
    features, total = np.array(samples['features']), np.array(samples['total'])
    reference = features + np.array(samples['global_descriptor'])
    errors = [
        measure_error(answer.camera_pose, truth[query.name][1])
        for query, answer in zip(queries, answers, strict=True)
        if query.name in truth
    ]
    statistics = error_statistics(errors)
    return {
        'features_ms_p50': _percentile(features, 50),
        'reference_ms_p50': _percentile(reference, 50),
        'total_ms_p50': _percentile(total, 50),
        'total_ms_p95': _percentile(total, 95),
        'total_per_features': round(float(np.median(total) / np.median(features)), 3),
        'median_position_error_m': statistics['median_position_error_m'],
        'median_rotation_error_deg': statistics['median_rotation_error_deg'],
        'availability': sum(answer.localized for answer in answers) / len(answers),
        'queries': len(queries),
        'samples': len(total),
        'stages_ms_p50': _stages(answers),
    }


def _stages(answers: list[Localization]) -> dict[str, float]:
    names = dict.fromkeys(name for answer in answers for name in answer.timings_ms)
    return {
        name: _percentile(
            np.array([a.timings_ms[name] for a in answers if name in a.timings_ms]), 50
        )
        for name in names
        if name != 'total'
    }


def _percentile(values: NDArray[np.float64], percent: float) -> float:
    return round(float(np.percentile(values, percent)), 3)


def _machine() -> dict[str, Any]:
    return {
        'cores': os.cpu_count(),
        'usable_cores': len(os.sched_getaffinity(0)),
        'opencv_threads': cv2.getNumThreads(),
        'python': platform.python_version(),
        'opencv': cv2.__version__,
        'numpy': np.__version__,
        'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS'),
    }


if __name__ == '__main__':
    typer.run(main)
