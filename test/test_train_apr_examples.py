# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What networks for absolute poses learn from: windows, points, views from nearby, odometry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('lightning_fabric', reason='lightning-fabric is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.errors import DataError  # noqa: E402
from relloc_ros.geometry import RigidTransform, exp_so3  # noqa: E402
from relloc_ros.map.reference_map import ReferenceMap  # noqa: E402
from relloc_ros.map.sources import read_source  # noqa: E402
from relloc_ros.networks.apr.losses import AbsolutePoseBatch  # noqa: E402
from relloc_ros.networks.network_config import AbsolutePoseConfig  # noqa: E402
from relloc_ros.networks.training.images import TrainingImage  # noqa: E402
from relloc_ros.networks.training.pose_data import PoseData  # noqa: E402
from relloc_ros.networks.training.pose_examples import NUM_POINTS  # noqa: E402
from relloc_ros.networks.training.scene import inverse_depth_plane, scene_of_map  # noqa: E402
from relloc_ros.networks.training.synthetic_views import draw_motion, warp  # noqa: E402
from relloc_ros.networks.training.windows import (  # noqa: E402
    held_out_of_sequences,
    make_windows,
)

OFFICE = Path(__file__).parents[1] / 'examples' / 'fr3_office'
SMALL = {'shorter_side': 72, 'crop': 64}


@pytest.fixture(scope='module')
def reference_map(office_map):
    with ReferenceMap.open(office_map) as opened:
        yield opened


@pytest.fixture(scope='module')
def points_map(office_points_map):
    with ReferenceMap.open(office_points_map) as opened:
        yield opened


@pytest.fixture(scope='module')
def source():
    return read_source(OFFICE)


def data_of(reference_map, source, odometry=(), **settings):
    config = AbsolutePoseConfig(**SMALL, **settings)
    return PoseData.of_map(reference_map, source, config, odometry), config


def sequences(source, *lengths):
    """Give images of several sequences, in a mixed order."""
    images = [
        TrainingImage(replace(source[0], name=f'seq{number}/{frame}.png', stamp_ns=frame), '')
        for number, length in enumerate(lengths)
        for frame in range(length)
    ]
    order = np.random.default_rng(0).permutation(len(images))
    return [images[index] for index in order]


def test_windows_go_through_a_sequence_in_the_order_of_time(source):
    images = sequences(source, 5, 3)
    everything = np.ones(8, dtype=bool)
    windows = make_windows(images, everything, 3, 2)
    frames = [[images[index].posed.name for index in window] for window in windows]
    assert len(frames) == 8
    assert frames[4] == ['seq0/0.png', 'seq0/2.png', 'seq0/4.png']
    # Before the first image there is none.
    assert frames[1] == ['seq0/0.png', 'seq0/0.png', 'seq0/1.png']
    assert frames[5] == ['seq1/0.png'] * 3
    alone = make_windows(images, everything, 1, 1)
    np.testing.assert_array_equal(np.sort(alone[:, 0]), np.arange(8))


def test_no_window_has_images_for_training_and_for_validation(source):
    images = sequences(source, 30, 30)
    flags = held_out_of_sequences(images)
    assert flags.sum() == 10
    for part in (False, True):
        windows = make_windows(images, flags == part, 3, 1)
        assert (flags[windows] == part).all()
        np.testing.assert_array_equal(np.sort(windows[:, -1]), np.flatnonzero(flags == part))


def test_one_image_in_six_is_for_validation(reference_map, source):
    data, config = data_of(reference_map, source)
    training, validation = data.examples(config)
    assert (len(training), len(validation)) == (12, 2)
    assert not {*training.windows[:, 0]} & {*validation.windows[:, 0]}
    names = [image.posed.name for image in data.images_for(validation=False)]
    assert names == [reference_map.image_names[index] for index in sorted(training.windows[:, 0])]


