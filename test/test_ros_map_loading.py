# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node refuses to be configured with."""

from __future__ import annotations

from pathlib import Path
import shutil

import pytest
from synthetic_maps import make_posed

from relloc_ros.config import LocalizationConfig, MapConfig, NodeConfig, make_config
from relloc_ros.errors import ConfigError, MapError, RellocError
from relloc_ros.evaluation.calibration.calibrating import calibrate_map
from relloc_ros.map.builder import build_map
from relloc_ros.ros.map_loading import load_map


def test_loads(office_map: Path) -> None:
    loaded = load_map(NodeConfig(map_path=str(office_map)), LocalizationConfig())
    assert loaded.map_id
    loaded.close()


def test_no_map_named() -> None:
    with pytest.raises(ConfigError, match='map_path is empty'):
        load_map(NodeConfig(), LocalizationConfig())


def test_missing_map(tmp_path: Path) -> None:
    with pytest.raises(MapError, match='nowhere'):
        load_map(NodeConfig(map_path=str(tmp_path / 'nowhere')), LocalizationConfig())


def test_unknown_localizer(office_map: Path) -> None:
    config = NodeConfig(map_path=str(office_map))
    with pytest.raises(RellocError, match=r"'esential'.*did you mean 'essential'"):
        load_map(config, LocalizationConfig(localizer='esential'))


def test_a_network_that_has_learned_the_map_and_one_that_is_not_there(
    office_map: Path, office_network: Path, tmp_path: Path
) -> None:
    config = NodeConfig(map_path=str(office_map))
    settings = {'localizer': 'apr', 'apr.network': str(office_network)}
    loaded = load_map(config, make_config(LocalizationConfig, settings))
    loaded.close()
    assert any('covariances of apr are not calibrated' in note for note in loaded.notes)
    settings['apr.network'] = str(tmp_path / 'none.safetensors')
    with pytest.raises(RellocError, match='does not exist'):
        load_map(config, make_config(LocalizationConfig, settings))


def test_map_without_metres(tmp_path: Path) -> None:
    posed = make_posed(tmp_path / 'images')
    path = build_map(posed, tmp_path / 'map', MapConfig(vlad_clusters=4), units='unknown')
    with pytest.raises(MapError, match="in 'unknown', not in metres"):
        load_map(NodeConfig(map_path=str(path)), LocalizationConfig())


def test_says_that_covariances_are_not_calibrated(office_map: Path) -> None:
    loaded = load_map(NodeConfig(map_path=str(office_map)), LocalizationConfig())
    loaded.close()
    assert len(loaded.notes) == 1
    assert f'relloc map calibrate {office_map}' in loaded.notes[0]
    assert not any('calibrat' in warning for warning in loaded.warnings)


def test_warns_of_a_calibration_with_other_settings(office_map: Path, tmp_path: Path) -> None:
    path = tmp_path / 'map'
    shutil.copytree(office_map, path, symlinks=True)
    calibrated = LocalizationConfig(localizer='retrieval', top_k=20)
    calibrate_map(path, [calibrated], samples=8)
    config = NodeConfig(map_path=str(path))
    as_calibrated = load_map(config, calibrated)
    otherwise = load_map(config, LocalizationConfig(localizer='retrieval'))
    as_calibrated.close()
    otherwise.close()
    assert as_calibrated.notes == ()
    assert not any('calibrat' in warning for warning in as_calibrated.warnings)
    assert any('other settings' in warning for warning in otherwise.warnings)
