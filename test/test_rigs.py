# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Several cameras localized as one: in a rendered room, where all poses are exact."""

from dataclasses import replace

import numpy as np
import pytest
from rendered_room import DISTORTED, PINHOLE, look, query_at, render, write_views

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import ConfigError
from relloc_ros.frames import base_pose
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.localizers import LOCALIZERS, RigLocalizer
from relloc_ros.localizers.sighting import PlacedSighting
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage, RigView, Status

MAP_FROM_BODY = look((0.2, 0.1, -0.6), 40.0, 2.0, 3.0)
FRONT = RigidTransform(exp_so3(np.array([0.0, 0.1, 0.02])), np.array([0.0, -0.1, 0.3]))
BACK = RigidTransform(exp_so3(np.array([0.05, 3.0, 0.0])), np.array([0.1, 0.0, -0.4]))
LEFT = RigidTransform(exp_so3(np.array([0.0, -1.5, 0.1])), np.array([-0.2, 0.1, 0.0]))
REFINEMENTS = ('none', 'epipolar', 'local_structure')
SETTINGS = {'min_similarity': -1.0, 'top_k': 10, 'max_keypoints': 800, 'essential.max_pairs': 8}
"""Of few images half are less alike than the mean of them all; the rest saves time."""


@pytest.fixture(scope='module')
def reference_map(tmp_path_factory):
    """Views in all directions, from two heights of a small circle."""
    folder = tmp_path_factory.mktemp('all_round')
    poses = [
        look((0.5 * np.sin(a), 0.3 * np.cos(5 * a), 0.5 * np.cos(a)), np.rad2deg(2.1 * a), 3, 2)
        for a in np.linspace(0.0, 2.0 * np.pi, 24)
    ]
    return ReferenceMap.open(build_map(write_views(folder, poses), folder / 'map'))


def relocalizer(reference_map, **settings):
    settings = {key.replace('__', '.'): value for key, value in settings.items()}
    return Relocalizer(reference_map, make_config(LocalizationConfig, {**SETTINGS, **settings}))


def view(body_from_cam, camera=PINHOLE, stamp_ns=77):
    """Look into the room from the body."""
    image = render(MAP_FROM_BODY @ body_from_cam, camera)
    return RigView(QueryImage(image, camera, stamp_ns, 'cam', f'at {stamp_ns}'), body_from_cam)


def error(result):
    return pose_error(result.camera_pose.map_from_body, MAP_FROM_BODY)


def blind(body_from_cam, value=0):
    seeing = view(body_from_cam)
    image = np.full_like(seeing.query.image, value)
    return replace(seeing, query=replace(seeing.query, image=image, name='blind'))


@pytest.mark.parametrize('refinement', REFINEMENTS)
def test_cameras_in_all_directions_give_one_pose(reference_map, refinement):
    views = [view(FRONT), view(BACK, DISTORTED), view(LEFT)]
    result = relocalizer(reference_map, essential__refinement=refinement).process_rig(views)
    assert result.localized, result.reason
    distance, angle = error(result)
    # Without refinement nothing but directions from near map images says where the body is.
    assert distance < (0.1 if refinement == 'none' else 0.005)
    assert angle < np.deg2rad(1.0 if refinement == 'none' else 0.05)
    assert {pair.view for pair in result.pairs if pair.inliers.any()} == {0, 1, 2}


def test_front_and_back_localize_where_each_alone_sees_too_little(reference_map):
    views = [view(FRONT), view(BACK)]
    rig = relocalizer(reference_map, max_keypoints=50, min_inliers=45)
    for one in views:
        alone = rig.process(one.query)
        assert alone.status in {Status.TOO_FEW_MATCHES, Status.TOO_FEW_INLIERS}, alone.num_inliers
    result = rig.process_rig(views)
    assert result.localized, result.reason
    assert result.num_inliers >= 45
    assert error(result)[0] < 0.02


@pytest.mark.parametrize('refinement', REFINEMENTS)
def test_a_camera_alone_gives_what_it_gives_without_a_rig(reference_map, refinement):
    seeing = view(FRONT)
    localizer = relocalizer(reference_map, essential__refinement=refinement)
    alone = localizer.process(seeing.query)
    expected = base_pose(alone.camera_pose, FRONT)
    result = localizer.process_rig([seeing])
    pose = result.camera_pose
    tolerance = {'rtol': 1e-4, 'atol': 1e-9} if refinement == 'local_structure' else {'atol': 2e-4}
    np.testing.assert_allclose(
        pose.map_from_body.matrix, expected.map_from_body.matrix, **tolerance
    )
    if refinement != 'none':
        scale = np.sqrt(np.outer(np.diag(expected.covariance), np.diag(expected.covariance)))
        assert (np.abs(pose.covariance - expected.covariance) < 0.02 * scale).all()
    assert result.num_matches == alone.num_matches
    assert abs(result.num_inliers - alone.num_inliers) <= 2


def test_cameras_that_see_nothing_contribute_nothing(reference_map):
    localizer = relocalizer(reference_map)
    one = localizer.process_rig([view(FRONT)])
    three = localizer.process_rig([view(FRONT), blind(BACK), blind(LEFT, 255)])
    np.testing.assert_array_equal(
        one.camera_pose.map_from_body.matrix, three.camera_pose.map_from_body.matrix
    )
    np.testing.assert_array_equal(one.camera_pose.covariance, three.camera_pose.covariance)
    after = localizer.process_rig([blind(BACK), view(FRONT)])
    np.testing.assert_array_equal(
        one.camera_pose.map_from_body.matrix, after.camera_pose.map_from_body.matrix
    )
    assert {pair.view for pair in after.pairs} == {1}