def test_an_example_is_the_image_and_its_place_in_the_map(reference_map, source):
    data, config = data_of(reference_map, source)
    training, _ = data.examples(config)
    example = training.read(3, None)
    index = training.windows[3, 0]
    assert set(example) == {'image', 'position', 'rotation'}
    assert example['image'].shape == (1, 3, 64, 64)
    np.testing.assert_allclose(example['position'][0], reference_map.centres[index], atol=1e-12)
    np.testing.assert_allclose(
        example['rotation'][0], reference_map.cam_from_map(index).rotation.T, atol=1e-6
    )


def test_training_crops_are_drawn_and_validation_crops_are_not(reference_map, source):
    data, config = data_of(reference_map, source)
    training, validation = data.examples(config)
    first, again, other = (training.read(0, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert torch.equal(first['image'], again['image'])
    assert not torch.equal(first['image'], other['image'])
    assert torch.equal(first['position'], other['position'])
    assert torch.equal(validation.read(0, None)['image'], validation.read(0, None)['image'])


def test_points_of_an_example_lie_where_the_image_shows_them(points_map, source):
    data, config = data_of(points_map, source, loss='geometric')
    training, validation = data.examples(config)
    for examples, seed in ((training, (0,)), (validation, None)):
        for row, (index,) in enumerate(examples.windows):
            points = examples.read(row, seed)['points'][0].numpy()
            assert points.shape == (NUM_POINTS, 3)
            camera = points_map.camera(index)
            in_camera = points_map.cam_from_map(index).apply(points)
            assert (in_camera[:, 2] > 0).all()
            pixels = camera.project(in_camera)
            assert ((pixels > -5) & (pixels < [camera.width + 5, camera.height + 5])).all()


def test_a_map_without_points_is_refused_where_they_are_needed(reference_map, source):
    with pytest.raises(DataError, match=r'no 3D points.*relloc map triangulate'):
        data_of(reference_map, source, loss='geometric')


def test_a_plane_is_found_despite_outliers():
    generator = np.random.default_rng(0)
    rays = np.column_stack([generator.uniform(-0.5, 0.5, (200, 2)), np.ones(200)])
    plane = np.array([0.1, -0.2, 0.5])
    depths = 1 / (rays @ plane)
    depths[::10] *= 4
    corners = np.array([[-0.5, -0.5, 1], [0.5, -0.5, 1], [-0.5, 0.5, 1], [0.5, 0.5, 1]])
    found = inverse_depth_plane(rays * depths[:, None], corners, 1.0)
    np.testing.assert_allclose(found, plane, atol=0.02)
    few = inverse_depth_plane(rays[1:5] * 2.0, corners, 1.0)
    np.testing.assert_allclose(few, [0, 0, 0.5])
    np.testing.assert_allclose(inverse_depth_plane(-rays, corners, 0.25), [0, 0, 0.25])
    # The ground to the horizon is no plane that an image can be warped by.
    steep = rays * (1 / (0.05 + np.abs(rays[:, 1:2])))
    assert inverse_depth_plane(steep[rays[:, 1] > 0], 3 * corners, 1.0)[1] == 0


def test_a_view_shows_the_plane_as_a_camera_there_would_see_it():
    intrinsics = np.array([[100.0, 0, 60], [0, 100, 45], [0, 0, 1]])
    plane = np.array([0.05, -0.1, 0.4])
    motion = RigidTransform(exp_so3(np.array([0.02, -0.05, 0.03])), np.array([0.1, -0.05, 0.15]))
    image = np.zeros((90, 120, 3), np.uint8)
    cv2.circle(image, (70, 40), 3, (255, 255, 255), -1)
    ray = np.linalg.solve(intrinsics, [70.5, 40.5, 1.0])
    seen = intrinsics @ motion.apply((ray / (ray @ plane))[None])[0]
    view = warp(image, intrinsics, plane, motion)
    assert view.shape == image.shape
    rows, columns = np.nonzero(view[:, :, 0] > 128)
    centre = np.array([columns.mean(), rows.mean()]) + 0.5
    np.testing.assert_allclose(centre, seen[:2] / seen[2], atol=0.4)
    unmoved = warp(image, intrinsics, plane, RigidTransform.identity())
    np.testing.assert_array_equal(unmoved, image)


def test_synthetic_views_are_further_examples_from_other_places(points_map, source):
    data, config = data_of(points_map, source, synthetic_views=2)
    training, validation = data.examples(config)
    assert (len(training), len(validation)) == (36, 2)
    itself, view, another = (training.read(index, (5,)) for index in (4, 16, 28))
    assert torch.equal(itself['position'], training.read(4, None)['position'])
    depth = 1 / data.scene.planes[training.windows[4, 0], 2]
    for other in (view, another):
        moved = float(torch.linalg.vector_norm(other['position'] - itself['position']))
        assert 0 < moved < 0.2 * depth
    assert not torch.equal(view['position'], another['position'])
    assert torch.equal(view['image'], training.read(16, (5,))['image'])


def test_a_view_looks_like_the_image_from_there(points_map):
    """Points of the map, seen in a view, are where its pose says."""
    scene = scene_of_map(points_map, needs_points=True)
    generator = np.random.default_rng(1)
    errors = []
    for index in range(points_map.num_images):
        plane = scene.planes[index]
        motion = draw_motion(generator, plane)
        in_camera = points_map.cam_from_map(index).apply(scene.points[index])
        rays = in_camera / in_camera[:, 2:]
        by_plane = rays @ (motion.rotation + np.outer(motion.translation, plane)).T
        true = motion.apply(in_camera)
        errors.append(
            np.linalg.norm(by_plane[:, :2] / by_plane[:, 2:] - true[:, :2] / true[:, 2:], axis=1)
        )
        nothing = np.linalg.norm(rays[:, :2] - true[:, :2] / true[:, 2:], axis=1)
        assert np.median(errors[-1]) < np.median(nothing)
    assert np.median(np.concatenate(errors)) < 0.03


def test_each_example_of_training_has_a_window_with_odometry(reference_map, source):
    odometry = read_source(OFFICE, list_file=OFFICE / 'query.txt')
    data, config = data_of(reference_map, source, odometry, window=2, unlabelled=True)
    training, validation = data.examples(config)
    example = training.read(2, (0,))
    assert example['image'].shape == (4, 3, 64, 64)
    assert example['is_labelled'].tolist() == [True, True, False, False]
    centres = [image.cam_from_map.inverse().translation for image in odometry]
    for position in example['position'][2:].numpy():
        assert np.abs(np.array(centres) - position).sum(axis=1).min() < 1e-9
    drawn = {training.read(2, (seed,))['position'][3].numpy().tobytes() for seed in range(20)}
    assert len(drawn) > 2
    assert 'is_labelled' not in validation.read(0, None)
    batch = AbsolutePoseBatch(**example)
    assert len(batch.image) == 4
    with pytest.raises(DataError, match='one image'):
        data_of(reference_map, source, odometry[:1], unlabelled=True)


def test_other_data_have_another_digest(reference_map, points_map, source):
    data, _ = data_of(reference_map, source)
    same, _ = data_of(reference_map, source, embedding_size=4)
    assert data.digest() == same.digest()
    moved = replace(data.images[0].posed, cam_from_map=RigidTransform.identity())
    images = [TrainingImage(moved, data.images[0].digest), *data.images[1:]]
    digests = {
        data.digest(),
        replace(data, images=images).digest(),
        replace(data, validation=~data.validation).digest(),
        replace(data, odometry=data.images[:2]).digest(),
        data_of(points_map, source)[0].digest(),
        data_of(points_map, source, loss='geometric')[0].digest(),
    }
    assert len(digests) == 6
