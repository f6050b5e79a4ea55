# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Made worlds: pictures agree with the camera model, seeds decide all, images suffer as told."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import cv2
import numpy as np
import pytest

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.geometry import log_so3
from relloc_ros.map.builder import build_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import QueryImage
from relloc_ros.synthetic.data_set import Recipe, read_photos, write_data_set
from relloc_ros.synthetic.facades import make_facade
from relloc_ros.synthetic.lighting import Lamp, Light, lit
from relloc_ros.synthetic.paths import Path, along_facade, pose_looking, through_room
from relloc_ros.synthetic.pictures import photographs, picture
from relloc_ros.synthetic.rendering import Renderer
from relloc_ros.synthetic.rooms import make_room
from relloc_ros.synthetic.sensor import Sensor, photograph
from relloc_ros.synthetic.surfaces import FACES, Surface, box, moved, panel, turned_about
from relloc_ros.synthetic.worlds import WORLDS, Kind, front_of_room

PINHOLE = Camera('PINHOLE', 321, 243, (300.0, 304.0, 158.0, 124.0))
DISTORTED = Camera('OPENCV', 322, 241, (280.0, 281.0, 163.2, 118.4, -0.25, 0.08, 1e-3, -8e-4))
FOLDED = Camera('OPENCV', 320, 240, (150.0, 150.0, 160.0, 120.0, -0.6, 0.0, 0.0, 0.0))
PLAIN = Sensor(noise=0.0, vignetting=0.0)

SQUARES, SQUARE_PX = 8, 40
SIDE = 1.6


def checkerboard():
    """A chessboard, its inner corners where texels meet, hung up askew."""
    fields = np.indices((SQUARES, SQUARES)).sum(axis=0) % 2
    texture = np.kron(fields, np.ones((SQUARE_PX, SQUARE_PX)))[..., None] * [200, 190, 180] + 30
    right, down = np.array([SIDE, 0.2, 0.1]), np.array([0.1, 0.15, -SIDE])
    return Surface(np.array([-0.8, 3.0, 0.9]), right, down, texture.astype(np.uint8))


def inner_corners(board):
    places = np.arange(1, SQUARES) / SQUARES
    return np.array([board.point(u, v) for v in places for u in places])


def found_corners(image, near):
    """Refine corners; COLMAP has the first pixel's centre at 0.5, OpenCV at 0."""
    # It wants smooth edges.
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (0, 0), 1.5)
    start = (near - 0.5).astype(np.float32).reshape(-1, 1, 2)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
    return cv2.cornerSubPix(grey, start, (8, 8), (-1, -1), criteria)[:, 0] + 0.5


@pytest.mark.parametrize('camera', [PINHOLE, DISTORTED], ids=lambda camera: camera.model)
def test_corners_are_where_the_camera_model_says(camera):
    # Twice the pixels, for the sake of those who look for corners.
    camera = camera.scaled(2 * camera.width, 2 * camera.height)
    board = checkerboard()
    renderer = Renderer([board])
    for pose in (
        pose_looking([0.1, 0.0, 0.1], 92.0, -3.0, 4.0),
        pose_looking([-0.7, 0.6, 0.5], 75.0, -8.0, -11.0),
    ):
        image = renderer.render(camera, pose)
        expected = camera.project(pose.inverse().apply(inner_corners(board)))
        inside = ((expected > 8) & (expected < [camera.width - 8, camera.height - 8])).all(axis=1)
        assert inside.sum() > 30
        errors = found_corners(image, expected[inside]) - expected[inside]
        assert np.abs(errors.mean(axis=0)).max() < 0.02
        assert np.linalg.norm(errors, axis=1).max() < 0.1


