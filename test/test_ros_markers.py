# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`~/map_markers` and `~/markers`: the right cameras in the right colours, and not too many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')

from ros_harness import LATCHED, NS, Harness
from scipy.stats import chi2
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker, MarkerArray

from relloc_ros.camera import Camera
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.ros import markers
from relloc_ros.ros.frame_processor import Frame, FrameResult
from relloc_ros.ros.markers import (
    ACCEPTED_COLOUR,
    INLIER_COLOUR,
    MAX_FRAME_CAMERAS,
    MAX_MAP_CAMERAS,
    REJECTED_COLOUR,
    RETRIEVED_COLOUR,
    MarkerOutput,
)
from relloc_ros.structures import Localization, PairMatches, PoseEstimate, Status
from relloc_ros.tracker import TrackingState, Verdict

CAMERA = Camera('PINHOLE', 640, 480, (500.0, 500.0, 320.0, 240.0))
TURNED = exp_so3(np.array([0.2, -0.4, 1.0]))
POSE = RigidTransform(TURNED, np.array([5.0, -1.0, 2.0]))
POINTS_PER_CAMERA = 20
ACCEPTED = Verdict(TrackingState.LOCALIZED, True)
REJECTED = Verdict(TrackingState.SUSPECT, False, 'far from the track')


def stub_map(count: int, prefix: str = 'image', spacing: float = 0.4) -> Any:
    """Cameras in a row."""
    centres = np.column_stack([spacing * np.arange(count), np.full(count, 7.0), np.ones(count)])
    names = tuple(f'{prefix}{i}' for i in range(count))
    return SimpleNamespace(
        image_names=names,
        index_of=dict(zip(names, range(count), strict=True)).get,
        num_images=count,
        centres=centres,
        camera=lambda index: CAMERA,
        cam_from_map=lambda index: RigidTransform(TURNED, centres[index]).inverse(),
    )


@pytest.fixture
def harness(ros: None) -> Iterator[Harness]:
    with Harness(tf_mode='none') as harness:
        harness.stub.reference_map = stub_map(4)
        harness.start()
        harness.robot.send_camera_info()
        harness.robot.send_extrinsics()
        harness.spin(0.2)
        yield harness


def part_of(harness: Harness) -> MarkerOutput:
    session = harness.node._session
    assert session is not None
    return session.part(MarkerOutput)


def listen(harness: Harness, topic: str) -> list[MarkerArray]:
    found: list[MarkerArray] = []
    latched = topic == 'map_markers'
    name = f'/localization_node/{topic}'
    harness.robot.create_subscription(MarkerArray, name, found.append, LATCHED if latched else 10)
    part = part_of(harness)
    publisher = part._of_map if latched else part._of_frames
    harness.spin_until(publisher.get_subscription_count)
    return found


def result(
    verdict: Verdict,
    inlying: tuple[str, ...] = (),
    others: tuple[str, ...] = (),
    covariance: Any = None,
) -> FrameResult:
    localization = Localization(Status.TOO_FEW_INLIERS, 'too few', NS, 'stub')
    pose = PoseEstimate(POSE, np.eye(6) * 1e-4 if covariance is None else covariance)
    if verdict is not None and verdict.state is not TrackingState.LOST:
        localization = Localization(
            Status.LOCALIZED,
            '',
            NS,
            'stub',
            pose,
            retrieved=(*others, *inlying),
            pairs=(
                *(pair(name, [False, True]) for name in inlying),
                *(pair(name, [False]) for name in others[:1]),
            ),
        )
    frame = Frame(Image(), CAMERA, 'image', 0.0)
    return FrameResult(frame, localization, pose, None, '', 0.0, verdict)


def pair(name: str, inliers: list[bool]) -> PairMatches:
    points = np.zeros((len(inliers), 2))
    return PairMatches(name, points, points, np.array(inliers))


def shown(harness: Harness, found: list[MarkerArray], what: FrameResult) -> dict[str, Marker]:
    """Markers of a frame by kind."""
    found.clear()
    part_of(harness).frame_processed(what)
    harness.spin_until(lambda: found)
    kinds = {marker.ns: marker for marker in found[-1].markers}
    assert len(kinds) == len(found[-1].markers)
    return kinds


