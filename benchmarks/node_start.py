# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the start of the node's process until it is active, with its map open."""

from __future__ import annotations

from pathlib import Path
import sys
import time

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from node_process import cpu_s, keep_to_this_machine, running_node
import rclpy
from rclpy.executors import SingleThreadedExecutor

NODE = 'localization_node'


def seconds_until_active(map_folder: Path) -> tuple[float, float]:
    """Start the node once; returns wall and processor seconds until it says that it is active."""
    keep_to_this_machine()
    rclpy.init(args=[])
    asker = rclpy.create_node('asker')
    executor = SingleThreadedExecutor()
    executor.add_node(asker)
    client = asker.create_client(GetState, f'{NODE}/get_state')
    start = time.perf_counter()
    state = State.PRIMARY_STATE_UNKNOWN
    try:
        with running_node(map_folder) as process:
            while state != State.PRIMARY_STATE_ACTIVE:
                if process.poll() is not None:
                    sys.exit('the node has ended')
                executor.spin_once(timeout_sec=0.01)
                if client.service_is_ready():
                    future = client.call_async(GetState.Request())
                    executor.spin_until_future_complete(future, timeout_sec=1.0)
                    state = future.result().current_state.id if future.done() else state
            return time.perf_counter() - start, cpu_s(process.pid)
    finally:
        executor.shutdown()
        asker.destroy_node()
        rclpy.try_shutdown()
