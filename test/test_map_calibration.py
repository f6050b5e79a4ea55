# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps calibrated on their own images."""

from __future__ import annotations

from pathlib import Path
import shutil

import numpy as np
import pytest
from rendered_room import look, query_at, write_views
from scipy.stats import chi2
from typer.testing import CliRunner

from relloc_ros.cli.main import make_app
from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import DataError
from relloc_ros.evaluation.calibration.calibrating import calibrate_map
from relloc_ros.evaluation.calibration.held_out_map import HeldOutMap
from relloc_ros.evaluation.calibration.measuring import hold_out
from relloc_ros.evaluation.calibration.points_without import points_without
from relloc_ros.evaluation.calibration.view_shifts import ViewShifts
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map
from relloc_ros.map.format import current_generation
from relloc_ros.map.points import NO_POINT
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer


def run(*arguments: object):
    return CliRunner().invoke(make_app(), [str(argument) for argument in arguments])


@pytest.fixture(scope='module')
def line_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of images taken on one line."""
    folder = tmp_path_factory.mktemp('line')
    poses = [look((x, 0.0, 0.0), yaw_deg=4.0 * x) for x in np.linspace(-1.5, 1.5, 13)]
    return build_map(write_views(folder, poses), folder / 'map')


@pytest.fixture
def copied_map(office_points_map: Path, tmp_path: Path) -> Path:
    path = tmp_path / 'map'
    shutil.copytree(office_points_map, path, symlinks=True)
    return path


def test_shifts_add_up_what_moves_the_view(line_map):
    with ReferenceMap.open(line_map) as reference_map:
        shifts = ViewShifts(reference_map).of(6)
    assert shifts[6] == pytest.approx(0.0, abs=1e-6)
    # Sideways 0.25 of 5, turned by 1 degree, of a view 1.2 wide.
    assert shifts[7] == pytest.approx(0.25 / 5.0 / 1.23 + 1.0 / 63.0, rel=0.2)
    assert (np.diff(shifts[6:]) > 0.0).all()


def test_a_map_without_an_image_has_none_of_it(office_points_map):
    with ReferenceMap.open(office_points_map) as reference_map:
        held_out = HeldOutMap(reference_map, with_points=True)
        excluded = np.zeros(reference_map.num_images, dtype=bool)
        excluded[[2, 3]] = True
        query = held_out.hold_out(2, excluded)
        descriptor = held_out.describe(query.image)
        found, _ = held_out.retrieve(descriptor, reference_map.num_images)
        whole, _ = reference_map.retrieve(descriptor, reference_map.num_images)
        assert set(whole) - set(found) == {2, 3}
        features = held_out.extractor.extract(query.image, 100)
        np.testing.assert_array_equal(features.points2D, reference_map.features(2).points2D[:100])
        assert held_out.points is not reference_map.points
        assert (held_out.points.of_image(2) == NO_POINT).all()
        assert (held_out.points.of_image(4) != NO_POINT).any()


def test_points_are_triangulated_by_the_other_images(office_points_map):
    with ReferenceMap.open(office_points_map) as reference_map:
        points = reference_map.points
        excluded = np.zeros(reference_map.num_images, dtype=bool)
        excluded[5] = True
        without = points_without(reference_map, points, excluded)
        seen = np.unique(points.of_image(5))
        seen = seen[seen != NO_POINT]
        which, images, _ = without.observations_of(np.arange(len(points)))
    assert not (images == 5).any()
    counts = np.bincount(which, minlength=len(points))
    assert ((counts == 0) | (counts >= 2)).all()
    others = np.setdiff1d(np.arange(len(points)), seen)
    np.testing.assert_array_equal(without.positions[others], points.positions[others])
    left = seen[counts[seen] > 0]
    moved = np.linalg.norm(without.positions[left] - points.positions[left], axis=1)
    assert 0.0 < np.median(moved) < 0.05
    assert not np.isin(np.setdiff1d(seen, left), without.entry_points).any()


def test_no_points_are_gone_without_reason(office_points_map):
    with ReferenceMap.open(office_points_map) as reference_map:
        points = reference_map.points
        same = points_without(reference_map, points, np.zeros(reference_map.num_images, bool))
        for (name, ours), (_, theirs) in zip(same.arrays(), points.arrays(), strict=True):
            np.testing.assert_array_equal(ours, theirs, err_msg=name)


@pytest.mark.parametrize('localizer', ['essential', 'structure', 'retrieval'])
def test_images_held_out_are_localized_like_queries(office_points_map, localizer):
    config = make_config(LocalizationConfig, {'localizer': localizer})
    progress = []
    with ReferenceMap.open(office_points_map) as reference_map:
        found = hold_out(reference_map, config, 10, lambda *report: progress.append(report))
    assert found.num_tried == 10
    assert len(found) >= 6
    errors = found.errors()
    assert errors.shape == (len(found), 6)
    limit = 1.0 if localizer == 'retrieval' else 0.05
    assert 1e-4 < np.median(np.linalg.norm(errors[:, :3], axis=1)) < limit
    assert progress[-1] == (10, 10, localizer)
    told = [each is not None for each in found.camera_deviations]
    assert told == [localizer != 'retrieval'] * len(found)


def test_command_writes_what_localization_uses(copied_map):
    generation = current_generation(copied_map).folder
    result = run('map', 'calibrate', copied_map, '--samples', 10)
    assert result.exit_code == 0, result.output
    assert all(name in result.output for name in ('essential', 'structure', 'retrieval'))
    assert current_generation(copied_map).folder != generation
    assert check_map(copied_map) == []
    with ReferenceMap.open(copied_map) as reference_map:
        assert len(reference_map.calibrations) == 3
        for each in reference_map.calibrations:
            assert each.num_tried == 10
            assert each.map_id == reference_map.map_id
            assert 0.3 < each.median_nees_after < 8.0
            assert each.coverage_after > 0.8
        chosen = Relocalizer(reference_map).calibration
        assert chosen.calibration in reference_map.calibrations
        assert chosen.remark == ''
    info = run('map', 'info', copied_map)
    assert 'images held out' in ' '.join(info.output.split())


def test_further_settings_are_kept_beside_the_first(copied_map):
    default = make_config(LocalizationConfig, {'localizer': 'retrieval'})
    other = make_config(LocalizationConfig, {'localizer': 'retrieval', 'top_k': 5})
    for config in (default, other, default):
        calibrate_map(copied_map, [config], samples=8)
    with ReferenceMap.open(copied_map) as reference_map:
        assert len(reference_map.calibrations) == 2
        for config in (default, other):
            assert Relocalizer(reference_map, config).calibration.calibration is not None


def test_localize_warns_of_other_settings(copied_map):
    image = Path(__file__).parent.parent / 'examples' / 'fr3_office' / 'images'
    image = sorted(image.glob('*.jpg'))[0]
    common = ('localize', image, '--map', copied_map, '--localizer', 'retrieval')
    assert 'calibrate' not in run(*common).output
    run('map', 'calibrate', copied_map, '--localizer', 'retrieval', '--samples', 8)
    assert 'calibrate' not in run(*common).output
    assert 'other settings' in run(*common, '--set', 'top_k=7').output


def test_too_few_images(tmp_path):
    poses = [look((x, 0.0, 0.0)) for x in (0.0, 0.3, 0.6)]
    path = build_map(write_views(tmp_path, poses), tmp_path / 'map')
    before = current_generation(path).manifest.read_text()
    with pytest.raises(DataError, match=r'of 3 images held out.* 6 are needed'):
        calibrate_map(path, [LocalizationConfig()])
    assert current_generation(path).manifest.read_text() == before
    result = run('map', 'calibrate', path)
    assert result.exception is not None


def test_unknown_localizer(copied_map):
    result = run('map', 'calibrate', copied_map, '--localizer', 'esential')
    assert "did you mean 'essential'" in str(result.exception)


def test_the_position_along_a_line_of_map_images_is_covered(line_map, tmp_path):
    path = tmp_path / 'map'
    shutil.copytree(line_map, path, symlinks=True)
    config = make_config(LocalizationConfig, {'max_position_std': 0.0})
    calibrate_map(path, [config])
    places = [
        (-1.1, 0.0, 0.0),
        (-0.4, 0.0, 0.0),
        (0.1, 0.0, 0.0),
        (0.4, 0.0, 0.0),
        (0.9, 0.0, 0.0),
    ]
    places += [(0.5, 0.3, 0.2), (-0.3, -0.2, 0.4), (0.2, 0.2, -0.4)]
    along, pose = [], []
    with ReferenceMap.open(path) as reference_map:
        relocalizer = Relocalizer(reference_map, config)
        for place in places:
            truth = look(place, yaw_deg=3.0)
            found = relocalizer.process(query_at(truth)).camera_pose
            if found is None:
                continue
            error = truth.translation - found.map_from_body.translation
            along.append(error[0] ** 2 / found.covariance[0, 0])
            position = found.covariance[:3, :3]
            pose.append(error @ np.linalg.solve(position, error))
    assert len(along) >= 5
    # At most one of these, if covariances are true, is beyond what holds 99 % of them.
    assert np.sum(np.array(along) > chi2.ppf(0.99, 1)) <= 1
    assert np.sum(np.array(pose) > chi2.ppf(0.99, 3)) <= 1
