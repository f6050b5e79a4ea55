# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A map finds its place by what is known of its images, and says when it does not."""

import math

import numpy as np
import pycolmap
import pytest

from relloc_ros.errors import DataError
from relloc_ros.geometry import RigidTransform, exp_so3, rotation_angle
from relloc_ros.map.alignment import Cameras, KnownDistance, Odometry, align
from relloc_ros.map.global_frame import GeographicPoint, GlobalFrame, east_north_up
from relloc_ros.map.known_places import KnownPlaces, read_places
from relloc_ros.map.place_tables import Place
from relloc_ros.similarity import Similarity

TRUE = Similarity(0.4, exp_so3(np.array([0.3, -2.0, 0.5])), np.array([5.0, 6.0, 7.0]))
NS = 1_000_000_000
START_S = 1_700_000_000


def cameras_at(centres, seed=0):
    rng = np.random.default_rng(seed)
    poses = [RigidTransform(exp_so3(rng.normal(size=3)), centre).inverse() for centre in centres]
    names = [f'image {i}.jpg' for i in range(len(centres))]
    return Cameras(names, [(START_S + i) * NS for i in range(len(centres))], poses)


def walk(count=20):
    angles = np.linspace(0, 4, count)
    return np.stack([5 * np.sin(angles), 3 * np.cos(angles), 0.3 * angles], axis=1)


def line(count=8):
    return np.linspace(0, 5, count)[:, np.newaxis] * [0.6, 0.0, 0.8]


def true_places(cameras, oriented=True):
    moved = [TRUE.apply_to_pose(pose).inverse() for pose in cameras.poses]
    return {
        name: Place(pose.translation, pose.rotation if oriented else None)
        for name, pose in zip(cameras.names, moved, strict=True)
    }


def write_table(path, places):
    rows = [
        ','.join([name, *map(repr, place.position.tolist())]) for name, place in places.items()
    ]
    path.write_text('\n'.join(['name,x,y,z', *rows]) + '\n')
    return path


def write_track(path, cameras, positions, offset_s=0.0):
    lines = [
        f'{stamp / NS + offset_s:.3f} {x} {y} {z} 0 0 0 1'
        for stamp, (x, y, z) in zip(cameras.stamps_ns, positions, strict=True)
    ]
    path.write_text('# time x y z qx qy qz qw\n' + '\n'.join(lines) + '\n')
    return path


def assert_true(similarity, scale_tolerance=1e-6, angle=1e-6):
    assert similarity.scale == pytest.approx(TRUE.scale, rel=scale_tolerance)
    assert rotation_angle(similarity.rotation @ TRUE.rotation.T) < angle


