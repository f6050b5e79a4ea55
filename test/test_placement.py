# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps get another frame as a whole, or only a note where they lie in it."""

import shutil
import struct

import cv2
import numpy as np
import pycolmap
import pytest
from rendered_room import look, write_views
from synthetic_maps import make_texture
from typer.testing import CliRunner

from relloc_ros.cli.main import make_app
from relloc_ros.config import LocalizationConfig
from relloc_ros.errors import DataError, MapError
from relloc_ros.geometry import exp_so3, pose_error
from relloc_ros.map.alignment import KnownDistance
from relloc_ros.map.builder import build_map
from relloc_ros.map.check import check_map, map_info
from relloc_ros.map.editing import remove_images
from relloc_ros.map.format import Manifest, current_generation
from relloc_ros.map.global_frame import GeographicPoint
from relloc_ros.map.known_places import KnownPlaces, read_places
from relloc_ros.map.merging import merge_maps
from relloc_ros.map.place_tables import Place
from relloc_ros.map.placement import align_map
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.selection import split_map
from relloc_ros.map.sources import read_image
from relloc_ros.map.triangulation import triangulate_map
from relloc_ros.pipeline import Relocalizer
from relloc_ros.similarity import Similarity
from relloc_ros.structures import QueryImage

TRUE = Similarity(2.0, exp_so3(np.array([0.3, -2.0, 0.5])), np.array([50.0, -60.0, 7.0]))
ANGLES = np.linspace(-1.5, 1.5, 7)


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp('room')
    poses = [
        look((1.2 * np.sin(a), 0.3 * np.cos(3 * a), 0.6 * np.cos(a) - 1.5), 25 - 12 * np.sin(a))
        for a in ANGLES
    ]
    return write_views(folder, poses)


@pytest.fixture(scope='module')
def built(room, tmp_path_factory):
    """A map in metres with 3D points, of all images but the middle one."""
    path = tmp_path_factory.mktemp('built') / 'map'
    build_map([*room[:3], *room[4:]], path)
    triangulate_map(path)
    return path


@pytest.fixture
def metric(built, tmp_path):
    return shutil.copytree(built, tmp_path / 'metric', symlinks=True)


@pytest.fixture
def unscaled(metric, tmp_path):
    path = shutil.copytree(metric, tmp_path / 'unscaled', symlinks=True)
    manifest = path / 'map.yaml'
    manifest.write_text(manifest.read_text().replace('units: m\n', 'units: unknown\n'))
    return path


@pytest.fixture(scope='module')
def known(room):
    moved = {image.name: TRUE.apply_to_pose(image.cam_from_map).inverse() for image in room}
    return KnownPlaces(
        'here',
        'test',
        {name: Place(pose.translation, pose.rotation) for name, pose in moved.items()},
    )


def poses_of(path):
    with ReferenceMap.open(path) as reference_map:
        return [reference_map.cam_from_map(row) for row in range(reference_map.num_images)]


def points_of(path):
    with ReferenceMap.open(path) as reference_map:
        return np.array(reference_map.points.positions)


def manifest_of(path):
    return Manifest.read(current_generation(path).manifest)


