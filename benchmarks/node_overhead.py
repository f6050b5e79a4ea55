# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node adds to the localizer: from the image message to the pose message, less its core.

    python benchmarks/node_overhead.py --map MAP --images DIR --list FILE --json OUT

The node runs in a process of its own. A robot, here, publishes an image when the answer to the one
before has come; between lie the way of the image into the node, its conversion from a message, the
threads, the transforms, and the way of the pose out of it. What `Relocalizer.process_message`
took, decoding and all, stands in the node's status and is subtracted.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
import sys
import time
from typing import Annotated, Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from node_load import NODE, Robot, wait_for_node
from node_process import cpu_s, keep_to_this_machine, running_node
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rich.progress import track
from stopwatch import percentile
import typer

from relloc_ros.frames import stamp_to_ns
from relloc_ros.map.sources import PosedImage, read_source

WARM_UP = 10
MAX_IMAGES = 40
"""Different images: more would only fill the memory."""
WARM_UP_TIMEOUT_S = 2.0
MAX_TRIES = 60
ANSWER_TIMEOUT_S = 10.0


class PatientRobot(Robot):
    """Listens to what becomes of each image.

    Attributes:
        poses_s: when poses came, steady clock, by stamp.
        statuses_s: when statuses came, likewise.
        core_ms: what the localizer took, by stamp.
        accepted: stamps of images whose pose the tracker trusts.
    """

    def __init__(self, posed: list[PosedImage], *, raw: bool, scale: float = 1.0) -> None:
        super().__init__(posed, raw=raw, scale=scale)
        self.poses_s: dict[int, float] = {}
        self.statuses_s: dict[int, float] = {}
        self.core_ms: dict[int, float] = {}
        self.accepted: set[int] = set()
        self.create_subscription(PoseWithCovarianceStamped, f'{NODE}/pose', self._take_pose, 10)
        self.create_subscription(DiagnosticArray, f'{NODE}/status', self._take_status, 10)

    def is_answered(self, stamp_ns: int) -> bool:
        """Whether all that the node says of an image has come."""
        has_status = stamp_ns in self.core_ms
        return has_status and (stamp_ns in self.poses_s or stamp_ns not in self.accepted)

    def _take_pose(self, message: PoseWithCovarianceStamped) -> None:
        self.poses_s[stamp_to_ns(message.header.stamp)] = time.monotonic()

    def _take_status(self, message: DiagnosticArray) -> None:
        values = {item.key: item.value for item in message.status[0].values}
        stamp_ns = stamp_to_ns(message.header.stamp)
        self.statuses_s[stamp_ns] = time.monotonic()
        self.core_ms[stamp_ns] = float(values['ms'])
        if values['accepted'] == 'true':
            self.accepted.add(stamp_ns)


def main(
    map_folder: Annotated[Path, typer.Option('--map', help='Folder of the map.')],
    images: Annotated[Path, typer.Option(help='Folder of the images, JPEG or PNG.')],
    list_file: Annotated[Path, typer.Option('--list', help='Names of the images shown in turn.')],
    output: Annotated[Path, typer.Option('--json', help='File to write.')],
    count: Annotated[int, typer.Option(min=1, help='Images to measure.')] = 100,
    raw: Annotated[
        bool, typer.Option('--raw/--compressed', help='Image messages: bgr8, or the files.')
    ] = True,
) -> None:
    """Measure and write OUT."""
    load_before = os.getloadavg()
    result = measure_overhead(map_folder, images, list_file, count=count, raw=raw)
    result |= {'load_average_before': load_before, 'load_average_after': os.getloadavg()}
    output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    print(json.dumps(result, indent=2))


def measure_overhead(
    map_folder: Path,
    images: Path,
    list_file: Path,
    *,
    source: Path | None = None,
    count: int = 100,
    raw: bool = True,
) -> dict[str, Any]:
    """Start the node and show it images one by one.

    Args:
        map_folder: of the node.
        images: folder of the images.
        list_file: names of the images.
        source: their true poses, odometry is made of them; None looks beside the images.
        count: images to measure.
        raw: uncompressed messages.
    """
    keep_to_this_machine()
    posed = read_source(source or images.parent, images, list_file)[:MAX_IMAGES]
    transport = 'raw' if raw else 'compressed'
    rclpy.init(args=[])
    robot = PatientRobot(posed, raw=raw)
    executor = SingleThreadedExecutor()
    executor.add_node(robot)
    overheads_ms: list[float] = []
    num_lost = 0
    try:
        with running_node(map_folder, max_rate=0.0, image_transport=transport) as process:
            wait_for_node(executor, robot, process)
            warm_up(executor, robot)
            cpu_before_s = cpu_s(process.pid)
            for _ in track(range(count), 'showing images to the node', transient=True):
                stamp_ns = show(executor, robot, ANSWER_TIMEOUT_S)
                num_lost += stamp_ns is None
                if stamp_ns in robot.accepted:
                    whole_ms = 1e3 * (robot.poses_s[stamp_ns] - robot.sent_s)
                    overheads_ms.append(whole_ms - robot.core_ms[stamp_ns])
            node_cpu_ms = 1e3 * (cpu_s(process.pid) - cpu_before_s) / count
    finally:
        executor.shutdown()
        robot.destroy_node()
        rclpy.try_shutdown()
    return {
        'node_overhead_ms_p50': percentile(overheads_ms, 50),
        'node_overhead_ms_p10': percentile(overheads_ms, 10),
        'node_overhead_ms_p95': percentile(overheads_ms, 95),
        'node_cpu_ms_per_image': round(node_cpu_ms, 3),
        'node_image_transport': transport,
        'node_images': count,
        'node_images_lost': num_lost,
        'node_poses': len(overheads_ms),
    }


def warm_up(executor: SingleThreadedExecutor, robot: PatientRobot) -> None:
    """Show images until some were answered: the node hears the first ones before it is active."""
    for _ in range(MAX_TRIES):
        if len(robot.core_ms) >= WARM_UP:
            return
        show(executor, robot, WARM_UP_TIMEOUT_S)
    sys.exit(f'the node has answered {len(robot.core_ms)} of {robot.num_sent} images')


def show(executor: SingleThreadedExecutor, robot: PatientRobot, timeout_s: float) -> int | None:
    """Show an image, and wait for all that the node says of it; returns its stamp, or None."""
    stamp_ns = robot.show_next()
    deadline_s = robot.sent_s + timeout_s
    while not robot.is_answered(stamp_ns):
        if time.monotonic() > deadline_s:
            return None
        executor.spin_once(timeout_sec=0.5)
    return stamp_ns


if __name__ == '__main__':
    typer.run(main)