def points(marker: Marker) -> Any:
    return np.array([(point.x, point.y, point.z) for point in marker.points])


def colour(marker: Marker) -> tuple[float, ...]:
    values = (marker.color.r, marker.color.g, marker.color.b, marker.color.a)
    return tuple(round(value, 4) for value in values)


def apexes(marker: Marker) -> Any:
    return points(marker)[::POINTS_PER_CAMERA].round(9)


def test_whoever_comes_late_sees_the_cameras_of_the_map(harness: Harness) -> None:
    harness.localize(1 * NS)
    harness.localize(2 * NS)
    found = listen(harness, 'map_markers')
    harness.spin_until(lambda: found)
    harness.localize(3 * NS)
    (message,) = found
    (marker,) = message.markers
    assert (marker.type, marker.action) == (Marker.LINE_LIST, Marker.ADD)
    assert marker.header.frame_id == 'map'
    assert marker.frame_locked
    assert len(marker.points) == 4 * POINTS_PER_CAMERA
    np.testing.assert_allclose(apexes(marker), stub_map(4).centres)
    # Half as large as they are apart.
    image_corners = points(marker)[1:8:2] - stub_map(4).centres[0]
    assert np.linalg.norm(image_corners @ TURNED[:, :2], axis=1) == pytest.approx(0.2)
    assert 0.0 < marker.scale.x < 0.05


@pytest.mark.parametrize(('spacing', 'size'), [(0.0, 0.05), (1e-3, 0.05), (1.0, 0.5), (50.0, 1.0)])
def test_cameras_are_as_large_as_their_spacing_allows(spacing: float, size: float) -> None:
    drawn = markers._DrawnMap.of(stub_map(10, spacing=spacing))
    assert drawn.size == pytest.approx(size)


def test_one_camera_alone_has_a_size() -> None:
    assert markers._DrawnMap.of(stub_map(1)).size == pytest.approx(0.05)


def test_large_maps_are_thinned_evenly(harness: Harness) -> None:
    large = stub_map(2 * MAX_MAP_CAMERAS + 7)
    session = harness.node._session
    assert session is not None
    session.loaded = replace(session.loaded, reference_map=large)
    found = listen(harness, 'map_markers')
    harness.spin_until(lambda: found)
    part_of(harness).map_changed()
    harness.spin_until(lambda: len(found) == 2)
    centres = apexes(found[-1].markers[0])
    assert len(centres) == MAX_MAP_CAMERAS
    np.testing.assert_allclose(centres[[0, -1]], large.centres[[0, -1]])
    gaps = np.diff(centres[:, 0])
    assert gaps.max() / gaps.min() < 2.1


