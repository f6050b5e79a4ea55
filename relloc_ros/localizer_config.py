# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of one localizer each: the blocks of LocalizationConfig."""

from __future__ import annotations

from typing import Literal

from pydantic.dataclasses import dataclass

from relloc_ros.config_schema import STRICT, setting

__all__ = ['AprConfig', 'EssentialConfig', 'RetrievalConfig', 'StructureConfig']


@dataclass(frozen=True, slots=True, config=STRICT)
class AprConfig:
    """Settings of the localizer `apr`, a network trained on the map."""

    network: str = setting(
        '', 'File of the weights of the network, as written by relloc train apr.'
    )
    network_images: str = setting(
        '',
        'Folder of the images of the map, which only calibration looks at; empty looks where the '
        'map was built from.',
    )
    max_novelty: float = setting(
        1.0,
        'An image less like all training images than this, where 1 is the limit that the images '
        'held out in training set: NO_RETRIEVAL. 0 switches off.',
        ge=0,
        le=1000,
    )


@dataclass(frozen=True, slots=True, config=STRICT)
class EssentialConfig:
    """Settings of the default localizer `essential`."""

    pair_estimator: Literal['sift_5pt', 'essnet', 'nc_essnet', 'nc_5pt', 'rpr', 'relocnet'] = (
        setting(
            'sift_5pt',
            'How the geometry of the query and one map image is estimated: from matches of '
            'features (sift_5pt), from those of a network (nc_5pt), or by a network alone, which '
            'leaves nothing to refine.',
        )
    )
    network: str = setting('', 'File of the weights of the network, as written by relloc train.')
    matching_network: str = setting(
        '',
        'File of the weights of the matching of nc_5pt, which network then gives the features '
        'for; empty takes both from there.',
    )
    network_images: str = setting(
        '',
        'Folder of the images of the map, which networks look at; empty looks where the map was '
        'built from.',
    )
    network_side: int = setting(
        480,
        'Shorter side to which nc_5pt resizes images; other networks have a size of their own.',
        unit='px',
        ge=64,
        le=4096,
    )
    learned_threshold_px: float = setting(
        5.5,
        'The epipolar_threshold_px of nc_5pt, whose other thresholds are that much coarser than '
        'those of keypoints, too.',
        unit='px',
        gt=0,
        le=200,
    )
    refinement: Literal['none', 'epipolar', 'local_structure'] = setting(
        'local_structure',
        'What follows the RANSAC over pairs: nothing, all matches of all pairs, or triangulated '
        'points.',
    )
    max_pairs: int = setting(
        12,
        'Map images used for one query, after diversity and re-ranking.',
        ge=2,
        le=50,
    )
    sufficient_points: int = setting(
        100,
        'Triangulated keypoints that suffice: if half of the max_pairs map images give as many, '
        'the other half is not matched. 0 always matches all.',
        ge=0,
        le=100_000,
    )
    more_pairs: int = setting(
        8,
        'Further map images, matched with queries that have few triangulated keypoints even so: '
        'fewer than sufficient_points and half as many again.',
        ge=0,
        le=50,
    )
    min_image_distance: float = setting(
        0.0,
        'Least distance between the map images used (a of the paper); 0 derives it.',
        unit='map units',
        ge=0,
    )
    max_image_distance: float = setting(
        0.0,
        'Largest distance between the map images used (b of the paper); 0 derives it.',
        unit='map units',
        ge=0,
    )
    min_agreeing_pairs: int = setting(
        3,
        'Fewer map images whose essential matrix agrees with the pose than this: TOO_FEW_INLIERS.',
        ge=2,
        le=50,
    )
    epipolar_threshold_px: float = setting(
        0.5,
        'RANSAC threshold of the Sampson error of one pair.',
        unit='px',
        gt=0,
        le=50,
    )
    reprojection_threshold_px: float = setting(
        3.0,
        'Threshold of triangulation and of the absolute pose.',
        unit='px',
        gt=0,
        le=50,
    )
    min_triangulation_angle_deg: float = setting(
        1.0,
        'Least angle between two rays of a triangulated point.',
        unit='deg',
        gt=0,
        le=45,
    )
    max_direction_angle_deg: float = setting(
        15.0,
        'A pair supports a pose hypothesis if its translation direction agrees within this angle.',
        unit='deg',
        gt=0,
        le=90,
    )


@dataclass(frozen=True, slots=True, config=STRICT)
class RetrievalConfig:
    """Settings of the baseline localizer `retrieval`."""

    interpolation: Literal['none', 'affine', 'equal', 'inverse_distance'] = setting(
        'none',
        'How the poses of the most similar images are combined: the first alone, or weights by '
        'descriptors, equal, by inverse distance of descriptors.',
    )
    num_neighbours: int = setting(
        4, 'Map images whose poses are combined, or spread out the covariance.', ge=1, le=1000
    )


@dataclass(frozen=True, slots=True, config=STRICT)
class StructureConfig:
    """Settings of the localizer `structure`, which wants a map with 3D points."""

    matching: Literal['retrieved', 'direct'] = setting(
        'retrieved',
        'Whether the query is matched with retrieved images, or with the points of the whole map '
        'by visual words.',
    )
    max_images: int = setting(
        12, 'Retrieved images that are matched, after diversity and re-ranking.', ge=1, le=50
    )
    max_matches: int = setting(
        200, 'Direct matching stops at this many matches.', ge=20, le=100000
    )
    reprojection_threshold_px: float = setting(
        3.0, 'Largest reprojection error of an inlier.', unit='px', gt=0, le=50
    )
