# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

MEASURE = """
import resource
import numpy as np
from relloc_ros.allocation import keep_freed_memory
{call}
def use():
    arrays = [np.ones(400_000) for _ in range(10)]
for _ in range(3):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(call: str) -> int:
    """Count the pages the system gives a process that uses 30 MiB 20 times."""
    program = MEASURE.format(call=call)
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=True, timeout=120
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='mallopt is of glibc')
def test_freed_memory_is_used_again_and_not_asked_for_again():
    assert page_faults('keep_freed_memory()') < 100 < page_faults('')