def test_two_views_of_a_plane_are_tied_by_its_homography():
    board = checkerboard()
    renderer = Renderer([board])
    poses = [pose_looking([0.1, 0.2, 0.1], 92.0, -3.0), pose_looking([-0.6, 0.5, 0.4], 76.0, -9.0)]
    seen = []
    camera = PINHOLE.scaled(2 * PINHOLE.width, 2 * PINHOLE.height)
    for pose in poses:
        expected = camera.project(pose.inverse().apply(inner_corners(board)))
        seen.append(found_corners(renderer.render(camera, pose), expected))
    motion = poses[1].inverse() @ poses[0]
    normal = poses[0].rotation.T @ board.normal
    distance = normal @ (poses[0].rotation.T @ (board.corner - poses[0].translation))
    calibration = np.array([[600.0, 0, 316.0], [0, 608.0, 248.0], [0, 0, 1]])
    plane = motion.rotation + np.outer(motion.translation, normal) / distance
    homography = calibration @ plane @ np.linalg.inv(calibration)
    mapped = cv2.perspectiveTransform(seen[0][None].astype(np.float64), homography)[0]
    assert np.linalg.norm(mapped - seen[1], axis=1).max() < 0.1


def painted(value):
    return lambda rng, width, height: np.full((4, 4, 3), value, np.uint8)


def wall(distance, value, half=5.0):
    rng = np.random.default_rng(0)
    corner = (-half, distance, half)
    return panel(rng, painted(value), corner, (2 * half, 0, 0), (0, 0, -2 * half))


AHEAD = pose_looking(np.zeros(3), 90.0)


@pytest.mark.parametrize('order', [1, -1])
def test_what_is_nearer_hides_what_is_behind(order):
    near, far = wall(2.0, 50, half=0.3), wall(4.0, 200)
    renderer = Renderer([near, far][::order])
    image = renderer.render(PINHOLE, AHEAD)
    assert image[124, 158, 0] == 50
    assert image[10, 10, 0] == 200
    depth = renderer.depth(PINHOLE, AHEAD)
    assert depth[124, 158] == pytest.approx(2.0, rel=1e-5)
    assert depth[10, 10] == pytest.approx(4.0, rel=1e-5)


def test_surfaces_are_seen_from_one_side_and_from_before_the_camera():
    backwards = pose_looking([0.0, 4.0, 0.0], -90.0)
    renderer = Renderer([wall(2.0, 90)])
    assert renderer.render(PINHOLE, AHEAD)[124, 158, 0] == 90
    assert not renderer.render(PINHOLE, backwards).any()
    assert not renderer.render(PINHOLE, pose_looking(np.zeros(3), -90.0)).any()
    assert not np.isfinite(renderer.depth(PINHOLE, backwards)).any()


def test_a_floor_under_the_camera_is_cut_off_behind_it():
    rng = np.random.default_rng(0)
    floor = panel(rng, painted(120), (-9, 9, -1), (18, 0, 0), (0, -18, 0))
    depth = Renderer([floor]).depth(PINHOLE, AHEAD)
    assert not np.isfinite(depth[:124]).any()
    row = 200
    expected = 1.0 / ((row + 0.25 - 124.0) / 304.0)
    assert depth[row, 158] == pytest.approx(expected, rel=1e-3)


def test_holes_are_seen_through():
    front = wall(2.0, 50)
    hole = np.array([[True, False], [True, True]])
    pierced = Surface(front.corner, front.right, front.down, front.texture, hole)
    image = Renderer([pierced, wall(4.0, 200)]).render(PINHOLE, AHEAD)
    assert image[60, 260, 0] == 200
    assert image[60, 60, 0] == image[200, 260, 0] == 50


def test_far_textures_are_filtered():
    """Fine stripes seen from far are grey; they do not alias into coarse ones."""
    texture = np.zeros((1000, 1000, 3), np.uint8)
    texture[:, ::2] = 200
    board = wall(40.0, 0, half=8.0)
    image = Renderer([Surface(board.corner, board.right, board.down, texture)]).render(
        PINHOLE, AHEAD
    )
    middle = image[100:150, 130:190, 0].astype(float)
    assert abs(middle.mean() - 100) < 3
    assert middle.std() < 3


