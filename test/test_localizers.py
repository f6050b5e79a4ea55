# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The contract of every localizer in the table, and an image for every status."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rendered_room import DISTORTED, PINHOLE, look, query_at, write_views

from relloc_ros.config import LocalizationConfig, make_config
from relloc_ros.gating import gate
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.localizers import LOCALIZERS, create_localizer
from relloc_ros.localizers._template import TemplateLocalizer
from relloc_ros.map.builder import build_map
from relloc_ros.map.diversity import select_diverse
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage, Status

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
SEED = 11
REFINEMENTS = ('none', 'epipolar', 'local_structure')
MAPS = {'structure': 'office_points_map'}
ROOM_QUERIES = (look((0.3, 0.1, -1.2), 20, -3, 4), look((-0.8, 0.2, -1.6), 35, 0, -5))
# As far from the origin as georeferenced maps are.
MOVE = RigidTransform(exp_so3(np.array([1.0, 2.0, -1.5])), np.array([5e5, 5.3e6, 300.0]))


@pytest.fixture(scope='module')
def truth():
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')
    return {p.name: p.cam_from_map.inverse() for p in posed}


@pytest.fixture(scope='module')
def queries():
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')
    return [QueryImage(read_image(p), p.camera, p.stamp_ns, 'cam', p.name) for p in posed]


@pytest.fixture(scope='module')
def reference_map(office_map):
    return ReferenceMap.open(office_map)


def run(reference_map, query, **settings):
    config = make_config(
        LocalizationConfig, {k.replace('__', '.'): v for k, v in settings.items()}
    )
    return Relocalizer(reference_map, config).process(query)


def run_in_room(reference_map, query, refinement):
    """Take every map image: of few images, half are less alike than the mean of them all."""
    return run(reference_map, query, essential__refinement=refinement, min_similarity=-1.0)


def cropped(query, width, height):
    """The same view through a smaller sensor: cut off right and below."""
    camera = replace(query.camera, width=width, height=height)
    return QueryImage(query.image[:height, :width].copy(), camera, query.stamp_ns)


def with_pixels(query, image):
    height, width = image.shape[:2]
    return QueryImage(image, replace(query.camera, width=width, height=height), query.stamp_ns)


@pytest.fixture(
    scope='module',
    params=[
        *((name, MAPS.get(name, 'office_map')) for name in sorted(LOCALIZERS)),
        ('essential', 'xfeat_map'),
        ('structure', 'xfeat_points_map'),
    ],
    ids='-'.join,
)
def localizer(request):
    name, map_name = request.param
    settings = {'localizer': name}
    if name == 'apr':
        # Random features of fourteen images a second apart do not tell what is unlike them.
        network = request.getfixturevalue('office_network')
        settings |= {'apr.network': str(network), 'apr.max_novelty': 0.0}
    config = make_config(LocalizationConfig, settings)
    return create_localizer(ReferenceMap.open(request.getfixturevalue(map_name)), config)


class TestContract:
    """What `Localizer` promises."""

    def test_pose_and_covariance(self, localizer, queries, truth):
        # How sure a pose must be is the robot's affair; the baseline seldom is.
        any_size = LocalizationConfig(max_position_std=0.0, max_orientation_std=0.0)
        for query in queries:
            result = gate(localizer.localize(query, SEED), any_size)
            assert result.status is Status.LOCALIZED, result.reason
            assert result.reason == ''
            assert result.stamp_ns == query.stamp_ns
            pose = result.camera_pose
            np.testing.assert_allclose(
                pose.map_from_body.rotation @ pose.map_from_body.rotation.T, np.eye(3), atol=1e-9
            )
            np.testing.assert_allclose(pose.covariance, pose.covariance.T)
            assert np.linalg.eigvalsh(pose.covariance)[0] > 0
            # The sparsest methods err by metres, none by a room.
            assert pose_error(pose.map_from_body, truth[query.name])[0] < 2.0

    def test_same_query_and_seed_same_answer(self, localizer, queries):
        localizer.localize(queries[1], SEED + 1)
        first, second = (localizer.localize(queries[0], SEED) for _ in range(2))
        np.testing.assert_array_equal(
            first.camera_pose.map_from_body.matrix, second.camera_pose.map_from_body.matrix
        )
        np.testing.assert_array_equal(first.camera_pose.covariance, second.camera_pose.covariance)

    def test_grey_and_colour(self, localizer, queries):
        grey = cv2.cvtColor(queries[0].image, cv2.COLOR_BGR2GRAY)
        assert localizer.localize(with_pixels(queries[0], grey), SEED).localized

    def test_sizes_that_are_no_multiples_of_8(self, localizer, queries, truth):
        result = localizer.localize(cropped(queries[0], 613, 451), SEED)
        assert result.localized, result.reason
        assert pose_error(result.camera_pose.map_from_body, truth[queries[0].name])[0] < 2.0

    @pytest.mark.parametrize('value', [0, 255])
    @pytest.mark.parametrize('size', [(1, 1), (7, 5), (33, 20), (640, 480)])
    def test_images_that_show_nothing(self, localizer, queries, value, size):
        width, height = size
        blank = np.full((height, width), value, dtype=np.uint8)
        result = localizer.localize(with_pixels(queries[0], blank), SEED)
        assert result.camera_pose is None
        assert result.reason

    def test_tiny_images_are_no_exception(self, localizer, queries):
        for size in ((2, 2), (9, 9), (17, 40), (64, 48)):
            tiny = with_pixels(queries[0], cv2.resize(queries[0].image, size))
            result = localizer.localize(tiny, SEED)
            assert result.camera_pose is None or result.localized

    def test_pairs_and_counts_belong_together(self, localizer, queries):
        result = localizer.localize(queries[0], SEED)
        for pair in result.pairs:
            assert pair.image_name in result.retrieved
            assert len(pair.query_points2D) == len(pair.map_points2D) == len(pair.inliers)
        assert result.num_matches == sum(len(pair.inliers) for pair in result.pairs)
        assert result.num_inliers <= sum(pair.inliers.sum() for pair in result.pairs)


