# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One writer at a time; readers keep the state they have opened."""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import threading
import time

import pytest
from synthetic_maps import make_posed

from relloc_ros.config import MapConfig
from relloc_ros.errors import MapError
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map
from relloc_ros.map.editing import add_images, remove_images
from relloc_ros.map.format import Generation
from relloc_ros.map.locks import is_held, reading, writing
from relloc_ros.map.publication import new_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.triangulation import triangulate_map

CONFIG = MapConfig(max_keypoints=50, vlad_clusters=4)


@pytest.fixture
def posed(tmp_path):
    return make_posed(tmp_path / 'images', 5)


@pytest.fixture
def path(tmp_path, posed):
    return build_map(posed[:4], tmp_path / 'map', CONFIG)


def generations(path):
    return sorted(folder.name for folder in (path / 'generations').iterdir())


class TestWriters:
    @pytest.mark.parametrize(
        'change',
        [
            lambda path, posed: add_images(path, posed[4:]),
            lambda path, posed: remove_images(path, [posed[0].name]),
            lambda path, posed: build_map(posed, path, CONFIG, overwrite=True),
            lambda path, posed: triangulate_map(path),
        ],
        ids=['add', 'remove', 'build', 'triangulate'],
    )
    def test_the_second_is_told_who_is_first(self, path, posed, change):
        before = generations(path)
        with (
            writing(path),
            pytest.raises(MapError, match=rf'being changed by process {os.getpid()} on .* since'),
        ):
            change(path, posed)
        assert generations(path) == before
        assert check_map(path) == []

    def test_the_second_waits_as_long_as_it_is_told(self, path, posed):
        entered, leave = threading.Event(), threading.Event()

        def hold():
            with writing(path):
                entered.set()
                leave.wait(60)

        first = threading.Thread(target=hold)
        first.start()
        assert entered.wait(60)
        start = time.monotonic()
        with pytest.raises(MapError, match='being changed'):
            remove_images(path, [posed[0].name], wait=0.3)
        assert time.monotonic() - start >= 0.3
        threading.Timer(0.3, leave.set).start()
        assert remove_images(path, [posed[0].name], wait=60) == 3
        first.join(60)

    def test_two_changes_at_once_are_both_made(self, path, posed):
        changes = [
            threading.Thread(target=add_images, args=(path, posed[4:]), kwargs={'wait': 60}),
            threading.Thread(
                target=remove_images,
                args=(
                    path,
                    [posed[0].name],
                ),
                kwargs={'wait': 60},
            ),
        ]
        for change in changes:
            change.start()
        for change in changes:
            change.join(60)
        with ReferenceMap.open(path) as reference_map:
            assert set(reference_map.image_names) == {image.name for image in posed[1:]}
        assert check_map(path) == []

    def test_nobody_is_named_when_nobody_writes(self, path):
        with writing(path):
            assert str(os.getpid()) in (path / 'writer.lock').read_text()
        assert (path / 'writer.lock').read_text() == ''

    def test_two_builds_of_one_new_map(self, posed, tmp_path):
        with (
            pytest.raises(MapError, match='made by another process meanwhile'),
            new_generation(tmp_path / 'other', overwrite=False),
        ):
            build_map(posed[:3], tmp_path / 'other', CONFIG)
        assert check_map(tmp_path / 'other') == []
        assert not list(tmp_path.glob('.other*'))


class TestReaders:
    def test_who_has_a_map_open_keeps_it(self, path, posed):
        with ReferenceMap.open(path) as old:
            before = old.map_id
            remove_images(path, [posed[3].name])
            add_images(path, posed[4:])
            assert generations(path) == ['000001', '000003']
            assert old.map_id == before
            assert old.num_images == 4
            assert len(old.features(3)) > 0
            assert old.thumbnail(3) is not None
        remove_images(path, [posed[0].name])
        assert generations(path) == ['000004']

    def test_several_states_are_kept(self, path, posed):
        with ReferenceMap.open(path), reading(path) as first:
            remove_images(path, [posed[3].name])
            with reading(path) as second:
                remove_images(path, [posed[2].name])
                assert is_held(first)
                assert is_held(second)
        assert not is_held(first)

    def test_a_map_opens_while_it_is_changed(self, path, posed):
        problems = []
        done = threading.Event()

        def read():
            while not done.is_set():
                try:
                    with ReferenceMap.open(path) as reference_map:
                        for index in range(reference_map.num_images):
                            assert len(reference_map.features(index)) > 0
                            assert reference_map.thumbnail(index) is not None
                except Exception as error:
                    problems.append(error)
                    return

        reader = threading.Thread(target=read)
        reader.start()
        for _ in range(5):
            add_images(path, posed[4:])
            remove_images(path, [posed[4].name])
        done.set()
        reader.join(60)
        assert problems == []

    def test_read_only_maps_open(self, path, monkeypatch):
        def refuse(file, kind):
            raise OSError(37, 'No locks available')

        monkeypatch.setattr('fcntl.flock', refuse)
        with ReferenceMap.open(path) as reference_map:
            assert reference_map.num_images == 4


def test_what_was_never_finished_is_not_held(tmp_path):
    assert not is_held(Generation(tmp_path / 'nothing'))


def test_copies_are_maps_of_their_own(path, posed, tmp_path):
    copy = Path(shutil.copytree(path, tmp_path / 'copy', symlinks=True))
    with writing(path):
        assert remove_images(copy, [posed[0].name]) == 3
    with ReferenceMap.open(path) as reference_map:
        assert reference_map.num_images == 4