def test_all_sides_of_a_box_are_seen_from_outside_only():
    rng = np.random.default_rng(0)
    values = {face: painted(20 + 30 * i) for i, face in enumerate(FACES)}
    sides = box(rng, painted(0), (-1, -1, -1), (1, 1, 1), leave_out=(), special=values)
    renderer = Renderer(moved(sides, turned_about(0.0, (0.0, 0.0, 0.0))))
    views = {'front': (90, 0), 'back': (-90, 0), 'left': (0, 0), 'right': (180, 0)}
    views |= {'top': (90, -90), 'bottom': (90, 90)}
    for face, (yaw, pitch) in views.items():
        forward = pose_looking(np.zeros(3), yaw, pitch).rotation[:, 2]
        image = renderer.render(PINHOLE, pose_looking(-4 * forward, yaw, pitch))
        assert image[124, 158, 0] == 20 + 30 * FACES.index(face), face
    assert not renderer.render(PINHOLE, AHEAD).any()


def test_distortion_without_rays_is_refused():
    with pytest.raises(DataError, match='without a ray: take less distortion'):
        Renderer([wall(2.0, 90)]).render(FOLDED, AHEAD)


def test_light_makes_shadows():
    rng = np.random.default_rng(0)
    floor = panel(rng, painted(200), (-2, 2, 0), (4, 0, 0), (0, -4, 0))
    lamp = Lamp(np.array([[0.0, 0.0, 3.0]]), 4.0)
    shone = lit(
        [
            Surface(s.corner, s.right, s.down, np.full((80, 80, 3), 200, np.uint8))
            for s in (
                floor,
                *box(rng, painted(200), (-0.5, -0.5, 0.9), (0.5, 0.5, 1.0), leave_out=()),
            )
        ],
        Light([lamp], ambient=0.3, reach=0.5),
    )
    under, beside = shone[0].texture[40, 40, 0], shone[0].texture[40, 70, 0]
    assert under < 0.8 * beside
    assert shone[0].texture[40, 70, 0] > shone[0].texture[2, 78, 0]


def straight(speed=1.0, turn=0.0):
    """Move to the right, and turn, before a wall."""
    still = lambda time: 0.0  # noqa: E731
    return Path(
        lambda time: speed * time, still, still, lambda time: 90 - turn * time, still, still
    )


def noisy_wall():
    board = wall(3.0, 0)
    texture = np.random.default_rng(5).integers(20, 180, (400, 400, 3), dtype=np.uint8)
    return Renderer([Surface(board.corner, board.right, board.down, texture)])


def shot(sensor, path=None, seed=0):
    rng = np.random.default_rng(seed)
    return photograph(noisy_wall(), PINHOLE, path or straight(), 0.0, sensor, rng).astype(float)


def test_blur_is_along_the_motion_and_keeps_its_middle():
    sharp, blurred = shot(PLAIN), shot(Sensor(exposure_s=0.1, noise=0.0, vignetting=0.0))
    across = np.abs(np.diff(blurred, axis=0)).mean() / np.abs(np.diff(sharp, axis=0)).mean()
    along = np.abs(np.diff(blurred, axis=1)).mean() / np.abs(np.diff(sharp, axis=1)).mean()
    assert along < 0.4
    assert across > 1.5 * along
    # 0.1 m at 3 m: ten pixels.
    expected = cv2.blur(sharp, (10, 1), anchor=(5, 0))
    shifts = [np.abs(np.roll(blurred, k, axis=1) - expected)[:, 30:-30].mean() for k in (-3, 0, 3)]
    assert shifts[1] < 0.5 * min(shifts[0], shifts[2])
    turned = straight(0.0, turn=20.0)
    assert np.abs(np.diff(shot(Sensor(exposure_s=0.1, noise=0.0), turned), axis=1)).mean() < 5.0


def test_exposure_is_in_stops():
    sharp = shot(PLAIN)
    spread = [
        shot(Sensor(exposure_spread=0.5, noise=0.0, vignetting=0.0), seed=s) for s in range(40)
    ]
    mask = (sharp > 40) & (sharp < 100)
    stops = [2.2 * np.log2(np.median(image[mask] / sharp[mask])) for image in spread]
    assert abs(np.mean(stops)) < 0.25
    assert 0.35 < np.std(stops) < 0.65


