# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every variant of absolute pose regression learns the poses of twenty images by heart."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed: extra learn')
pytest.importorskip('safetensors', reason='safetensors is not installed: extra learn')

from relloc_ros.camera import Camera  # noqa: E402
from relloc_ros.geometry import RigidTransform, exp_so3, pose_error  # noqa: E402
from relloc_ros.networks.apr import (  # noqa: E402
    VARIANTS,
    AbsolutePoseBatch,
    PoseRegressor,
    make_absolute_pose_net,
    variant_config,
)
from relloc_ros.networks.preprocessing import to_tensor  # noqa: E402
from relloc_ros.networks.training.synthetic_views import draw_motion, warp  # noqa: E402
from relloc_ros.synthetic.worlds import make_world  # noqa: E402

SIDE, FOCAL = 64, 50.0
COUNT, PERIOD_S = 20, 0.4
CAMERA = Camera('PINHOLE', SIDE, SIDE, (FOCAL, FOCAL, SIDE / 2, SIDE / 2))
INTRINSICS = np.array([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1.0]])
ODOM_FROM_MAP = RigidTransform(exp_so3([0.3, -0.5, 2.0]), np.array([4.0, -7.0, 1.0]))

STEPS, LEARNING_RATE = 400, 3e-3
SMALL = {
    'backbone': 'small',
    'last_stage': 3,
    'shorter_side': SIDE,
    'crop': SIDE,
    'embedding_size': 512,
    'dropout': 0.02,
}
OWN = {
    'bayesian_posenet': {'feature_dropout': 0.02},
    'posenet_lstm': {'embedding_size': 128},
    'gposenet': {'embedding_size': 64, 'inducing_points': 64, 'dropout': 0.0},
    'mapnet': {'window': 5},
    'mapnet_plus': {'window': 5},
}
MAX_POSITION, MAX_ROTATION_DEG = 0.05, 2.0


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other are slow where other tests run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@lru_cache(maxsize=2)
def views(offset: float):
    """Images, their poses and depths, of a walk through a made room."""
    world = room()
    path = world.walk(0)
    poses = [path.map_from_cam(PERIOD_S * (index + offset)) for index in range(COUNT)]
    images = [world.renderer.render(CAMERA, pose) for pose in poses]
    depths = [float(np.median(world.renderer.depth(CAMERA, pose))) for pose in poses]
    return images, poses, depths


@lru_cache(maxsize=1)
def room():
    return make_world('room', 0)


def make_batch(images, poses, **more) -> AbsolutePoseBatch:
    return AbsolutePoseBatch(
        torch.stack([to_tensor(image) for image in images]),
        torch.tensor(np.array([pose.translation for pose in poses]), dtype=torch.float32),
        torch.tensor(np.array([pose.rotation for pose in poses]), dtype=torch.float32),
        **more,
    )


def scene_points(poses, depths):
    rng = np.random.default_rng(1)
    rays = np.column_stack([rng.uniform(-0.6, 0.6, (50, 2)), np.ones(50)])
    points = [
        pose.apply(rays * depth * rng.uniform(0.6, 1.4, (50, 1)))
        for pose, depth in zip(poses, depths, strict=True)
    ]
    return torch.tensor(np.array(points), dtype=torch.float32)


def batches(config):
    """Batches without end, as training makes them for the settings."""
    images, poses, depths = views(0.0)
    if config.synthetic_views:
        rng = np.random.default_rng(2)
        while True:
            planes = [np.array([0.0, 0.0, 1.0 / depth]) for depth in depths]
            motions = [draw_motion(rng, plane) for plane in planes]
            warped = [
                warp(image, INTRINSICS, plane, motion)
                for image, plane, motion in zip(images, planes, motions, strict=True)
            ]
            moved = [pose @ motion.inverse() for pose, motion in zip(poses, motions, strict=True)]
            yield make_batch(images + warped, poses + moved)
    if config.unlabelled:
        unposed, steps, _ = views(0.5)
        odometry = [ODOM_FROM_MAP @ pose for pose in steps]
        labelled = torch.arange(2 * COUNT) < COUNT
        batch = make_batch(images + unposed, poses + odometry, is_labelled=labelled)
    else:
        points = scene_points(poses, depths) if config.loss == 'geometric' else None
        batch = make_batch(images, poses, points=points)
    if config.embedding == 'fusion':
        rows = [*range(COUNT), 0, *range(COUNT - 1)]
        batch = make_batch([images[row] for row in rows], [poses[row] for row in rows])
    while True:
        yield batch


def learn(config):
    """Train a network, with a learning rate that rises and falls."""
    _, poses, _ = views(0.0)
    network = make_absolute_pose_net(config)
    network.fit_frame(
        np.array([pose.translation for pose in poses]),
        np.array([pose.rotation for pose in poses]),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=STEPS)
    torch.manual_seed(0)
    for _, batch in zip(range(STEPS), batches(config), strict=False):
        loss = network.loss(network.predict(batch), batch)['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network


@pytest.mark.parametrize('name', VARIANTS)
def test_learns_twenty_images_by_heart(name):
    config = variant_config(name, {**SMALL, **OWN.get(name, {})})
    regressor = PoseRegressor(learn(config))
    images, poses, _ = views(0.0)
    previous = [images[0], *images[:-1]]
    estimates = [regressor.regress(*each) for each in zip(images, previous, strict=True)]
    errors = np.array(
        [
            pose_error(estimate.map_from_cam, pose)
            for estimate, pose in zip(estimates, poses, strict=True)
        ]
    )
    assert errors[:, 0].max() < MAX_POSITION
    assert np.rad2deg(errors[:, 1].max()) < MAX_ROTATION_DEG
    for estimate in estimates:
        assert np.linalg.eigvalsh(estimate.covariance).min() > 0
