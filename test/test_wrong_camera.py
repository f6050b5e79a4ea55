# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An image that was taken by another camera than its calibration says is told from others."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_calibration import CALIBRATION

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.geometry import RigidTransform, exp_so3, log_so3
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import CameraDeviation, QueryImage, RigView, Status
from relloc_ros.vision.absolute_pose import estimate_absolute_pose
from relloc_ros.vision.self_calibration import estimate_deviation
from relloc_ros.wrong_camera import KnownCameras, contradiction, focal_spread, widening

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
FOCAL_LENGTH = 500.0
POSE = RigidTransform(exp_so3(np.array([0.1, -0.2, 0.3])), np.array([1.0, 2.0, -3.0]))


def calibration(camera_scale, point_agreement=0.0, point_agreement_std=0.0):
    return replace(
        CALIBRATION,
        camera_scale=camera_scale,
        point_agreement=point_agreement,
        point_agreement_std=point_agreement_std,
    )


def example_queries():
    return [
        QueryImage(read_image(image), image.camera, image.stamp_ns, name=image.name)
        for image in read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')
    ]


def with_focal_lengths(query, x, y):
    fx, fy, *rest = query.camera.params
    return replace(query, camera=replace(query.camera, params=(x * fx, y * fy, *rest)))


def cropped(query, factor):
    """Cut the middle out and enlarge it to the size it had, as a digital zoom does."""
    height, width = query.image.shape[:2]
    matrix = cv2.getRotationMatrix2D((0.5 * width, 0.5 * height), 0.0, factor)
    return replace(query, image=cv2.warpAffine(query.image, matrix, (width, height)))


def distorted(query, bend):
    """Bend an image as a lens with this radial distortion does."""
    matrix = query.camera.to_pycolmap(1).calibration_matrix()
    height, width = query.image.shape[:2]
    x, y = cv2.initInverseRectificationMap(
        matrix, np.array([bend, 0.0, 0.0, 0.0]), None, matrix, (width, height), cv2.CV_32FC1
    )
    return replace(query, image=cv2.remap(query.image, x, y, cv2.INTER_LINEAR))


def seen_points(rng, count=300, depths=(2.0, 8.0), noise_px=0.5):
    directions = np.column_stack([rng.uniform(-0.6, 0.6, (count, 2)), np.ones(count)])
    local = directions * rng.uniform(*depths, (count, 1))
    noise = rng.normal(0.0, noise_px / FOCAL_LENGTH, (count, 2))
    return directions[:, :2] + noise, POSE.apply(local)


def deviation_of(points2D, points3D):
    pose, _ = estimate_absolute_pose(points2D, points3D, FOCAL_LENGTH, threshold_px=3.0, seed=1)
    return estimate_deviation(
        pose, points2D, points3D, FOCAL_LENGTH, threshold_px=3.0, num_images=300
    )


@pytest.mark.parametrize(
    ('index', 'deviate'),
    [
        (0, lambda p: p / 1.1),
        (1, lambda p: p / [1.1, 0.9]),
        (2, lambda p: p - [0.1, 0.0]),
        (3, lambda p: p - [0.0, 0.1]),
        (4, lambda p: p - 0.1 * p[:, ::-1]),
        (5, lambda p: p * (1.0 - 0.1 * (p**2).sum(axis=1, keepdims=True))),
    ],
)
def test_what_deviates_is_found(index, deviate):
    points2D, points3D = seen_points(np.random.default_rng(index))
    found = deviation_of(deviate(points2D), points3D)
    assert found.values[index] == pytest.approx(0.1, abs=0.03)
    assert found.values[index] > 5.0 * np.sqrt(found.covariance[index, index])
    assert found.gain > 0.2


def test_a_camera_as_calibrated_deviates_by_no_more_than_its_deviations_allow():
    distances = []
    for seed in range(20):
        found = deviation_of(*seen_points(np.random.default_rng(100 + seed)))
        assert found.num_points > 290
        assert found.gain < 0.1
        distances.append(found.values / np.sqrt(np.diag(found.covariance)))
    # The residuals of 300 images with one point each are counted as two.
    assert 0.4 < np.sqrt(np.mean(np.square(distances))) < 1.1


