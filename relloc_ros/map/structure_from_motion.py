# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses of images that have none: our features and matches, mapped by COLMAP.

The result has a frame and a scale of its own, which `alignment` fixes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
import math
from pathlib import Path
import tempfile
from typing import Any

import pycolmap

from relloc_ros.camera import Camera
from relloc_ros.config import MapConfig
from relloc_ros.errors import DataError, MissingDependencyError
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.sources import PosedImage
from relloc_ros.map.triangulation import quiet_colmap
from relloc_ros.map.unposed_images import UnposedImage
from relloc_ros.map.unposed_matching import match_images

__all__ = ['Mapper', 'Progress', 'Reconstructed', 'reconstruct']

Progress = Callable[[int, int, str], None]

LEAST_IMAGES = 3
"""Two images alone say nothing about whether their poses are right."""
MANY_IMAGES = 10
"""So many images may tell the principal point of their camera."""
MAX_OFFSET = 0.03
"""Of the longer side: lenses are hardly ever mounted further off the middle."""
SEED = 0


class Mapper(str, Enum):
    """COLMAP's ways from matches to poses."""

    INCREMENTAL = 'incremental'
    GLOBAL = 'global'


@dataclass(frozen=True, slots=True, eq=False)
class Reconstructed:
    """What structure from motion has found.

    Attributes:
        posed: images with poses and refined cameras, in the order given; frame and scale are
            arbitrary.
        left_out: names of the images without.
        num_points: 3D points that support the poses.
        other_models: numbers of images in further models, which do not connect to this one.
        mean_error_px: mean reprojection error of the points.
    """

    posed: list[PosedImage]
    left_out: list[str]
    num_points: int
    other_models: list[int]
    mean_error_px: float


def reconstruct(
    images: Sequence[UnposedImage],
    config: MapConfig | None = None,
    *,
    mapper: Mapper = Mapper.INCREMENTAL,
    refine_cameras: bool = True,
    progress: Progress | None = None,
) -> Reconstructed:
    """Find poses of images by structure from motion; those of the largest model are taken.

    COLMAP maps with one thread and a fixed seed: the same images give the same poses on the same
    machine.

    Args:
        images: images of one scene, in the order of time or name.
        config: settings of the features.
        mapper: incremental, or global (GLOMAP), which is quicker for many images.
        refine_cameras: whether focal length and distortion are found, too.
        progress: called with the number done, the number in all and the name of the stage.

    Raises:
        DataError: too few images or matches, an image is unreadable or not of its camera's size,
            or no model of three images can be found.
        MissingDependencyError: pycolmap has no such mapper, or the features need a network whose
            packages are not installed.
    """
    report = progress or (lambda done, total, stage: None)
    if len(images) < LEAST_IMAGES:
        raise DataError(
            f'structure from motion needs {LEAST_IMAGES} images that overlap, not {len(images)}'
        )
    _check_mapper(mapper)
    with tempfile.TemporaryDirectory(prefix='relloc-sfm-') as scratch, quiet_colmap():
        database = Path(scratch) / 'database.db'
        num_pairs = match_images(images, config or MapConfig(), database, report)
        if num_pairs < LEAST_IMAGES - 1:
            raise DataError(
                f'only {num_pairs} pairs of the {len(images)} images have enough matches: take '
                'images that overlap by half or more, or give more keypoints with --set '
                'max_keypoints=8000'
            )
        models = _map(mapper, database, Path(scratch), len(images), refine_cameras, report)
        sizes = sorted((model.num_reg_images() for model in models), reverse=True)
        best = max(models, key=_rank, default=None)
        if best is None or best.num_reg_images() < LEAST_IMAGES:
            raise DataError(_nothing_found(len(images), num_pairs, refine_cameras))
        if refine_cameras:
            best = _with_principal_points(best)
        return _collect(images, best, sizes[1:])


def _rank(model: pycolmap.Reconstruction) -> tuple[int, int]:
    return model.num_reg_images(), len(model.points3D)


def _check_mapper(mapper: Mapper) -> None:
    if mapper is Mapper.GLOBAL and not hasattr(pycolmap, 'global_mapping'):
        raise MissingDependencyError(
            f'pycolmap {pycolmap.__version__} has no global mapper: pip install -U pycolmap, or '
            'take the incremental one'
        )