RATE = 'acceptance__max_false_accept_rate'


def test_refinements(reference_map, queries, truth):
    medians = {}
    for refinement in REFINEMENTS:
        errors = []
        for query in queries:
            # How sure it is, is another question.
            settings = {'essential__refinement': refinement, RATE: 1}
            result = run(reference_map, query, **settings)
            assert result.localized, result.reason
            errors.append(pose_error(result.camera_pose.map_from_body, truth[query.name]))
        medians[refinement] = np.median(errors, axis=0)
    none, epipolar, local_structure = (medians[refinement] for refinement in REFINEMENTS)
    assert (none < (0.15, np.deg2rad(2.0))).all()
    assert (epipolar < (0.08, np.deg2rad(1.5))).all()
    assert (local_structure < (0.02, np.deg2rad(0.4))).all()
    assert none[0] > epipolar[0] > local_structure[0]


class TestStatus:
    """A real or rendered image for each status; LOCALIZED is everywhere else."""

    def test_no_features(self, reference_map, queries):
        black = with_pixels(queries[0], np.zeros((480, 640), dtype=np.uint8))
        assert run(reference_map, black).status is Status.NO_FEATURES

    def test_no_retrieval(self, reference_map, queries):
        result = run(reference_map, queries[0], min_similarity=0.999)
        assert result.status is Status.NO_RETRIEVAL
        assert 'min_similarity' in result.reason

    def test_too_few_matches(self, reference_map, queries):
        noise = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
        noise = cv2.GaussianBlur(noise, (0, 0), 2.0)
        noise = cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX)
        result = run(reference_map, with_pixels(queries[0], noise))
        assert result.status is Status.TOO_FEW_MATCHES

    def test_too_few_inliers(self, reference_map, queries):
        # A mirror image has the same things in it, in an order no rigid camera sees.
        mirrored = with_pixels(queries[0], queries[0].image[:, ::-1].copy())
        assert run(reference_map, mirrored).status is Status.TOO_FEW_INLIERS

    def test_gated(self, reference_map, queries):
        result = run(reference_map, queries[0], max_position_std=1e-6)
        assert result.status is Status.GATED
        assert result.camera_pose is None

    @pytest.mark.parametrize('refinement', REFINEMENTS)
    def test_degenerate_by_rotation(self, turning_map, refinement):
        query = query_at(look((0.2, 0.1, -1.5), 15.0, -2.0, 3.0))
        result = run_in_room(turning_map, query, refinement)
        assert result.status is Status.DEGENERATE
        assert 'baseline' in result.reason

    @pytest.mark.parametrize('x', [-0.6, 0.13])
    def test_degenerate_on_the_line_of_the_map(self, line_map, x):
        true = look((x, 0.0, -1.5), 24.0, -4.0, 3.0)
        for refinement in ('none', 'epipolar'):
            result = run_in_room(line_map, query_at(true), refinement)
            assert result.status is Status.DEGENERATE
            assert 'one line' in result.reason
        # The map's own baselines still give points.
        result = run_in_room(line_map, query_at(true), 'local_structure')
        assert result.localized, result.reason
        assert pose_error(result.camera_pose.map_from_body, true)[0] < 0.005

    def test_error(self, reference_map, queries):
        wrong = QueryImage(queries[0].image[:100], queries[0].camera, 1)
        assert run(reference_map, wrong).status is Status.ERROR


