# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The methods of the study of essential matrices, as settings of the localizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study_scales import Scale

__all__ = ['LAYER', 'Method', 'methods_of']

LAYER = 'nc_matching-unrelated'
"""Training of the matching layer that all features share."""

EVERY_QUERY: Mapping[str, str | int] = {
    'max_position_std': 0,
    'max_orientation_std': 0,
    'min_similarity': -1,
    'acceptance.max_false_accept_rate': 1,
    'min_match_agreement': 0,
    'min_inliers': 6,
}
"""As in the paper, each query has a pose, however unsure."""

FIVE_PAIRS: Mapping[str, str | int] = {
    'localizer': 'essential',
    'essential.max_pairs': 5,
    'essential.sufficient_points': 0,
    'essential.min_agreeing_pairs': 2,
    'descriptor_cache_mb': 512,
}

ANGLES_DEG = {'sift_5pt': (15, 5), 'nc_5pt': (20, 15)}
"""Zhou et al., Table I: of directions, indoors and outdoors."""
LEARNED_THRESHOLDS_PX = (5.5, 4.0)
"""The same, of learned matches, whose cells have 32 pixels there."""
PAPER_CELL_PX = 32


@dataclass(frozen=True)
class Method:
    """A way to a pose.

    Attributes:
        name: of its folder.
        estimator: of pairs, or `retrieval`.
        variant: refinement or interpolation.
        network: step that makes the weights; '' for none.
        layer: step that makes those of the matching, if it is another.
    """

    name: str
    estimator: str
    variant: str = 'none'
    network: str = ''
    layer: str = ''

    @property
    def needs(self) -> tuple[str, ...]:
        """Steps."""
        return tuple(filter(None, (self.network, self.layer)))

    def settings(
        self, is_indoors: bool, image_side: int, scale: Scale
    ) -> dict[str, str | int | float]:
        """Give the settings of the localizer.

        Args:
            is_indoors: which of the paper's thresholds hold.
            image_side: shorter side of the images, pixels.
            scale: of the study.
        """
        if self.estimator == 'retrieval':
            own = {'localizer': 'retrieval', 'retrieval.interpolation': self.variant}
            return {**EVERY_QUERY, **own}
        values: dict[str, str | int | float] = {**EVERY_QUERY, **FIVE_PAIRS}
        values['essential.pair_estimator'] = self.estimator
        values['essential.refinement'] = self.variant
        angles = ANGLES_DEG.get(self.estimator, (scale.regressed_angle_deg,) * 2)
        values['essential.max_direction_angle_deg'] = angles[0 if is_indoors else 1]
        if self.network:
            values['essential.network'] = _weights(self.network)
        if self.layer:
            values['essential.matching_network'] = _weights(self.layer)
        if self.estimator == 'nc_5pt':
            cell = scale.stride * image_side / scale.network_side
            threshold = LEARNED_THRESHOLDS_PX[0 if is_indoors else 1] * cell / PAPER_CELL_PX
            values['essential.learned_threshold_px'] = round(threshold, 3)
            values['essential.network_side'] = scale.network_side
        return values


def methods_of(trainings: Sequence[str]) -> tuple[Method, ...]:
    """Give all methods.

    Args:
        trainings: names, NETWORK-LOT.
    """
    classic = [
        Method('retrieval', 'retrieval'),
        Method('retrieval_affine', 'retrieval', 'affine'),
        *(
            Method(f'sift_5pt-{refinement}', 'sift_5pt', refinement)
            for refinement in ('none', 'epipolar', 'local_structure')
        ),
    ]
    regressed = [
        Method(name, name.partition('-')[0], 'none', f'train/{name}')
        for name in trainings
        if name != LAYER
    ]
    layer = f'train/{LAYER}'
    features = [name for name in trainings if name not in (LAYER, 'rpr-unrelated')]
    features = [name for name in features if name != 'relocnet-unrelated']
    hybrid = [
        Method('nc_5pt-initial', 'nc_5pt', 'none', 'initial/features', layer),
        *(Method(f'nc_5pt-{name}', 'nc_5pt', 'none', f'train/{name}', layer) for name in features),
        *(
            Method(f'nc_5pt-{name}-own_layer', 'nc_5pt', 'none', f'train/{name}')
            for name in features
            if name.startswith('nc_essnet')
        ),
    ]
    refined = Method(
        'nc_5pt-nc_essnet-rooms-local_structure',
        'nc_5pt',
        'local_structure',
        'train/nc_essnet-rooms',
        layer,
    )
    return (*classic, *regressed, *hybrid, refined)


def _weights(step: str) -> str:
    return f'RESULTS/{step}/best.safetensors'
