# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The one schema of settings.

ROS parameters, ``--set key=value``, the YAML files in ``config/`` and the tables of the README are
made from these classes or tested against them. Each leaf has a default, a unit, a range and a
sentence. Nested blocks give dotted keys: ``essential.refinement``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from relloc_ros.config_schema import (
    STRICT,
    Names,
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

__all__ = [
    'AcceptanceConfig',
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


@dataclass(frozen=True, slots=True, config=STRICT)
class AcceptanceConfig:
    """Which poses are right, and how often a wrong one may be accepted."""

    max_false_accept_rate: float = setting(
        0.005,
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
        'An image that another focal length or principal point would fit much better is GATED.',
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


@dataclass(frozen=True, slots=True, config=STRICT)
class NodeConfig:
    """Settings of the ROS node around the localizer; names follow Nav2's AMCL where it has one."""

    map_path: str = setting('', 'Folder of the map.', mutability='reload')
    global_frame_id: str = setting('map', 'Frame of the published pose.')
    odom_frame_id: str = setting('odom', 'Frame of odometry, child of the map frame.')
    base_frame_id: str = setting('base_link', 'Frame of the robot, the body whose pose is meant.')
    camera_frame: str = setting(
        '', "Optical frame of the camera; empty takes the image's frame_id."
    )
    tf_broadcast: bool = setting(True, 'False is the same as tf_mode: none.')
    tf_mode: Literal['map_to_odom', 'map_to_base', 'none'] = setting(
        'map_to_odom', 'Which transform is broadcast.'
    )
    transform_tolerance: float = setting(
        0.1,
        'How far map to odom is post-dated.',
        unit='s',
        ge=0,
        le=10,
        mutability='live',
    )
    transform_timeout: float = setting(
        0.2,
        'How long a frame waits for late TF.',
        unit='s',
        ge=0,
        le=10,
        mutability='live',
    )
    tf_publish_rate: float = setting(
        20.0, 'Rate at which map to odom is repeated.', unit='Hz', gt=0, le=1000
    )
    tf_lost_timeout: float = setting(
        0.0,
        'When this long without a fix, map to odom is not repeated any more; 0 is never.',
        unit='s',
        ge=0,
        le=86400,
        mutability='live',
    )
    two_d_mode: bool = setting(
        False, 'The robot drives on the plane z = 0: pose and map to odom without roll and pitch.'
    )
    correction_speed: float = setting(
        0.0,
        'Speed at which a correction of map to odom moves the robot; 0 is at once.',
        unit='m/s',
        ge=0,
        le=100,
        mutability='live',
    )
    correction_turn_rate: float = setting(
        0.0,
        'Rate at which a correction of map to odom turns the robot; 0 is at once.',
        unit='rad/s',
        ge=0,
        le=100,
        mutability='live',
    )
    image_transport: Literal['raw', 'compressed'] = setting(
        'raw',
        'raw subscribes to the image topic, compressed to the same name + /compressed.',
    )
    cameras: Names = setting(
        ('',),
        'Names of the cameras of a rig, with topics NAME/image and NAME/camera_info; empty is one '
        'camera on image and camera_info.',
    )
    rig_slop: float = setting(
        0.02,
        "Images of a rig's cameras further apart in time do not belong together.",
        unit='s',
        ge=0,
        le=10,
    )
    virtual_rig_size: int = setting(
        1,
        'Images of one moving camera that are localized together, by the odometry between them, '
        'where the newest alone is not.',
        ge=1,
        le=20,
    )
    max_rate: float = setting(
        5.0,
        'Images processed per second at most; 0 is no limit.',
        unit='Hz',
        ge=0,
        le=1000,
        mutability='live',
    )
    update_min_d: float = setting(
        0.0,
        'A localized robot that has moved less, and turned less than update_min_a, is not '
        'localized again; 0 here or there is always.',
        unit='m',
        ge=0,
        le=1000,
        mutability='live',
    )
    update_min_a: float = setting(
        0.0,
        'See update_min_d.',
        unit='rad',
        ge=0,
        le=7,
        mutability='live',
    )
    image_timeout: float = setting(
        2.0,
        'Without an image for this long, diagnostics warn.',
        unit='s',
        gt=0,
        le=3600,
        mutability='live',
    )
    relocalize_frames: int = setting(
        10, 'Images after which ~/relocalize gives up.', ge=1, le=10000, mutability='live'
    )
    relocalize_timeout: float = setting(
        10.0,
        'Time after which ~/relocalize gives up.',
        unit='s',
        gt=0,
        le=3600,
        mutability='live',
    )
    use_initial_pose: bool = setting(
        True, 'Listen to initialpose: the search is restricted to its surroundings.'
    )
    publish_initial_pose: bool = setting(
        False, 'Tell another localizer, as AMCL, where the robot is, on ~/initialpose.'
    )
    initial_pose_timeout: float = setting(
        10.0,
        'How long ~/initialpose is repeated until amcl_pose agrees; 0 sends it once.',
        unit='s',
        ge=0,
        le=3600,
        mutability='live',
    )
    serve_global_localization: bool = setting(
        True, 'Serve reinitialize_global_localization; not beside AMCL, which does.'
    )
    bond_heartbeat_period: float = setting(
        0.25,
        "Period of the bond with Nav2's lifecycle manager; 0 is no bond. With autostart there is "
        'no manager, and none is kept.',
        unit='s',
        ge=0,
        le=60,
    )
    autostart: bool = setting(
        False,
        'Configure and activate at start; a lifecycle manager wants false.',
        mutability='read_only',
    )


@dataclass(frozen=True, slots=True, config=STRICT)
class TrackingConfig:
    """Settings of the tracker: which poses of a sequence are trusted."""

    mahalanobis_threshold: float = setting(
        22.46,
        'Squared Mahalanobis distance (chi-squared, 6 degrees of freedom) beyond which two poses '
        'contradict each other.',
        gt=0,
        le=1e12,
    )
    consensus_count: int = setting(
        3,
        'Poses that must agree before the first is trusted, or one that contradicts the track; 1 '
        'switches it off.',
        ge=1,
        le=100,
    )
    consensus_window: int = setting(5, 'Images among which they must be.', ge=1, le=1000)
    suspect_timeout: float = setting(
        3.0, 'So long after the last fix: SUSPECT.', unit='s', gt=0, le=86400
    )
    lost_timeout: float = setting(
        30.0,
        'So long after the last fix: LOST, and consensus is needed again.',
        unit='s',
        gt=0,
        le=86400,
    )
    lost_position_std: float = setting(
        1.0,
        'Odometry less sure than this since the last fix: LOST.',
        unit='m',
        gt=0,
        le=1e6,
    )
    odometry_translation_noise: float = setting(
        0.1,
        'Drift of odometry in position (standard deviation) by distance.',
        unit='m/m',
        ge=0,
        le=10,
    )
    odometry_rotation_noise: float = setting(
        0.1, 'Drift of odometry in rotation by angle turned.', unit='rad/rad', ge=0, le=10
    )
    odometry_heading_noise: float = setting(
        0.02, 'Drift of odometry in rotation by distance.', unit='rad/m', ge=0, le=10
    )
    min_position_std: float = setting(
        0.05,
        'For comparisons, no position is taken to be surer than this.',
        unit='m',
        gt=0,
        le=1e3,
    )
    min_orientation_std: float = setting(
        0.03,
        'For comparisons, no rotation is taken to be surer than this.',
        unit='rad',
        gt=0,
        le=3,
    )
    prior_timeout: float = setting(
        10.0,
        'An initial pose that no image confirms is forgotten after this time.',
        unit='s',
        gt=0,
        le=86400,
    )


@dataclass(frozen=True, slots=True, config=STRICT)
class TrainingConfig:
    """Settings of the training of a network; kept in the run, which is resumed with them."""

    batch_size: int = setting(16, 'Examples in a step, over all devices.', ge=1, le=65536)
    learning_rate: float = setting(1e-4, 'Of the optimizer, Adam.', gt=0, le=1)
    weight_decay: float = setting(1e-6, 'Of the optimizer.', ge=0, le=1)
    max_epochs: int = setting(200, 'Training ends after so many epochs.', ge=1, le=10**6)
    patience: int = setting(
        20,
        'It ends earlier after so many epochs without a better validation loss.',
        ge=1,
        le=10**6,
    )
    pairs_per_image: int = setting(
        20, 'Pairs made of each image at most, spread over those retrieved.', ge=1, le=100
    )
    min_overlap: float = setting(
        0.3, 'Least part of the view that the images of a pair share.', ge=0, le=1
    )
    precision: Literal['float32', 'bfloat16'] = setting(
        'float32', 'bfloat16 is mixed precision: faster on newer GPUs, weights stay float32.'
    )
    accelerator: Literal['auto', 'cpu', 'cuda'] = setting(
        'auto', 'Where the network runs; auto takes GPUs if there are any.'
    )
    devices: int = setting(1, 'GPUs, or processes on a CPU, that share each batch.', ge=1, le=1024)
    reading_threads: int = setting(4, 'Threads of each process that read images.', ge=1, le=256)
    checkpoint_steps: int = setting(
        200, 'A killed run goes back to the last of these, or of an epoch.', unit='steps', ge=1
    )
    random_seed: int = setting(0, 'Seed of first weights, order and crops.', ge=0, le=2**31 - 1)