def test_outliers_and_points_without_a_ray_do_not_matter():
    rng = np.random.default_rng(5)
    points2D, points3D = seen_points(rng)
    points2D[:90] += rng.uniform(-0.3, 0.3, (90, 2))
    points2D[90:95] = np.nan
    usable = np.isfinite(points2D).all(axis=1)
    pose, _ = estimate_absolute_pose(
        points2D[usable], points3D[usable], FOCAL_LENGTH, threshold_px=3.0, seed=1
    )
    found = estimate_deviation(
        pose, points2D, points3D, FOCAL_LENGTH, threshold_px=3.0, num_images=300
    )
    assert np.abs(found.values).max() < 0.02
    assert 195 < found.num_points < 225


@pytest.mark.parametrize('noise_px', [0.5, 0.01])
def test_a_plane_in_front_leaves_the_camera_open(noise_px):
    rng = np.random.default_rng(3)
    points2D, points3D = seen_points(rng, depths=(4.0, 4.0), noise_px=noise_px)
    found = deviation_of(points2D / 1.1, points3D)
    # Nearer, or zoomed: nobody can tell, and nobody is told.
    assert np.isfinite(found.values).all()
    assert abs(found.values[0]) < 5.0 * np.sqrt(found.covariance[0, 0])
    assert not contradiction(found, None)


@pytest.mark.parametrize('count', [0, 1, 3, 6, 7])
def test_few_points_say_nothing(count):
    points2D, points3D = seen_points(np.random.default_rng(6), count=count)
    found = estimate_deviation(
        POSE, points2D, points3D, FOCAL_LENGTH, threshold_px=3.0, num_images=0
    )
    assert found is None or not contradiction(found, calibration(0.02))


@pytest.mark.parametrize('zoom', [0.45, 0.6, 1.8])
def test_a_focal_length_that_is_far_off_is_found(zoom):
    points2D, points3D = seen_points(np.random.default_rng(7))
    found = deviation_of(zoom * points2D, points3D)
    assert 1.0 + found.values[0] == pytest.approx(1.0 / zoom, rel=0.05)
    assert found.num_points > 250


def test_a_camera_that_images_held_out_have_been_quiet_about_is_refused_sooner():
    rng = np.random.default_rng(4)
    points2D, points3D = seen_points(rng)
    pose, _ = estimate_absolute_pose(
        points2D / 1.02, points3D, FOCAL_LENGTH, threshold_px=3.0, seed=1
    )
    found = estimate_deviation(
        pose, points2D / 1.02, points3D, FOCAL_LENGTH, threshold_px=3.0, num_images=5
    )
    assert not contradiction(found, None)
    assert not contradiction(found, calibration(4.0))
    assert 'a focal length +' in contradiction(found, calibration(0.05))


@pytest.mark.parametrize(
    ('index', 'words'), [(1, 'focal lengths along'), (4, 'shear'), (5, 'radial')]
)
def test_what_deviates_most_is_named(index, words):
    values = np.zeros(6)
    values[index] = 0.1
    shift = np.zeros(6), np.zeros((6, 6))
    found = CameraDeviation(values, 1e-6 * np.eye(6), 300, 0.5, *shift, 400, 300)
    judge = calibration(1.0)
    assert words in contradiction(found, judge)
    assert not contradiction(replace(found, num_points=12), judge)
    assert contradiction(replace(found, gain=0.01), judge)
    assert not contradiction(replace(found, gain=-0.01), judge)
    assert not contradiction(replace(found, values=0.1 * values, gain=0.01), judge)


@pytest.mark.parametrize(('num_agreeing', 'agrees'), [(250, True), (180, True), (120, False)])
def test_far_fewer_points_agree_than_of_images_held_out(num_agreeing, agrees):
    shift = np.zeros(6), np.zeros((6, 6))
    found = CameraDeviation(np.zeros(6), np.eye(6), 300, 0.0, *shift, 400, num_agreeing)
    measured = calibration(1.0, point_agreement=1.0, point_agreement_std=0.4)
    assert bool(contradiction(found, measured)) is not agrees
    assert agrees or f'{num_agreeing} of 400 points' in contradiction(found, measured)
    assert not contradiction(found, calibration(1.0))
    assert not contradiction(found, None)