@pytest.fixture(scope='module')
def arc_views(tmp_path_factory):
    poses = [
        look((1.2 * np.sin(a), 0.3 * np.cos(3 * a), 0.6 * np.cos(a) - 1.5), 25 - 12 * np.sin(a))
        for a in np.linspace(-1.5, 1.5, 7)
    ]
    return write_views(tmp_path_factory.mktemp('arc'), poses)


@pytest.fixture(scope='module')
def arc_map(arc_views, tmp_path_factory):
    return ReferenceMap.open(build_map(arc_views, tmp_path_factory.mktemp('arc') / 'map'))


@pytest.fixture(scope='module')
def moved_arc_map(arc_views, tmp_path_factory):
    views = [replace(view, cam_from_map=view.cam_from_map @ MOVE.inverse()) for view in arc_views]
    return ReferenceMap.open(build_map(views, tmp_path_factory.mktemp('moved') / 'map'))


@pytest.fixture(scope='module')
def line_map(tmp_path_factory):
    folder = tmp_path_factory.mktemp('line')
    poses = [look((x, 0.0, -1.5), 25 + 5 * np.sin(5 * x)) for x in np.linspace(-1.5, 1.5, 6)]
    return ReferenceMap.open(build_map(write_views(folder, poses), folder / 'map'))


@pytest.fixture(scope='module')
def turning_map(tmp_path_factory):
    """Views of a camera that turns on the spot."""
    folder = tmp_path_factory.mktemp('turning')
    poses = [look((0.2, 0.1, -1.5), yaw, pitch) for yaw, pitch in ((5, 0), (20, 5), (35, -5))]
    return ReferenceMap.open(build_map(write_views(folder, poses), folder / 'map'))


@pytest.mark.parametrize('refinement', REFINEMENTS)
class TestRoom:
    """Rendered images have exact poses."""

    @pytest.mark.parametrize('camera', [PINHOLE, DISTORTED], ids=lambda camera: camera.model)
    def test_exact_images_give_nearly_exact_poses(self, arc_map, refinement, camera):
        for true in ROOM_QUERIES:
            result = run_in_room(arc_map, query_at(true, camera), refinement)
            assert result.localized, result.reason
            pose = result.camera_pose
            distance, angle = pose_error(pose.map_from_body, true)
            assert distance < 0.005
            assert angle < np.deg2rad(0.05)

    def test_another_room_is_not_localized(self, arc_map, refinement):
        for true in ROOM_QUERIES:
            result = run_in_room(arc_map, query_at(true, room=1), refinement)
            assert result.status in {Status.TOO_FEW_MATCHES, Status.TOO_FEW_INLIERS}

    def test_a_moved_map_gives_moved_poses(self, arc_map, moved_arc_map, refinement):
        query = query_at(ROOM_QUERIES[0])
        plain, moved = (
            run_in_room(reference, query, refinement).camera_pose
            for reference in (arc_map, moved_arc_map)
        )
        distance, angle = pose_error(moved.map_from_body, MOVE @ plain.map_from_body)
        assert distance < 1e-4
        assert angle < 1e-4
        block = np.kron(np.eye(2), MOVE.rotation)
        expected = block @ plain.covariance @ block.T
        tolerance = 0.01 * np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert (np.abs(moved.covariance - expected) < tolerance).all()


def test_two_map_images_are_enough_and_one_is_not(arc_views, tmp_path):
    one, two = (
        ReferenceMap.open(build_map(arc_views[2 : 2 + count], tmp_path / f'{count}'))
        for count in (1, 2)
    )
    query = query_at(ROOM_QUERIES[1])
    result = run_in_room(one, query, 'local_structure')
    assert result.status is Status.TOO_FEW_MATCHES
    assert result.retrieved == (arc_views[2].name,)
    result = run_in_room(two, query, 'local_structure')
    assert result.localized, result.reason
    assert pose_error(result.camera_pose.map_from_body, ROOM_QUERIES[1])[0] < 0.02


def test_the_template_answers_in_the_right_form(reference_map, queries):
    result = TemplateLocalizer(reference_map, LocalizationConfig()).localize(queries[0], SEED)
    assert result.camera_pose is None
    assert set(result.retrieved) < set(reference_map.image_names)


def test_diverse_images_keep_their_distance():
    centres = np.array([[0.0, 0, 0], [0.01, 0, 0], [1, 0, 0], [1.02, 0, 0], [3, 0, 0], [50, 0, 0]])
    assert select_diverse(centres, 3, (0.5, 10.0)) == [0, 2, 4]
    # Places left over are filled from the top.
    assert select_diverse(centres, 5, (0.5, 10.0)) == [0, 2, 4, 1, 3]
    assert select_diverse(centres, 9, (0.0, 0.0))[:3] == [0, 2, 4]
    assert select_diverse(np.zeros((3, 3)), 2, (0.0, 0.0)) == [0, 1]
    assert select_diverse(np.empty((0, 3)), 2, (0.0, 0.0)) == []
