# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is done with the calibrations of a map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import shutil

import numpy as np
import pytest
import yaml

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import MapError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.calibration import Calibration, choose_calibration, settings_hash
from relloc_ros.map.editing import remove_images
from relloc_ros.map.format import Manifest, current_generation
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage, RigView, Status

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'

DEFAULT = LocalizationConfig()
CALIBRATION = Calibration(
    localizer='essential',
    settings=settings_hash(DEFAULT),
    scale=4.0,
    position_floor=0.02,
    rotation_floor=0.003,
    map_id='abc',
    created='2026-01-01T00:00:00+00:00',
    num_tried=20,
    num_localized=18,
    view_shift=0.2,
    median_nees_before=30.0,
    median_nees_after=5.0,
    coverage_before=0.2,
    coverage_after=0.95,
)


@pytest.fixture
def calibrated_map(office_map: Path, tmp_path: Path) -> Path:
    path = tmp_path / 'map'
    shutil.copytree(office_map, path, symlinks=True)
    manifest_path = current_generation(path).manifest
    manifest = Manifest.read(manifest_path)
    calibration = replace(CALIBRATION, map_id=manifest.map_id)
    replace(manifest, calibrations=(calibration,)).write(manifest_path)
    return path


def test_scales_by_inliers_and_adds_floors():
    covariance = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    covariance[0, 4] = covariance[4, 0] = 0.5
    expected = 2.0 * covariance + np.diag([4e-4] * 3 + [9e-6] * 3)
    np.testing.assert_allclose(CALIBRATION.apply(covariance, 200), expected)


def test_without_inliers_the_scale_is_taken_as_it_is():
    floors = np.diag([4e-4] * 3 + [9e-6] * 3)
    np.testing.assert_allclose(CALIBRATION.apply(np.eye(6), 0), 4.0 * np.eye(6) + floors)


def test_what_was_not_measured_does_not_shrink():
    floors = np.diag([4e-4] * 3 + [9e-6] * 3)
    kept = CALIBRATION.apply(np.eye(6), 4000, shrink=False)
    np.testing.assert_allclose(kept, np.eye(6) + floors)


@pytest.mark.parametrize('field', ['scale', 'position_floor', 'rotation_floor'])
@pytest.mark.parametrize('value', [0.0, -1.0, float('nan'), float('inf')])
def test_refuses_what_makes_no_covariance(field, value):
    with pytest.raises(ValueError, match=field):
        replace(CALIBRATION, **{field: value})


@pytest.mark.parametrize(
    'settings',
    [
        {'max_position_std': 0.1},
        {'covariance_scale': 2.0},
        {'random_seed': 7},
        {'retrieval.num_neighbours': 7},
        {'structure.matching': 'direct'},
    ],
)
def test_settings_that_leave_the_errors_alone(settings):
    assert settings_hash(make_config(LocalizationConfig, settings)) == settings_hash(DEFAULT)


@pytest.mark.parametrize(
    'settings',
    [{'top_k': 20}, {'essential.refinement': 'epipolar'}, {'localizer': 'structure'}],
)
def test_settings_that_change_the_errors(settings):
    assert settings_hash(make_config(LocalizationConfig, settings)) != settings_hash(DEFAULT)


def test_chooses_by_localizer_and_settings():
    other = replace(CALIBRATION, settings='0' * 12)
    chosen = choose_calibration([other, CALIBRATION], DEFAULT, 'abc', 'MAP')
    assert chosen.calibration is CALIBRATION
    assert chosen.remark == ''
    assert not chosen.is_warning


def test_an_uncalibrated_map_is_no_reason_to_warn():
    chosen = choose_calibration([], DEFAULT, 'abc', 'MAP')
    assert chosen.calibration is None
    assert 'relloc map calibrate MAP --localizer essential' in chosen.remark
    assert not chosen.is_warning


def test_other_settings_are_not_calibrated():
    config = make_config(LocalizationConfig, {'top_k': 20})
    chosen = choose_calibration([CALIBRATION], config, 'abc', 'MAP')
    assert chosen.calibration is None
    assert 'other settings' in chosen.remark
    assert chosen.is_warning


