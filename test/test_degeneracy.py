# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Views that leave something of the pose open: the right status, or the right covariance."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import chi2
from synthetic_maps import make_posed
from synthetic_scenes import FOCAL_LENGTH, make_scene

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.errors import MapError
from relloc_ros.evaluation.uncertainty import normalized_errors
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.localizers.essential import EssentialLocalizer
from relloc_ros.localizers.local_points import triangulate_matches
from relloc_ros.localizers.reference_matching import MatchedImage, QueryFeatures
from relloc_ros.localizers.sighting import PlacedSighting, Sighting
from relloc_ros.map.builder import build_map
from relloc_ros.map.feature_store import MapFeatures
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.structures import QueryImage, Status

REFINEMENTS = ('none', 'epipolar', 'local_structure')
NOISE_PX = 0.5
LIMIT = chi2.ppf(0.99, 6)
LINE = [(x, 0.0, 0.0) for x in np.linspace(-1.0, 1.0, 6)]
TWIN = RigidTransform(exp_so3(np.array([0.0, 2.0, 0.0])), np.array([30.0, 0.0, 5.0]))


def locate(scene, refinement, moved=(), outliers=None, twin=TWIN, repeated=0):
    """Localize the query of a scene; `moved` are the map images that stand at its twin.

    Outliers are how many of the matches of each map image are wrong. Of the points, the last ones
    can be `repeated`: the map images show them further to the side and down than the query does.
    """
    config = make_config(LocalizationConfig, {'essential.refinement': refinement})
    stub = SimpleNamespace(
        extractor=SimpleNamespace(match_ratio=0.85), config=SimpleNamespace(features='rootsift')
    )
    localizer = EssentialLocalizer(stub, config)
    rows = np.arange(len(scene.points))
    query = scene.project(scene.map_from_query, NOISE_PX)
    features = QueryFeatures(
        query * FOCAL_LENGTH,
        query,
        np.zeros((len(rows), 128), dtype=np.float32),
        FOCAL_LENGTH,
        Camera('SIMPLE_PINHOLE', 640, 480, (FOCAL_LENGTH, 320.0, 240.0)),
    )
    shown = replace(scene, points=scene.points.copy())
    shown.points[len(rows) - repeated :] += (1.0, 1.0, 0.0)
    matched = []
    for index, map_from_ref in enumerate(scene.maps_from_ref):
        seen = shown.project(map_from_ref, NOISE_PX)
        wrong = outliers[index] if outliers else 0
        seen[:wrong] = scene.rng.uniform(-0.5, 0.5, size=(wrong, 2))
        place = twin @ map_from_ref if index in moved else map_from_ref
        descriptors = np.zeros((len(rows), 128), np.uint8)
        stored = MapFeatures(seen * FOCAL_LENGTH, seen, descriptors, rows)
        matched.append(
            MatchedImage(
                index,
                f'image {index}',
                place.inverse(),
                FOCAL_LENGTH,
                stored,
                np.column_stack([rows, rows]),
            )
        )
    image = QueryImage(np.zeros((480, 640), np.uint8), None, 0)
    points = triangulate_matches(features, matched, config.essential)
    sighting = Sighting.of_matches(image, 1, features, (), matched, points, {})
    return localizer.locate([PlacedSighting(sighting, RigidTransform.identity())], 1)


def flat(scene):
    """The same with all points on a plane."""
    scene.points[:, 2] = 6.0
    return scene


def errors_of(results, scenes):
    """Squared Mahalanobis distances of the poses there are."""
    found = [(r.camera_pose, s.map_from_query) for r, s in zip(results, scenes, strict=True)]
    poses = [(pose, truth) for pose, truth in found if pose is not None]
    return normalized_errors(*zip(*poses, strict=True)).pose if poses else np.empty(0)


@pytest.mark.parametrize('refinement', REFINEMENTS)
@pytest.mark.parametrize('centre', [(0.0, 0.0, 0.0), (0.5, 0.1, 0.2)], ids=['same', 'else'])
def test_a_map_of_one_place_gives_no_pose(refinement, centre):
    scene = make_scene(1, centres=[(0.0, 0.0, 0.0)] * 5, query_centre=centre)
    result = locate(scene, refinement)
    assert result.status is Status.DEGENERATE, result.reason


class TestLine:
    """Map images on a line."""

    @pytest.mark.parametrize('refinement', ['none', 'epipolar'])
    def test_directions_leave_the_place_on_it_open(self, refinement):
        scene = make_scene(2, centres=LINE, query_centre=(0.3, 0.0, 0.0))
        result = locate(scene, refinement)
        assert result.status is Status.DEGENERATE
        assert 'one line' in result.reason

    @pytest.mark.parametrize('query_centre', [(0.3, 0.0, 0.0), (0.2, -0.3, 0.4)])
    def test_points_do_not(self, query_centre):
        scenes = [make_scene(seed, centres=LINE, query_centre=query_centre) for seed in range(8)]
        results = [locate(scene, 'local_structure') for scene in scenes]
        errors = errors_of(results, scenes)
        assert len(errors) == len(scenes)
        assert errors.max() < LIMIT
        for result in results:
            assert result.camera_pose.covariance[0, 0] < 0.05**2


