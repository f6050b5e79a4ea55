# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Killed at 200 moments while a process changes it, a map is as before or as after."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from rendered_room import look, render

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map
from relloc_ros.map.editing import add_images, remove_images
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage
from relloc_ros.map.triangulation import triangulate_map

CAMERA = Camera('PINHOLE', 160, 120, (130.0, 130.0, 80.0, 60.0))
CONFIG = MapConfig(max_keypoints=150, vlad_clusters=2)
KILLS = 100
"""By each of the two edits; half of them at a random step, half at a random time."""

STEPS = (
    'open',
    'os.link',
    'os.mkdir',
    'os.remove',
    'os.rename',
    'os.rmdir',
    'os.symlink',
    'os.truncate',
    'sqlite3.connect',
)
"""Audit events of what changes files, and of what reads them."""

SCRIPT = """
import sys
from test_map_crashes import die_again_and_again
die_again_and_again(*sys.argv[1:])
"""


def views(folder):
    """Pose five small images of a wall."""
    poses = [look((0.3 * i - 0.6, 0.05 * i**2, -1.5), 5.0 * i) for i in range(5)]
    return [
        PosedImage(f'{i}.png', folder / f'{i}.png', CAMERA, pose.inverse(), 10**9 + i)
        for i, pose in enumerate(poses)
    ]


def edit(kind, path, images):
    """Change a map by one image."""
    if kind == 'add':
        add_images(path, views(images)[4:])
    else:
        remove_images(path, ['1.png'])


class Edit:
    """A process that edits a map and dies on the way."""

    def __init__(self, kind, path, images):
        self.kind, self.path, self.images = kind, path, images

    def run(self, die_at=None, die_after=None):
        """Fork it; gives its exit code, its steps and seconds if it comes to its end."""
        # What is buffered would be written twice.
        sys.stdout.flush()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            self._be_the_child(writer, die_at, die_after)
        os.close(writer)
        with open(reader) as pipe:
            told = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code, json.loads(told or 'null')

    def _be_the_child(self, writer, die_at, die_after):
        import time

        steps, start = 0, None

        def step(event='os.fsync', arguments=()):
            nonlocal steps, start
            if event != 'os.fsync' and event not in STEPS:
                return
            if start is None:
                # The first of all makes the folder of the new generation, or takes the lock.
                start = time.perf_counter()
                if die_after is not None:
                    # Without a handler the kernel ends the process, in the midst of C++, too.
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                    signal.setitimer(signal.ITIMER_REAL, die_after)
            steps += 1
            if steps == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

        # What was written survives a killed process without it, and this takes most of the time.
        os.fsync = lambda descriptor: step()
        try:
            sys.addaudithook(step)
            edit(self.kind, self.path, self.images)
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.write(writer, json.dumps([steps, time.perf_counter() - start]).encode())
            os._exit(0)
        finally:
            os._exit(1)


def written_bytes(path):
    """Count what a dead process has left in a generation that is not shown."""
    shown = (path / 'current').resolve()
    return sum(
        file.stat().st_size
        for folder in (path / 'generations').iterdir()
        if folder != shown
        for file in folder.rglob('*')
        if file.is_file()
    )


def die_again_and_again(kind, pristine, scratch, images):
    """Kill the edit again and again and print, a line each, how it ended and what the map is."""
    import shutil

    cv2.setNumThreads(1)
    pristine, path, images = Path(pristine), Path(scratch), Path(images)
    edits = Edit(kind, path, images)
    shutil.copytree(pristine, path, symlinks=True)
    code, (steps, seconds) = edits.run()
    after = state_of(path)
    sys.stdout.write(json.dumps([code, after, 0]) + '\n')
    rng = np.random.default_rng(5)
    dead = 0
    while dead < KILLS:
        if state_of(path) == after:
            shutil.rmtree(path)
            shutil.copytree(pristine, path, symlinks=True)
        if dead % 2:
            kill = {'die_at': int(rng.integers(1, steps + 1))}
        else:
            kill = {'die_after': float(rng.uniform(0.0, seconds)) + 1e-6}
        code, ended = edits.run(**kill)
        if code == 0:
            # Quicker than the first time, when nothing was in the machine's memory.
            seconds = min(seconds, ended[1])
        else:
            dead += 1
            state = state_of(path)
            sys.stdout.write(json.dumps([code, state, written_bytes(path)]) + '\n')


def state_of(path):
    """Open a map and check it; gives its name and its problems."""
    with ReferenceMap.open(path) as reference_map:
        return [reference_map.map_id, check_map(path)]


@pytest.fixture(scope='module')
def wall_map(tmp_path_factory):
    """Build and triangulate a map of four of the five images."""
    folder = tmp_path_factory.mktemp('wall')
    posed = views(folder / 'images')
    (folder / 'images').mkdir()
    for image in posed:
        cv2.imwrite(str(image.path), render(image.cam_from_map.inverse(), CAMERA))
    path = build_map(posed[:4], folder / 'map', CONFIG)
    triangulate_map(path)
    return path


@pytest.mark.parametrize('kind', ['add', 'remove'])
def test_killed_at_any_moment(wall_map, tmp_path, kind):
    path, images = tmp_path / 'map', wall_map.parent / 'images'
    root = Path(__file__).parent
    ended = subprocess.run(
        [sys.executable, '-c', SCRIPT, kind, wall_map, path, images],
        env={
            **os.environ,
            'PYTHONPATH': f'{root.parent}{os.pathsep}{root}',
            'OMP_NUM_THREADS': '1',
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    (code, after, _), *kills = [json.loads(line) for line in ended.stdout.splitlines()]
    before = state_of(wall_map)
    assert code == 0
    assert before[1] == after[1] == []
    assert before[0] != after[0]
    assert len(kills) == KILLS
    assert {code for code, _, _ in kills} == {-signal.SIGKILL, -signal.SIGALRM}
    assert all(state in (before, after) for _, state, _ in kills)
    written = [count for _, _, count in kills if count > 0]
    assert len(written) >= 20
    # Spread over the whole write.
    assert len(set(written)) > 10
    assert {state[0] for _, state, _ in kills} == {before[0], after[0]}

    if state_of(path) == after:
        remove_images(path, ['2.png'])
    else:
        edit(kind, path, images)
    shown = (path / 'current').resolve()
    assert list((path / 'generations').iterdir()) == [shown]
    assert written_bytes(path) == 0
    assert not list(path.glob('.*'))
    assert check_map(path) == []