def test_noise_and_vignetting():
    noise = shot(Sensor(noise=4.0, vignetting=0.0)) - shot(PLAIN)
    assert noise.std() == pytest.approx(4.0, abs=0.2)
    assert abs(noise.mean()) < 0.1
    dark = shot(Sensor(noise=0.0, vignetting=0.3)) / shot(PLAIN)
    assert dark[122, 160].mean() == pytest.approx(1.0, abs=0.02)
    assert dark[:4, :4].mean() == pytest.approx(0.7, abs=0.02)


def test_seeds_share_nothing():
    for make in (make_room, make_facade):
        digests = [
            {
                sha256(surface.texture.tobytes()).digest()
                for surface in make(np.random.default_rng(seed), [])[0]
                # A few texels of one paint may well be the same.
                if surface.texture.size > 300
            }
            for seed in (1, 2)
        ]
        assert len(digests[0]) > 100
        assert digests[0].isdisjoint(digests[1])


def test_ways_are_smooth_and_keep_away_from_walls():
    size = np.array([5.0, 4.5, 2.6])
    path = through_room(np.random.default_rng(3), size)
    times = np.arange(0, 200, 0.1)
    poses = [path.map_from_cam(float(time)) for time in times]
    centres = np.array([pose.translation for pose in poses])
    assert (np.abs(centres[:, :2]) < size[:2] / 2 - 0.9).all()
    assert ((centres[:, 2] > 1.1) & (centres[:, 2] < 1.75)).all()
    assert np.linalg.norm(np.diff(centres, axis=0), axis=1).max() < 0.25
    turns = [a.rotation.T @ b.rotation for a, b in pairwise(poses)]
    assert max(np.linalg.norm(log_so3(turn)) for turn in turns) < np.deg2rad(8)
    up = np.array([pose.rotation[2, 1] for pose in poses])
    assert (up < -0.8).all()
    street = along_facade(np.random.default_rng(3), np.array([16.0, 10.0]))
    places = np.array([street.map_from_cam(float(time)).translation for time in times])
    assert ((places[:, 1] > -13.0) & (places[:, 1] < -7.0)).all()


def make_tiny(rng, photos):
    """A room in a twentieth of the time: noise on its walls."""
    walls = []
    for yaw in (0, 90, 180, 270):
        front = panel(
            rng,
            photographs(photos) if photos else noise_paint,
            (-2.5, 2.5, 2.5),
            (5, 0, 0),
            (0, 0, -2.5),
        )
        walls += moved([front], turned_about(yaw, (0, 0, 0)))
    return walls, Light([], 1.0, 0.5), np.array([5.0, 5.0, 2.5])


def noise_paint(rng, width, height):
    small = rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)
    return cv2.resize(small, (600, 400), interpolation=cv2.INTER_NEAREST)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(WORLDS, 'tiny', Kind(make_tiny, through_room, front_of_room))


def recipe(scene='tiny', seed=0, counts=(3, 2), camera=None, sensor=None):
    default = Camera('PINHOLE', 80, 60, (70.0, 70.0, 40.0, 30.0))
    return Recipe(scene, seed, camera or default, counts, sensor or Sensor())


def contents(folder):
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_same_seed_same_bytes(tiny, tmp_path):
    for name, seed in (('a', 1), ('b', 1), ('c', 2)):
        write_data_set(recipe(seed=seed), tmp_path / name)
    a, b, c = (contents(tmp_path / name) for name in 'abc')
    assert len(a) == 5 + 6
    assert a == b
    assert all(a[name] != c[name] for name in a if name.endswith('.jpg') or 'images.txt' in name)


def test_more_images_leave_the_first_as_they_are(tiny, tmp_path):
    write_data_set(recipe(), tmp_path / 'few')
    write_data_set(recipe(counts=(6, 2)), tmp_path / 'many')
    few, many = contents(tmp_path / 'few'), contents(tmp_path / 'many')
    images = [name for name in few if name.endswith('.jpg')]
    assert len(images) == 5
    assert all(few[name] == many[name] for name in images)


