# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The last images of a moving camera: which of them help, and when."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from relloc_ros.camera import Camera
from relloc_ros.config import LocalizationConfig, TrackingConfig, make_config
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error
from relloc_ros.localizers.reference_matching import QueryFeatures
from relloc_ros.localizers.sighting import PlacedSighting, Sighting
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import read_image, read_source
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, PairMatches, PoseEstimate, QueryImage, Status
from relloc_ros.virtual_rig import MIN_NEWEST_INLIERS, VirtualRig

EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
NS = 1_000_000_000
POSE = PoseEstimate(RigidTransform.identity(), np.eye(6))
FEATURES = QueryFeatures(
    np.zeros((1, 2)),
    np.zeros((1, 2)),
    np.zeros((0, 128), np.float32),
    500.0,
    Camera('PINHOLE', 640, 480, (500.0, 500.0, 320.0, 240.0)),
)


class Stub:
    """Localizes as many views as it is told to; the newest has so many inliers."""

    def __init__(self, enough: int = 3, num_newest: int = MIN_NEWEST_INLIERS) -> None:
        self.enough, self.num_newest = enough, num_newest
        self.calls: list[Sequence[PlacedSighting]] = []

    def locate(self, views: Sequence[PlacedSighting]) -> Localization:
        self.calls.append(views)
        stamp_ns = max(view.sighting.stamp_ns for view in views)
        if len(views) < self.enough:
            return Localization(Status.TOO_FEW_INLIERS, 'alone', stamp_ns, 'stub')
        points = np.arange(2.0 * self.num_newest).reshape(-1, 2)
        pair = PairMatches('m', points, points, np.ones(self.num_newest, dtype=bool))
        return Localization(
            Status.LOCALIZED, '', stamp_ns, 'stub', POSE, 20, 20, pairs=(pair,),
            timings_ms={'solve': 1.0},
        )  # fmt: skip


def at(x: float, yaw: float = 0.0) -> RigidTransform:
    return RigidTransform(exp_so3(np.array([0.0, 0.0, yaw])), np.array([x, 0.0, 0.0]))


def sighting(second: float, shows: bool = True) -> Sighting:
    return Sighting(f'{second}', round(second * NS), features=FEATURES if shows else None)


def drive(rig: VirtualRig, places: Sequence[RigidTransform | None]) -> list[Localization]:
    """One image a second, at places by odometry."""
    return [rig.localize(sighting(1.0 + i), place) for i, place in enumerate(places)]


def make(stub: Stub, size: int = 3, **tracking: float) -> VirtualRig:
    return VirtualRig(stub, make_config(TrackingConfig, tracking), size)


def test_an_image_that_is_localized_alone_needs_no_others() -> None:
    stub = Stub(enough=1)
    results = drive(make(stub), [at(0), at(1), at(2)])
    assert all(result.localized for result in results)
    assert [len(views) for views in stub.calls] == [1, 1, 1]


def test_images_before_help_by_the_motion_between_them() -> None:
    stub = Stub()
    results = drive(make(stub), [at(0.0), at(0.5, 0.2), at(1.0, 0.4)])
    assert [result.localized for result in results] == [False, False, True]
    newest, *others = stub.calls[-1]
    np.testing.assert_array_equal(newest.body_from_cam.matrix, np.eye(4))
    assert newest.is_certain
    for view, place in zip(others, [at(0.0), at(0.5, 0.2)], strict=True):
        expected = at(1.0, 0.4).inverse() @ place
        np.testing.assert_allclose(view.body_from_cam.matrix, expected.matrix, atol=1e-12)


def test_places_are_as_unsure_as_odometry_drifts() -> None:
    stub = Stub()
    rig = make(
        stub,
        odometry_translation_noise=0.1,
        odometry_rotation_noise=0.2,
        odometry_heading_noise=0.01,
    )
    drive(rig, [at(0.0), at(0.5, 0.2), at(1.0, 0.4)])
    _, oldest, older = stub.calls[-1]
    assert (oldest.position_std, older.position_std) == pytest.approx((0.1, 0.05))
    assert (oldest.rotation_std, older.rotation_std) == pytest.approx((0.09, 0.045))


