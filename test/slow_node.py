# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with a localizer that takes its time, as a program: slow_node.py SECONDS."""

from __future__ import annotations

from functools import partial
import sys
import time
from typing import Any

import cv2
import numpy as np
from ros_harness import StubLocalizer

from relloc_ros.camera import Camera
from relloc_ros.ros import localization_node as program
from relloc_ros.structures import Localization


class SlowLocalizer(StubLocalizer):
    """Sees one pose, after a while."""

    def __init__(self, duration_s: float) -> None:
        super().__init__()
        self._duration_s = duration_s
        self._pixels = np.zeros((480, 640), np.uint8)

    def process_message(self, message: Any, camera: Camera, *others: Any) -> Localization:
        end_s = time.monotonic() + self._duration_s
        while time.monotonic() < end_s:
            # As others do, in C++ and without Python's lock.
            cv2.GaussianBlur(self._pixels, (0, 0), 3.0)
        return super().process_message(message, camera, *others)


if __name__ == '__main__':
    localizer = SlowLocalizer(float(sys.argv[1]))
    program.LocalizationNode = partial(program.LocalizationNode, localizer.load)
    program.main(sys.argv)
