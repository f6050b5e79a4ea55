# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How long `relloc synth` takes, in seconds of one core.

python benchmarks/rendering.py
"""

from __future__ import annotations

import time

import cv2
import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.synthetic.sensor import Sensor, photograph
from relloc_ros.synthetic.worlds import WORLDS, make_world

SIZES = ((320, 240), (640, 480))
SENSORS = {'still': Sensor(), 'exposed for 0.02 s': Sensor(exposure_s=0.02)}
NUM_IMAGES = 8


def main() -> None:
    """Print the time of a scene, and of an image of each size."""
    # This process alone, and one thread: other load does not count.
    cv2.setNumThreads(1)
    print('| scene | made and lit | ' + ' | '.join(_columns()) + ' |')
    for kind in WORLDS:
        start = time.process_time()
        world = make_world(kind, 1)
        cells = [f'{time.process_time() - start:.1f} s']
        path, rng = world.walk(0), np.random.default_rng(0)
        for size in SIZES:
            camera = Camera('PINHOLE', *size, (0.85 * size[0],) * 2 + (size[0] / 2, size[1] / 2))
            for sensor in SENSORS.values():
                photograph(world.renderer, camera, path, 0.0, sensor, rng)
                start = time.process_time()
                for index in range(NUM_IMAGES):
                    photograph(world.renderer, camera, path, 1.3 * index, sensor, rng)
                cells.append(f'{(time.process_time() - start) / NUM_IMAGES * 1000:.0f} ms')
        print(f'| {kind} | ' + ' | '.join(cells) + ' |')


def _columns() -> list[str]:
    return [f'{width}x{height}, {name}' for width, height in SIZES for name in SENSORS]


if __name__ == '__main__':
    main()