def test_a_data_set_is_read_as_it_was_meant(tiny, tmp_path):
    seen = []
    write_data_set(
        recipe(camera=DISTORTED), tmp_path / 'set', progress=lambda *call: seen.append(call)
    )
    assert seen[0] == (0, 5, 'building and lighting the scene')
    assert seen[-1][:2] == (5, 5)
    posed = read_source(tmp_path / 'set')
    assert all(image.camera == DISTORTED for image in posed)
    path = through_room(np.random.default_rng([0, 1, 0]), np.array([5.0, 5.0, 2.5]))
    for index, image in enumerate(posed[:3]):
        true = path.map_from_cam(0.5 * index)
        error = image.cam_from_map @ true
        assert np.abs(error.matrix - np.eye(4)).max() < 1e-9
    assert [image.stamp_ns for image in posed[:3]] == [10**18 + k * 500_000_000 for k in range(3)]
    assert posed[3].stamp_ns - posed[2].stamp_ns > 3600 * 10**9
    text = (tmp_path / 'set' / 'README.md').read_text()
    assert 'seed 0' in text
    assert 'CC0' in text
    names = (tmp_path / 'set' / 'map.txt').read_text().split()
    assert names == [image.name for image in posed[:3]]
    assert len((tmp_path / 'set' / 'query.txt').read_text().split()) == 2


def test_nothing_is_left_of_a_failure(tiny, tmp_path):
    with pytest.raises(DataError, match='without a ray'):
        write_data_set(recipe(camera=FOLDED), tmp_path / 'set')
    assert list(tmp_path.iterdir()) == []
    (tmp_path / 'set').mkdir()
    with pytest.raises(DataError, match=r'set exists: remove it'):
        write_data_set(recipe(), tmp_path / 'set')


def test_photographs_hang_on_the_walls(tiny, tmp_path):
    folder = tmp_path / 'photos'
    folder.mkdir()
    with pytest.raises(DataError, match='has no photographs'):
        read_photos(folder)
    with pytest.raises(DataError, match='is no folder'):
        read_photos(tmp_path / 'elsewhere')
    cv2.imwrite(str(folder / 'a.png'), np.full((300, 1500, 3), (10, 200, 90), np.uint8))
    photos = read_photos(folder)
    assert photos[0].shape == (240, 1200, 3)
    hung = picture(photos)(np.random.default_rng(0), 0.5, 0.4)
    assert (hung[80, 100] == (10, 200, 90)).all()
    assert (hung[0, 0] != (10, 200, 90)).any()
    write_data_set(recipe(sensor=PLAIN), tmp_path / 'set', photos)
    image = cv2.imread(str(next((tmp_path / 'set' / 'images' / 'map').iterdir())))
    assert np.abs(image[30, 40].astype(int) - (10, 200, 90)).max() < 12
    assert 'their terms hold' in (tmp_path / 'set' / 'README.md').read_text()
    (folder / 'b.jpg').write_bytes(b'no image')
    with pytest.raises(DataError, match=r'cannot read photograph .*b\.jpg'):
        read_photos(folder)


@pytest.fixture(scope='module')
def room_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp('synthetic') / 'room'
    camera = Camera('PINHOLE', 400, 300, (340.0, 340.0, 200.0, 150.0))
    write_data_set(recipe('room', 3, (24, 4), camera), folder)
    return folder


def test_queries_of_a_room_are_localized_within_millimetres(room_set, tmp_path):
    reference = build_map(read_source(room_set, list_file=room_set / 'map.txt'), tmp_path / 'map')
    relocalizer = Relocalizer(ReferenceMap.open(reference))
    distances = []
    for posed in read_source(room_set, list_file=room_set / 'query.txt'):
        query = QueryImage(read_image(posed), posed.camera, posed.stamp_ns, name=posed.name)
        pose = relocalizer.process(query).camera_pose
        assert pose is not None, posed.name
        true = posed.cam_from_map.inverse().translation
        distances.append(np.linalg.norm(pose.map_from_body.translation - true))
    assert np.median(distances) < 0.01
    assert max(distances) < 0.03
