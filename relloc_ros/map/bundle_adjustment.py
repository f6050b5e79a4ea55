# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment of a COLMAP model by pycolmap, with priors on the cameras' positions.

pycolmap knows no prior on rotations: only what images see together holds those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray
import pycolmap
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from relloc_ros.camera import Camera
from relloc_ros.errors import MapError
from relloc_ros.geometry import Array

__all__ = ['adjust', 'drop_weak_points', 'image_errors', 'keep_constrained', 'place_points']

MIN_OBSERVATIONS = 20
"""Of 3D points in an image, for its pose to be adjusted."""
MANY_POINTS = 100
"""Of three images or more in an image, which then needs no others."""
MIN_CONNECTED = 3
"""Images that are tied together; of two, what they see says little that the priors do not."""
MANY_VIEWS = 3
"""A point in so many images is seldom wrong: two agree with every match on an epipolar line."""
MIN_ANGLE_DEG = 3.0
"""Between rays to a point: the distance of others is free, and their adjustment does not end."""
MAX_ITERATIONS, FUNCTION_TOLERANCE = 40, 1e-6


def drop_weak_points(model: pycolmap.Reconstruction) -> None:
    """Take points out of a model that would hurt its adjustment more than help.

    Points of two images stay where one of these sees too few others.
    """
    manager = pycolmap.ObservationManager(model)
    manager.filter_points3D_with_small_triangulation_angle(MIN_ANGLE_DEG, set(model.points3D))
    images_of = {
        point_id: [element.image_id for element in point.track.elements]
        for point_id, point in model.points3D.items()
    }
    counts = Counter(
        image for images in images_of.values() if len(images) >= MANY_VIEWS for image in images
    )
    for point_id, images in images_of.items():
        if len(images) < MANY_VIEWS and min(counts[image] for image in images) >= MANY_POINTS:
            model.delete_point3D(point_id)


def keep_constrained(model: pycolmap.Reconstruction) -> list[NDArray[np.int64]]:
    """Take observations of images that see too little out of a model.

    Returns:
        IDs of the images that are left, by group: those of one group are tied together by points.
    """
    while True:
        images, points = _observations(model)
        ids, rows, counts = np.unique(images, return_inverse=True, return_counts=True)
        _, columns = np.unique(points, return_inverse=True)
        shape = (len(ids), int(columns.max(initial=-1)) + 1)
        seen = coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
        _, labels = connected_components(seen @ seen.T, directed=False)
        sizes = np.bincount(labels, minlength=1)
        weak = (counts < MIN_OBSERVATIONS) | (sizes[labels] < MIN_CONNECTED)
        if not weak.any():
            return [ids[labels == label] for label in range(len(sizes)) if len(ids)]
        for image_id in ids[weak]:
            _forget(model, int(image_id))


def adjust(
    model: pycolmap.Reconstruction,
    positions: Mapping[int, Array],
    position_std: float,
    *,
    loss_scale_px: float,
    refine_calibration: bool = False,
    fixed: Collection[int] = (),
) -> None:
    """Adjust poses and points, and on demand focal lengths and distortion.

    Args:
        model: changed; every image in it that sees points is adjusted.
        positions: (3,) camera centres that are expected, by image ID.
        position_std: their standard deviation along each axis, map units.
        loss_scale_px: reprojection errors beyond this count little.
        refine_calibration: whether cameras are adjusted.
        fixed: IDs of images that hold the frame; without any, the positions do.

    Raises:
        MapError: COLMAP finds no solution.
    """
    options, config = _options(loss_scale_px), pycolmap.BundleAdjustmentConfig()
    options.refine_focal_length = options.refine_extra_params = refine_calibration
    for image_id in sorted(model.images):
        if model.images[image_id].num_points3D > 0:
            config.add_image(image_id)
    if not refine_calibration:
        for camera_id in model.cameras:
            config.set_constant_cam_intrinsics(camera_id)
    if fixed:
        for image_id in config.images & set(fixed):
            config.set_constant_rig_from_world_pose(model.images[image_id].frame_id)
        _solve(pycolmap.create_default_bundle_adjuster(options, config, model))
        return
    priors = [
        _prior(model.images[image_id], positions[image_id], position_std)
        for image_id in sorted(config.images)
    ]
    prior_options = pycolmap.PosePriorBundleAdjustmentOptions()
    prior_options.alignment_ransac.random_seed = 0
    prior_options.ceres.prior_position_loss_function_type = pycolmap.LossFunctionType.CAUCHY
    adjuster = pycolmap.create_pose_prior_bundle_adjuster(
        options, prior_options, config, priors, model
    )
    _solve(adjuster)


def place_points(model: pycolmap.Reconstruction) -> None:
    """Move the points of a model to where the poses as they are want them.

    Raises:
        MapError: COLMAP finds no solution.
    """
    options = _options(1.0)
    options.refine_focal_length = options.refine_extra_params = False
    options.refine_rig_from_world = False
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in sorted(model.images):
        if model.images[image_id].num_points3D > 0:
            config.add_image(image_id)
    _solve(pycolmap.create_default_bundle_adjuster(options, config, model))


def image_errors(model: pycolmap.Reconstruction) -> dict[int, float]:
    """Give the median reprojection error of each image that sees points, pixels, by ID."""
    errors = {}
    for image_id, image in sorted(model.images.items()):
        seen = image.get_observation_points2D()
        if len(seen) > 0:
            points = np.array([model.points3D[point.point3D_id].xyz for point in seen])
            pose = image.cam_from_world().matrix()
            camera = Camera.from_pycolmap(model.cameras[image.camera_id])
            pixels = camera.project(points @ pose[:, :3].T + pose[:, 3])
            offsets = np.linalg.norm(pixels - np.array([point.xy for point in seen]), axis=1)
            errors[image_id] = float(np.median(np.nan_to_num(offsets, nan=np.inf)))
    return errors


def _options(loss_scale_px: float) -> pycolmap.BundleAdjustmentOptions:
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.refine_principal_point = False
    options.refine_sensor_from_rig = False
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = loss_scale_px
    options.ceres.solver_options.max_num_iterations = MAX_ITERATIONS
    options.ceres.solver_options.function_tolerance = FUNCTION_TOLERANCE
    # The same map gets the same poses: sums by several threads depend on who comes first.
    options.ceres.solver_options.num_threads = 1
    return options


def _prior(image: pycolmap.Image, position: Array, std: float) -> pycolmap.PosePrior:
    prior = pycolmap.PosePrior()
    prior.pose_prior_id = image.image_id
    prior.corr_data_id = image.data_id
    prior.position = position
    prior.position_covariance = np.diag(np.full(3, std**2))
    prior.coordinate_system = pycolmap.PosePriorCoordinateSystem.CARTESIAN
    return prior


def _solve(adjuster: pycolmap.BundleAdjuster) -> None:
    summary = adjuster.solve()
    if not summary.is_solution_usable():
        raise MapError(
            f'bundle adjustment failed ({summary.brief_report()}): the map is as it was; '
            '`relloc map check --deep` may know what is wrong with it'
        )


def _observations(model: pycolmap.Reconstruction) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List which image (O,) sees which point (O,), by ID."""
    pairs = [
        (element.image_id, point_id)
        for point_id, point in sorted(model.points3D.items())
        for element in point.track.elements
    ]
    found = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _forget(model: pycolmap.Reconstruction, image_id: int) -> None:
    for row in model.images[image_id].get_observation_point2D_idxs():
        # A point of two observations goes with the first of them.
        if model.images[image_id].points2D[row].has_point3D():
            model.delete_observation(image_id, row)