def test_nobody_looks_nothing_is_made(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = MarkerOutput._frame_markers

    def count(self: MarkerOutput, result: FrameResult) -> list[Marker]:
        made.append(result)
        return make(self, result)

    monkeypatch.setattr(MarkerOutput, '_frame_markers', count)
    harness.localize(1 * NS)
    assert made == []
    listen(harness, 'markers')
    harness.localize(2 * NS)
    assert len(made) == 1


def test_images_with_inliers_and_without(harness: Harness) -> None:
    found = listen(harness, 'markers')
    kinds = shown(harness, found, result(ACCEPTED, ('image3', 'image1'), ('image0', 'image2')))
    assert set(kinds) == {'retrieved', 'inlier', 'pose', 'covariance'}
    centres = stub_map(4).centres
    np.testing.assert_allclose(apexes(kinds['inlier']), centres[[3, 1]])
    np.testing.assert_allclose(apexes(kinds['retrieved']), centres[[0, 2]])
    assert colour(kinds['inlier']) == INLIER_COLOUR
    assert colour(kinds['retrieved']) == RETRIEVED_COLOUR
    for marker in kinds.values():
        assert marker.header.frame_id == 'map'
        assert (marker.header.stamp.sec, marker.header.stamp.nanosec) == (1, 0)
        assert marker.action == Marker.ADD


def test_pose_and_covariance(harness: Harness) -> None:
    found = listen(harness, 'markers')
    deviations = np.array([0.5, 0.2, 0.3])
    covariance = np.eye(6)
    covariance[:3, :3] = TURNED @ np.diag(deviations**2) @ TURNED.T
    kinds = shown(harness, found, result(ACCEPTED, covariance=covariance))
    np.testing.assert_allclose(apexes(kinds['pose'])[0], POSE.translation)
    assert colour(kinds['pose']) == ACCEPTED_COLOUR
    ellipsoid = kinds['covariance']
    assert ellipsoid.type == Marker.SPHERE
    orientation = ellipsoid.pose.orientation
    position = ellipsoid.pose.position
    rotation = RigidTransform.from_quat_wxyz(
        np.array([orientation.w, orientation.x, orientation.y, orientation.z]), np.zeros(3)
    ).rotation
    radii = np.array([ellipsoid.scale.x, ellipsoid.scale.y, ellipsoid.scale.z]) / 2.0
    expected = chi2.ppf(0.95, 3) * covariance[:3, :3]
    np.testing.assert_allclose(rotation @ np.diag(radii**2) @ rotation.T, expected, atol=1e-9)
    np.testing.assert_allclose([position.x, position.y, position.z], POSE.translation)
    tiny = shown(harness, found, result(ACCEPTED, covariance=np.eye(6) * 1e-12))['covariance']
    assert min(tiny.scale.x, tiny.scale.y, tiny.scale.z) > 0.01


def test_a_pose_that_is_not_trusted_is_red_and_a_missing_one_is_deleted(harness: Harness) -> None:
    found = listen(harness, 'markers')
    kinds = shown(harness, found, result(REJECTED, ('image1',)))
    assert colour(kinds['pose']) == REJECTED_COLOUR
    assert colour(kinds['covariance'])[:3] == REJECTED_COLOUR[:3]
    kinds = shown(harness, found, result(Verdict(TrackingState.LOST, False)))
    assert {marker.action for marker in kinds.values()} == {Marker.DELETE}
    assert set(kinds) == {'retrieved', 'inlier', 'pose', 'covariance'}


def test_not_too_many_and_none_of_another_map(harness: Harness) -> None:
    session = harness.node._session
    assert session is not None
    large = stub_map(2 * MAX_FRAME_CAMERAS)
    session.loaded = replace(session.loaded, reference_map=large)
    part_of(harness).map_changed()
    found = listen(harness, 'markers')
    kinds = shown(harness, found, result(ACCEPTED, ('gone', 'image5'), large.image_names[6:]))
    np.testing.assert_allclose(apexes(kinds['inlier']), large.centres[[5]])
    assert len(apexes(kinds['retrieved'])) == MAX_FRAME_CAMERAS


def test_a_jump_of_time_takes_all_back_and_shows_the_map_again(harness: Harness) -> None:
    of_map, of_frames = listen(harness, 'map_markers'), listen(harness, 'markers')
    harness.spin_until(lambda: of_map)
    session = harness.node._session
    assert session is not None
    session.forget_time()
    harness.spin_until(lambda: of_frames)
    assert [marker.action for marker in of_frames[-1].markers] == [Marker.DELETEALL]
    harness.spin(0.1)
    assert len(of_map) == 1
    harness.localize(5 * NS)
    harness.spin_until(lambda: len(of_map) == 2)
    harness.localize(6 * NS)
    assert len(of_map) == 2


def test_nothing_is_left_of_the_last_frame_while_inactive(harness: Harness) -> None:
    found = listen(harness, 'markers')
    harness.localize(1 * NS)
    harness.spin_until(lambda: found)
    harness.node.trigger_deactivate()
    harness.spin_until(lambda: found[-1].markers[0].action == Marker.DELETEALL)


def test_a_node_without_pictures_of_its_map_shows_poses(ros: None) -> None:
    with Harness(tf_mode='none') as harness:
        harness.start()
        found = listen(harness, 'markers')
        kinds = shown(harness, found, result(ACCEPTED, ('image1',)))
        assert kinds['pose'].action == Marker.ADD
        assert kinds['inlier'].action == Marker.DELETE


def test_the_cameras_of_a_real_map(office_map: Path) -> None:
    with ReferenceMap.open(office_map) as reference_map:
        drawn = markers._DrawnMap.of(reference_map)
        lines = drawn.lines(range(reference_map.num_images))
    np.testing.assert_allclose(lines[:: POINTS_PER_CAMERA // 2, 0], reference_map.centres)
    assert 0.05 < drawn.size < 0.5
