# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Errors as colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ['ErrorColours']

ColourArray = NDArray[np.uint8]

UNKNOWN_COLOUR = (128, 128, 128)
SCALE_COLOURS = ((38, 130, 142), (53, 183, 121), (253, 190, 40), (220, 50, 32))
"""From small to large errors: teal, green, amber, red; told apart by the colour-blind too."""


@dataclass(frozen=True, slots=True)
class ErrorColours:
    """A logarithmic scale of position errors.

    Attributes:
        low: error that has the first colour, map units.
        high: error that has the last colour.
    """

    low: float
    high: float

    @property
    def stops(self) -> tuple[tuple[int, int, int], ...]:
        """Colours from `low` to `high`, evenly spaced on the logarithmic scale."""
        return SCALE_COLOURS

    @classmethod
    def of(cls, errors: Sequence[float | None]) -> ErrorColours:
        """Take the range of most errors; None and infinity are no errors."""
        known = np.array([error for error in errors if error is not None], dtype=np.float64)
        known = known[np.isfinite(known) & (known > 0.0)]
        if not len(known):
            return cls(0.01, 1.0)
        low, high = np.quantile(known, (0.05, 0.95))
        return cls(float(low), max(float(high), 1.01 * float(low)))

    def of_error(self, error: float | None) -> tuple[int, int, int]:
        """Colour of an error, red, green, blue; grey when it is not known."""
        if error is None:
            return UNKNOWN_COLOUR
        span = np.log(self.high / self.low)
        place = float(np.clip(np.log(max(error, self.low) / self.low) / span, 0.0, 1.0))
        stops = np.linspace(0.0, 1.0, len(SCALE_COLOURS))
        red, green, blue = (
            round(float(np.interp(place, stops, channel)))
            for channel in zip(*SCALE_COLOURS, strict=True)
        )
        return red, green, blue

    def of_errors(self, errors: Sequence[float | None]) -> ColourArray:
        """Colours (N, 3) of errors."""
        colours = [self.of_error(error) for error in errors]
        return np.array(colours, dtype=np.uint8).reshape(-1, 3)