def test_one_plane_settles_a_pose_by_points():
    scenes = [flat(make_scene(seed)) for seed in range(8)]
    errors = errors_of([locate(scene, 'local_structure') for scene in scenes], scenes)
    assert len(errors) == len(scenes)
    assert errors.max() < LIMIT


@pytest.mark.parametrize('refinement', ['none', 'epipolar'])
def test_one_plane_gives_no_wrong_pose_by_essential_matrices(refinement):
    """Two relative poses explain the images of a plane; one of them is wrong."""
    scenes = [flat(make_scene(seed, num_points=60)) for seed in range(4)]
    for scene, result in zip(scenes, [locate(s, refinement) for s in scenes], strict=True):
        if result.localized:
            distance, angle = pose_error(result.camera_pose.map_from_body, scene.map_from_query)
            assert distance < 0.15
            assert angle < np.deg2rad(2.0)


@pytest.mark.parametrize('refinement', REFINEMENTS)
def test_one_map_image_gives_no_pose(refinement):
    result = locate(make_scene(3, num_refs=1), refinement)
    assert result.status is Status.TOO_FEW_MATCHES


@pytest.mark.parametrize('refinement', REFINEMENTS)
def test_no_parallax_in_the_map_gives_no_pose(refinement):
    """Errors of the directions alone make them meet near the map images, with tiny covariances."""
    for seed in range(3):
        centres = np.random.default_rng(seed).uniform(-1e-3, 1e-3, size=(6, 3))
        scene = make_scene(seed, num_points=60, centres=centres, query_centre=(0.3, 0.1, 0.2))
        result = locate(scene, refinement)
        assert result.camera_pose is None


@pytest.mark.parametrize('refinement', ['epipolar', 'local_structure'])
def test_hardly_any_parallax_gives_true_covariances(refinement):
    scenes = [
        make_scene(
            seed,
            num_points=60,
            centres=np.random.default_rng(seed).uniform(-0.05, 0.05, size=(6, 3)),
            query_centre=(0.3, 0.1, 0.2),
        )
        for seed in range(4)
    ]
    errors = errors_of([locate(scene, refinement) for scene in scenes], scenes)
    assert (errors < LIMIT).all()


class TestTwins:
    """A place that is there twice."""

    @pytest.mark.parametrize('refinement', REFINEMENTS)
    @pytest.mark.parametrize('moved', [(1, 3, 5), (4, 5, 6)])
    def test_half_of_the_map_contradicts(self, refinement, moved):
        scene = make_scene(4, num_refs=7)
        result = locate(scene, refinement, moved)
        assert result.status is Status.DEGENERATE, result.reason
        assert 'alike' in result.reason

    @pytest.mark.parametrize('refinement', REFINEMENTS)
    def test_one_map_image_contradicts(self, refinement):
        scene = make_scene(7, num_refs=7)
        result = locate(scene, refinement, (6,))
        assert result.status is Status.DEGENERATE, result.reason
        assert 'alike' in result.reason

    @pytest.mark.parametrize('refinement', REFINEMENTS)
    def test_one_map_image_that_is_not_quite_where_it_should_be_does_not(self, refinement):
        turn = exp_so3(np.array([0.0, np.deg2rad(4.0), 0.0]))
        nearly = RigidTransform(turn, np.array([0.1, 0.0, 0.0]))
        scene = make_scene(8, num_refs=7)
        result = locate(scene, refinement, (6,), twin=nearly)
        assert result.localized, result.reason

    @pytest.mark.parametrize('refinement', REFINEMENTS)
    def test_other_places_contradict_nothing(self, refinement):
        scene = make_scene(5, num_refs=7)
        result = locate(scene, refinement, outliers=[120, 0, 120, 0, 120, 0, 0])
        assert result.localized, result.reason
        assert pose_error(result.camera_pose.map_from_body, scene.map_from_query)[0] < 0.1

    @pytest.mark.parametrize('refinement', REFINEMENTS)
    def test_small_things_that_are_there_twice_contradict_nothing(self, refinement):
        scene = make_scene(6, num_refs=7)
        outliers = [90 if index in (4, 5, 6) else 0 for index in range(7)]
        result = locate(scene, refinement, (4, 5, 6), outliers)
        assert result.localized, result.reason
        assert pose_error(result.camera_pose.map_from_body, scene.map_from_query)[0] < 0.1

    @pytest.mark.parametrize('repeated', [80, 0])
    def test_so_do_few_of_many_matches(self, repeated):
        """What is tiled gives each of its poses fewer matches than a pose needs by itself."""
        scene = make_scene(9, num_points=1000)
        wrong = 1000 - 180 - repeated
        result = locate(scene, 'local_structure', outliers=[wrong] * 5, repeated=repeated)
        assert result.localized == (repeated == 0)
        if repeated:
            assert result.status is Status.DEGENERATE
            assert 'alike' in result.reason


def test_one_map_image_has_no_points(tmp_path):
    path = build_map(make_posed(tmp_path, 1), tmp_path / 'map')
    with pytest.raises(MapError, match='one image'):
        triangulate_map(path)
