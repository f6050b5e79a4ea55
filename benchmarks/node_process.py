# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node in a process of its own, and what it takes from the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys

END_TIMEOUT_S = 20.0
PROFILES = Path(__file__).parents[1] / 'config' / 'fastdds.xml'


def keep_to_this_machine() -> None:
    """Keep robots on the network out of it, and make room for raw images; call it before rclpy."""
    distribution = os.environ.get('ROS_DISTRO')
    if distribution == 'humble':
        os.environ.setdefault('ROS_LOCALHOST_ONLY', '1')
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    kind = 'FASTRTPS' if distribution in ('humble', 'jazzy') else 'FASTDDS'
    os.environ.setdefault(f'{kind}_DEFAULT_PROFILES_FILE', str(PROFILES))


@contextmanager
def running_node(map_folder: Path, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
    """Start the node, active as soon as it can be; end it as a user would.

    Args:
        map_folder: of the map.
        settings: further parameters of the node.
    """
    command = [sys.executable, '-m', 'relloc_ros.ros.localization_node', '--ros-args']
    for name, value in {'map_path': map_folder, 'autostart': True, **settings}.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        command += ['-p', f'{name}:={text}']
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_TIMEOUT_S)
        finally:
            process.kill()


def memory_kib(pid: int) -> int:
    """Memory of a process that is in use; 0 if it has ended."""
    for line in Path(f'/proc/{pid}/status').read_text(encoding='ascii').splitlines():
        if line.startswith('VmRSS'):
            return int(line.split()[1])
    return 0


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, all its threads."""
    text = Path(f'/proc/{pid}/stat').read_text(encoding='ascii')
    # The name, in parentheses, may contain spaces.
    ticks = text.rpartition(')')[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf('SC_CLK_TCK')


def open_files(pid: int) -> int:
    """Count the open files and sockets of a process."""
    return sum(1 for _ in Path(f'/proc/{pid}/fd').iterdir())


def num_threads(pid: int) -> int:
    """Count the threads of a process."""
    return sum(1 for _ in Path(f'/proc/{pid}/task').iterdir())
