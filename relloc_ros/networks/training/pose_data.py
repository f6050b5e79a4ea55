# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The images of one map, put together for a network that learns their absolute poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import hashlib

import numpy as np
from numpy.typing import NDArray

from relloc_ros.errors import DataError
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage
from relloc_ros.networks.apr.absolute_pose_net import AbsolutePoseNet
from relloc_ros.networks.network_config import AbsolutePoseConfig
from relloc_ros.networks.training.images import ResizedImages, TrainingImage, images_of_map
from relloc_ros.networks.training.pose_examples import (
    NUM_POINTS,
    PoseExamples,
    PoseObjective,
)
from relloc_ros.networks.training.scene import Scene, scene_of_map
from relloc_ros.networks.training.windows import held_out_of_sequences, make_windows

__all__ = ['PoseData']


@dataclass(frozen=True, slots=True, eq=False)
class PoseData:
    """What a network for absolute poses learns from.

    Attributes:
        images: (N,) those of the map.
        odometry: images with poses of odometry, in a frame of its own.
        validation: (N,) which are held out.
        scene: what the map's images show; None where the network's settings do not ask.
        needs_points: images that show no 3D points are of no use.
        map_id: of the map.
        frame_id: name of the map's frame.
        units: of the map.
    """

    images: list[TrainingImage]
    odometry: list[TrainingImage]
    validation: NDArray[np.bool_]
    scene: Scene | None
    needs_points: bool
    map_id: str
    frame_id: str
    units: str

    @classmethod
    def of_map(
        cls,
        reference_map: ReferenceMap,
        source: Sequence[PosedImage],
        config: AbsolutePoseConfig,
        odometry: Sequence[PosedImage] = (),
    ) -> PoseData:
        """Find the images of a map in its source.

        Args:
            reference_map: the map.
            source: has the pixels.
            config: of the network, which says what it wants to know of an image.
            odometry: images that have no poses in the map.

        Raises:
            DataError: images are not there, too few, or the map lacks what the loss takes.
        """
        if 0 < len(odometry) < 2:
            raise DataError(
                'the source of odometry has one image, which was moved nowhere: name another '
                'with --odometry'
            )
        is_geometric = config.loss == 'geometric'
        needs_scene = is_geometric or config.synthetic_views > 0
        images = images_of_map(reference_map, source)
        return cls(
            images,
            [TrainingImage(each, '') for each in odometry],
            held_out_of_sequences(images),
            scene_of_map(reference_map, needs_points=is_geometric) if needs_scene else None,
            is_geometric,
            reference_map.map_id,
            reference_map.frame_id,
            reference_map.units,
        )

    def __post_init__(self) -> None:
        """Check that there is something to learn.

        Raises:
            DataError: there is not.
        """
        for kind, wanted in (('training', False), ('validation', True)):
            if not self.usable(validation=wanted).any():
                what = ' that show 3D points of it' if self.needs_points else ''
                raise DataError(
                    f'map {self.map_id} gives no images for {kind}{what}: take a map of more '
                    'images, of which one in six is for validation'
                )

    def usable(self, *, validation: bool) -> NDArray[np.bool_]:
        """Tell which images (N,) are for validation, or for training."""
        chosen = self.validation == validation
        if self.needs_points and self.scene is not None:
            chosen &= np.array([len(each) > 0 for each in self.scene.points])
        return chosen

    def num_images(self, *, validation: bool) -> int:
        """Count the images for validation, or for training."""
        return int(self.usable(validation=validation).sum())

    def examples(self, config: AbsolutePoseConfig) -> tuple[PoseExamples, PoseExamples]:
        """Give the examples for training and for validation, as a network sees them."""
        resized = ResizedImages([*self.images, *self.odometry], config.shorter_side)
        everything = np.ones(len(self.odometry), dtype=bool)
        unlabelled = _windows(self.odometry, everything, config) + len(self.images)
        num_points = NUM_POINTS if self.needs_points else 0
        training = PoseExamples(
            resized,
            _windows(self.images, self.usable(validation=False), config),
            unlabelled if len(unlabelled) else None,
            config.crop,
            self.scene,
            num_points,
            config.synthetic_views,
        )
        windows = _windows(self.images, self.usable(validation=True), config)
        return training, PoseExamples(resized, windows, None, config.crop, self.scene, num_points)

    def as_seen(self, config: AbsolutePoseConfig, *, validation: bool) -> PoseExamples:
        """Give the images for either purpose in the map's order, as localization would see them.

        Each with the one before it if the network looks at that.
        """
        chosen = self.usable(validation=validation)
        length = 2 if config.embedding == 'fusion' else 1
        windows = make_windows(self.images, chosen, length, config.window_step)
        # Each is read once.
        resized = ResizedImages(self.images, config.shorter_side, room=0)
        return PoseExamples(resized, windows[np.argsort(windows[:, -1])], None, config.crop)

    def objective(self, network: AbsolutePoseNet) -> PoseObjective:
        """Put network and loss together; the network gets the frame of the training poses."""
        poses = [image.posed.cam_from_map.inverse() for image in self.images_for(validation=False)]
        network.fit_frame(
            np.array([each.translation for each in poses]),
            np.array([each.rotation for each in poses]),
        )
        return PoseObjective(network)

    def images_for(self, *, validation: bool) -> list[TrainingImage]:
        """Give the images that are for validation, or for training, in the order of the map."""
        return [self.images[index] for index in np.flatnonzero(self.usable(validation=validation))]

    def about(self) -> dict[str, str]:
        """Give what is to be remembered of the map and of the data."""
        return {
            'data': self.digest(),
            'map_id': self.map_id,
            'frame_id': self.frame_id,
            'units': self.units,
        }

    def digest(self) -> str:
        """Give a hash of map, pixels, poses, cameras and what is held out, as hexadecimal text."""
        content = hashlib.sha256(self.map_id.encode())
        for image in [*self.images, *self.odometry]:
            camera = image.posed.camera
            calibration = (camera.model, camera.width, camera.height, camera.params)
            known = (image.posed.name, image.posed.stamp_ns, image.digest, calibration)
            content.update(f'{known}\n'.encode())
            content.update(image.posed.cam_from_map.matrix.tobytes())
        content.update(self.validation.tobytes())
        if self.scene is not None:
            content.update(np.concatenate([*self.scene.points, self.scene.planes]).tobytes())
        return content.hexdigest()


def _windows(
    images: Sequence[TrainingImage], chosen: NDArray[np.bool_], config: AbsolutePoseConfig
) -> NDArray[np.int64]:
    return make_windows(images, chosen, config.window, config.window_step)