def test_a_changed_map_keeps_its_calibration_and_says_so():
    chosen = choose_calibration([CALIBRATION], DEFAULT, 'def', 'MAP')
    assert chosen.calibration is CALIBRATION
    assert 'was changed after' in chosen.remark
    assert chosen.is_warning


def test_is_kept_in_the_map(calibrated_map):
    with ReferenceMap.open(calibrated_map) as reference_map:
        assert reference_map.calibrations == (replace(CALIBRATION, map_id=reference_map.map_id),)


def test_survives_editing_as_that_of_another_state(calibrated_map):
    with ReferenceMap.open(calibrated_map) as reference_map:
        name = reference_map.image_names[0]
    remove_images(calibrated_map, [name])
    with ReferenceMap.open(calibrated_map) as reference_map:
        relocalizer = Relocalizer(reference_map)
        assert relocalizer.calibration.calibration is not None
        assert 'was changed after' in relocalizer.calibration.remark


@pytest.mark.parametrize(
    'damage',
    [
        {'scale': -1.0},
        {'scale': 'much'},
        {'rotation_floor': float('nan')},
        {'num_tried': None},
        {'position_floor': [1.0]},
        {'camera_scale': -1.0},
        {'camera_scale': float('inf')},
        {'point_agreement': float('nan')},
        {'point_agreement_std': -1.0},
    ],
)
def test_damaged_calibration_is_a_damaged_map(calibrated_map, damage):
    path = current_generation(calibrated_map).manifest
    content = yaml.safe_load(path.read_text())
    content['calibrations'][0].update(damage)
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(MapError, match='is damaged'):
        ReferenceMap.open(calibrated_map)


def test_maps_that_know_nothing_of_their_camera_are_read(calibrated_map):
    path = current_generation(calibrated_map).manifest
    content = yaml.safe_load(path.read_text())
    names = 'camera_scale', 'point_agreement', 'point_agreement_std'
    for name in names:
        del content['calibrations'][0][name]
    path.write_text(yaml.safe_dump(content))
    with ReferenceMap.open(calibrated_map) as reference_map:
        found = reference_map.calibrations[0]
        for name in names:
            assert getattr(found, name) == 0.0


@pytest.mark.parametrize('calibrations', [3, 'all', [3], {'essential': 1.0}])
def test_calibrations_that_are_none(calibrated_map, calibrations):
    path = current_generation(calibrated_map).manifest
    content = yaml.safe_load(path.read_text())
    content['calibrations'] = calibrations
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(MapError, match='is damaged'):
        ReferenceMap.open(calibrated_map)


def office_query():
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')[0]
    return QueryImage(read_image(posed), posed.camera, posed.stamp_ns, name=posed.name)


def test_is_applied_to_poses_and_rigs(office_map, calibrated_map):
    query = office_query()
    with ReferenceMap.open(office_map) as reference_map:
        bare = Relocalizer(reference_map).process(query)
    with ReferenceMap.open(calibrated_map) as reference_map:
        relocalizer = Relocalizer(reference_map)
        found = relocalizer.process(query)
        rig = relocalizer.process_rig([RigView(query, RigidTransform.identity())])
        doubted = relocalizer.process_rig(
            [RigView(query, RigidTransform.identity(), position_std=0.1)]
        )
    np.testing.assert_array_equal(
        found.camera_pose.map_from_body.matrix, bare.camera_pose.map_from_body.matrix
    )
    expected = CALIBRATION.apply(bare.camera_pose.covariance, bare.num_inliers)
    np.testing.assert_allclose(found.camera_pose.covariance, expected)
    np.testing.assert_allclose(rig.camera_pose.covariance, expected)
    assert doubted.camera_pose.covariance[0, 0] > 0.1**2


def test_gates_judge_what_is_calibrated(calibrated_map):
    config = make_config(LocalizationConfig, {'max_position_std': 0.0199})
    with ReferenceMap.open(calibrated_map) as reference_map:
        found = Relocalizer(reference_map, config).process(office_query())
    assert found.status is Status.GATED
    assert 'position std' in found.reason
