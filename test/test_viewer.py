# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The 3D viewer: which nodes its scene has, what a click finds, and how it starts."""

import sys
from types import SimpleNamespace
from urllib.request import urlopen

import numpy as np
import pytest
from synthetic_runs import make_outcome, make_run, shift

from relloc_ros.errors import DataError, MissingDependencyError
from relloc_ros.evaluation.viewer import RunViewer
from relloc_ros.geometry import RigidTransform, exp_so3
from relloc_ros.map.reference_map import ReferenceMap

pytest.importorskip('viser')

PORT = 18080
FAR = np.array([5e5, 5.3e6, 300.0])


@pytest.fixture(scope='module')
def office(office_map):
    with ReferenceMap.open(office_map) as reference_map:
        yield reference_map


@pytest.fixture
def run(office):
    turned = RigidTransform(exp_so3(np.array([0.0, 0.0, 1.0])), np.zeros(3))
    return make_run(
        [
            make_outcome('good.jpg', 1, shift(1.0), shift(1.01), retrieved=office.image_names[:2]),
            make_outcome('bad <b>.jpg', 2, shift(0, 2.0), shift(0, 3.0) @ turned),
            make_outcome('no truth', 3, shift(0, 0, 2.0), None),
            make_outcome('lost', 4, None, shift(1.5), failure='retrieval', failure_detail='far'),
        ],
        map_path=str(office.path),
    )


@pytest.fixture
def open_viewer():
    viewers = []

    def open_one(*arguments, **options):
        viewers.append(RunViewer(*arguments, port=PORT, **options))
        return viewers[-1]

    yield open_one
    for viewer in viewers:
        viewer.close()


def test_the_server_answers_in_the_browser(open_viewer, run):
    viewer = open_viewer(run)
    with urlopen(viewer.url, timeout=10) as answer:
        assert b'<html' in answer.read().lower()
    another = open_viewer(run)
    assert another.url != viewer.url


def test_nodes_of_the_scene(open_viewer, run, office):
    viewer = open_viewer(run, office)
    layers = viewer.scene.layers
    expected = [
        'map cameras',
        'true poses',
        'not localized',
        'estimates',
        'positions',
        'covariances',
        'errors',
    ]
    assert list(layers) == expected
    for name in expected:
        assert viewer.server.scene.get_handle_by_name('/' + name.replace(' ', '_')) is layers[name]
    per_camera = 10
    assert len(layers['estimates'].points) == 3 * per_camera
    assert len(layers['true poses'].points) == 2 * per_camera
    assert len(layers['not localized'].points) == per_camera
    # Those that nearly hide each other are left out.
    drawn = len(layers['map cameras'].points) / per_camera
    assert office.num_images / 2 < drawn <= office.num_images
    assert len(layers['covariances'].batched_positions) == 3
    np.testing.assert_allclose(
        layers['errors'].points + viewer.scene.origin,
        [[[1, 0, 0], [1.01, 0, 0]], [[0, 2, 0], [0, 3, 0]]],
        atol=1e-5,
    )
    good, bad, unknown = layers['estimates'].colors[::per_camera, 0].astype(int)
    assert good[0] < 100 < bad[0]
    assert len(set(unknown)) == 1


def test_points_of_the_map_are_drawn(open_viewer, run, office, monkeypatch):
    positions = np.random.default_rng(0).normal(size=(1000, 3))
    points = SimpleNamespace(positions=positions)
    monkeypatch.setattr(office, 'points', points)
    scene = open_viewer(run, office).scene
    drawn = scene.layers['map points'].points
    np.testing.assert_allclose(drawn + scene.origin, positions, atol=1e-5)


def test_covariances_are_drawn_to_scale(open_viewer, run):
    viewer = open_viewer(run)
    # Standard deviations of 0.1, 0.2 and 0.3; 95 % of three degrees of freedom.
    half_axes = viewer.scene.layers['covariances'].batched_scales
    np.testing.assert_allclose(
        np.sort(half_axes[0]), 2.7955 * np.array([0.1, 0.2, 0.3]), rtol=1e-3
    )


def test_georeferenced_maps_keep_their_millimetres(open_viewer):
    millimetre = np.array([0.001, 0.0, 0.0])
    outcomes = [
        make_outcome(str(i), i, shift(*(FAR + i)), shift(*(FAR + i + millimetre)))
        for i in range(3)
    ]
    lines = open_viewer(make_run(outcomes)).scene.layers['errors'].points
    np.testing.assert_allclose(lines[:, 1, 0] - lines[:, 0, 0], 0.001, rtol=1e-3)


def test_robots_are_drawn_as_axes(open_viewer):
    run = make_run([make_outcome('1', 1, shift(1.0), shift(2.0))], body='base_link')
    scene = open_viewer(run).scene
    assert scene.layers['estimates'].batched_positions.shape == (1, 3)
    np.testing.assert_array_equal(scene.up, [0, 0, 1])


def test_cameras_have_their_upper_side_up(open_viewer):
    level = RigidTransform(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), np.zeros(3))
    run = make_run([make_outcome('1', 1, level, None)])
    np.testing.assert_allclose(open_viewer(run).scene.up, [0, 0, 1], atol=1e-12)


def test_a_click_finds_the_estimate_under_it(open_viewer, run):
    scene = open_viewer(run).scene
    eye = np.array([5.0, 5.0, 5.0])
    for outcome in run.outcomes[:3]:
        target = outcome.estimate.map_from_body.translation - scene.origin
        assert scene.nearest(eye, 0.3 * (target - eye) + 1e-3) is outcome
    # What lies behind the eye was not clicked.
    towards = run.outcomes[0].estimate.map_from_body.translation - scene.origin
    beyond = 3 * towards
    assert scene.nearest(beyond, towards) is not run.outcomes[0]


def test_choosing_shows_name_error_and_picture(open_viewer, run, office):
    viewer = open_viewer(run, office)
    viewer.choose(run.outcomes[0])
    text = viewer._details.content
    assert 'good.jpg' in text
    assert 'error 1.00 cm' in text
    assert office.image_names[0].split('.')[0] in text
    thumbnail = office.thumbnail(0)
    assert viewer._picture.visible == (thumbnail is not None)
    position = viewer.server.scene.get_handle_by_name('/chosen').position
    np.testing.assert_allclose(position + viewer.scene.origin, [1, 0, 0], atol=1e-6)

    viewer.choose(run.outcomes[1])
    assert '<b>' not in viewer._details.content
    assert not viewer._picture.visible

    viewer.choose(run.outcomes[3])
    assert 'TOO_FEW_MATCHES' in viewer._details.content.replace('\\', '')
    assert 'retrieval' in viewer._details.content


def test_unknown_covariances_are_not_drawn(open_viewer):
    covariance = np.full((6, 6), np.nan)
    outcome = make_outcome('1', 1, shift(1.0), shift(2.0), covariance=covariance)
    viewer = open_viewer(make_run([outcome]))
    assert not viewer.scene.layers['covariances'].batched_scales.any()
    viewer.choose(outcome)
    assert 'nan' not in viewer._details.content


def test_a_run_without_poses_is_refused(open_viewer):
    with pytest.raises(DataError, match='nothing to show'):
        open_viewer(make_run([make_outcome('1', 1, None, None)]))


def test_viser_is_named_where_it_is_missing(open_viewer, run, monkeypatch):
    monkeypatch.setitem(sys.modules, 'viser', None)
    with pytest.raises(MissingDependencyError, match=r'pip install relloc_ros\[view\]'):
        open_viewer(run)
