# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Colours of errors."""

import numpy as np
import pytest

from relloc_ros.evaluation.error_colours import ErrorColours


def test_colours_go_from_small_to_large_errors():
    colours = ErrorColours.of([0.01, 0.1, 1.0, None, np.inf])
    assert 0.01 <= colours.low < colours.high <= 1.0
    assert colours.of_error(0.0) == colours.of_error(colours.low) == colours.stops[0]
    assert colours.of_error(np.inf) == colours.of_error(colours.high) == colours.stops[-1]
    middle = colours.of_error(np.sqrt(colours.low * colours.high))
    expected = np.mean([colours.stops[1], colours.stops[2]], axis=0)
    np.testing.assert_allclose(middle, expected, atol=1)
    unknown = colours.of_error(None)
    assert unknown not in colours.stops
    assert colours.of_errors([0.01, None]).tolist()[1] == list(unknown)


@pytest.mark.parametrize('errors', [[], [None], [0.0], [np.inf], [0.2], [0.2, 0.2]])
def test_colours_of_few_errors(errors):
    colours = ErrorColours.of(errors)
    assert 0 < colours.low < colours.high
    assert colours.of_errors(errors).shape == (len(errors), 3)