def test_no_more_images_than_the_size_of_the_rig() -> None:
    stub = Stub(enough=9)
    drive(make(stub, size=3), [at(0.5 * i) for i in range(6)])
    views = stub.calls[-1]
    assert [view.sighting.name for view in views] == ['6.0', '4.0', '5.0']


def test_images_at_the_same_place_are_of_no_use() -> None:
    stub = Stub(enough=2)
    results = drive(make(stub), [at(0.0), at(0.02), at(0.04), at(0.2)])
    assert [result.localized for result in results] == [False, False, False, True]
    assert [view.sighting.name for view in stub.calls[-1]] == ['4.0', '1.0']


def test_a_turn_is_a_motion_too() -> None:
    stub = Stub(enough=2)
    assert drive(make(stub), [at(0.0), at(0.0, 0.2)])[-1].localized


def test_images_too_far_back_are_left_out() -> None:
    stub = Stub(enough=2)
    results = drive(make(stub), [at(0.0), at(2.9), at(6.0)])
    assert [result.localized for result in results] == [False, True, False]


def test_without_odometry_each_image_stands_alone() -> None:
    stub = Stub(enough=2)
    results = drive(make(stub), [at(0.0), None, at(1.0)])
    assert [result.localized for result in results] == [False, False, True]
    assert not drive(make(stub), [None, None])[-1].localized


def test_odometry_that_starts_anew_ends_the_rig() -> None:
    stub = Stub(enough=2)
    results = drive(make(stub), [at(90.0), at(0.0), at(0.5)])
    assert [result.localized for result in results] == [False, False, True]


def test_an_image_that_shows_nothing_is_not_localized_by_others() -> None:
    stub = Stub(enough=2)
    rig = make(stub)
    drive(rig, [at(0.0), at(0.5)])
    assert not rig.localize(sighting(5.0, shows=False), at(1.0)).localized
    # Nor is it kept.
    assert rig.localize(sighting(6.0), at(1.5)).localized
    assert '5.0' not in [view.sighting.name for view in stub.calls[-1]]


def test_the_newest_image_must_confirm_the_pose() -> None:
    stub = Stub(num_newest=MIN_NEWEST_INLIERS - 1)
    results = drive(make(stub), [at(0.0), at(0.5), at(1.0)])
    assert not results[-1].localized
    assert results[-1].reason == 'alone'
    assert results[-1].timings_ms['solve'] == 1.0


def test_older_stamps_after_a_jump_of_time() -> None:
    stub = Stub(enough=2)
    rig = make(stub)
    drive(rig, [at(0.0), at(0.5), at(1.0)])
    rig.forget()
    assert not rig.localize(sighting(0.5), at(1.5)).localized
    assert rig.localize(sighting(0.7), at(2.0)).localized


def test_images_out_of_order_are_not_helped_by_later_ones() -> None:
    stub = Stub(enough=2)
    rig = make(stub)
    drive(rig, [at(0.0), at(0.5), at(1.0)])
    rig.localize(sighting(1.5), at(0.25))
    assert all(view.sighting.stamp_ns <= 1.5 * NS for view in stub.calls[-1])


def test_real_images_that_fail_alone_are_localized_together(office_map: Path) -> None:
    # More inliers are asked for than the last of them has.
    settings = {'max_keypoints': 300, 'min_inliers': 130}
    relocalizer = Relocalizer(
        ReferenceMap.open(office_map), make_config(LocalizationConfig, settings)
    )
    posed = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')
    rig = VirtualRig(relocalizer, TrackingConfig(), 3)
    results = []
    for image in posed:
        query = QueryImage(read_image(image), image.camera, image.stamp_ns, 'cam', image.name)
        odom_from_cam = image.cam_from_map.inverse()
        alone = relocalizer.process(query)
        together = rig.localize(relocalizer.sight(query), odom_from_cam)
        results.append((alone, together, odom_from_cam))
    helped = [(pose, truth) for alone, pose, truth in results if pose.localized > alone.localized]
    assert helped
    for pose, truth in helped:
        assert pose.camera_pose is not None
        assert pose_error(pose.camera_pose.map_from_body, truth)[0] < 0.05