class TestPlaces:
    def test_a_table_of_positions_gives_frame_and_scale(self, tmp_path):
        cameras = cameras_at(walk())
        table = write_table(tmp_path / 'places.csv', true_places(cameras))
        found = align(cameras, read_places(table))
        assert_true(found.similarity)
        np.testing.assert_allclose(found.similarity.translation, TRUE.translation, atol=1e-6)
        assert (found.units, found.num_known, found.num_used) == ('m', 20, 20)
        assert found.rms < 1e-6

    def test_wrong_places_are_named(self):
        cameras = cameras_at(walk())
        places = true_places(cameras)
        for row in (3, 11):
            name = cameras.names[row]
            places[name] = Place(places[name].position + np.array([4.0, -row, 2.0]))
        found = align(cameras, KnownPlaces('here', 'test', places))
        assert_true(found.similarity)
        assert [name for name, _ in found.far] == ['image 11.jpg', 'image 3.jpg']
        assert found.num_used == 18

    def test_a_line_without_orientations_is_refused_with_the_free_angle(self):
        cameras = cameras_at(line())
        known = KnownPlaces('here', 'test', true_places(cameras, oriented=False))
        direction = TRUE.rotation @ [0.6, 0.0, 0.8]
        with pytest.raises(DataError, match='angle about it is free') as caught:
            align(cameras, known)
        named = ', '.join(f'{value:.2f}' for value in direction)
        other = ', '.join(f'{value:.2f}' for value in -direction)
        assert named in str(caught.value) or other in str(caught.value)
        assert '--distance' in str(caught.value)

    def test_a_line_with_orientations_is_enough(self):
        cameras = cameras_at(line())
        found = align(cameras, KnownPlaces('here', 'test', true_places(cameras)))
        assert_true(found.similarity)
        assert 'line' in found.notes[0]

    def test_two_oriented_images_are_enough(self):
        cameras = cameras_at(line(2))
        assert_true(align(cameras, KnownPlaces('here', 'test', true_places(cameras))).similarity)

    def test_places_that_have_nothing_to_do_with_the_map_are_refused(self):
        cameras = cameras_at(walk())
        rng = np.random.default_rng(5)
        places = {name: Place(rng.normal(size=3)) for name in cameras.names}
        with pytest.raises(DataError, match=r'does not settle|lie nearly on a line'):
            align(cameras, KnownPlaces('here', 'test', places))

    def test_other_names_are_shown(self, tmp_path):
        cameras = cameras_at(walk())
        places = {f'cam/{name}': place for name, place in true_places(cameras).items()}
        table = write_table(tmp_path / 'places.csv', places)
        with pytest.raises(DataError, match=r"like 'cam/image 0\.jpg', the map like 'image 0"):
            align(cameras, read_places(table))

    def test_a_track_is_taken_by_time(self, tmp_path):
        cameras = cameras_at(walk())
        track = write_track(tmp_path / 'track.txt', cameras, TRUE.apply(cameras.centres))
        found = align(cameras, read_places(track))
        assert_true(found.similarity, 1e-4, 1e-4)

    def test_a_track_of_another_time_is_refused_with_both(self, tmp_path):
        cameras = cameras_at(walk())
        positions = TRUE.apply(cameras.centres)
        track = write_track(tmp_path / 'track.txt', cameras, positions, offset_s=3600)
        with pytest.raises(DataError, match=r'1700003600\.000 s to .* images from 1700000000'):
            align(cameras, read_places(track))

    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            ('', 'is empty'),
            ('image,x,y\na,1,2\n', 'line 1 should name the columns image,x,y,z'),
            ('image,x,y,z\na,1,2,up\n', 'line 2: expected numbers for x,y,z'),
            ('image,x,y,z\na,1,2,nan\n', 'line 2: position .* not finite'),
            ('image,x,y,z\na,1,2,3\na,1,2,3\n', "line 3: image 'a' is named a second time"),
            ('image,lat,lon,alt\na,100,2,3\n', 'line 2: latitude 100, .* no place on Earth'),
            ('image,x,y,z\n', 'has no places under its header'),
        ],
    )
    def test_damaged_tables_are_refused(self, tmp_path, text, message):
        (tmp_path / 'places.csv').write_text(text)
        with pytest.raises(DataError, match=message):
            read_places(tmp_path / 'places.csv')

    def test_what_is_nothing_is_refused_with_what_could_be(self, tmp_path):
        with pytest.raises(DataError, match=r'holds no posed images.*EXIF: give a map'):
            read_places(tmp_path)


class TestGps:
    def test_positions_are_east_north_and_up_of_the_first(self, tmp_path):
        rows = ['image,lat,lon,alt', 'a,48.0,11.0,500', 'b,48.001,11.0,500', 'c,48.0,11.001,510']
        (tmp_path / 'gps.csv').write_text('\n'.join(rows))
        known = read_places(tmp_path / 'gps.csv')
        assert known.frame.origin == GeographicPoint(48.0, 11.0, 500.0)
        np.testing.assert_allclose(known.named['a'].position, 0.0, atol=1e-9)
        # 111.2 km a degree of latitude, and cos 48 deg of 111.3 km a degree of longitude.
        np.testing.assert_allclose(known.named['b'].position, [0, 111.2, 0], atol=0.1)
        np.testing.assert_allclose(known.named['c'].position, [74.6, 0, 10], atol=0.1)

    def test_the_conversion_is_that_of_colmap(self):
        if not hasattr(pycolmap.GPSTransform, 'ellipsoid_to_enu'):
            pytest.skip('a pycolmap that calls it otherwise')
        rng = np.random.default_rng(3)
        origin = GeographicPoint(-33.8, 151.2, 40.0)
        numbers = rng.normal(size=(6, 3)) * [0.1, 0.1, 200] + [-33.8, 151.2, 40]
        theirs = pycolmap.GPSTransform(pycolmap.GPSTransformEllipsoid.WGS84).ellipsoid_to_enu(
            numbers, origin.latitude_deg, origin.longitude_deg, origin.altitude_m
        )
        ours = east_north_up([GeographicPoint(*row) for row in numbers], origin)
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


