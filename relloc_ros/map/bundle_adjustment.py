# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bundle adjustment of a COLMAP model by pycolmap, with priors on the cameras' positions.

pycolmap knows no prior on rotations: only what images see together holds those.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
import pycolmap
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from relloc_ros.errors import MapError
from relloc_ros.geometry import Array

__all__ = ['adjust', 'keep_constrained', 'place_points', 'reprojection_errors']

MIN_OBSERVATIONS = 20
"""Of 3D points in an image, for its pose to be adjusted."""
MIN_CONNECTED = 3
"""Images that are tied together; of two, what they see says little that the priors do not."""
MAX_ITERATIONS = 100


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
    loss: pycolmap.LossFunctionType,
    loss_scale_px: float,
    refine_calibration: bool = False,
) -> None:
    """Adjust poses and points, and on demand focal lengths and distortion.

    Args:
        model: changed; every image in it that sees points is adjusted.
        positions: (3,) camera centres that are expected, by image ID.
        position_std: their standard deviation along each axis, map units.
        loss: of the reprojection errors.
        loss_scale_px: where it begins to treat them as outliers.
        refine_calibration: whether cameras are adjusted.

    Raises:
        MapError: COLMAP finds no solution.
    """
    options, config = _options(loss, loss_scale_px), pycolmap.BundleAdjustmentConfig()
    options.refine_focal_length = options.refine_extra_params = refine_calibration
    for image_id in sorted(model.images):
        if model.images[image_id].num_points3D > 0:
            config.add_image(image_id)
    if not refine_calibration:
        for camera_id in model.cameras:
            config.set_constant_cam_intrinsics(camera_id)
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
    options = _options(pycolmap.LossFunctionType.SOFT_L1, 1.0)
    options.refine_focal_length = options.refine_extra_params = False
    options.refine_rig_from_world = False
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in sorted(model.images):
        if model.images[image_id].num_points3D > 0:
            config.add_image(image_id)
    _solve(pycolmap.create_default_bundle_adjuster(options, config, model))


def reprojection_errors(model: pycolmap.Reconstruction) -> Array:
    """Give the mean error of each point (P,), pixels."""
    model.update_point_3d_errors()
    return np.array([point.error for point in model.points3D.values()])


def _options(
    loss: pycolmap.LossFunctionType, loss_scale_px: float
) -> pycolmap.BundleAdjustmentOptions:
    options = pycolmap.BundleAdjustmentOptions()
    options.print_summary = False
    options.refine_principal_point = False
    options.refine_sensor_from_rig = False
    options.ceres.loss_function_type = loss
    options.ceres.loss_function_scale = loss_scale_px
    options.ceres.solver_options.max_num_iterations = MAX_ITERATIONS
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