def test_a_camera_in_another_room_does_not_spoil_the_pose(reference_map):
    elsewhere = RigView(query_at(MAP_FROM_BODY @ LEFT, PINHOLE, 1), LEFT)
    result = relocalizer(reference_map).process_rig([view(FRONT), view(BACK), elsewhere])
    assert result.localized, result.reason
    assert error(result)[0] < 0.005


def test_without_any_camera_that_sees_something_each_reason_is_told(reference_map):
    result = relocalizer(reference_map).process_rig([blind(FRONT), blind(BACK, 255)])
    assert result.status is Status.NO_FEATURES
    assert result.camera_pose is None
    assert result.reason.count('keypoints') == 2


def test_an_unusable_image_contributes_nothing(reference_map):
    wrong = view(BACK)
    wrong = replace(wrong, query=replace(wrong.query, image=wrong.query.image[:100]))
    localizer = relocalizer(reference_map)
    result = localizer.process_rig([view(FRONT), wrong])
    assert result.localized, result.reason
    result = localizer.process_rig([wrong])
    assert result.status is Status.ERROR
    assert 'calibrate' in result.reason


def test_the_newest_image_gives_the_stamp(reference_map):
    views = [view(FRONT, stamp_ns=100), view(BACK, stamp_ns=300), view(LEFT, stamp_ns=200)]
    result = relocalizer(reference_map).process_rig(views)
    assert result.stamp_ns == 300
    assert {'features', 'matching', 'local_structure', 'total'} <= result.timings_ms.keys()


def test_what_was_localized_before_changes_nothing(reference_map):
    views = [view(FRONT), view(BACK)]
    localizer = relocalizer(reference_map)
    first = localizer.process_rig(views)
    localizer.process_rig([view(LEFT), view(BACK)])
    again = localizer.process_rig(views)
    np.testing.assert_array_equal(
        first.camera_pose.map_from_body.matrix, again.camera_pose.map_from_body.matrix
    )
    np.testing.assert_array_equal(first.camera_pose.covariance, again.camera_pose.covariance)


def test_sightings_can_be_kept(reference_map):
    views = [view(FRONT), view(BACK)]
    localizer = relocalizer(reference_map)
    sightings = [localizer.sight(one.query) for one in views]
    # No descriptor is kept: of many images they would fill the memory.
    for sighting in sightings:
        assert sighting.features.descriptors.size == 0
        assert all(image.features.descriptors.size == 0 for image in sighting.matched)
    placed = [
        PlacedSighting(sighting, one.body_from_cam)
        for sighting, one in zip(sightings, views, strict=True)
    ]
    expected = localizer.process_rig(views)
    for _ in range(2):
        result = localizer.locate(placed)
        np.testing.assert_array_equal(
            result.camera_pose.map_from_body.matrix, expected.camera_pose.map_from_body.matrix
        )


def test_more_cameras_are_surer(reference_map):
    localizer = relocalizer(reference_map)
    stds = [
        np.sqrt(np.diag(localizer.process_rig(views).camera_pose.covariance)[:3].max())
        for views in ([view(FRONT)], [view(FRONT), view(LEFT)])
    ]
    assert stds[1] < 0.8 * stds[0]


def test_an_uncertain_place_makes_the_pose_no_surer_than_it_is(reference_map):
    localizer = relocalizer(reference_map, essential__sufficient_points=0)
    moved = RigidTransform(BACK.rotation, BACK.translation + np.array([0.03, 0.0, -0.04]))
    doubted = replace(view(BACK), body_from_cam=moved, position_std=0.05)
    alone = localizer.process_rig([doubted])
    assert alone.localized
    distance, _ = error(alone)
    assert 0.03 < distance < 0.07
    assert np.sqrt(np.diag(alone.camera_pose.covariance)[:3]).min() > 0.045
    # A camera whose place is certain outweighs it.
    both = localizer.process_rig([view(FRONT), doubted])
    assert error(both)[0] < 0.01
    assert np.sqrt(np.diag(both.camera_pose.covariance)[:3]).max() < 0.02


def test_repeated_keypoints_count_once(reference_map):
    localizer = relocalizer(reference_map)
    one = localizer.process_rig([view(FRONT)])
    twice = localizer.process_rig([view(FRONT), view(FRONT, stamp_ns=78)])
    assert twice.num_matches == 2 * one.num_matches
    assert twice.num_inliers <= 1.1 * one.num_inliers


@pytest.mark.parametrize('name', sorted(LOCALIZERS))
def test_localizers_take_rigs_or_say_who_does(request, office_points_map, name):
    trained = {}
    if name == 'apr':
        trained['apr__network'] = str(request.getfixturevalue('office_network'))
    localizer = relocalizer(ReferenceMap.open(office_points_map), localizer=name, **trained)
    if issubclass(LOCALIZERS[name], RigLocalizer):
        localizer.require_rigs()
    else:
        with pytest.raises(ConfigError, match='essential, structure'):
            localizer.require_rigs()
