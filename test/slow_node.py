# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with a localizer that takes its time, as a program: slow_node.py SECONDS."""

from __future__ import annotations

from functools import partial
import sys
import time
from typing import Any

from ros_harness import StubLocalizer

from relloc_ros.camera import Camera
from relloc_ros.ros import localization_node as program
from relloc_ros.structures import Localization


class SlowLocalizer(StubLocalizer):
    """Sees one pose, after a while."""

    def __init__(self, duration_s: float) -> None:
        super().__init__()
        self._duration_s = duration_s

    def process_message(self, message: Any, camera: Camera, *others: Any) -> Localization:
        time.sleep(self._duration_s)
        return super().process_message(message, camera, *others)


if __name__ == '__main__':
    localizer = SlowLocalizer(float(sys.argv[1]))
    program.LocalizationNode = partial(program.LocalizationNode, localizer.load)
    program.main(sys.argv)
