# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node under load: images at the rate of a camera, for as long as it takes to see a leak.

    python benchmarks/node_load.py --map MAP --images DIR --list FILE --json OUT

The node runs in a process of its own with its real localizer. Here are a robot that publishes
images, calibration, odometry and extrinsics, and somebody who asks for a parameter all the while.
"""

from __future__ import annotations

from functools import partial
from itertools import cycle
import json
import os
from pathlib import Path
import subprocess
import sys
import time
from typing import Annotated, Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from node_process import memory_kib as memory_of
from node_process import running_node
import numpy as np
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage
import typer

from relloc_ros.camera_info import camera_info_fields
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources import PosedImage, read_source
from relloc_ros.ros.conversions import time_message, transform_message

NODE = 'localization_node'
WARM_UP_S = 10.0
ASK_PERIOD_S = 0.05
PARTS = ('processed', 'dropped', 'skipped', 'pending')
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Robot(Node):
    """Publishes what a robot does; keeps the node's reports and how long its answers took.

    Attributes:
        sent_s: when the last image was handed over, steady clock.
    """

    def __init__(self, posed: list[PosedImage], *, raw: bool = False, scale: float = 1.0) -> None:
        """Read the images; raw ones are shown `scale` times as large."""
        super().__init__('robot')
        self.sent_s = 0.0
        self.reports: list[dict[str, str]] = []
        self.answers_s: list[float] = []
        self.num_sent = 0
        make = partial(_raw_message, scale=scale) if raw else _message
        self._shown = cycle([(make(item), item) for item in posed])
        topic = (Image, 'image') if raw else (CompressedImage, 'image/compressed')
        self.images = self.create_publisher(*topic, 10)
        self._infos = self.create_publisher(CameraInfo, 'camera_info', 10)
        self._tf = self.create_publisher(TFMessage, '/tf', 100)
        self._static_tf = self.create_publisher(TFMessage, '/tf_static', LATCHED)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._take_report, 10)
        self._client = self.create_client(GetParameters, f'{NODE}/get_parameters')
        self._asked_s = 0.0
        self._waiting: Any = None
        extrinsics = transform_message('base_link', 'camera', 0, RigidTransform.identity())
        self._static_tf.publish(TFMessage(transforms=[extrinsics]))

    def show_next(self) -> int:
        """Be where the next image was taken, odometry and all; returns the image's stamp."""
        message, posed = next(self._shown)
        now_ns = time.time_ns()
        odometry = transform_message('odom', 'base_link', now_ns, posed.cam_from_map.inverse())
        self._tf.publish(TFMessage(transforms=[odometry]))
        if self.num_sent % 30 == 0:
            info = CameraInfo(**camera_info_fields(posed.camera))
            info.header.frame_id, info.header.stamp = 'camera', time_message(now_ns)
            self._infos.publish(info)
        message.header.stamp = time_message(now_ns)
        self.sent_s = time.monotonic()
        self.images.publish(message)
        self.num_sent += 1
        return now_ns

    def ask(self) -> None:
        """Ask for a parameter, if the last answer has come."""
        if self._waiting is not None and self._waiting.done():
            self.answers_s.append(time.monotonic() - self._asked_s)
            self._waiting = None
        is_due = time.monotonic() - self._asked_s > ASK_PERIOD_S
        if self._waiting is None and is_due and self._client.service_is_ready():
            self._asked_s = time.monotonic()
            self._waiting = self._client.call_async(GetParameters.Request(names=['max_rate']))

    def _take_report(self, message: DiagnosticArray) -> None:
        (status,) = message.status
        values = {item.key: item.value for item in status.values}
        self.reports.append({'message': status.message, **values})


