# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Start of a localizer: copy, rename, add to LOCALIZERS, give it a block in `localizer_config.py`.

LocalizationConfig in `config.py` takes the block in. The contract tests in
test/test_localizers.py then run on it.
"""

from __future__ import annotations

from relloc_ros.localizers.base import Localizer
from relloc_ros.localizers.reference_matching import retrieve_images
from relloc_ros.localizers.stage_timer import StageTimer
from relloc_ros.structures import Localization, QueryImage, Status

__all__ = ['TemplateLocalizer']


class TemplateLocalizer(Localizer):
    """Say in one sentence how the method finds the pose, and where it was published."""

    def localize(self, query: QueryImage, seed: int) -> Localization:
        """Estimate the pose of the query's camera in the map."""
        timer = StageTimer()
        with timer('retrieval'):
            indices = retrieve_images(self.reference_map, query, self.config)
        return Localization(
            status=Status.TOO_FEW_MATCHES,
            reason='this is a template: it estimates nothing',
            stamp_ns=query.stamp_ns,
            localizer='template',
            retrieved=tuple(self.reference_map.image_names[i] for i in indices),
            timings_ms=timer.milliseconds,
        )
