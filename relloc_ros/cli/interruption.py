# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Being stopped by Ctrl-C or `kill` is no error: no traceback, the usual exit codes."""

from __future__ import annotations

import signal
import sys
from typing import Any

__all__ = ['EXIT_INTERRUPTED', 'terminate_quietly', 'was_interrupted']

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


def terminate_quietly() -> None:
    """End cleanly on SIGTERM; to be called after pycolmap, whose import installs a handler."""
    signal.signal(signal.SIGTERM, _exit)


def was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an exception: extension modules turn it into errors of theirs."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _exit(signal_number: int, frame: Any) -> None:
    sys.exit(EXIT_TERMINATED)
