# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers in the columns of many lines of text, read at once: a million lines take a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['LineFields']

SPACE, NEWLINE, MINUS, ZERO = (ord(character) for character in ' \n-0')
SEPARATORS = 4
MAX_DIGITS = 19
"""Of int64; what does not fit although it has no more comes out negative."""

NO_DIGIT = 255
HEX_VALUES = np.full(256, NO_DIGIT, np.uint8)
HEX_VALUES[[ord(digit) for digit in '0123456789abcdef']] = range(16)


@dataclass(frozen=True, slots=True, eq=False)
class LineFields:
    """Lines of four columns without spaces and a rest.

    Attributes:
        text: (B,) uint8, the lines.
        starts: (N, 4) where the columns begin.
        lengths: (N, 4) their lengths.
        ends: (N,) where the newlines are.
    """

    text: NDArray[np.uint8]
    starts: NDArray[np.intp]
    lengths: NDArray[np.intp]
    ends: NDArray[np.intp]

    @classmethod
    def split(cls, text: NDArray[np.uint8]) -> LineFields:
        """Find the columns of lines, the last of which ends with a newline.

        Raises:
            ValueError: a line has too few.
        """
        ends = np.flatnonzero(text == NEWLINE)
        begins = np.concatenate([[0], ends[:-1] + 1])
        spaces = np.flatnonzero(text == SPACE)
        first = np.searchsorted(spaces, begins)[:, np.newaxis] + np.arange(SEPARATORS)
        if first[-1, -1] >= len(spaces) or (spaces[first[:, -1]] > ends).any():
            raise ValueError('a line has too few columns')
        stops = spaces[first]
        starts = np.hstack([begins[:, np.newaxis], stops[:, :-1] + 1])
        return cls(text, starts, stops - starts, ends)

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.ends)

    def integers(self, column: int, max_digits: int = MAX_DIGITS) -> NDArray[np.int64]:
        """Read a column of integers.

        Raises:
            ValueError: something else, or more digits.
        """
        starts, lengths = self.starts[:, column], self.lengths[:, column]
        negative = self.text[starts] == MINUS
        starts, lengths = starts + negative, lengths - negative
        if lengths.min() < 1 or lengths.max() > max_digits:
            raise ValueError(f'column {column + 1} holds something else than an integer')
        values = np.zeros(len(starts), np.int64)
        for place in range(int(lengths.max())):
            within = place < lengths
            digits = self.text[np.where(within, starts + place, starts)].astype(np.int64) - ZERO
            if ((digits < 0) | (digits > 9)).any():
                raise ValueError(f'column {column + 1} holds something else than an integer')
            values = np.where(within, 10 * values + digits, values)
        if (values < 0).any():
            raise ValueError(f'column {column + 1} holds an integer of more than 64 bits')
        return np.where(negative, -values, values)

    def hexadecimals(self, column: int, num_bytes: int) -> NDArray[np.uint8]:
        """Read a column of bytes (N, num_bytes) in hexadecimal digits.

        Raises:
            ValueError: something else, or another number of bytes.
        """
        digits: NDArray[Any] = np.empty((0, 2 * num_bytes), np.uint8)
        if (self.lengths[:, column] == 2 * num_bytes).all():
            at = self.starts[:, column, np.newaxis] + np.arange(2 * num_bytes)
            digits = HEX_VALUES[self.text[at]]
        if len(digits) != len(self) or (digits == NO_DIGIT).any():
            raise ValueError(f'column {column + 1} holds something else than {num_bytes} bytes')
        return np.asarray(16 * digits[:, ::2] + digits[:, 1::2], np.uint8)