def _map(
    mapper: Mapper,
    database: Path,
    scratch: Path,
    count: int,
    refine_cameras: bool,
    report: Progress,
) -> list[pycolmap.Reconstruction]:
    output = scratch / 'models'
    output.mkdir()
    stage = f'{mapper.value} mapping'
    report(0, count, stage)
    if mapper is Mapper.GLOBAL:
        options = _global_options(refine_cameras)
        found = pycolmap.global_mapping(database, scratch, output, options)
        return list(found.values())
    registered = 2

    def registered_one() -> None:
        nonlocal registered
        registered = min(registered + 1, count)
        report(registered, count, stage)

    found = pycolmap.incremental_mapping(
        database,
        scratch,
        output,
        _incremental_options(refine_cameras),
        next_image_callback=registered_one,
    )
    return list(found.values())


def _incremental_options(refine_cameras: bool) -> pycolmap.IncrementalPipelineOptions:
    options = pycolmap.IncrementalPipelineOptions()
    options.extract_colors = False
    options.min_model_size = LEAST_IMAGES
    options.ba_refine_focal_length = options.ba_refine_extra_params = refine_cameras
    options.mapper.abs_pose_refine_focal_length = refine_cameras
    options.mapper.abs_pose_refine_extra_params = refine_cameras
    # More threads add up in another order each time.
    options.num_threads = options.mapper.num_threads = 1
    for part in (options, options.mapper, options.triangulation):
        part.random_seed = SEED
        if not refine_cameras:
            # What is given is right, however strong the lens.
            part.min_focal_length_ratio = 1e-3
            part.max_focal_length_ratio = part.max_extra_param = 1e3
    return options


def _global_options(refine_cameras: bool) -> Any:
    options = pycolmap.GlobalPipelineOptions()
    options.min_model_size = LEAST_IMAGES
    options.num_threads = options.mapper.num_threads = 1
    mapper = options.mapper
    for part in (
        options,
        mapper,
        mapper.rotation_averaging,
        mapper.global_positioning,
        mapper.retriangulation,
    ):
        part.random_seed = SEED
    mapper.global_positioning.use_gpu = False
    adjustment = mapper.bundle_adjustment
    adjustment.refine_focal_length = adjustment.refine_extra_params = refine_cameras
    adjustment.ceres.use_gpu = False
    adjustment.ceres.solver_options.num_threads = 1
    return options


def _with_principal_points(model: pycolmap.Reconstruction) -> pycolmap.Reconstruction:
    """Adjust once more, with the principal points of cameras that took many of the images.

    COLMAP leaves them at the middle of the image, since they go astray where the images do not
    tell them. A result that is far from there is such a case, and not taken.
    """
    numbers = Counter(model.images[image_id].camera_id for image_id in model.reg_image_ids())
    many = {camera_id for camera_id, number in numbers.items() if number >= MANY_IMAGES}
    adjusted = pycolmap.Reconstruction(model)
    options, config = pycolmap.BundleAdjustmentOptions(), pycolmap.BundleAdjustmentConfig()
    options.refine_principal_point = True
    options.refine_sensor_from_rig = options.print_summary = False
    options.ceres.solver_options.num_threads = 1
    for image_id in sorted(model.reg_image_ids()):
        config.add_image(image_id)
    for camera_id in numbers.keys() - many:
        config.set_constant_cam_intrinsics(camera_id)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    if many:
        pycolmap.create_default_bundle_adjuster(options, config, adjusted).solve()
        adjusted.update_point_3d_errors()
    is_plausible = all(_is_centred(adjusted.cameras[camera_id]) for camera_id in many)
    return adjusted if is_plausible else model


def _is_centred(camera: pycolmap.Camera) -> bool:
    offset = math.hypot(
        camera.principal_point_x - camera.width / 2, camera.principal_point_y - camera.height / 2
    )
    return offset <= MAX_OFFSET * max(camera.width, camera.height)


def _nothing_found(count: int, num_pairs: int, refine_cameras: bool) -> str:
    remedy = 'take images with more overlap and from places further apart'
    if refine_cameras:
        remedy += ', or give the calibration with --camera'
    return f'no model of the {count} images can be found, though {num_pairs} pairs match: {remedy}'


def _collect(
    images: Sequence[UnposedImage], model: pycolmap.Reconstruction, other_models: list[int]
) -> Reconstructed:
    by_name = {
        model.images[image_id].name: model.images[image_id] for image_id in model.reg_image_ids()
    }
    posed = []
    for image in images:
        found = by_name.get(image.name)
        if found is None:
            continue
        camera = Camera.from_pycolmap(model.cameras[found.camera_id])
        pose = RigidTransform.from_matrix(found.cam_from_world().matrix())
        posed.append(PosedImage(image.name, image.path, camera, pose, image.stamp_ns))
    return Reconstructed(
        posed=posed,
        left_out=[image.name for image in images if image.name not in by_name],
        num_points=len(model.points3D),
        other_models=other_models,
        mean_error_px=float(model.compute_mean_reprojection_error()),
    )
