# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Approximate search of many global descriptors: inverted lists of product-quantized rows.

faiss finds a shortlist; the rows themselves, read from disk, put it in order. The files are our
own, because faiss trusts the sizes in its own: everything is checked before it sees it.
"""

from __future__ import annotations

from collections.abc import Iterator
import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import MapError
from relloc_ros.map.stored_rows import StoredRows, map_array

__all__ = ['LARGE_MAP', 'ApproximateSearch', 'find_faiss', 'load_faiss']

FloatArray = NDArray[np.float32]
IndexArray = NDArray[np.int64]
Allowed = NDArray[np.bool_]

LARGE_MAP = 20_000
"""Images from which on the search is approximate."""

LIST_SHARE = 1 / 16
"""Part of the lists that a query is compared with."""

SHORTLIST = 200
FEW_ROWS = 2000
"""So many are compared with the query one by one, whatever the lists say."""

ID_BYTES = 8
CENTRES, CODEBOOK, SIZES, LISTS = 'centres.npy', 'codebook.npy', 'list_sizes.npy', 'lists.bin'
CODE_VALUES = 256


def find_faiss() -> bool:
    """Tell whether faiss is installed."""
    return importlib.util.find_spec('faiss') is not None


def load_faiss() -> Any:
    """Import faiss, whose own types do not tell what it can."""
    return importlib.import_module('faiss')


class ApproximateSearch:
    """Search in the folder that `retrieval_index.write_index` has written; needs faiss."""

    def __init__(self, folder: Path, rows: StoredRows) -> None:
        """Open the index; its lists stay on disk.

        Args:
            folder: of the index.
            rows: (N, D) what is indexed.

        Raises:
            MapError: missing or damaged files, or an index of other rows.
        """
        self._rows = rows
        centres = np.asarray(map_array(folder / CENTRES, np.dtype(np.float32)))
        codebook = np.asarray(map_array(folder / CODEBOOK, np.dtype(np.float32)))
        sizes = np.asarray(map_array(folder / SIZES, np.dtype(np.int64)))[:, 0]
        problem = next(_problems(folder / LISTS, rows.shape, centres, codebook, sizes), '')
        if problem:
            raise MapError(f'{folder} is damaged ({problem}): build the map again')
        self._dimension = centres.shape[1]
        self._num_probes = max(1, round(len(centres) * LIST_SHARE))
        self._index = _make_index(centres, codebook)
        self._lists = _map_lists(folder / LISTS, sizes, self._index.code_size)
        self._index.replace_invlists(self._lists, False)
        self._index.ntotal = len(rows)

    def nearest(
        self, query: FloatArray, k: int, allowed: Allowed | None = None
    ) -> tuple[IndexArray, FloatArray]:
        """Give the numbers of at most `k` rows and their inner products with a query (D,)."""
        if allowed is None:
            found = self._shortlist(query, max(SHORTLIST, 4 * k), self._num_probes, None)
        else:
            found = np.flatnonzero(allowed)
            if len(found) > max(FEW_ROWS, k):
                found = self._allowed_shortlist(query, k, allowed, len(found))
        similarities = np.einsum('ij,j->i', self._rows[found], query)
        best = np.argsort(-similarities, kind='stable')[:k]
        return found[best], similarities[best]

    def _allowed_shortlist(
        self, query: FloatArray, k: int, allowed: Allowed, num_allowed: int
    ) -> IndexArray:
        # The lists nearest to the query may hold none of these: the fewer, the more lists.
        share = min(1.0, LIST_SHARE * len(self._rows) / num_allowed)
        probes = max(self._num_probes, round(share * self._index.nlist))
        bits = np.packbits(allowed, bitorder='little')
        return self._shortlist(query, max(SHORTLIST, 4 * k), probes, bits)

    def _shortlist(
        self, query: FloatArray, count: int, probes: int, bits: NDArray[np.uint8] | None
    ) -> IndexArray:
        faiss = load_faiss()

        selector = None if bits is None else faiss.IDSelectorBitmap(bits)
        parameters = faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        padded = np.zeros((1, self._dimension), np.float32)
        padded[0, : len(query)] = query
        _, (found,) = self._index.search(padded, min(count, len(self._rows)), params=parameters)
        # Fewer rows than asked for leave -1; a damaged file may hold any number.
        return np.unique(found[(found >= 0) & (found < len(self._rows))])


def _problems(
    lists: Path,
    shape: tuple[int, int],
    centres: FloatArray,
    codebook: FloatArray,
    sizes: IndexArray,
) -> Iterator[str]:
    num_rows, dimension = shape
    num_codes = len(codebook) // CODE_VALUES
    padded = centres.shape[1]
    if len(codebook) % CODE_VALUES or num_codes == 0 or num_codes * codebook.shape[1] != padded:
        yield f'centres {centres.shape} and codebook {codebook.shape} do not fit together'
    if not dimension <= padded < dimension + num_codes:
        yield f'it is of {padded} dimensions, the descriptors have {dimension}'
    if not (np.isfinite(centres).all() and np.isfinite(codebook).all()):
        yield 'it has numbers that are not finite'
    if len(sizes) != len(centres) or (sizes < 0).any() or (sizes > num_rows).any():
        yield f'{len(sizes)} lists for {len(centres)} centres, or a list of impossible length'
    if sizes.sum() != num_rows:
        yield f'it lists {sizes.sum()} of {num_rows} images'
    length = lists.stat().st_size if lists.is_file() else 0
    expected = num_rows * (num_codes + ID_BYTES)
    if length != expected:
        yield f'{lists.name} has {length} bytes instead of {expected}'


def _make_index(centres: FloatArray, codebook: FloatArray) -> Any:
    faiss = load_faiss()

    quantizer = faiss.IndexFlatIP(centres.shape[1])
    quantizer.add(np.ascontiguousarray(centres))
    num_codes = len(codebook) // CODE_VALUES
    index = faiss.IndexIVFPQ(
        quantizer, centres.shape[1], len(centres), num_codes, 8, faiss.METRIC_INNER_PRODUCT
    )
    faiss.copy_array_to_vector(np.ascontiguousarray(codebook).ravel(), index.pq.centroids)
    index.is_trained = True
    return index


def _map_lists(path: Path, sizes: IndexArray, code_size: int) -> Any:
    """Map the inverted lists: of each, the codes of its rows, then their numbers, int64."""
    faiss = load_faiss()

    lists = faiss.OnDiskInvertedLists()
    lists.nlist, lists.code_size = len(sizes), code_size
    lists.filename, lists.read_only = str(path), True
    lists.prefetch_nthread = 0
    lists.totsize = path.stat().st_size
    offset = 0
    for size in sizes.tolist():
        entry = faiss.OnDiskOneList()
        entry.size, entry.capacity, entry.offset = size, size, offset
        lists.lists.push_back(entry)
        offset += size * (code_size + ID_BYTES)
    lists.do_mmap()
    return lists
