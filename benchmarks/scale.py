# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a map costs as it grows: time to open it, time of a query, memory, recall of retrieval.

    python benchmarks/scale.py --images N --json OUT

The map is complete but made, not built: global descriptors are drawn, with the similarities that
dense_vlad gives on real maps (the nearest others of an image at 0.65, the tenth at 0.5, images of
other places at 0 +- 0.12), and each image has a few keypoints. It is opened in a fresh process, as
the node does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
import json
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import time
from typing import Annotated, Any, Optional

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from synthetic_map import make_map
import typer

from relloc_ros.config import LocalizationConfig
from relloc_ros.map.format import Manifest, current_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.similarity_search import ExactSearch

QUERIES = 100
RECALL_AT = 5
QUERY_NOISE = 1.0
"""Length of what is added to a descriptor of the map: its similarity to the query becomes 0.7."""

FloatArray = NDArray[np.float32]

console = Console(stderr=True)


def main(
    images: Annotated[int, typer.Option(min=2, help='Number of images.')],
    output: Annotated[Path, typer.Option('--json', help='File to write.')],
    folder: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Folder for the map, which is kept and used again.'),
    ] = None,
) -> None:
    """Make a map of N images and measure it; 1 000 000 need 4 GB on disk and some minutes."""
    with _folder(folder) as place:
        maps = {count: place / f'map_{count}' for count in (1, images)}
        for count, path in maps.items():
            if not path.exists():
                with console.status(f'making a map of {count} images'):
                    make_map(path, count)
        with console.status('measuring'):
            empty, measured = (_measure_in_fresh_process(path) for path in maps.values())
            recall = _recall(maps[images], measured.pop('found'))
        manifest = Manifest.read(current_generation(maps[images]).manifest)
    extra = measured['resident_bytes'] - empty['resident_bytes']
    result = {
        'images': images,
        **{key: measured[key] for key in ('open_s', 'query_ms_p50', 'query_ms_p95')},
        'resident_bytes_per_image': extra / images,
        f'recall_at_{RECALL_AT}': recall,
        'recall_at_build': manifest.retrieval_recall,
        'area_query_ms_p50': measured['area_query_ms_p50'],
        'cores': len(os.sched_getaffinity(0)),
        'load_average': os.getloadavg()[0],
        'created': datetime.now(timezone.utc).isoformat(timespec='seconds'),
    }
    output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    print(json.dumps(result, indent=2))


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield Path(temporary)


def _queries(path: Path) -> FloatArray:
    """Descriptors of the map, disturbed."""
    rng = np.random.default_rng(1)
    rows = np.load(current_generation(path).global_descriptors, mmap_mode='r')
    chosen = np.array(rows[rng.integers(len(rows), size=QUERIES)])
    noise = rng.standard_normal(chosen.shape, dtype=np.float32)
    noise *= QUERY_NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
    queries = chosen + noise
    return np.asarray(queries / np.linalg.norm(queries, axis=1, keepdims=True))


def _measure_in_fresh_process(path: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        # Drawn here: reading the map for them would count as memory of the queries.
        queries = Path(folder) / 'queries.npy'
        np.save(queries, _queries(path))
        command = [sys.executable, __file__, 'measure', str(path), str(queries)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def measure(path: Path, queries_file: Path) -> None:
    """Open a map, ask it 100 times, and print the figures."""
    queries = np.load(queries_file)
    k = LocalizationConfig().top_k
    start = time.perf_counter()
    with ReferenceMap.open(path) as reference_map:
        open_s = time.perf_counter() - start
        milliseconds, found = [], []
        for query in queries:
            start = time.perf_counter()
            indices, _ = reference_map.retrieve(query, k)
            milliseconds.append(1e3 * (time.perf_counter() - start))
            found.append(indices[:RECALL_AT].tolist())
        resident = _resident_bytes()
        area_ms = _area_queries(reference_map, queries, k)
    figures = {
        'open_s': open_s,
        'query_ms_p50': float(np.median(milliseconds)),
        'query_ms_p95': float(np.percentile(milliseconds, 95)),
        'resident_bytes': resident,
        'area_query_ms_p50': float(np.median(area_ms)),
        'found': found,
    }
    print(json.dumps(figures))


def _area_queries(reference_map: ReferenceMap, queries: FloatArray, k: int) -> list[float]:
    """Search within an area, as when the pose is roughly known."""
    reference_map.images_near(reference_map.centres[0], 5.0, k)
    milliseconds = []
    for i, query in enumerate(queries):
        centre = reference_map.centres[i * len(reference_map.centres) // len(queries)]
        start = time.perf_counter()
        allowed = reference_map.images_near(centre, 5.0, k)
        reference_map.retrieve(query, k, allowed)
        milliseconds.append(1e3 * (time.perf_counter() - start))
    return milliseconds


def _resident_bytes() -> int:
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE')


def _recall(path: Path, found: list[list[int]]) -> float:
    """Part of the exactly most similar images that was found."""
    rows = np.load(current_generation(path).global_descriptors, mmap_mode='r')
    _, exact = ExactSearch(rows).search(_queries(path), RECALL_AT)
    hits = [len({*some} & {*truth}) for some, truth in zip(found, exact.tolist(), strict=True)]
    return sum(hits) / exact.size


if __name__ == '__main__':
    if sys.argv[1:2] == ['measure']:
        measure(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        typer.run(main)
