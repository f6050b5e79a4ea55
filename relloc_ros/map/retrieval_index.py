# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Make the index for approximate search in a large map, and measure what it misses."""

from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relloc_ros.map.approximate_search import (
    CENTRES,
    CODE_VALUES,
    CODEBOOK,
    LARGE_MAP,
    LISTS,
    SIZES,
    ApproximateSearch,
    find_faiss,
    load_faiss,
)
from relloc_ros.map.format import Generation
from relloc_ros.map.similarity_search import ExactSearch
from relloc_ros.map.stored_rows import StoredRows

__all__ = ['Report', 'index_for', 'measure_recall', 'write_index']

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float32]
Report = Callable[[int, int, str], None]

VALUES_PER_CODE, MAX_CODES = 8, 64
TRAINING_ROWS_PER_CENTRE = 40
ITERATIONS = 10
BLOCK_ROWS = 16_384
STAGE = 'retrieval index'
SEED = 1

RECALL_AT = 5
RECALL_SAMPLES = 100


def index_for(
    generation: Generation, descriptors: FloatArray, report: Report | None = None
) -> float | None:
    """Write the index of a large map, in which exact search takes too long or too much memory.

    To be called whenever global_descriptors.npy is written; does nothing for a small map, or
    without faiss.

    Args:
        generation: state of the map, with global_descriptors.npy written.
        descriptors: (N, D) what that holds.
        report: called with the numbers of images done and in all, and the name of the stage.

    Returns:
        Part of the 5 most similar images that is found, over a sample of the map's own images;
        None without an index.
    """
    if len(descriptors) < LARGE_MAP:
        return None
    if not find_faiss():
        logger.warning(
            'a map of %d images is searched one by one without an index: install faiss, '
            '`pip install relloc_ros[large]`, and build it again',
            len(descriptors),
        )
        return None
    write_index(generation.retrieval, descriptors, report)
    stored = StoredRows(generation.global_descriptors, np.dtype(np.float32))
    return measure_recall(ApproximateSearch(generation.retrieval, stored), descriptors)


def write_index(folder: Path, descriptors: FloatArray, report: Report | None = None) -> None:
    """Learn centres and codebook from a sample, and write the lists of all rows."""
    report = report or (lambda done, total, stage: None)
    report(0, len(descriptors), STAGE)
    index = _trained(descriptors)
    for start in range(0, len(descriptors), BLOCK_ROWS):
        index.add(_padded(descriptors[start : start + BLOCK_ROWS], index.d))
        report(index.ntotal, len(descriptors), STAGE)
    folder.mkdir()
    _write_lists(folder, index)


def measure_recall(search: ApproximateSearch, descriptors: FloatArray) -> float:
    """Compare with exact search: part of the most similar images found.

    The queries are images of the map, and do not count as found themselves.
    """
    queries = np.linspace(0, len(descriptors) - 1, RECALL_SAMPLES).astype(np.intp)
    _, exact = ExactSearch(descriptors).search(np.asarray(descriptors[queries]), RECALL_AT + 1)
    hits, others = 0, 0
    for query, nearest in zip(queries.tolist(), exact.tolist(), strict=True):
        found, _ = search.nearest(np.asarray(descriptors[query]), RECALL_AT + 1)
        truth = {*nearest} - {query}
        hits += len(truth & {*found.tolist()})
        others += len(truth)
    return hits / others


def _trained(descriptors: FloatArray) -> Any:
    faiss = load_faiss()

    count, dimension = descriptors.shape
    num_codes = min(MAX_CODES, -(-dimension // VALUES_PER_CODE))
    padded = num_codes * -(-dimension // num_codes)
    num_lists = 2 ** round(np.log2(np.sqrt(count)))
    quantizer = faiss.IndexFlatIP(padded)
    index = faiss.IndexIVFPQ(
        quantizer, padded, num_lists, num_codes, 8, faiss.METRIC_INNER_PRODUCT
    )
    for clustering in (index.cp, index.pq.cp):
        clustering.niter = ITERATIONS
        clustering.max_points_per_centroid = TRAINING_ROWS_PER_CENTRE
    sample = TRAINING_ROWS_PER_CENTRE * max(num_lists, CODE_VALUES)
    rng = np.random.default_rng(SEED)
    rows = np.sort(rng.choice(count, min(count, sample), replace=False))
    index.train(_padded(descriptors[rows], padded))
    return index


def _padded(rows: FloatArray, dimension: int) -> FloatArray:
    padded = np.zeros((len(rows), dimension), np.float32)
    padded[:, : rows.shape[1]] = rows
    return padded


def _write_lists(folder: Path, index: Any) -> None:
    faiss = load_faiss()

    np.save(folder / CENTRES, index.quantizer.reconstruct_n(0, index.nlist))
    codebook = faiss.vector_to_array(index.pq.centroids)
    np.save(folder / CODEBOOK, codebook.reshape(-1, index.pq.dsub))
    lists = index.invlists
    sizes = [lists.list_size(number) for number in range(index.nlist)]
    np.save(folder / SIZES, np.array(sizes, np.int64)[:, np.newaxis])
    with (folder / LISTS).open('wb') as file:
        for number, size in enumerate(sizes):
            if size:
                file.write(faiss.rev_swig_ptr(lists.get_codes(number), size * index.code_size))
                file.write(faiss.rev_swig_ptr(lists.get_ids(number), size))