def test_points_are_counted_with_the_camera_as_calibrated():
    rng = np.random.default_rng(8)
    points2D, points3D = seen_points(rng, noise_px=0.2)
    points2D[:60] += 0.3
    points2D[60:70] = np.nan
    found = estimate_deviation(
        POSE, points2D, points3D, FOCAL_LENGTH, threshold_px=3.0, num_images=300
    )
    assert (found.num_seen, found.num_agreeing) == (290, 230)


def test_the_pose_spreads_with_a_focal_length_that_is_not_known_well():
    """As far as it moves where the focal length is that much off."""
    points2D, points3D = seen_points(np.random.default_rng(9), noise_px=0.05)
    found = deviation_of(points2D, points3D)
    moved, _ = estimate_absolute_pose(
        points2D / 1.01, points3D, FOCAL_LENGTH, threshold_px=50.0, seed=1
    )
    shift = np.concatenate(
        [moved.translation - POSE.translation, log_so3(moved.rotation @ POSE.rotation.T)]
    )
    spread = focal_spread(found, 0.01)
    assert np.linalg.matrix_rank(spread, tol=1e-12) == 1
    assert np.sqrt(spread[:3, :3].trace()) == pytest.approx(np.linalg.norm(shift[:3]), rel=0.3)
    assert not focal_spread(found, 0.0).any()
    assert not focal_spread(None, 0.01).any()


def test_a_doubted_camera_makes_the_covariance_as_wide_as_the_pose_is_wrong():
    inside = 0
    for seed in range(10):
        points2D, points3D = seen_points(np.random.default_rng(seed))
        points2D = points2D / 1.02
        pose, _ = estimate_absolute_pose(
            points2D, points3D, FOCAL_LENGTH, threshold_px=3.0, seed=1
        )
        found = estimate_deviation(
            pose, points2D, points3D, FOCAL_LENGTH, threshold_px=3.0, num_images=300
        )
        error = np.concatenate(
            [
                POSE.translation - pose.translation,
                log_so3(POSE.rotation @ pose.rotation.T),
            ]
        )
        narrow = np.diag(np.repeat([0.005**2, 0.001**2], 3))
        assert error @ np.linalg.solve(narrow, error) > 25.0
        wide = narrow + widening(found, 0.5)
        inside += error @ np.linalg.solve(wide, error) < 25.0
        assert not widening(found, 0.0).any()
        assert not widening(found, 1.5).any()
        assert not widening(replace(found, gain=0.0), 0.5).any()
    assert inside == 10
    assert not widening(None, 0.5).any()


def test_a_camera_that_took_no_image_of_the_map_is_doubted_more():
    points2D, points3D = seen_points(np.random.default_rng(3))
    found = deviation_of(points2D, points3D)
    known, unknown = widening(found, 0.5), widening(found, 0.5, is_known=False)
    assert unknown.trace() > 10.0 * known.trace()
    assert np.linalg.eigvalsh(unknown)[0] > -1e-12
    assert widening(found, 1.5, is_known=False).any()
    assert not widening(found, 0.0, is_known=False).any()


CAMERAS = (
    Camera('OPENCV', 640, 480, (500.0, 505.0, 310.0, 250.0, -0.2, 0.05, 0.001, -0.002)),
    Camera('PINHOLE', 1024, 768, (800.0, 800.0, 512.0, 384.0)),
)


@pytest.mark.parametrize(
    ('camera', 'is_known'),
    [
        (CAMERAS[0], True),
        (CAMERAS[0].scaled(320, 240), True),
        # The same, in a model with more parameters.
        (Camera('FULL_OPENCV', 640, 480, (*CAMERAS[0].params, 0.0, 0.0, 0.0, 0.0)), True),
        (Camera('SIMPLE_PINHOLE', 512, 384, (400.0, 256.0, 192.0)), True),
        (Camera('PINHOLE', 640, 480, CAMERAS[0].params[:4]), False),
        (Camera('PINHOLE', 1024, 768, (808.0, 808.0, 512.0, 384.0)), False),
        (Camera('PINHOLE', 1024, 768, (805.0, 795.0, 512.0, 384.0)), False),
        (Camera('PINHOLE', 1024, 768, (800.0, 800.0, 515.0, 384.0)), False),
        # Cut off at the bottom.
        (Camera('PINHOLE', 1024, 700, (800.0, 800.0, 512.0, 384.0)), False),
    ],
)
def test_cameras_of_a_map_are_known_by_their_rays(camera, is_known):
    assert (camera in KnownCameras(CAMERAS)) is is_known
    assert camera not in KnownCameras(())


