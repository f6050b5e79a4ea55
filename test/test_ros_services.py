# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The services: answers with results, in every state, and to everybody who asks."""

from __future__ import annotations

from collections.abc import Iterator
import json
import threading
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('std_srvs')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.parameter import Parameter
from ros_harness import BASE_FROM_CAM, MAP_FROM_CAM, NS, Harness, values
from std_srvs.srv import Empty, SetBool, Trigger

from relloc_ros.errors import MapError
from relloc_ros.geometry import RigidTransform

MAP_FROM_BASE = MAP_FROM_CAM @ BASE_FROM_CAM.inverse()
START_NS = 1_000 * NS
TRIGGERS = {'relocalize', 'reload_map'}


class Client:
    """Calls the services of the node under test."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        create = harness.robot.create_client
        self._clients = {
            name: create(Trigger, f'/localization_node/{name}') for name in sorted(TRIGGERS)
        }
        self._clients['set_enabled'] = create(SetBool, '/localization_node/set_enabled')
        self._clients['reinitialize'] = create(Empty, '/reinitialize_global_localization')

    def offers(self, name: str) -> bool:
        """Whether the node under test serves a name now."""
        return bool(self._clients[name].service_is_ready())

    def begin(self, name: str, request: Any = None) -> Any:
        """Send a request; returns the future answer. Spins until the node has it."""
        client = self._clients[name]
        self._harness.spin_until(client.service_is_ready)
        future = client.call_async(client.srv_type.Request() if request is None else request)
        self._harness.spin(0.2)
        return future

    def end(self, future: Any) -> Any:
        """Spin until there is an answer."""
        self._harness.spin_until(future.done)
        return future.result()

    def call(self, name: str, request: Any = None) -> Any:
        """Send a request and spin until there is an answer."""
        return self.end(self.begin(name, request))

    def enable(self, enabled: bool) -> Any:
        """Call ~/set_enabled."""
        return self.call('set_enabled', SetBool.Request(data=enabled))


def parsed(response: Any) -> dict[str, Any]:
    """Give the answer of ~/relocalize as an object."""
    answer = json.loads(response.message)
    assert isinstance(answer, dict)
    return answer


@pytest.fixture
def harness(ros: None) -> Iterator[Harness]:
    """An inactive node with little patience."""
    with Harness(
        max_rate=0.0, transform_timeout=0.05, relocalize_frames=3, map_path='first'
    ) as harness:
        yield harness


@pytest.fixture
def client(harness: Harness) -> Client:
    """Calls services."""
    return Client(harness)


@pytest.fixture
def active(harness: Harness) -> Harness:
    """An active node that knows camera and extrinsics."""
    harness.start()
    harness.robot.send_camera_info()
    harness.robot.send_extrinsics()
    harness.spin(0.2)
    return harness


def send_images(harness: Harness, future: Any, encoding: str = 'mono8') -> int:
    """Send images one after the other until there is an answer; returns how many."""
    for count in range(20):
        if future.done():
            return count
        seen = len(harness.robot.frames)
        harness.robot.send_image(START_NS + round((count + 1) * NS / 5), encoding=encoding)
        harness.spin_until(lambda seen=seen: future.done() or len(harness.robot.frames) > seen)
        harness.spin(0.05)
    raise AssertionError('no answer')


class TestRelocalize:
    """The service ~/relocalize."""

    def test_answers_with_the_pose_of_the_base(self, active: Harness, client: Client) -> None:
        future = client.begin('relocalize')
        assert not future.done()
        send_images(active, future)
        response = future.result()
        answer = parsed(response)
        assert response.success
        assert answer['accepted']
        assert (answer['status'], answer['reason']) == ('LOCALIZED', '')
        assert answer['state'] == 'LOCALIZED'
        assert (answer['frame_id'], answer['child_frame_id']) == ('map', 'base_link')
        np.testing.assert_allclose(answer['position'], MAP_FROM_BASE.translation, atol=1e-9)
        np.testing.assert_allclose(answer['quat_xyzw'], MAP_FROM_BASE.quat_xyzw, atol=1e-9)
        covariance = np.array(answer['covariance'])
        assert covariance.shape == (6, 6)
        assert np.linalg.eigvalsh(covariance)[0] > 0
        assert answer['inliers'] == 30
        assert answer['stamp_ns'] > START_NS

    def test_gives_up_after_some_images_and_says_why(
        self, active: Harness, client: Client
    ) -> None:
        future = client.begin('relocalize')
        assert send_images(active, future, encoding='nonsense') == 3
        response = future.result()
        answer = parsed(response)
        assert not response.success
        assert (answer['status'], answer['accepted'], answer['images']) == ('ERROR', False, 3)
        assert answer['position'] is answer['covariance'] is None
        assert '3 images' in answer['reason']
        assert 'nonsense' in answer['reason']

    @pytest.mark.parametrize('use_sim_time', [False, True])
    def test_gives_up_without_images_whatever_the_clock(
        self, ros: None, use_sim_time: bool
    ) -> None:
        with Harness(relocalize_timeout=1.0, use_sim_time=use_sim_time) as harness:
            client = Client(harness)
            harness.start()
            start_s = time.monotonic()
            response = client.call('relocalize')
            assert 0.9 < time.monotonic() - start_s < 8.0
            assert not response.success
            assert parsed(response)['status'] is None
            assert 'no image was localized in 1 s' in parsed(response)['reason']

    def test_everybody_gets_an_answer(self, active: Harness, client: Client) -> None:
        first, second = client.begin('relocalize'), client.begin('relocalize')
        send_images(active, first)
        assert client.end(first).success
        assert client.end(second).success

    def test_searches_anew_and_leaves_tf_alone_meanwhile(
        self, active: Harness, client: Client
    ) -> None:
        for second in range(4):
            active.robot.send_odometry(START_NS + second * NS, RigidTransform.identity())
        active.spin(0.1)
        active.localize(START_NS + NS)
        active.localize(START_NS + 2 * NS)
        active.spin_until(lambda: active.robot.corrections)
        assert values(active.next_diagnostic())['state'] == 'LOCALIZED'
        future = client.begin('relocalize')
        assert values(active.next_diagnostic())['state'] == 'SEARCHING'
        active.robot.corrections.clear()
        active.spin_until(lambda: len(active.robot.corrections) > 3)
        assert not future.done()
        send_images(active, future)
        assert future.result().success

    def test_images_before_the_request_do_not_count(self, active: Harness, client: Client) -> None:
        active.stub.go_on.clear()
        active.robot.send_image(START_NS)
        active.spin_until(lambda: active.stub.stamps)
        future = client.begin('relocalize')
        active.stub.go_on.set()
        active.spin(0.3)
        assert not future.done()
        send_images(active, future)
        assert parsed(future.result())['stamp_ns'] > START_NS

    def test_answers_at_once_while_nothing_can_come(
        self, harness: Harness, client: Client
    ) -> None:
        def reason() -> str:
            response = client.call('relocalize')
            assert not response.success
            return str(parsed(response)['reason'])

        assert 'configure' in reason()
        harness.node.trigger_configure()
        assert 'activate' in reason()
        harness.node.trigger_activate()
        client.enable(False)
        assert 'set_enabled' in reason()

    @pytest.mark.parametrize('end', ['deactivate', 'cleanup', 'disable', 'jump', 'reload'])
    def test_nobody_is_left_waiting(self, active: Harness, client: Client, end: str) -> None:
        future = client.begin('relocalize')
        if end == 'disable':
            client.enable(False)
        elif end == 'reload':
            client.call('reload_map')
        elif end == 'jump':
            active.node._session.forget_time()  # type: ignore[union-attr]
        else:
            active.node.trigger_deactivate()
            if end == 'cleanup':
                active.node.trigger_cleanup()
        response = client.end(future)
        assert not response.success
        assert parsed(response)['reason']
        assert parsed(response)['status'] is None


class TestGlobalLocalization:
    """The service reinitialize_global_localization."""

    def test_forgets_the_track(self, active: Harness, client: Client) -> None:
        active.localize(START_NS)
        assert values(active.next_diagnostic())['state'] == 'LOCALIZED'
        client.call('reinitialize')
        assert values(active.next_diagnostic())['state'] == 'SEARCHING'

    def test_does_nothing_while_inactive(self, harness: Harness, client: Client) -> None:
        harness.node.trigger_configure()
        client.call('reinitialize')

    def test_leaves_the_name_to_amcl_if_told(self, ros: None) -> None:
        with Harness(serve_global_localization=False) as harness:
            harness.start()
            harness.spin(0.5)
            assert not Client(harness).offers('reinitialize')
            harness.node.trigger_deactivate()
            harness.node.trigger_cleanup()

    def test_goes_and_comes_with_the_configuration(self, harness: Harness, client: Client) -> None:
        for expected in (True, False, True):
            if expected:
                harness.node.trigger_configure()
            else:
                harness.node.trigger_cleanup()
            harness.spin_until(lambda expected=expected: client.offers('reinitialize') == expected)


class TestSetEnabled:
    """The service ~/set_enabled."""

    def test_off_stops_images_and_on_goes_on(self, active: Harness, client: Client) -> None:
        assert client.enable(False).success
        active.robot.send_image(START_NS)
        active.spin(0.3)
        assert active.stub.stamps == []
        status = active.next_diagnostic()
        assert (status.message, status.level) == ('DISABLED', DiagnosticStatus.OK)
        assert values(status)['state'] == 'DISABLED'
        assert client.enable(True).success
        active.localize(START_NS + NS)
        assert active.robot.poses

    def test_tf_goes_on(self, active: Harness, client: Client) -> None:
        active.robot.send_odometry(START_NS, RigidTransform.identity())
        active.spin(0.1)
        active.localize(START_NS)
        active.spin_until(lambda: active.robot.corrections)
        client.enable(False)
        active.robot.corrections.clear()
        active.spin_until(lambda: len(active.robot.corrections) > 3)

    def test_activation_begins_enabled(self, active: Harness, client: Client) -> None:
        client.enable(False)
        active.node.trigger_deactivate()
        assert not client.enable(True).success
        active.start()
        active.robot.send_camera_info()
        active.spin(0.2)
        active.localize(START_NS)
        assert active.robot.poses

    def test_inactive_says_why(self, harness: Harness, client: Client) -> None:
        response = client.enable(True)
        assert not response.success
        assert 'activate' in response.message


class TestReloadMap:
    """The service ~/reload_map."""

    def take(self, harness: Harness, map_path: str) -> None:
        result = harness.node.set_parameters([Parameter('map_path', value=map_path)])
        assert result[0].successful, result[0].reason

    def test_takes_the_map_that_the_parameter_names(self, active: Harness, client: Client) -> None:
        self.take(active, 'second')
        status = active.next_diagnostic()
        assert status.level == DiagnosticStatus.WARN
        assert "'second'" in status.message
        assert 'reload_map' in status.message
        assert values(status)['map_path'] == values(status)['map_id'] == 'first'
        response = client.call('reload_map')
        assert (response.success, response.message) == (True, 'second')
        active.spin_until(lambda: active.stub.closed_maps == ['first'])
        assert values(active.next_diagnostic())['map_path'] == 'second'
        active.localize(START_NS)
        assert values(active.robot.frames[-1].status[0])['map_id'] == 'second'

    def test_the_reloaded_map_is_that_of_the_next_activation(
        self, active: Harness, client: Client
    ) -> None:
        self.take(active, 'second')
        client.call('reload_map')
        active.node.trigger_deactivate()
        active.node.trigger_activate()
        assert active.stub.closed_maps == ['first']

    def test_without_it_the_next_activation_loads_the_map(self, active: Harness) -> None:
        self.take(active, 'second')
        active.node.trigger_deactivate()
        active.node.trigger_activate()
        assert values(active.next_diagnostic())['map_id'] == 'second'

    @pytest.mark.parametrize('error', [MapError('checksum differs'), KeyError('poses')])
    def test_a_bad_map_leaves_the_old_one(
        self, active: Harness, client: Client, error: Exception
    ) -> None:
        active.localize(START_NS)

        def fail(map_path: str) -> None:
            raise error

        active.stub.loading = fail
        response = client.call('reload_map')
        assert not response.success
        assert str(error) in response.message
        assert active.stub.closed_maps == []
        assert values(active.next_diagnostic())['state'] == 'LOCALIZED'
        active.localize(START_NS + NS)
        assert len(active.robot.poses) == 2

    def test_the_node_works_on_and_answers_meanwhile(
        self, active: Harness, client: Client
    ) -> None:
        go_on = threading.Event()
        active.stub.loading = lambda map_path: go_on.wait(10.0)
        first = client.begin('reload_map')
        second = client.call('reload_map')
        assert not second.success
        assert 'being loaded' in second.message
        active.localize(START_NS)
        assert active.robot.poses
        assert not first.done()
        go_on.set()
        assert client.end(first).success
        assert values(active.next_diagnostic())['state'] == 'SEARCHING'

    def test_the_old_map_is_freed_after_its_last_image(
        self, active: Harness, client: Client
    ) -> None:
        active.stub.go_on.clear()
        active.robot.send_image(START_NS)
        active.spin_until(lambda: active.stub.stamps)
        self.take(active, 'second')
        assert client.call('reload_map').success
        assert active.stub.closed_maps == []
        active.stub.go_on.set()
        active.spin_until(lambda: active.stub.closed_maps == ['first'])
        assert active.robot.frames == []
        active.localize(START_NS + NS)

    @pytest.mark.parametrize('transitions', [['deactivate'], ['deactivate', 'cleanup']])
    def test_transitions_meanwhile_are_safe(
        self, active: Harness, client: Client, transitions: list[str]
    ) -> None:
        go_on = threading.Event()
        active.stub.loading = lambda map_path: go_on.wait(10.0)
        self.take(active, 'second')
        future = client.begin('reload_map')
        for transition in transitions:
            getattr(active.node, f'trigger_{transition}')()
        go_on.set()
        response = client.end(future)
        assert response.success == ('cleanup' not in transitions)
        expected = ['first', 'second'] if 'cleanup' in transitions else ['first']
        active.spin_until(lambda: sorted(active.stub.closed_maps) == expected)

    def test_the_end_of_the_node_meanwhile_frees_the_map(
        self, active: Harness, client: Client
    ) -> None:
        go_on = threading.Event()
        active.stub.loading = lambda map_path: go_on.wait(10.0)
        self.take(active, 'second')
        client.begin('reload_map')
        active.node.destroy_node()
        go_on.set()
        active.spin_until(lambda: sorted(active.stub.closed_maps) == ['first', 'second'])

    def test_unconfigured_and_unusable_parameters_say_so(
        self, harness: Harness, client: Client
    ) -> None:
        response = client.call('reload_map')
        assert not response.success
        assert 'configur' in response.message
