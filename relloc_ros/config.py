# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one schema of settings.

ROS parameters, ``--set key=value``, the YAML files in ``config/`` and the tables of the README are
made from these classes or tested against them. Each leaf has a default, a unit, a range and a
sentence. Nested blocks give dotted keys: ``essential.refinement``.

All of it is imported from here. The settings of localization and of a map stand below, the others
in modules of their own; `config_schema` is how settings are declared, checked and read.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from relloc_ros.config_schema import (
    STRICT,
    Parameter,
    Value,
    flatten,
    make_config,
    nearest,
    parameters,
    parse_assignments,
    read_config_file,
    setting,
)
from relloc_ros.localizer_config import (
    AprConfig,
    EssentialConfig,
    RetrievalConfig,
    StructureConfig,
)
from relloc_ros.node_config import NodeConfig
from relloc_ros.tracking_config import TrackingConfig
from relloc_ros.training_config import TrainingConfig

__all__ = [
    'AcceptanceConfig',
    'AprConfig',
    'EssentialConfig',
    'LocalizationConfig',
    'MapConfig',
    'NodeConfig',
    'Parameter',
    'RetrievalConfig',
    'StructureConfig',
    'TrackingConfig',
    'TrainingConfig',
    'Value',
    'flatten',
    'make_config',
    'nearest',
    'parameters',
    'parse_assignments',
    'read_config_file',
]


@dataclass(frozen=True, slots=True, config=STRICT)
class AcceptanceConfig:
    """Which poses are right, and how often a wrong one may be accepted."""

    max_false_accept_rate: float = setting(
        0.002,
        'Share of images that may be given a wrong pose: poses of less confidence than that '
        'takes are GATED; 1 gates none.',
        ge=0.001,
        le=1,
    )
    position_tolerance: float = setting(
        0.0,
        'A pose further off than this is wrong; 0: only one that is further off than its '
        'covariance allows.',
        unit='map units',
        ge=0,
    )
    orientation_tolerance_deg: float = setting(
        0.0, 'A pose turned by more than this is wrong; 0 as there.', unit='deg', ge=0, le=180
    )
    check_camera: bool = setting(
        True,
        'An image that another camera than the calibrated one would fit much better is GATED, and '
        'one with whose pose far fewer points agree than is usual on the map. Where the camera is '
        'doubtful, covariances are wider.',
    )


@dataclass(frozen=True, slots=True, config=STRICT)
class LocalizationConfig:
    """Settings of the path from image to pose, the same for node, CLI and evaluation."""

    localizer: str = setting('essential', 'Name of the method in the LOCALIZERS table.')
    top_k: int = setting(50, 'Map images retrieved by the global descriptor.', ge=1, le=1000)
    min_similarity: float = setting(
        0.0,
        'Map images whose global descriptor is less similar (cosine) are not considered.',
        ge=-1,
        le=1,
    )
    max_keypoints: int = setting(
        2000, 'Local features kept in a query image, strongest first.', ge=16, le=100000
    )
    matcher: Literal['mutual_ratio', 'lighterglue'] = setting(
        'mutual_ratio',
        'How local features are matched; lighterglue is for maps with features: xfeat.',
    )
    match_ratio: float = setting(
        0.0,
        'Largest ratio of nearest to second-nearest descriptor distance; 0 takes what suits the '
        "map's features (rootsift 0.85, xfeat 0.95).",
        ge=0,
        le=1,
    )
    min_match_agreement: float = setting(
        0.15,
        'Fewer of all matches on the epipolar lines of the pose than this: TOO_FEW_INLIERS.',
        ge=0,
        le=1,
    )
    min_inliers: int = setting(
        20,
        'Fewer query keypoints that support the pose than this: TOO_FEW_INLIERS.',
        ge=6,
        le=10000,
    )
    max_position_std: float = setting(
        1.0,
        'A pose whose position is less sure than this (largest axis) is GATED; 0 switches off.',
        unit='map units',
        ge=0,
    )
    max_orientation_std: float = setting(
        0.2,
        'A pose whose rotation is less sure than this (largest axis) is GATED; 0 switches off.',
        unit='rad',
        ge=0,
    )
    covariance_scale: float = setting(1.0, 'Factor on every covariance.', gt=0, le=1e6)
    focal_length_std: float = setting(
        0.003,
        "How unsure the focal lengths of a camera are that is not one of the map's, as a share: "
        '0.003 is 0.3 %. Covariances are as much wider as poses move with it.',
        ge=0,
        le=0.5,
    )
    resized_images: bool = setting(
        False,
        'An image message of another size than its camera_info, but of the same shape, was '
        'resized; without this it is refused.',
    )
    random_seed: int = setting(
        0,
        'Seed of every random step; a frame uses it together with its stamp.',
        ge=0,
        le=2**31 - 1,
    )
    weights_folder: str = setting(
        '', "Folder with the weights of the map's networks; empty takes the installed packages."
    )
    descriptor_cache_mb: int = setting(
        128,
        'Memory for descriptors of map images read on demand.',
        unit='MiB',
        ge=1,
        le=1048576,
    )
    num_threads: int = setting(
        0,
        'Threads of OpenCV; 0 leaves it alone. BLAS and networks use one.',
        ge=0,
        le=1024,
    )
    acceptance: AcceptanceConfig = Field(default_factory=AcceptanceConfig)
    apr: AprConfig = Field(default_factory=AprConfig)
    essential: EssentialConfig = Field(default_factory=EssentialConfig)
    retrieval: RetrievalConfig = Field(default_factory=RetrievalConfig)
    structure: StructureConfig = Field(default_factory=StructureConfig)


@dataclass(frozen=True, slots=True, config=STRICT)
class MapConfig:
    """Settings a map is built with; kept in its map.yaml, so that queries are treated alike."""

    features: Literal['rootsift', 'xfeat'] = setting(
        'rootsift', 'Local features of the map images and of its queries.'
    )
    max_keypoints: int = setting(
        3000, 'Local features kept per map image, strongest first.', ge=16, le=100000
    )
    global_descriptor: Literal['dense_vlad', 'efficientnet_gem'] = setting(
        'dense_vlad', 'Global descriptor used for retrieval.'
    )
    vlad_clusters: int = setting(64, 'Visual words of the VLAD vocabulary.', ge=2, le=1024)
    descriptor_dimension: int = setting(
        512,
        'Dimension of the whitened global descriptor, at most the number of images.',
        ge=2,
        le=4096,
    )
    weights_folder: str = setting(
        '', 'Folder with the weights of learned features; empty takes the installed packages.'
    )
    random_seed: int = setting(0, 'Seed of the vocabulary.', ge=0, le=2**31 - 1)
