# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Work shared among processes gives what one process gives, whatever becomes of the workers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rendered_room import look, write_views

distributed = pytest.importorskip('distributed', reason='worker processes need the extra scale')
pytest.importorskip('cryptography', reason='worker processes need the extra scale')

from distributed.comm import connect  # noqa: E402
import psutil  # noqa: E402  comes with distributed

from relloc_ros import dask_pool  # noqa: E402
from relloc_ros.config import MapConfig  # noqa: E402
from relloc_ros.dask_pool import local_workers, scheduled_workers  # noqa: E402
from relloc_ros.errors import DataError, MapError, WorkerError  # noqa: E402
from relloc_ros.evaluation.queries import FolderQueries  # noqa: E402
from relloc_ros.evaluation.run import evaluate  # noqa: E402
from relloc_ros.map.builder import build_map  # noqa: E402
from relloc_ros.map.check import check_map  # noqa: E402
from relloc_ros.map.format import Manifest, current_generation  # noqa: E402
from relloc_ros.map.reference_map import ReferenceMap  # noqa: E402
from relloc_ros.map.same_map import open_same  # noqa: E402
from relloc_ros.map.triangulation import triangulate_map  # noqa: E402
from relloc_ros.parallel import Task  # noqa: E402
from relloc_ros.pipeline import Relocalizer  # noqa: E402

CONFIG = MapConfig(max_keypoints=600, vlad_clusters=4)
EXAMPLE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
LONG_S = 120.0


def make_tools():
    return os.getpid()


def where(tools, item):
    assert tools == os.getpid()
    return item, tools


def refuse(tools, item):
    if item >= 3:
        raise DataError(f'item {item}')
    return item


def die(tools, item):
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def wait_until(condition):
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def worker_processes(parent):
    """Give the processes that a process has started to work, not those that look after them."""
    try:
        children = psutil.Process(parent).children(recursive=True)
        return [child for child in children if 'spawn_main' in ' '.join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def is_alive(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture(scope='module')
def pool():
    with local_workers(2) as tasks:
        yield tasks


@pytest.fixture(scope='module')
def cluster():
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address='127.0.0.1:0'
    ) as cluster:
        yield cluster


@pytest.fixture(scope='module')
def posed(tmp_path_factory):
    folder = tmp_path_factory.mktemp('room')
    poses = [look((0.25 * i - 1.0, 0.05 * i**2 - 0.5, -1.5), 25 - 4 * i) for i in range(9)]
    return write_views(folder, poses)


@pytest.fixture(scope='module')
def plain_map(posed, tmp_path_factory):
    return build_map(posed, tmp_path_factory.mktemp('plain') / 'map', CONFIG)


def content(path):
    """All that a map is made of."""
    generation = current_generation(path)
    manifest = Manifest.read(generation.manifest)
    pictures = {file.name: file.read_bytes() for file in generation.thumbnails.iterdir()}
    return manifest.map_id, dict(manifest.checksums), pictures


def copy_of(path, output):
    shutil.copytree(path, output, symlinks=True)
    return output


def test_order_processes_and_tools(pool):
    assert pool.parallelism() == 2
    results = list(pool.map(Task(where, None, make_tools), range(40)))
    assert [item for item, _ in results] == list(range(40))
    workers = {worker for _, worker in results}
    assert len(workers) == 2
    assert os.getpid() not in workers


def test_strangers_cannot_send_tasks(pool):
    address = pool._client.scheduler.address
    assert address.startswith('tls://127.0.0.1:')

    # Not by clients: one that fails may be collected while another one starts, and both then wait
    # for each other.
    async def reach(other, arguments):
        (await connect(other, timeout=5.0, **arguments)).abort()

    asyncio.run(reach(address, pool._client.security.get_connection_args('client')))
    own_keys = distributed.Security.temporary().get_connection_args('client')
    for other, arguments in ((address, own_keys), (address.replace('tls:', 'tcp:'), {})):
        with pytest.raises(OSError):  # noqa: PT011  handshakes fail in several ways
            asyncio.run(reach(other, arguments))


def test_errors_of_tasks_are_ours_and_not_tried_again(pool):
    results = pool.map(Task(refuse, None, make_tools), range(9))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match='item 3'):
        next(results)


