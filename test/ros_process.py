# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from typing import Any

from rclpy.executors import Executor

START_TIMEOUT_S = 30.0
END_TIMEOUT_S = 10.0

NODE = ('-m', 'relloc_ros.ros.localization_node')


@contextmanager
def running_node(
    *arguments: str, log: Path, program: Sequence[str] = NODE
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the node, or what a test has put together of it; kill what is left at the end."""
    command = [sys.executable, *program, '--ros-args', *arguments]
    with log.open('wb') as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def end(process: subprocess.Popen[bytes], signal_number: signal.Signals) -> int:
    """End a process by a signal; returns its exit code."""
    process.send_signal(signal_number)
    return process.wait(timeout=END_TIMEOUT_S)


def parameters(**values: object) -> list[str]:
    """Write parameters as arguments."""
    arguments = []
    for name, value in values.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        arguments += ['-p', f'{name}:={text}']
    return arguments


def spin_until(
    executor: Executor, condition: Callable[[], Any], timeout_s: float = START_TIMEOUT_S
) -> None:
    """Spin until something is so; a failure of the test if it does not become so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, 'waited in vain'
        executor.spin_once(timeout_sec=0.05)


def call(executor: Executor, client: Any, request: Any) -> Any:
    """Call a service; returns its answer."""
    spin_until(executor, client.service_is_ready)
    future = client.call_async(request)
    spin_until(executor, future.done)
    return future.result()


def check_log(log: Path) -> str:
    """Nobody wants to read a trace."""
    text = log.read_text()
    assert 'Traceback' not in text, text
    return text
