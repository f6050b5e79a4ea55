# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps are built completely or not at all."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import fcntl
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pycolmap
import pytest
from synthetic_maps import FISHEYE, PINHOLE, make_posed
import yaml

from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError, MapError
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.vision.features import extract_features

CONFIG = MapConfig(max_keypoints=50, vlad_clusters=4)

CRASHING_BUILDS = """
import json, os, shutil, signal, sys
from pathlib import Path
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map
from relloc_ros.map.reference_map import ReferenceMap
from synthetic_maps import make_posed
from test_builder import CONFIG

posed, output, mode = make_posed(Path(sys.argv[1]), 3), Path(sys.argv[2]), sys.argv[3]
STEPS = ('os.mkdir', 'os.rename', 'os.symlink', 'os.remove', 'os.rmdir', 'sqlite3.connect')

def build_and_die_at(step):
    done = 0
    def count(event, arguments):
        nonlocal done
        if event not in STEPS:
            return
        done += 1
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    build_map(posed, output, CONFIG, overwrite=mode == 'overwrite')
    os._exit(0)

states = []
for step in range(1, 200):
    unused = set(output.glob('generations/*')) - {(output / 'current').resolve()}
    for left in [*output.parent.glob('.map.building-*'), *unused]:
        shutil.rmtree(left)
    child = os.fork()
    if child == 0:
        build_and_die_at(step)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    shown = (ReferenceMap.open(output).map_id, check_map(output)) if output.exists() else None
    print(json.dumps([ended, shown]), flush=True)
    states.append(shown)
    if states.count(shown) == 4 and shown != states[0] or mode == 'fresh' and shown:
        break
"""