def test_build_is_the_same(pool, posed, plain_map, tmp_path):
    calls = []
    shared = build_map(
        posed, tmp_path / 'map', CONFIG, pool=pool, progress=lambda *call: calls.append(call)
    )
    assert content(shared) == content(plain_map)
    assert calls[-9:] == [(done, 9, 'features') for done in range(1, 10)]
    assert check_map(shared) == []


def test_triangulation_is_the_same(pool, plain_map, tmp_path):
    alone, shared = (copy_of(plain_map, tmp_path / name) for name in ('alone', 'shared'))
    count = triangulate_map(alone)
    assert triangulate_map(shared, pool=pool) == count > 100
    assert content(alone) == content(shared)
    assert 'points' in content(shared)[1]
    model = current_generation(shared).sparse / 'points3D.bin'
    assert model.read_bytes() == (current_generation(alone).sparse / model.name).read_bytes()


def test_evaluation_is_the_same(pool, posed, plain_map, tmp_path):
    poses = [look((0.1 * i - 0.6, 0.1, -1.4), 20 - 3 * i) for i in range(5)]
    views = [replace(view, name=f'query {view.name}') for view in write_views(tmp_path, poses)]
    queries = FolderQueries([*views, posed[0]])
    with ReferenceMap.open(plain_map) as reference_map:
        relocalizer = Relocalizer(reference_map)
        alone = evaluate(queries, relocalizer)
        shared = evaluate(queries, relocalizer, pool=pool)
    assert alone.left_out == shared.left_out != ()
    assert [a.name for a in alone.outcomes] == [b.name for b in shared.outcomes]
    assert all(outcome.localized for outcome in alone.outcomes)
    for one, other in zip(alone.outcomes, shared.outcomes, strict=True):
        assert one.estimate.to_dict() == other.estimate.to_dict()
        assert (one.num_inliers, one.retrieved) == (other.num_inliers, other.retrieved)
        assert one.error == other.error


def test_unusable_images_are_named(pool, posed, tmp_path):
    images = write_views(tmp_path, [look((0.0, 0.0, -1.5)), look((0.3, 0.0, -1.5))])
    vocabulary = current_generation(build_map(posed[:2], tmp_path / 'other', CONFIG)).vocabulary
    images[1].path.write_text('text')
    with pytest.raises(DataError, match=r'cannot decode image .*01\.png'):
        build_map(images, tmp_path / 'map', CONFIG, vocabulary=vocabulary, pool=pool)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['00.png', '01.png', 'other']


def test_a_dead_worker_is_replaced(pool, posed, plain_map, tmp_path):
    killed = []

    def kill(done, total, stage):
        if stage == 'features' and done == 2:
            victim = worker_processes(os.getpid())[0]
            victim.kill()
            killed.append(victim.pid)

    shared = build_map(posed, tmp_path / 'map', CONFIG, pool=pool, progress=kill)
    assert content(shared) == content(plain_map)
    assert len(killed) == 1
    wait_until(lambda: pool.parallelism() == 2)
    assert killed[0] not in [process.pid for process in worker_processes(os.getpid())]


def test_a_task_that_kills_its_workers_is_given_up(pool):
    pool._client.cluster.scheduler.allowed_failures = 1
    results = pool.map(Task(die, None, make_tools), range(3))
    assert next(results) == 0
    with pytest.raises(WorkerError, match='2 workers died over one task'):
        next(results)
    wait_until(lambda: pool.parallelism() == 2)


def test_another_map_under_the_same_path(plain_map):
    with ReferenceMap.open(plain_map) as reference_map:
        open_same(plain_map, reference_map.map_id).close()
    with pytest.raises(MapError, match='a worker finds another map'):
        open_same(plain_map, '0123456789ab')


