# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Log messages of the core on the ROS logger."""

from __future__ import annotations

import logging

import rclpy
from rclpy.impl.rcutils_logger import RcutilsLogger

__all__ = ['LogRelay']

CORE = 'relloc_ros'


class LogRelay(logging.Handler):
    """Hands what the core logs to a node's logger, which decides what is shown."""

    def __init__(self, ros_logger: RcutilsLogger) -> None:
        """Take the node's logger."""
        super().__init__()
        self._ros_logger = ros_logger

    def install(self) -> None:
        """Begin."""
        logger = logging.getLogger(CORE)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self)

    def remove(self) -> None:
        """End."""
        logging.getLogger(CORE).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        if not rclpy.ok():
            return
        text = self.format(record)
        # One line each: rclpy refuses two severities from one line of code.
        if record.levelno >= logging.ERROR:
            self._ros_logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._ros_logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._ros_logger.info(text)
        else:
            self._ros_logger.debug(text)