def crashing_builds(folder: Path, output: Path, mode: str) -> list[Any]:
    """Build again and again, with SIGKILL at one step later each time.

    A step is a change of the file system. Returns exit code and map of each.
    """
    root = Path(__file__).parent
    environment = {**os.environ, 'PYTHONPATH': f'{root.parent}{os.pathsep}{root}'}
    ended = subprocess.run(
        [sys.executable, '-c', CRASHING_BUILDS, folder, output, mode],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
def posed(tmp_path: Path) -> list[PosedImage]:
    """Three posed images."""
    return make_posed(tmp_path / 'images', 3)


def test_colmap_opens_a_map(tmp_path: Path, posed: list[PosedImage]) -> None:
    output = build_map(posed, tmp_path / 'map', CONFIG)
    model = pycolmap.Reconstruction(output / 'sparse')
    assert model.num_reg_images() == 3
    with pycolmap.Database.open(output / 'database.db') as database:
        for image in posed:
            expected = extract_features(read_image(image), CONFIG.max_keypoints)
            image_id = database.read_image_with_name(image.name).image_id
            keypoints = database.read_keypoints(image_id)
            assert 0 < len(keypoints) <= CONFIG.max_keypoints
            np.testing.assert_array_equal(keypoints, expected.points2D.astype(np.float32))
            descriptors = database.read_descriptors(image_id).data
            np.testing.assert_array_equal(descriptors, expected.descriptors)
            registered = model.find_image_with_name(image.name)
            assert registered is not None
            assert registered.image_id == image_id
            np.testing.assert_allclose(
                registered.cam_from_world().matrix(), image.cam_from_map.matrix[:3], atol=1e-12
            )
        assert database.num_frames() == 3
        assert database.num_rigs() == 1
    assert check_map(output) == []


def test_manifest(tmp_path: Path, posed: list[PosedImage]) -> None:
    output = build_map(posed, tmp_path / 'map', CONFIG, source='here', units='units')
    manifest = yaml.safe_load((output / 'map.yaml').read_text())
    assert manifest['format_version'] == 1
    assert (manifest['source'], manifest['units'], manifest['frame_id']) == (
        'here',
        'units',
        'map',
    )
    assert manifest['num_images'] == 3
    assert manifest['config']['max_keypoints'] == 50


def test_same_input_same_map(tmp_path: Path, posed: list[PosedImage]) -> None:
    first = ReferenceMap.open(build_map(posed, tmp_path / 'first', CONFIG))
    second = ReferenceMap.open(build_map(posed, tmp_path / 'second', CONFIG))
    other = ReferenceMap.open(build_map(posed[:2], tmp_path / 'other', CONFIG))
    assert first.map_id == second.map_id != other.map_id


def test_progress(tmp_path: Path, posed: list[PosedImage]) -> None:
    calls: list[tuple[int, int, str]] = []
    build_map(posed, tmp_path / 'map', CONFIG, progress=lambda *call: calls.append(call))
    assert calls == [
        *[(done, 6, 'vocabulary') for done in range(1, 7)],
        *[(done, 3, 'features') for done in range(1, 4)],
    ]


def test_cameras_are_shared(tmp_path: Path, posed: list[PosedImage]) -> None:
    (fisheye,) = make_posed(tmp_path / 'other', 1, FISHEYE)
    fisheye = dataclasses.replace(fisheye, name='fisheye.png')
    reference_map = ReferenceMap.open(build_map([*posed, fisheye], tmp_path / 'map', CONFIG))
    assert reference_map.cameras == {1: PINHOLE, 2: FISHEYE}
    assert reference_map.camera(3) == FISHEYE
    assert check_map(tmp_path / 'map') == []


def test_given_vocabulary(tmp_path: Path, posed: list[PosedImage]) -> None:
    first = build_map(posed, tmp_path / 'first', CONFIG)
    vocabulary = first / 'current' / 'vocabulary.npz'
    stages = set()
    second = build_map(
        posed[:1],
        tmp_path / 'second',
        CONFIG,
        vocabulary=vocabulary,
        progress=lambda done, total, stage: stages.add(stage),
    )
    assert stages == {'features'}
    image = read_image(posed[0])
    np.testing.assert_array_equal(
        ReferenceMap.open(first).describe(image), ReferenceMap.open(second).describe(image)
    )
    with pytest.raises(DataError, match='cannot read vocabulary'):
        build_map(posed, tmp_path / 'third', CONFIG, vocabulary=tmp_path / 'missing.npz')


def test_image_without_features(tmp_path: Path, posed: list[PosedImage]) -> None:
    cv2.imwrite(str(posed[1].path), np.zeros((90, 120, 3), np.uint8))
    reference_map = ReferenceMap.open(build_map(posed, tmp_path / 'map', CONFIG))
    assert len(reference_map.features(1)) == 0
    assert reference_map.features(1).descriptors.shape == (0, 128)
    assert check_map(tmp_path / 'map') == []


def only(tmp_path: Path, *names: str) -> bool:
    """Tell whether a folder holds just these."""
    return sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_existing_output_is_kept(tmp_path: Path, posed: list[PosedImage]) -> None:
    output = build_map(posed, tmp_path / 'map', CONFIG)
    map_id = ReferenceMap.open(output).map_id
    with pytest.raises(MapError, match=r'exists: choose another output, or .* --overwrite'):
        build_map(posed[:2], output, CONFIG)
    assert ReferenceMap.open(output).map_id == map_id


@pytest.mark.parametrize('kind', ['folder', 'file', 'dangling'])
def test_only_maps_are_overwritten(tmp_path: Path, posed: list[PosedImage], kind: str) -> None:
    output = tmp_path / 'precious'
    if kind == 'folder':
        output.mkdir()
        (output / 'thesis.tex').write_text('text')
    elif kind == 'file':
        output.write_text('text')
    else:
        output.symlink_to(tmp_path / 'nowhere')
    with pytest.raises(MapError, match='is not a map, so it is not overwritten'):
        build_map(posed, output, CONFIG, overwrite=True)
    assert kind != 'folder' or (output / 'thesis.tex').read_text() == 'text'
    assert only(tmp_path, 'precious', 'images')


def test_overwrite(tmp_path: Path, posed: list[PosedImage]) -> None:
    output = tmp_path / 'deep' / 'map'
    build_map(posed, output, CONFIG, overwrite=True)
    old = ReferenceMap.open(output)
    (tmp_path / 'link').symlink_to(output)
    build_map(posed[:2], tmp_path / 'link', CONFIG, overwrite=True)
    assert ReferenceMap.open(output).num_images == 2
    assert check_map(output) == []
    assert only(output.parent, 'map')
    # Who had it open still reads the old one, which goes when nobody does.
    assert len(old.features(2)) > 0
    assert old.thumbnail(2) is not None
    assert only(output / 'generations', '000001', '000002')
    old.close()
    build_map(posed, output, CONFIG, overwrite=True)
    assert only(output / 'generations', '000003')


def broken(posed: Sequence[PosedImage], kind: str) -> list[PosedImage]:
    """Spoil the last image."""
    *others, last = posed
    if kind == 'missing':
        last.path.unlink()
    elif kind == 'text':
        last.path.write_text('text')
    elif kind == 'size':
        cv2.imwrite(str(last.path), np.zeros((45, 60, 3), np.uint8))
    elif kind == 'twice':
        last = others[0]
    elif kind == 'name':
        last = dataclasses.replace(last, name='two\nlines')
    elif kind == 'none':
        return []
    return [*others, last]


@pytest.mark.parametrize(
    ('kind', 'message'),
    [
        ('missing', 'cannot decode image .*image 2.png'),
        ('text', 'cannot decode image .*image 2.png'),
        ('size', 'image 2.png is 60x45 pixels, its camera 120x90'),
        ('twice', 'more than once'),
        ('name', r"'two\\nlines' cannot be used"),
        ('none', 'no images'),
    ],
)
@pytest.mark.parametrize('exists', [False, True])
def test_bad_images_leave_nothing(
    tmp_path: Path, posed: list[PosedImage], kind: str, message: str, exists: bool
) -> None:
    output = tmp_path / 'map'
    if exists:
        map_id = ReferenceMap.open(build_map(posed, output, CONFIG)).map_id
    with pytest.raises(DataError, match=message):
        build_map(broken(posed, kind), output, CONFIG, overwrite=True)
    assert only(tmp_path, 'images', *(['map'] if exists else []))
    if exists:
        assert ReferenceMap.open(output).map_id == map_id
        assert check_map(output) == []


def test_unwritable_place(tmp_path: Path, posed: list[PosedImage]) -> None:
    (tmp_path / 'file').write_text('text')
    with pytest.raises(MapError, match='cannot write map'):
        build_map(posed, tmp_path / 'file' / 'map', CONFIG)


@pytest.mark.parametrize('mode', ['fresh', 'overwrite'])
def test_killed_at_any_step(tmp_path: Path, mode: str) -> None:
    output = tmp_path / 'map'
    posed = make_posed(tmp_path / 'images', 3)
    old = None
    if mode == 'overwrite':
        old = [ReferenceMap.open(build_map(posed[:2], output, CONFIG)).map_id, []]
    new_id = ReferenceMap.open(build_map(posed, tmp_path / 'new', CONFIG)).map_id
    builds = crashing_builds(tmp_path / 'images', output, mode)
    # Nothing or the old map, then the new one, and never a problem in it.
    shown = [state for _, state in builds]
    appeared = shown.index([new_id, []])
    assert appeared > 10
    assert shown == [old] * appeared + [[new_id, []]] * (len(shown) - appeared)
    assert {code for code, _ in builds} == {-signal.SIGKILL}


def test_next_build_cleans_up(tmp_path: Path, posed: list[PosedImage]) -> None:
    dead = tmp_path / '.map.building-dead'
    (dead / 'generations').mkdir(parents=True)
    (dead / 'lock').touch()
    alive = tmp_path / '.map.building-alive'
    alive.mkdir()
    with (alive / 'lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        build_map(posed, tmp_path / 'map', CONFIG)
    assert only(tmp_path, 'images', 'map', alive.name)