class TestScheduler:
    def test_its_workers_do_the_work(self, cluster, posed, plain_map, tmp_path, monkeypatch):
        # The workers are in another folder than we.
        monkeypatch.chdir(posed[0].path.parent)
        nearby = [replace(image, path=Path(image.path.name)) for image in posed]
        output = Path(os.path.relpath(tmp_path / 'map'))
        with scheduled_workers(cluster.scheduler_address) as pool:
            assert pool.parallelism() == 2
            shared = build_map(nearby, output, CONFIG, pool=pool)
            triangulate_map(shared, pool=pool)
        with ReferenceMap.open(plain_map) as expected, ReferenceMap.open(shared) as found:
            np.testing.assert_array_equal(
                found.features(4).points2D, expected.features(4).points2D
            )
            assert found.points is not None
        assert worker_processes(os.getpid())

    def test_other_versions(self, cluster, monkeypatch):
        monkeypatch.setattr(dask_pool, '__version__', '9.9')
        with (
            pytest.raises(WorkerError, match=r'worker tcp://.* has relloc_ros .*, here 9\.9: '),
            scheduled_workers(cluster.scheduler_address),
        ):
            pass

    def test_no_workers(self):
        with (
            distributed.LocalCluster(n_workers=0, dashboard_address='127.0.0.1:0') as empty,
            pytest.raises(WorkerError, match='has no workers: start some with `dask worker tcp:'),
            scheduled_workers(empty.scheduler_address),
        ):
            pass

    def test_workers_that_go_and_do_not_come_back(self, monkeypatch):
        monkeypatch.setattr(dask_pool, 'PATIENCE_S', 0.5)
        monkeypatch.setattr(dask_pool, 'LOOK_AGAIN_S', 0.2)
        with (
            distributed.LocalCluster(n_workers=1, dashboard_address='127.0.0.1:0') as cluster,
            scheduled_workers(cluster.scheduler_address) as pool,
        ):
            results = pool.map(Task(where, None, make_tools), range(100_000))
            next(results)
            cluster.scale(0)
            with pytest.raises(WorkerError, match='has had no worker for'):
                list(results)

    def test_a_scheduler_that_goes(self):
        with (
            distributed.LocalCluster(n_workers=1, dashboard_address='127.0.0.1:0') as cluster,
            scheduled_workers(cluster.scheduler_address) as pool,
        ):
            results = pool.map(Task(where, None, make_tools), range(100_000))
            next(results)
            cluster.close()
            with pytest.raises(WorkerError, match='the scheduler has gone'):
                list(results)

    @pytest.mark.parametrize('address', ['tcp://127.0.0.1:1', 'nonsense://x', 'tcp://'])
    def test_nobody_there(self, monkeypatch, address):
        monkeypatch.setattr(dask_pool, 'CONNECT_S', 1.0)
        with (
            pytest.raises(WorkerError, match='no scheduler answers at'),
            scheduled_workers(address),
        ):
            pass


@pytest.mark.parametrize(
    ('number', 'to_all', 'code'),
    [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143), (signal.SIGKILL, False, -9)],
    ids=['ctrl-c', 'terminated', 'killed'],
)
def test_a_stopped_build_leaves_no_process_and_no_map(tmp_path, number, to_all, code):
    command = [sys.executable, '-c', 'from relloc_ros.cli.main import main; main()']
    options = ['--output', tmp_path / 'map', '--workers', '2']
    build = subprocess.Popen(
        [*command, 'map', 'build', EXAMPLE, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: list(tmp_path.glob('.map.building-*/generations/*/thumbnails/*')))
    workers = worker_processes(build.pid)
    assert len(workers) == 2
    (os.killpg if to_all else os.kill)(build.pid, number)
    said, _ = build.communicate(timeout=LONG_S)
    assert build.returncode == code
    wait_until(lambda: not any(is_alive(worker) for worker in workers))
    assert not (tmp_path / 'map').exists()
    if number != signal.SIGKILL:
        assert (said, list(tmp_path.iterdir())) == ('', [])