def test_the_shift_is_that_of_the_body(office_points_map):
    """A camera beside the body: what refining it does to the body's pose."""
    body_from_cam = RigidTransform(exp_so3(np.array([0.2, 0.1, -0.4])), np.array([0.5, 1.0, -2.0]))
    with ReferenceMap.open(office_points_map) as reference_map:
        relocalizer = Relocalizer(reference_map)
        query = example_queries()[0]
        alone = relocalizer.process(query)
        placed = relocalizer.process_rig([RigView(query, body_from_cam)])
    turned = (
        exp_so3(alone.camera_deviation.pose_shift[3:]) @ alone.camera_pose.map_from_body.rotation
    )
    moved = RigidTransform(
        turned, alone.camera_pose.map_from_body.translation + alone.camera_deviation.pose_shift[:3]
    )
    body = moved @ body_from_cam.inverse()
    shift = placed.camera_deviation.pose_shift
    found = placed.camera_pose.map_from_body.translation + shift[:3]
    np.testing.assert_allclose(found, body.translation, atol=2e-3)
    np.testing.assert_allclose(shift[3:], alone.camera_deviation.pose_shift[3:], atol=1e-3)


@pytest.mark.parametrize('localizer', ['essential', 'structure'])
def test_images_of_other_cameras_are_refused_with_the_reason(office_points_map, localizer):
    config = make_config(LocalizationConfig, {'localizer': localizer})
    with ReferenceMap.open(office_points_map) as reference_map:
        relocalizer = Relocalizer(reference_map, config)
        query = example_queries()[0]
        assert relocalizer.process(query).localized
        longer = relocalizer.process(with_focal_lengths(query, 1.25, 1.25))
        assert longer.status is Status.GATED
        assert 'contradicts the calibration of its camera: a focal length' in longer.reason
        zoomed = relocalizer.process(cropped(query, 1.25))
        assert not zoomed.localized
        uneven = relocalizer.process(with_focal_lengths(query, 1.1, 0.95))
        assert not uneven.localized


def test_images_as_calibrated_are_not_refused(office_points_map):
    with ReferenceMap.open(office_points_map) as reference_map:
        relocalizer = Relocalizer(reference_map)
        for query in example_queries():
            assert 'calibration of its camera' not in relocalizer.process(query).reason


@pytest.mark.parametrize('localizer', ['essential', 'structure'])
def test_a_lens_that_bends_what_the_calibration_has_straight(office_points_map, localizer):
    config = make_config(LocalizationConfig, {'localizer': localizer})
    with ReferenceMap.open(office_points_map) as reference_map:
        query = example_queries()[0]
        found = Relocalizer(reference_map, config).process(distorted(query, 0.3))
    assert found.status is Status.GATED
    assert 'contradicts the calibration' in found.reason


def test_a_calibration_of_twice_the_size_gives_no_pose(office_points_map):
    with ReferenceMap.open(office_points_map) as reference_map:
        relocalizer = Relocalizer(reference_map)
        for query in example_queries():
            assert not relocalizer.process(with_focal_lengths(query, 2.0, 2.0)).localized


def test_who_does_not_ask_is_not_refused(office_points_map):
    config = make_config(LocalizationConfig, {'acceptance.check_camera': False})
    with ReferenceMap.open(office_points_map) as reference_map:
        query = with_focal_lengths(example_queries()[0], 1.25, 1.25)
        assert Relocalizer(reference_map, config).process(query).localized


@pytest.mark.parametrize(('factor', 'is_wider'), [(1.0, False), (1.01, True)])
def test_covariances_are_wider_for_a_camera_that_is_not_the_maps(
    office_points_map, factor, is_wider
):
    query = with_focal_lengths(example_queries()[0], factor, factor)
    with ReferenceMap.open(office_points_map) as reference_map:
        wide, narrow = (
            Relocalizer(
                reference_map, make_config(LocalizationConfig, {'focal_length_std': std})
            ).process(query)
            for std in (0.01, 0.0)
        )
    added = wide.camera_pose.covariance - narrow.camera_pose.covariance
    assert bool(added.any()) is is_wider
    assert np.linalg.eigvalsh(added)[0] > -1e-12
