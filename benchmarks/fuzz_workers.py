# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Plays cases in processes that may die or hang; each case that does is named."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
import faulthandler
import logging
import multiprocessing
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
import os
from pathlib import Path
import resource
import tempfile
import time
from typing import Any

import cv2
from fuzz_kinds import KINDS
from fuzz_world import Case, Outcome, Stage, World

__all__ = ['play_cases']

START_S = 600.0
"""Until a process has opened its map, on a busy machine."""
HALF = 1000
"""Characters of the beginning and of the end of what a process said of a case."""
LOOK_S = 0.5


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    log: Path
    started: float
    case: Case | None = None

    def is_late(self, limit_s: float) -> bool:
        """Tell whether the case, or the start, takes too long."""
        passed = time.monotonic() - self.started
        return passed > (START_S if self.case is None else limit_s * slowness())

    def last_words(self) -> str:
        text = self.log.read_text('utf-8', 'replace')
        return text if len(text) <= 2 * HALF else f'{text[:HALF]} ... {text[-HALF:]}'


def play_cases(
    cases: Sequence[Case], stage: Stage, processes: int, limit_s: float
) -> Iterator[tuple[Case, Outcome]]:
    """Play cases as they come; their outcomes come in any order.

    Args:
        cases: to play.
        stage: what they are played on.
        processes: how many play at a time.
        limit_s: a case that takes longer hangs, and its process is ended: of processor time, or
            on the clock, where the load of the machine is allowed for.
    """
    context = multiprocessing.get_context('spawn')
    left, kinds = deque(cases), {case.kind for case in cases}
    with tempfile.TemporaryDirectory() as folder:
        workers: list[_Worker] = []
        try:
            while left or any(worker.case is not None for worker in workers):
                missing = min(processes - len(workers), len(left))
                workers += [
                    _start(context, stage, kinds, Path(folder), limit_s) for _ in range(missing)
                ]
                yield from _step(workers, left, limit_s)
        finally:
            for worker in workers:
                _end(worker)


def _start(context: Any, stage: Stage, kinds: set[str], folder: Path, limit_s: float) -> _Worker:
    ours, theirs = context.Pipe()
    number, log = tempfile.mkstemp(dir=folder, text=True)
    os.close(number)
    process = context.Process(target=_work, args=(theirs, stage, kinds, log, limit_s), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours, Path(log), time.monotonic())


def _step(
    workers: list[_Worker], left: deque[Case], limit_s: float
) -> Iterator[tuple[Case, Outcome]]:
    """Wait for something to happen, and hand out what is next."""
    wait([worker.pipe for worker in workers], LOOK_S)
    for worker in list(workers):
        outcome = _outcome(worker, limit_s)
        if outcome is None:
            continue
        case, worker.case = worker.case, None
        if case is not None:
            yield case, outcome
        elif outcome.verdict != 'ready':
            raise RuntimeError(f'a process does not start: {outcome.detail}')
        if outcome.verdict in ('hang', 'memory') or not worker.process.is_alive():
            workers.remove(worker)
            _end(worker)
        elif left:
            worker.case = left.popleft()
            worker.started = time.monotonic()
            worker.pipe.send(worker.case)
        else:
            worker.started = float('inf')


def _outcome(worker: _Worker, limit_s: float) -> Outcome | None:
    """Say what became of the case a worker has, None as long as it plays."""
    if worker.pipe.poll():
        try:
            found: Outcome = worker.pipe.recv()
        except (EOFError, ConnectionError):
            worker.process.join()
            status = worker.process.exitcode
            return Outcome('crash', f'the process ended with {status}: {worker.last_words()}')
        return found
    if worker.is_late(limit_s):
        return Outcome('hang', worker.last_words(), time.monotonic() - worker.started)
    return None


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _work(pipe: Connection, stage: Stage, kinds: set[str], log: str, limit_s: float) -> None:
    """Play what comes; runs in a process of its own."""
    with Path(log).open('w', encoding='utf-8') as file:
        # Decoders write about each damaged image there.
        os.dup2(file.fileno(), 2)
        faulthandler.enable(file)
        logging.disable()
        cv2.setNumThreads(1)
        with World(stage) as world:
            world.intact(0)
            for prepare in {KINDS[kind].prepare for kind in kinds}:
                if prepare is not None:
                    prepare(world)
            allowed = _peak() + stage.memory
            pipe.send(Outcome('ready'))
            while True:
                case: Case = pipe.recv()
                # What was said before is about other cases.
                os.ftruncate(2, 0)
                os.lseek(2, 0, os.SEEK_SET)
                faulthandler.dump_traceback_later(0.9 * limit_s, file=file)
                busy_s = time.process_time()
                outcome = world.play(case, KINDS[case.kind])
                faulthandler.cancel_dump_traceback_later()
                busy_s = time.process_time() - busy_s
                outcome = replace(outcome, cpu_seconds=busy_s)
                if max(busy_s, outcome.seconds / slowness()) > limit_s:
                    text = f'{outcome.verdict}, but late: {outcome.detail}'
                    outcome = replace(outcome, verdict='hang', detail=text)
                if _peak() > allowed:
                    text = f'{_peak() / 2**20:.0f} MiB; {outcome.verdict}: {outcome.detail}'
                    outcome = Outcome('memory', text, outcome.seconds)
                pipe.send(outcome)


def slowness() -> float:
    """By which a machine that has other work to do takes longer; 1 for one that has not.

    Two processes on two cores are a load of two. What waits for a core may get it late by as many
    times as others want it, and once more for each that is favoured.
    """
    return max(1.0, 2.0 * os.getloadavg()[0] / (os.cpu_count() or 1) - 1.0)


def _peak() -> int:
    """Bytes that this process had at most; `resource` would count those of its parent, too."""
    status = Path('/proc/self/status')
    if not status.exists():
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = (line.split() for line in status.read_text().splitlines())
    return 1024 * next(int(words[1]) for words in lines if words[0] == 'VmHWM:')