class TestMapWithoutScale:
    def test_is_rewritten_as_a_whole(self, unscaled, known):
        before, points = poses_of(unscaled), points_of(unscaled)
        placed = align_map(unscaled, known)
        assert placed.rewritten
        assert (placed.units, map_info(unscaled)['units']) == ('m', 'm')
        assert map_info(unscaled)['global_from_map'] == 'identity'
        assert check_map(unscaled) == []
        for old, new in zip(before, poses_of(unscaled), strict=True):
            assert max(pose_error(new, TRUE.apply_to_pose(old))) < 1e-6
        np.testing.assert_allclose(points_of(unscaled), TRUE.apply(points), atol=1e-5)
        model = pycolmap.Reconstruction(unscaled / 'sparse')
        positions = np.array([model.points3D[i].xyz for i in sorted(model.points3D)])
        np.testing.assert_allclose(positions, points_of(unscaled), atol=1e-6)

    @pytest.mark.parametrize('localizer', ['essential', 'structure'])
    def test_localizes_in_the_new_frame(self, unscaled, known, room, localizer):
        align_map(unscaled, known)
        query = QueryImage(read_image(room[3]), room[3].camera, 1, 'camera', 'query')
        with ReferenceMap.open(unscaled) as reference_map:
            found = Relocalizer(reference_map, LocalizationConfig(localizer=localizer)).process(
                query
            )
        assert found.localized, found.reason
        expected = TRUE.apply_to_pose(room[3].cam_from_map)
        distance, angle = pose_error(found.camera_pose.map_from_body, expected.inverse())
        assert distance < 0.05 * TRUE.scale
        assert angle < 0.02

    def test_stays_as_it_is_if_nothing_fits(self, unscaled):
        before = (unscaled / 'current').resolve()
        with pytest.raises(DataError, match='knows 0 of the 6 images'):
            align_map(unscaled, KnownPlaces('here', 'test', {'other': Place(np.zeros(3))}))
        assert (unscaled / 'current').resolve() == before
        assert map_info(unscaled)['units'] == 'unknown'

    def test_gets_its_scale_from_a_distance(self, unscaled, room):
        a, b = room[0], room[-1]
        apart = np.linalg.norm(
            a.cam_from_map.inverse().translation - b.cam_from_map.inverse().translation
        )
        align_map(unscaled, KnownDistance(a.name, b.name, 3 * apart))
        np.testing.assert_allclose(
            poses_of(unscaled)[0].inverse().translation,
            3 * a.cam_from_map.inverse().translation,
            atol=1e-9,
        )
        assert map_info(unscaled)['units'] == 'm'


class TestMetricMap:
    @staticmethod
    def assert_noted(path):
        noted = manifest_of(path).global_frame.global_from_map
        assert noted.scale == pytest.approx(TRUE.scale)
        np.testing.assert_allclose(noted.rotation, TRUE.rotation, atol=1e-6)
        np.testing.assert_allclose(noted.translation, TRUE.translation, atol=1e-5)

    def test_keeps_its_poses_and_notes_where_it_lies(self, metric, known):
        content = manifest_of(metric).checksums
        assert not align_map(metric, known).rewritten
        manifest = manifest_of(metric)
        assert manifest.checksums == content
        self.assert_noted(metric)
        assert map_info(metric)['global_from_map']['scale'] == '2'
        assert check_map(metric) == []

    def test_is_rewritten_if_asked(self, metric, known):
        before = poses_of(metric)
        assert align_map(metric, known, apply=True).rewritten
        assert max(pose_error(poses_of(metric)[0], TRUE.apply_to_pose(before[0]))) < 1e-6
        assert manifest_of(metric).global_frame.is_identity

    def test_lies_where_a_map_lies_that_it_is_aligned_to(self, metric, known, tmp_path):
        other = shutil.copytree(metric, tmp_path / 'other', symlinks=True)
        align_map(other, known)
        align_map(metric, read_places(other))
        self.assert_noted(metric)

    def test_still_lies_there_after_changes(self, metric, known, room, tmp_path):
        align_map(metric, known)
        remove_images(metric, [room[0].name])
        self.assert_noted(metric)
        split_map(metric, [image.name for image in room[1:3]], tmp_path / 'a')
        split_map(metric, [image.name for image in room[4:]], tmp_path / 'b')
        merge_maps(tmp_path / 'a', tmp_path / 'b', tmp_path / 'c')
        self.assert_noted(tmp_path / 'c')
        triangulate_map(tmp_path / 'c')
        self.assert_noted(tmp_path / 'c')

    def test_with_a_damaged_note_is_refused(self, metric, known):
        align_map(metric, known)
        path = metric / 'map.yaml'
        path.write_text(path.read_text().replace('scale: ', 'scale: -'))
        with pytest.raises(MapError, match=r'map\.yaml is damaged'):
            manifest_of(metric)


