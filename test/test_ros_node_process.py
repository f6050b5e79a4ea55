# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node as users start it: its lifecycle by services, and how signals end it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import signal
import time

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('tf2_msgs')

from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from ros_harness import Robot, values
from ros_process import START_TIMEOUT_S, call, end, parameters, running_node, spin_until

NODE = '/robot_1/localization_node'
IN_NAMESPACE = ('-r', '__ns:=/robot_1', '-r', 'image:=/image', '-r', 'camera_info:=/camera_info')
SIGNALS = [signal.SIGINT, signal.SIGTERM]
INTERRUPTED_NODE = """
import os, signal
from relloc_ros.ros import localization_node as program

class Node(program.LocalizationNode):
    def __init__(self):
        super().__init__()
        os.kill(os.getpid(), signal.SIGINT)
        while self.context.ok():
            pass
        print('nothing was torn', flush=True)

program.LocalizationNode = Node
program.main()
"""


class Operator(Robot):
    """Somebody who operates the node by its services."""

    def __init__(self) -> None:
        super().__init__(NODE)
        self.executor_ = SingleThreadedExecutor()
        self.executor_.add_node(self)
        self._change = self.create_client(ChangeState, f'{NODE}/change_state')
        self._set = self.create_client(SetParameters, f'{NODE}/set_parameters')
        self._get = self.create_client(GetParameters, f'{NODE}/get_parameters')

    def change(self, transition_id: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition_id))
        return bool(call(self.executor_, self._change, request).success)

    def set(self, name: str, value: object) -> str:
        parameter = Parameter(name, value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return str(call(self.executor_, self._set, request).results[0].reason)

    def ask(self, name: str) -> float:
        """Ask for a parameter; returns the seconds it took."""
        start_s = time.monotonic()
        call(self.executor_, self._get, GetParameters.Request(names=[name]))
        return time.monotonic() - start_s

    def next_diagnostic(self) -> DiagnosticStatus:
        self.diagnostics.clear()
        spin_until(self.executor_, lambda: self.diagnostics)
        return self.diagnostics[-1]


@pytest.fixture
def operator(ros: None) -> Iterator[Operator]:
    operator = Operator()
    yield operator
    operator.executor_.shutdown()
    operator.destroy_node()


def test_lifecycle_by_services_first_with_a_bad_map(
    operator: Operator, office_map: Path, tmp_path: Path
) -> None:
    log = tmp_path / 'log'
    arguments = parameters(map_path=tmp_path / 'nowhere', max_rate=5)
    with running_node(*IN_NAMESPACE, *arguments, log=log) as process:
        assert not operator.change(Transition.TRANSITION_CONFIGURE)
        status = operator.next_diagnostic()
        assert status.level == DiagnosticStatus.ERROR
        assert f'{tmp_path / "nowhere"}' in status.message
        assert operator.set('map_path', str(office_map)) == ''
        assert operator.change(Transition.TRANSITION_CONFIGURE)
        assert operator.next_diagnostic().level == DiagnosticStatus.OK
        assert operator.change(Transition.TRANSITION_ACTIVATE)
        assert 'deactivate' in operator.set('top_k', 3)
        assert operator.set('max_rate', 3) == ''
        assert max(operator.ask('max_rate') for _ in range(5)) < 0.5
        assert operator.change(Transition.TRANSITION_DEACTIVATE)
        assert operator.change(Transition.TRANSITION_CLEANUP)
        assert values(operator.next_diagnostic())['map_id'] == ''
        assert operator.change(Transition.TRANSITION_CONFIGURE)
        assert operator.change(Transition.TRANSITION_ACTIVATE)
        assert values(operator.next_diagnostic())['state'] == 'WAITING'
        assert operator.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
        assert values(operator.next_diagnostic())['state'] == 'UNCONFIGURED'
        assert not operator.change(Transition.TRANSITION_CONFIGURE)
        assert end(process, signal.SIGINT) == 0
    text = log.read_text()
    assert 'cannot configure' in text
    assert 'Traceback' not in text


@pytest.mark.parametrize('signal_number', SIGNALS)
def test_signals_end_an_active_node_cleanly(
    operator: Operator, office_map: Path, tmp_path: Path, signal_number: signal.Signals
) -> None:
    log = tmp_path / 'log'
    arguments = parameters(map_path=office_map, autostart=True)
    with running_node(*IN_NAMESPACE, *arguments, log=log) as process:
        spin_until(operator.executor_, operator.images.get_subscription_count)
        assert end(process, signal_number) == 0
    assert 'Traceback' not in log.read_text()


@pytest.mark.parametrize('signal_number', SIGNALS)
def test_signals_end_an_unconfigured_node_cleanly(
    operator: Operator, tmp_path: Path, signal_number: signal.Signals
) -> None:
    log = tmp_path / 'log'
    with running_node(*IN_NAMESPACE, log=log) as process:
        operator.next_diagnostic()
        assert end(process, signal_number) == 0
    text = log.read_text()
    assert f'ros2 lifecycle set {NODE} configure' in text
    assert 'Traceback' not in text


def test_sigint_does_not_tear_what_rclpy_is_about(tmp_path: Path) -> None:
    log = tmp_path / 'log'
    with running_node(*IN_NAMESPACE, log=log, program=('-c', INTERRUPTED_NODE)) as process:
        assert process.wait(timeout=START_TIMEOUT_S) == 0
    text = log.read_text()
    assert 'nothing was torn' in text
    assert 'Traceback' not in text
