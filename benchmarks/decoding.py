# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What it takes to make pixels of image messages of 1920x1080.

python benchmarks/decoding.py [--image FILE] [--json OUT]
"""

from __future__ import annotations

from array import array
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Optional

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from stopwatch import Stopwatch, percentile
import typer

from relloc_ros.camera import Camera
from relloc_ros.image_decoding import decode_image

WIDTH, HEIGHT = 1920, 1080
CAMERA = Camera('PINHOLE', WIDTH, HEIGHT, (1500.0, 1500.0, WIDTH / 2, HEIGHT / 2))
JPEG_QUALITY = 90
SAMPLES = 30
WARM_UP = 3
RAW = {'bgr8': 3, 'rgb8': 3, 'mono8': 1, 'bayer_rggb8': 1}
"""Channels by encoding."""


def main(
    image: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='A photograph for the JPEG; by default smoothed noise.'),
    ] = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option('--json', help='File to write.'),
    ] = None,
) -> None:
    """Print milliseconds by encoding."""
    pixels = None if image is None else cv2.imread(str(image))
    result = measure_decoding(pixels)
    if output is not None:
        output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    Console().print_json(data=result)


def measure_decoding(image: NDArray[np.uint8] | None = None) -> dict[str, dict[str, float | None]]:
    """Time `decode_image`, encodings in turn.

    Args:
        image: (H, W) or (H, W, 3) shown by the messages, of any size; None makes one up.
    """
    messages = make_messages(image)
    for message in list(messages.values()) * WARM_UP:
        decode_image(message, CAMERA)
    stopwatch = Stopwatch()
    for _ in range(SAMPLES):
        for name, message in messages.items():
            stopwatch.time(name, lambda message=message: decode_image(message, CAMERA))
    return {
        name: {
            'ms_p50': percentile(stopwatch.wall_ms[name], 50),
            'ms_p95': percentile(stopwatch.wall_ms[name], 95),
            'cpu_ms_p50': percentile(stopwatch.cpu_ms[name], 50),
        }
        for name in messages
    }


def make_messages(image: NDArray[np.uint8] | None = None) -> dict[str, Any]:
    """Make a message of each encoding, with its data as rclpy gives it."""
    if image is None:
        noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        image = np.asarray(cv2.GaussianBlur(noise, (0, 0), 3.0), dtype=np.uint8)
    shown = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    if shown.ndim == 2:
        shown = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0), frame_id='camera')
    messages: dict[str, Any] = {}
    for encoding, channels in RAW.items():
        pixels = shown if channels == 3 else cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY)
        messages[encoding] = SimpleNamespace(
            header=header,
            height=HEIGHT,
            width=WIDTH,
            encoding=encoding,
            is_bigendian=0,
            step=WIDTH * channels,
            data=array('B', pixels.tobytes()),
        )
    for name, kind in (('jpeg', shown), ('jpeg_grey', cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY))):
        _, encoded = cv2.imencode('.jpg', kind, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        messages[name] = SimpleNamespace(
            header=header, format='jpeg', data=array('B', encoded.tobytes())
        )
    return messages


if __name__ == '__main__':
    typer.run(main)
