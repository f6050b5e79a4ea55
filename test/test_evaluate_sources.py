# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`relloc evaluate` takes its queries from any source, with the options that it needs."""

from __future__ import annotations

from collections.abc import Callable
import json
from pathlib import Path

from bag_messages import S, info, pose, tf, write
from data_set_layouts import write_table, write_tum
import pytest
from synthetic_maps import PINHOLE, make_posed

from relloc_ros.bags.messages import camera_info_message, image_message
from relloc_ros.cli.main import main
from relloc_ros.config import MapConfig
from relloc_ros.map.builder import build_map
from relloc_ros.map.sources import PosedImage, read_image

CAMERA = 'PINHOLE,120,90,100,101,60,45'
QUICK = ['--localizer', 'retrieval', '--no-report', '--allow-map-images']
Evaluate = Callable[..., dict[str, object]]


@pytest.fixture(scope='module')
def posed(tmp_path_factory: pytest.TempPathFactory) -> list[PosedImage]:
    return make_posed(tmp_path_factory.mktemp('images'), 5)


@pytest.fixture(scope='module')
def small_map(posed: list[PosedImage], tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = MapConfig(max_keypoints=30, vlad_clusters=8)
    return build_map(posed, tmp_path_factory.mktemp('small') / 'map', config)


@pytest.fixture
def evaluate(small_map: Path, tmp_path: Path) -> Evaluate:
    def run(source: Path, *options: object) -> dict[str, object]:
        output = tmp_path / 'run'
        arguments = ['evaluate', source, '--map', small_map, '--output', output, *QUICK, *options]
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        if caught.value.code:
            return {}
        metrics: dict[str, object] = json.loads((output / 'metrics.json').read_text())
        return metrics

    return run


def test_sequence_that_needs_a_camera(
    evaluate: Evaluate,
    posed: list[PosedImage],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / 'sequence').mkdir()
    write_tum(tmp_path / 'sequence', posed)
    assert not evaluate(tmp_path / 'sequence')
    assert '--camera' in capsys.readouterr().err
    assert evaluate(tmp_path / 'sequence', '--camera', CAMERA)['scored'] == 5
    options = ['--overwrite', '--camera', CAMERA, '--time-offset', 1000]
    assert not evaluate(tmp_path / 'sequence', *options)


def test_format_is_chosen(
    evaluate: Evaluate,
    posed: list[PosedImage],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / 'both').mkdir()
    write_tum(tmp_path / 'both', posed[:3])
    write_table(tmp_path / 'both', posed)
    assert evaluate(tmp_path / 'both', '--format', 'csv')['queries'] == 5
    assert not evaluate(tmp_path / 'both', '--format', 'cvs')
    assert "did you mean 'csv'?" in capsys.readouterr().err


def test_damaged_images_stay_in_the_denominator(
    evaluate: Evaluate, posed: list[PosedImage], tmp_path: Path
) -> None:
    write_table(tmp_path, posed)
    broken = sorted(tmp_path.rglob('*.png'))[2]
    broken.write_bytes(broken.read_bytes()[:500])
    metrics = evaluate(tmp_path)
    assert (metrics['queries'], metrics['scored']) == (5, 5)
    statuses = metrics['statuses']
    assert isinstance(statuses, dict)
    assert statuses['ERROR'] == 1


def write_recording(path: Path, posed: list[PosedImage], clock_s: float, *, calibrated: bool):
    """Write a drive along x with the camera in the base, its stamps behind by an offset."""
    messages = [tf(0.5, 'base_link', 'cam', 0.0, static=True)]
    for second, image in enumerate(posed, start=1):
        stamp_ns = int((second - clock_s) * S)
        if calibrated:
            message = camera_info_message(PINHOLE, stamp_ns, 'cam')
            messages.append(('/cam/camera_info', second * S, message))
        pixels = image_message(read_image(image), stamp_ns, 'cam')
        messages += [pose(second, second), ('/cam/image_raw', second * S, pixels)]
    return write(path, messages)


def test_bag_without_calibration(
    evaluate: Evaluate,
    posed: list[PosedImage],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag = write_recording(tmp_path / 'bag', posed, 0.0, calibrated=False)
    assert not evaluate(bag)
    assert 'give a calibration with --camera' in capsys.readouterr().err
    metrics = evaluate(bag, '--camera', CAMERA)
    assert metrics['scored'] == 5
    statuses = metrics['statuses']
    assert isinstance(statuses, dict)
    assert 'ERROR' not in statuses


def test_bag_with_another_clock(
    evaluate: Evaluate, posed: list[PosedImage], tmp_path: Path
) -> None:
    bag = write_recording(tmp_path / 'bag', posed, 100.0, calibrated=True)
    assert evaluate(bag)['scored'] == 0
    assert evaluate(bag, '--time-offset', 100, '--overwrite')['scored'] == 5


@pytest.mark.parametrize('option', [['--sensor', 'cam0'], ['--list', 'a'], ['--format', 'tum']])
def test_options_of_folders_for_a_bag(
    evaluate: Evaluate,
    posed: list[PosedImage],
    tmp_path: Path,
    option: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bag = write(tmp_path / 'bag', [info(1.0), pose(1.0, 1.0)])
    assert not evaluate(bag, *option)
    said = ' '.join(capsys.readouterr().err.split())
    assert 'for folders' in said or 'not what format tum expects' in said
