# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A page that shows how coefficients follow the image: appendix A of Sattler et al., CVPR 2019.

It needs nothing but itself: pictures and numbers are inside.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros import __version__
from relloc_ros.analysis.figures import ESTIMATE, PREDICTION, TRAINING, WEIGHT_STOPS
from relloc_ros.analysis.model_analysis import Analysis, EmbeddedImages
from relloc_ros.analysis.statements import limits_said
from relloc_ros.analysis.top_view import Views, limits_of, without_outliers
from relloc_ros.evaluation.report.theme import DARK, LIGHT
from relloc_ros.evaluation.wording import length_text
from relloc_ros.geometry import Array

__all__ = ['Pictures', 'animation']

PAGE = Path(__file__).parent / 'page'
MAX_FRAMES = 80
"""Of training images, and of queries; of more, as many are taken at equal distances."""
MAX_MARKS = 1024
"""Base translations shown, the heaviest."""
WIDTH, QUALITY = 200, 72
"""Of the pictures in the page, pixels and JPEG quality."""

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Small copies of images, grey or BGR.

    Attributes:
        queries: in their order.
        training: gives that of a training image by index; None where there is none.
    """

    queries: Sequence[Image]
    training: Callable[[int], Image | None]


def animation(analysis: Analysis, views: Views, units: str, title: str, pictures: Pictures) -> str:
    """Make the page.

    Args:
        analysis: what came out.
        views: from where positions and base translations are seen.
        units: of the map.
        title: of the network.
        pictures: of the images.

    Raises:
        MissingDependencyError: Jinja2 is not installed.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415  optional

    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined
    )
    content = {
        'title': title,
        'statement': limits_said(analysis.limits, units),
        'version': __version__,
        'light': LIGHT,
        'dark': DARK,
        'training_colour': TRAINING,
        'prediction_colour': PREDICTION,
        'nearest_colour': ESTIMATE,
        'data': _data(analysis, views, units, pictures),
    }
    return environment.get_template('animation.html').render(content)


def _data(analysis: Analysis, views: Views, units: str, pictures: Pictures) -> dict[str, Any]:
    queries = _spread(len(analysis.queries.names))
    beside = analysis.figures.nearest[queries]
    training = _spread(len(analysis.training.names))
    wanted = sorted({*map(int, training), *map(int, beside)})
    place = {index: number for number, index in enumerate(wanted)}
    shown = _heaviest(analysis)
    weigh = _Weigher(analysis, shown)
    flat = views.flatten(analysis.base.translations[:, shown].T)
    known = analysis.base.predict(analysis.training.alphas)
    positions = _Positions(views)
    return {
        'units': units,
        'stops': WEIGHT_STOPS,
        'base': _rounded(flat),
        'base_limits': _rounded(limits_of(without_outliers(flat))),
        'map': _rounded(positions.of(analysis.training.positions)),
        'map_limits': _rounded(
            limits_of(
                positions.of(analysis.training.positions),
                positions.of(analysis.queries.positions),
                positions.of(analysis.predicted_positions),
            )
        ),
        'training': [
            _image(analysis.training, index, known, weigh, positions, pictures.training(index))
            for index in wanted
        ],
        'training_frames': [place[int(index)] for index in training],
        'queries': [
            {
                **_image(
                    analysis.queries,
                    index,
                    analysis.predicted_positions,
                    weigh,
                    positions,
                    pictures.queries[index],
                ),
                'nearest': place[int(analysis.figures.nearest[index])],
                'said': _said(analysis, index, units),
            }
            for index in map(int, queries)
        ],
    }


class _Positions:
    """Positions as they are seen from above."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def of(self, positions: Array) -> Array:
        return self._views.flatten(positions - self._views.above.origin)


class _Weigher:
    """Weights of base translations as bytes, 255 for the largest of most images."""

    def __init__(self, analysis: Analysis, shown: NDArray[np.intp]) -> None:
        self._shown = shown
        largest = np.abs(analysis.training.alphas[:, shown]).max(axis=1, initial=0.0)
        self._scale = 255.0 / (float(np.median(largest)) or 1.0)

    def of(self, alpha: Array) -> str:
        weights = np.abs(alpha[self._shown]) * self._scale
        return b64encode(np.minimum(weights, 255.0).round().astype(np.uint8).tobytes()).decode()


def _image(
    images: EmbeddedImages,
    index: int,
    predicted: Array,
    weigh: _Weigher,
    positions: _Positions,
    picture: Image | None,
) -> dict[str, Any]:
    return {
        'name': images.names[index],
        'weights': weigh.of(images.alphas[index]),
        'truth': _rounded(positions.of(images.positions[index])[0]),
        'predicted': _rounded(positions.of(predicted[index])[0]),
        'picture': None if picture is None else _jpeg(picture),
    }


def _said(analysis: Analysis, index: int, units: str) -> str:
    figures = analysis.figures
    error = length_text(float(figures.position_errors[index]), units)
    retrieval = length_text(float(figures.retrieval_position_errors[index]), units)
    close = figures.position_closeness[index]
    closeness = f', closeness to retrieval {close:.2f}' if np.isfinite(close) else ''
    return f'Prediction {error} off, the nearest training image {retrieval}{closeness}.'


def _spread(count: int) -> NDArray[np.intp]:
    frames = np.linspace(0, count - 1, min(count, MAX_FRAMES)).round()
    return np.asarray(frames, dtype=np.intp)


def _heaviest(analysis: Analysis) -> NDArray[np.intp]:
    """Base translations by their weight, the lightest first."""
    moves = (analysis.base.translations != 0.0).any(axis=0)
    weights = np.where(moves, np.abs(analysis.training.alphas).mean(axis=0), -1.0)
    order = np.argsort(weights, kind='stable')
    return order[-min(MAX_MARKS, int(moves.sum())) :]


def _rounded(values: Array) -> Any:
    return np.round(values, 5).tolist()


def _jpeg(image: Image) -> str:
    height, width = image.shape[:2]
    if width > WIDTH:
        size = (WIDTH, max(1, round(height * WIDTH / width)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f'data:image/jpeg;base64,{b64encode(data.tobytes()).decode()}'
