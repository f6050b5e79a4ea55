# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each service once, and initialpose, with the node in a process of its own and a real map."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import signal
import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('std_srvs')

from geometry_msgs.msg import PoseWithCovarianceStamped
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from ros_harness import Robot, values
from ros_process import call, end, parameters, running_node, spin_until
from sensor_msgs.msg import CameraInfo, CompressedImage
from std_srvs.srv import Empty, SetBool, Trigger

from relloc_ros.map.sources import PosedImage, read_source
from relloc_ros.ros.conversions import pose_message, time_message
from relloc_ros.structures import PoseEstimate

NODE = '/localization_node'
EXAMPLE = Path(__file__).parent.parent / 'examples' / 'fr3_office'
PERIOD_S = 0.2


class Onlooker(Robot):
    """Looks at one place of the sample, again and again, and calls services."""

    def __init__(self) -> None:
        super().__init__(NODE)
        self.executor_ = SingleThreadedExecutor()
        self.executor_.add_node(self)
        self.posed: PosedImage = read_source(EXAMPLE, list_file=EXAMPLE / 'query.txt')[0]
        self.given = self.create_publisher(PoseWithCovarianceStamped, 'initialpose', 1)
        self.create_timer(PERIOD_S, self._look)
        self._set = self.create_client(SetParameters, f'{NODE}/set_parameters')

    def _look(self) -> None:
        camera = self.posed.camera
        fx, fy, cx, cy = camera.params[:4]
        info = CameraInfo(width=camera.width, height=camera.height, distortion_model='plumb_bob')
        info.d = [0.0] * 5
        info.k = [fx, 0.0, cx - 0.5, 0.0, fy, cy - 0.5, 0.0, 0.0, 1.0]
        self.infos.publish(info)
        image = CompressedImage(format='jpeg', data=self.posed.path.read_bytes())
        image.header.frame_id = 'base_link'
        image.header.stamp = time_message(time.time_ns())
        self.compressed.publish(image)

    def begin(self, service: Any, name: str, request: Any = None) -> Any:
        client = self.create_client(service, name)
        spin_until(self.executor_, client.service_is_ready)
        return client.call_async(request or service.Request())

    def ask(self, service: Any, name: str, request: Any = None) -> Any:
        future = self.begin(service, name, request)
        spin_until(self.executor_, future.done)
        return future.result()

    def set_map(self, path: Path) -> None:
        parameter = Parameter('map_path', value=str(path)).to_parameter_msg()
        result = call(self.executor_, self._set, SetParameters.Request(parameters=[parameter]))
        assert result.results[0].successful

    def next_frame(self) -> dict[str, str]:
        self.frames.clear()
        spin_until(self.executor_, lambda: self.frames)
        return values(self.frames[-1].status[0])


@pytest.fixture
def onlooker(ros: None) -> Iterator[Onlooker]:
    """Somebody who looks and asks."""
    onlooker = Onlooker()
    yield onlooker
    onlooker.executor_.shutdown()
    onlooker.destroy_node()


def node_parameters(map_path: Path) -> list[str]:
    """Settings for a robot without odometry."""
    return parameters(
        map_path=map_path,
        autostart=True,
        image_transport='compressed',
        tf_mode='map_to_base',
        relocalize_timeout=30.0,
    )


def test_services_of_a_running_node(
    onlooker: Onlooker, office_map: Path, office_points_map: Path, tmp_path: Path
) -> None:
    log = tmp_path / 'log'
    truth = onlooker.posed.cam_from_map.inverse()
    with running_node(*node_parameters(office_map), log=log) as process:
        answer = onlooker.ask(Trigger, f'{NODE}/relocalize')
        assert answer.success, answer.message
        found = json.loads(answer.message)
        assert (found['frame_id'], found['child_frame_id']) == ('map', 'base_link')
        assert np.linalg.norm(np.array(found['position']) - truth.translation) < 0.1
        first_map = onlooker.next_frame()['map_id']

        onlooker.ask(Empty, '/reinitialize_global_localization')
        spin_until(onlooker.executor_, lambda: onlooker.next_frame()['event'] == 'RELOCALIZED')

        onlooker.set_map(tmp_path / 'nowhere')
        refused = onlooker.ask(Trigger, f'{NODE}/reload_map')
        assert not refused.success
        assert 'nowhere' in refused.message
        assert onlooker.next_frame()['map_id'] == first_map
        onlooker.set_map(office_points_map)
        taken = onlooker.ask(Trigger, f'{NODE}/reload_map')
        assert taken.success
        spin_until(
            onlooker.executor_, lambda: onlooker.next_frame()['map_id'] == taken.message != ''
        )

        assert onlooker.ask(SetBool, f'{NODE}/set_enabled', SetBool.Request(data=False)).success
        onlooker.diagnostics.clear()
        spin_until(
            onlooker.executor_,
            lambda: any(values(s)['state'] == 'DISABLED' for s in onlooker.diagnostics),
        )
        assert onlooker.ask(SetBool, f'{NODE}/set_enabled', SetBool.Request(data=True)).success

        onlooker.poses.clear()
        given = PoseEstimate(truth, np.diag([0.25] * 3 + [0.07] * 3))
        onlooker.given.publish(pose_message(given, 0, 'map'))
        spin_until(onlooker.executor_, lambda: len(onlooker.poses) > 2)
        pose = onlooker.poses[-1].pose.pose
        position = np.array([pose.position.x, pose.position.y, pose.position.z])
        assert np.linalg.norm(position - truth.translation) < 0.1
        assert end(process, signal.SIGINT) == 0
    text = log.read_text()
    assert 'the map is not changed' in text
    assert 'initialpose: the robot is searched around' in text
    assert 'Traceback' not in text


@pytest.mark.parametrize('service', ['relocalize', 'reload_map'])
def test_a_signal_ends_the_node_while_somebody_waits(
    onlooker: Onlooker, office_map: Path, tmp_path: Path, service: str
) -> None:
    log = tmp_path / 'log'
    with running_node(*node_parameters(office_map), '-r', 'camera_info:=none', log=log) as process:
        spin_until(onlooker.executor_, onlooker.compressed.get_subscription_count)
        onlooker.begin(Trigger, f'{NODE}/{service}')
        deadline_s = time.monotonic() + 0.5
        spin_until(onlooker.executor_, lambda: time.monotonic() > deadline_s)
        assert end(process, signal.SIGINT) == 0
    assert 'Traceback' not in log.read_text()