def main(
    map_folder: Annotated[Path, typer.Option('--map', help='Folder of the map.')],
    images: Annotated[Path, typer.Option(help='Folder of the images, JPEG or PNG.')],
    list_file: Annotated[Path, typer.Option('--list', help='Names of the images shown in turn.')],
    output: Annotated[Path, typer.Option('--json', help='File to write.')],
    count: Annotated[int, typer.Option(min=100, help='Images to send.')] = 3000,
    rate: Annotated[float, typer.Option(min=1.0, help='Images per second.')] = 30.0,
    max_rate: Annotated[float, typer.Option(min=0.0, help="The node's parameter.")] = 5.0,
) -> None:
    """Run the node under load and write OUT."""
    posed = read_source(images, list_file=list_file)
    load_before = os.getloadavg()
    rclpy.init(args=[])
    robot = Robot(posed)
    executor = SingleThreadedExecutor()
    executor.add_node(robot)
    with running_node(map_folder, max_rate=max_rate, image_transport='compressed') as process:
        wait_for_node(executor, robot, process)
        memory_kib = _stream(executor, robot, process.pid, count, rate)
        _settle(executor, robot)
    result = _summarize(robot, memory_kib, rate)
    result |= {'load_average_before': load_before, 'load_average_after': os.getloadavg()}
    executor.shutdown()
    robot.destroy_node()
    rclpy.try_shutdown()
    output.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
    print(json.dumps(result, indent=2))


def _message(posed: PosedImage) -> CompressedImage:
    kind = 'png' if posed.path.suffix.lower() == '.png' else 'jpeg'
    message = CompressedImage(format=kind, data=posed.path.read_bytes())
    message.header.frame_id = 'camera'
    return message


def _raw_message(posed: PosedImage, scale: float) -> Image:
    pixels = cv2.imread(str(posed.path), cv2.IMREAD_COLOR)
    if scale != 1.0:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = pixels.shape[:2]
    message = Image(height=height, width=width, encoding='bgr8', step=3 * width)
    message.data.frombytes(pixels.tobytes())
    message.header.frame_id = 'camera'
    return message


def wait_for_node(
    executor: SingleThreadedExecutor, robot: Robot, process: subprocess.Popen[bytes]
) -> None:
    """Wait until the node listens and answers."""
    while not (robot.images.get_subscription_count() and robot.answers_s):
        if process.poll() is not None:
            sys.exit('the node has ended')
        robot.ask()
        executor.spin_once(timeout_sec=0.05)
    robot.answers_s.clear()


def _stream(
    executor: SingleThreadedExecutor, robot: Robot, pid: int, count: int, rate: float
) -> list[int]:
    """Send the images; returns the node's memory in KiB once a second, after the warm-up."""
    start_s = time.monotonic()
    memory_kib: list[int] = []
    while robot.num_sent < count:
        due_s = start_s + robot.num_sent / rate
        if time.monotonic() >= due_s:
            robot.show_next()
        if time.monotonic() - start_s > WARM_UP_S + len(memory_kib):
            memory_kib.append(memory_of(pid))
        robot.ask()
        executor.spin_once(timeout_sec=max(0.0, min(0.01, due_s - time.monotonic())))
    return memory_kib


def _settle(executor: SingleThreadedExecutor, robot: Robot) -> None:
    """Wait for a report of all images."""
    robot.reports.append({'images_pending': '1'})
    while int(robot.reports[-1]['images_pending']):
        executor.spin_once(timeout_sec=0.1)


def _summarize(robot: Robot, memory_kib: list[int], rate: float) -> dict[str, object]:
    reports = [report for report in robot.reports if 'images_received' in report]
    wrong = [
        report
        for report in reports
        if int(report['images_received']) != sum(int(report[f'images_{part}']) for part in PARTS)
    ]
    last = reports[-1]
    answers_ms = 1e3 * np.array(robot.answers_s)
    growth = memory_kib[-1] / memory_kib[0] - 1.0
    return {
        'rate_hz': rate,
        'images_sent': robot.num_sent,
        **{f'images_{part}': int(last[f'images_{part}']) for part in ('received', *PARTS)},
        'images_accepted': int(last['images_accepted']),
        'reports': len(reports),
        'reports_whose_counts_do_not_add_up': len(wrong),
        'state': last['state'],
        'last_latency_ms': last['latency_ms'],
        'memory_mib_after_warm_up': round(memory_kib[0] / 1024, 1),
        'memory_mib_at_the_end': round(memory_kib[-1] / 1024, 1),
        'memory_mib_max': round(max(memory_kib) / 1024, 1),
        'memory_growth_percent': round(100.0 * growth, 2),
        'answers': len(answers_ms),
        'answer_ms_p50': round(float(np.median(answers_ms)), 1),
        'answer_ms_p99': round(float(np.percentile(answers_ms, 99)), 1),
        'answer_ms_max': round(float(answers_ms.max()), 1),
    }


if __name__ == '__main__':
    typer.run(main)