class TestGpsInImages:
    def test_gives_frame_scale_and_origin(self, built, room, tmp_path):
        path = shutil.copytree(built, tmp_path / 'map', symlinks=True)
        origin = (48.0, 11.0, 500.0)
        for image in room:
            east, north, up = 100 * image.cam_from_map.inverse().translation
            # Metres a degree at 48 deg north.
            latitude, longitude = origin[0] + north / 111_200, origin[1] + east / 74_628
            picture = cv2.imencode('.jpg', make_texture(0))[1].tobytes()
            file = tmp_path / 'images' / image.name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_with_gps(picture, latitude, longitude, origin[2] + up))
        alignment = align_map(path, read_places(tmp_path / 'images')).alignment
        assert alignment.similarity.scale == pytest.approx(100, rel=0.01)
        assert alignment.rms < 0.5
        frame = manifest_of(path).global_frame
        assert isinstance(frame.origin, GeographicPoint)
        assert frame.origin.latitude_deg == pytest.approx(48.0, abs=0.01)
        # North, east and up are y, x and z of the room: it is only moved and scaled.
        np.testing.assert_allclose(alignment.similarity.rotation, np.eye(3), atol=0.01)

    def test_is_missed_where_there_is_none(self, tmp_path):
        cv2.imwrite(str(tmp_path / 'a.jpg'), make_texture(0))
        with pytest.raises(DataError, match='no image with a GPS position'):
            read_places(tmp_path)


def _with_gps(jpeg, latitude, longitude, altitude):
    """Put an EXIF segment with a GPS position into a JPEG file."""
    seconds = 10_000

    def degrees(value):
        whole, rest = divmod(value * 60, 1)
        return struct.pack('<6I', int(whole // 60), 1, int(whole % 60), 1,
                           round(rest * 60 * seconds), seconds)  # fmt: skip

    values = [
        degrees(latitude),
        degrees(longitude),
        struct.pack('<2I', round(altitude * 100), 100),
    ]
    gps_at = 8 + 2 + 12 + 4
    values_at = gps_at + 2 + 6 * 12 + 4
    tags = [
        (1, 2, 2, b'N\0\0\0'),
        (2, 5, 3, struct.pack('<I', values_at)),
        (3, 2, 2, b'E\0\0\0'),
        (4, 5, 3, struct.pack('<I', values_at + 24)),
        (5, 1, 1, b'\0\0\0\0'),
        (6, 5, 1, struct.pack('<I', values_at + 48)),
    ]
    directory = struct.pack('<H', len(tags)) + b''.join(
        struct.pack('<HHI', tag, kind, count) + value for tag, kind, count, value in tags
    )
    first = struct.pack('<HHHII', 1, 0x8825, 4, 1, gps_at) + b'\0' * 4
    tiff = b'II*\0' + struct.pack('<I', 8) + first + directory + b'\0' * 4 + b''.join(values)
    body = b'Exif\0\0' + tiff
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(body) + 2) + body + jpeg[2:]


class TestCommand:
    def run(self, *arguments):
        result = CliRunner().invoke(make_app(), ['map', 'align', *map(str, arguments)])
        return result, ' '.join(result.output.replace('│', ' ').split())

    def test_says_what_it_has_done_and_what_is_left_out(self, unscaled, known, tmp_path):
        rows = [','.join([name, *map(str, place.position)]) for name, place in known.named.items()]
        rows[1] = f'{list(known.named)[1]},0,0,0'
        (tmp_path / 'places.csv').write_text('\n'.join(['image,x,y,z', *rows]))
        result, output = self.run(unscaled, '--to', tmp_path / 'places.csv')
        assert result.exit_code == 0, output
        assert '5 of the 6 known places agree' in output
        assert (
            f'left out, too far from where the others put them: {list(known.named)[1]}' in output
        )
        assert "are rewritten, in 'm' now" in output

    def test_notes_where_a_metric_map_lies_and_warns_of_another_scale(
        self, metric, unscaled, known
    ):
        align_map(unscaled, known)
        result, output = self.run(metric, '--to', unscaled)
        assert result.exit_code == 0, output
        assert 'keeps its poses; global_from_map' in output
        assert 'a length of 1 in the map is 2 m' in output

    def test_wants_to_know_what_to_align_to(self, metric):
        result, output = self.run(metric)
        assert result.exit_code == 2
        assert '--to, --odometry or --distance' in output

    def test_fails_on_a_map_that_is_none(self, tmp_path):
        result, _ = self.run(tmp_path, '--to', tmp_path)
        assert isinstance(result.exception, MapError)
