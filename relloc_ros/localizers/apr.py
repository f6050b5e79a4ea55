# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Absolute pose regression: a network that has learned the map tells the pose, without the map.

Kendall et al., ICCV 2015, and what came of it; `relloc train apr` trains it. Nothing is matched,
no map image is looked at: the network answers whatever it is shown, and how sure it is of that is
its own word. So an image that is unlike all that it has learned from gets no pose (`Novelty`), and
what the covariance is worth is measured by `relloc map calibrate`.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relloc_ros.config import LocalizationConfig
from relloc_ros.errors import ConfigError, DataError
from relloc_ros.localizers.base import Localizer
from relloc_ros.localizers.learned_map import learned_images
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.structures import Localization, PoseEstimate, QueryImage, Status

if TYPE_CHECKING:
    from relloc_ros.networks.apr import TrainedPoseNet

__all__ = ['AprLocalizer']

LEAST_CONTRAST = 2.0
"""Standard deviation of the grey levels, of 255, of an image that shows anything."""


NEARER = 0.9
"""Less than this share of a distance to the training images counts as nearer. Of images of
redkitchen that are like the training images, all 247 are kept so; of the mirrored ones that are,
127 of 137 are refused."""


class AprLocalizer(Localizer):
    """Coefficients of the image, refusal of what is new, linear combination of base poses."""

    def __init__(self, reference_map: ReferenceMap, config: LocalizationConfig) -> None:
        """Load the network.

        Raises:
            ConfigError: no file of weights is named.
            DataError: it is missing, damaged, of another network, of a run that has not ended, or
                trained on another map.
            MissingDependencyError: PyTorch is not installed.
        """
        super().__init__(reference_map, config)
        from relloc_ros.networks.apr import PoseRegressor  # noqa: PLC0415  optional
        from relloc_ros.networks.apr.novelty import Novelty  # noqa: PLC0415

        trained = _read(config.apr.network)
        assert trained.embeddings is not None
        assert trained.held_out is not None
        self._learned = learned_images(reference_map, trained, Path(config.apr.network))
        self._names = trained.embeddings.names
        self._novelty = Novelty(trained.embeddings.alphas, trained.held_out.alphas)
        self._regressor = PoseRegressor(trained.network)
        # Dropout is switched on and off in the network, for the covariance.
        self._lock = Lock()

    @property
    def learned_images(self) -> NDArray[np.bool_]:
        """(N,) the training images, and those like them that the map has got since."""
        return self._learned

    def localize(self, query: QueryImage, seed: int) -> Localization:
        """Give the pose that the network tells; `seed` is not needed, dropout has its own."""
        timer = StageTimer()
        if query.image.std() < LEAST_CONTRAST:
            reason = 'the image has no texture: it is blank, dark, blurred or covered'
            return self._answer(query, timer, Status.NO_FEATURES, reason)
        with timer('regression'), self._lock:
            found = self._regressor.regress(query.image)
        with timer('retrieval'):
            nearest, novelty = self._novelty.nearest(found.alpha, self.config.top_k)
        retrieved = tuple(self._names[index] for index in nearest)
        reason = self._refusal(query, float(novelty[0]), timer)
        if reason:
            return self._answer(query, timer, Status.NO_RETRIEVAL, reason, retrieved)
        pose = PoseEstimate(found.map_from_cam, found.covariance)
        return self._answer(query, timer, Status.LOCALIZED, '', retrieved, pose)

    def _refusal(self, query: QueryImage, novelty: float, timer: StageTimer) -> str:
        """Say why the network cannot know what the image shows; '' if it can."""
        most = self.config.apr.max_novelty
        if not most:
            return ''
        if novelty > most:
            return (
                'the image is unlike all that the network has learned from: novelty '
                f'{novelty:.3g} exceeds apr.max_novelty {most:g}'
            )
        with timer('mirror image'), self._lock:
            alpha = self._regressor.describe(np.ascontiguousarray(query.image[:, ::-1]))
        _, mirrored = self._novelty.nearest(alpha, 1)
        if mirrored[0] < NEARER * novelty:
            return 'the image is mirrored: its mirror image is more like what was learned'
        return ''

    def _answer(
        self,
        query: QueryImage,
        timer: StageTimer,
        status: Status,
        reason: str,
        retrieved: tuple[str, ...] = (),
        pose: PoseEstimate | None = None,
    ) -> Localization:
        return Localization(
            status=status,
            reason=reason,
            stamp_ns=query.stamp_ns,
            localizer='apr',
            camera_pose=pose,
            retrieved=retrieved,
            timings_ms=timer.milliseconds,
        )


def _read(network: str) -> TrainedPoseNet:
    """Read the file of a network that can be used for localization."""
    from relloc_ros.networks.apr import load_trained  # noqa: PLC0415  optional

    if not network:
        raise ConfigError(
            'localizer apr needs a network that is trained on the map: set apr.network to a file '
            'that `relloc train apr` has written'
        )
    trained = load_trained(Path(network))
    if trained.embeddings is None or trained.held_out is None:
        raise DataError(
            f'{network} is of a run that has not ended: it does not say which images the network '
            'knows; end the run with `relloc train apr --resume`'
        )
    return trained
