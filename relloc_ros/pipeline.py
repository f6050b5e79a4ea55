# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one path from image to pose, walked by the node, the CLI and the evaluation alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
import time
from typing import Any
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig
from relloc_ros.errors import DataError
from relloc_ros.gating import gate
from relloc_ros.image_decoding import decode_image, stamp_of
from relloc_ros.localizers import RigLocalizer, create_localizer, for_rigs
from relloc_ros.localizers.sighting import PlacedSighting, Sighting, add_timings
from relloc_ros.map.calibration import choose_calibration
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import (
    Localization,
    PoseEstimate,
    QueryImage,
    RigView,
    SearchArea,
    Status,
)
from relloc_ros.wrong_camera import KnownCameras, focal_spread, widening

__all__ = ['Relocalizer', 'frame_seed']


def frame_seed(random_seed: int, stamp_ns: int) -> int:
    """Seed of one frame: depends on its stamp, so that dropped frames change nothing."""
    return zlib.crc32(f'{random_seed}:{stamp_ns}'.encode()) & 0x7FFFFFFF


class Relocalizer:
    """Localizes images in a map, alone or as rigs.

    `process` is a pure function of image, camera, stamp and configuration: what was processed
    before changes nothing. Consensus over time belongs above it. `process_rig` is `sight` for each
    image and `locate` for all; who has an image in several rigs keeps what `sight` gave.
    """

    def __init__(
        self, reference_map: ReferenceMap, config: LocalizationConfig | None = None
    ) -> None:
        """Prepare the configured localizer.

        Raises:
            ConfigError: unknown localizer.
            MapError: the map lacks what the localizer needs.
        """
        self.reference_map = reference_map
        self.config = config or LocalizationConfig()
        if self.config.num_threads:
            cv2.setNumThreads(self.config.num_threads)
        self._localizer = create_localizer(reference_map, self.config)
        self.calibration = choose_calibration(
            reference_map.calibrations,
            self.config,
            reference_map.map_id,
            str(reference_map.path),
        )
        self._known_cameras = KnownCameras(reference_map.cameras.values())
        self._thread_pools = ThreadpoolController()

    @property
    def learned_images(self) -> NDArray[np.bool_]:
        """(N,) which images of the map the localizer has learned: see `Localizer`."""
        return self._localizer.learned_images

    def process(self, query: QueryImage) -> Localization:
        """Localize one image. Wall milliseconds of each stage come with the answer."""
        start = time.perf_counter()
        try:
            _check_size(query)
            seed = frame_seed(self.config.random_seed, query.stamp_ns)
            # BLAS threads wait for each other: where other processes want the cores too, as on any
            # robot, the small products of matching take ten times as long with them.
            with self._thread_pools.limit(limits=1, user_api='blas'):
                result = self._finished(self._localizer.localize(query, seed))
        except DataError as error:
            result = self._error(query.stamp_ns, error)
        return _timed(result, start, {})

    def require_rigs(self) -> RigLocalizer:
        """Make sure that rigs can be localized.

        Raises:
            ConfigError: the localizer takes single images only.
        """
        return for_rigs(self._localizer)

    def process_rig(self, views: Sequence[RigView]) -> Localization:
        """Localize images with known places on one body together.

        An image that cannot be used contributes nothing, as one that shows nothing.

        Args:
            views: at least one; the newest gives stamp and seed.

        Returns:
            The pose of the body at the time of the newest image.

        Raises:
            ConfigError: the localizer takes single images only.
        """
        start = time.perf_counter()
        placed = [
            PlacedSighting(
                self.sight(view.query), view.body_from_cam, view.position_std, view.rotation_std
            )
            for view in views
        ]
        result = self.locate(placed)
        stages = [view.sighting.timings_ms for view in placed]
        return _timed(add_timings(result, *stages), start, {})

    def sight(self, query: QueryImage) -> Sighting:
        """Find out what an image shows of the map, for `locate`.

        Raises:
            ConfigError: the localizer takes single images only.
        """
        localizer = self.require_rigs()
        try:
            _check_size(query)
            seed = frame_seed(self.config.random_seed, query.stamp_ns)
            with self._thread_pools.limit(limits=1, user_api='blas'):
                return localizer.sight(query, seed)
        except DataError as error:
            return Sighting(query.name, query.stamp_ns, status=Status.ERROR, reason=str(error))

    def sight_message(
        self,
        message: Any,
        camera: Camera,
        name: str = '',
        search_area: SearchArea | None = None,
    ) -> Sighting:
        """Decode an Image or CompressedImage message, and find out what it shows, for `locate`.

        A message that cannot be decoded shows nothing.

        Raises:
            ConfigError: the localizer takes single images only.
        """
        start = time.perf_counter()
        try:
            query = decode_image(message, camera, name, resized=self.config.resized_images)
        except DataError as error:
            return Sighting(name, stamp_of(message), status=Status.ERROR, reason=str(error))
        decoding = 1e3 * (time.perf_counter() - start)
        sighting = self.sight(replace(query, search_area=search_area))
        return replace(sighting, timings_ms={'decoding': decoding, **sighting.timings_ms})

    def locate(self, views: Sequence[PlacedSighting]) -> Localization:
        """Localize the body that images were taken from, by what they show.

        Args:
            views: at least one; the newest gives stamp and seed.

        Raises:
            ConfigError: the localizer takes single images only.
        """
        start = time.perf_counter()
        stamp_ns = max(view.sighting.stamp_ns for view in views)
        seed = frame_seed(self.config.random_seed, stamp_ns)
        with self._thread_pools.limit(limits=1, user_api='blas'):
            found = self.require_rigs().locate(views, seed)
        result = self._finished(found, measured=all(view.is_certain for view in views))
        return _timed(result, start, {})

    def process_message(
        self,
        message: Any,
        camera: Camera,
        name: str = '',
        search_area: SearchArea | None = None,
    ) -> Localization:
        """Decode an Image or CompressedImage message and localize it, in an area if one is given.

        A message that cannot be decoded is `Status.ERROR` with the reason.
        """
        start = time.perf_counter()
        try:
            query = decode_image(message, camera, name, resized=self.config.resized_images)
        except DataError as error:
            return _timed(self._error(stamp_of(message), error), start, {})
        query = replace(query, search_area=search_area)
        decoding = {'decoding': 1e3 * (time.perf_counter() - start)}
        return _timed(self.process(query), start, decoding)

    def _finished(self, found: Localization, *, measured: bool = True) -> Localization:
        """Calibrate the covariance of a pose, and judge by it.

        Args:
            found: what the localizer says.
            measured: whether nothing but the map's images is in the covariance.
        """
        calibration, pose = self.calibration.calibration, found.camera_pose
        if pose is not None:
            covariance, deviation = pose.covariance, found.camera_deviation
            camera = deviation.camera if deviation else None
            is_known = camera is None or camera in self._known_cameras
            if calibration is not None:
                covariance = calibration.apply(covariance, found.num_inliers, shrink=measured)
                if self.config.acceptance.check_camera:
                    scale = calibration.camera_scale
                    covariance = covariance + widening(deviation, scale, is_known=is_known)
            if not is_known:
                spread = focal_spread(deviation, self.config.focal_length_std)
                covariance = covariance + spread
            found = replace(found, camera_pose=PoseEstimate(pose.map_from_body, covariance))
        return gate(found, self.config, calibration)

    def _error(self, stamp_ns: int, error: DataError) -> Localization:
        return Localization(Status.ERROR, str(error), stamp_ns, self.config.localizer)


def _check_size(query: QueryImage) -> None:
    height, width = query.image.shape[:2]
    if (width, height) != (query.camera.width, query.camera.height):
        raise DataError(
            f'image {query.name} is {width}x{height}, its camera {query.camera.width}x'
            f'{query.camera.height}: calibrate for this size'
        )


def _timed(
    localization: Localization, start: float, first_stages: Mapping[str, float]
) -> Localization:
    total = 1e3 * (time.perf_counter() - start)
    stages = {**first_stages, **localization.timings_ms, 'total': total}
    return replace(localization, timings_ms=stages)