class TestDistance:
    def test_scales_and_leaves_the_frame(self):
        cameras = cameras_at(walk())
        length = np.linalg.norm(cameras.centres[2] - cameras.centres[9])
        found = align(cameras, KnownDistance('image 2.jpg', 'image 9.jpg', 3 * length))
        assert found.similarity.scale == pytest.approx(3.0)
        np.testing.assert_array_equal(found.similarity.rotation, np.eye(3))
        assert 'what is up' in found.notes[0]

    @pytest.mark.parametrize(
        ('names', 'metres', 'message'),
        [
            (('image 2.jpg', 'image 2.jpg'), 1.0, 'from the same place'),
            (('image 2.jpg', 'imag 3.jpg'), 1.0, "did you mean 'image 3.jpg'"),
            (('image 2.jpg', 'image 3.jpg'), 0.0, 'tells no scale'),
            (('image 2.jpg', 'image 3.jpg'), math.nan, 'tells no scale'),
        ],
    )
    def test_what_tells_no_scale_is_refused(self, names, metres, message):
        with pytest.raises(DataError, match=message):
            align(cameras_at(walk()), KnownDistance(*names, metres))


class TestOdometry:
    def test_drift_hardly_changes_the_scale(self):
        cameras = cameras_at(walk(60))
        steps = np.diff(TRUE.apply(cameras.centres), axis=0)
        turn, headings = np.eye(3), []
        for _ in steps:
            turn = turn @ exp_so3(np.array([0.0, 0.0, 0.01]))
            headings.append(turn)
        drifted = np.cumsum(np.einsum('nij,nj->ni', headings, steps), axis=0)
        positions = np.concatenate([np.zeros((1, 3)), drifted])
        places = {
            name: Place(position) for name, position in zip(cameras.names, positions, strict=True)
        }
        known = KnownPlaces('here', 'test', places)
        found = align(cameras, Odometry(known))
        assert found.similarity.scale == pytest.approx(TRUE.scale, rel=0.01)
        # As positions that do not drift they would be off by more.
        off = abs(align(cameras, known).similarity.scale / TRUE.scale - 1)
        assert off > 2 * abs(found.similarity.scale / TRUE.scale - 1)

    def test_a_line_gives_the_scale_alone(self):
        cameras = cameras_at(line())
        known = KnownPlaces('here', 'test', true_places(cameras, oriented=False))
        found = align(cameras, Odometry(known))
        assert found.similarity.scale == pytest.approx(TRUE.scale)
        np.testing.assert_array_equal(found.similarity.rotation, np.eye(3))
        assert 'the frame stays as it is' in found.notes[0]

    def test_a_robot_that_stands_tells_nothing(self):
        cameras = cameras_at(walk())
        places = {name: Place(np.zeros(3)) for name in cameras.names}
        with pytest.raises(DataError, match='does not move'):
            align(cameras, Odometry(KnownPlaces('here', 'test', places)))


class TestGlobalFrame:
    def test_is_the_same_after_writing_and_reading(self):
        frame = GlobalFrame(TRUE, GeographicPoint(1.0, 2.0, 3.0))
        read = GlobalFrame.from_content(frame.content())
        assert_true(read.global_from_map, 1e-12, 1e-9)
        assert read.origin == frame.origin

    def test_of_a_map_alone_takes_no_room(self):
        assert GlobalFrame.identity().content() == {}
        assert GlobalFrame.from_content({}).is_identity

    @pytest.mark.parametrize(
        'damage',
        [
            {'scale': -1.0},
            {'scale': math.nan},
            {'translation': [1.0, 2.0]},
            {'quat_xyzw': [1.0, 1.0, 0.0, 0.0]},
        ],
    )
    def test_damaged_numbers_are_refused(self, damage):
        content = GlobalFrame(TRUE).content()
        content['global_from_map'] |= damage
        with pytest.raises((ValueError, DataError)):
            GlobalFrame.from_content(content)

    def test_of_another_map_is_found_through_this_one(self):
        frame = GlobalFrame(TRUE)
        other = Similarity(3.0, exp_so3(np.array([0.1, 0.0, 0.0])), np.array([1.0, 0.0, 0.0]))
        points = np.eye(3)
        np.testing.assert_allclose(
            frame.seen_from(other).global_from_map.apply(points),
            TRUE.apply(other.apply(points)),
            atol=1e-12,
        )
