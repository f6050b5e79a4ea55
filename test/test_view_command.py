# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc view and relloc bag export, from the folder of a run."""

import signal
import subprocess
import sys
from urllib.request import urlopen

import pytest
from rosbags.highlevel import AnyReader
from synthetic_runs import make_outcome, make_run, shift

from relloc_ros.cli import view_command
from relloc_ros.cli.main import main
from relloc_ros.evaluation.outcomes import write_run
from relloc_ros.evaluation.result_bag import POSE_TOPIC
from relloc_ros.map.reference_map import ReferenceMap

PORT = 18180


@pytest.fixture
def save(tmp_path):
    def write(**fields):
        outcomes = [make_outcome(f'{i}.jpg', i, shift(i), shift(i + 0.01)) for i in range(3)]
        write_run(make_run(outcomes, **fields), tmp_path / 'run')
        return tmp_path / 'run'

    return write


@pytest.fixture
def relloc(capsys, monkeypatch):
    """Run the command in this process; a viewer ends as soon as it waits."""
    monkeypatch.setattr(view_command, '_wait', lambda: None)
    monkeypatch.setattr(view_command.webbrowser, 'open', opened.append)
    opened.clear()
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    yield run
    signal.signal(signal.SIGTERM, handler)


opened = []


class TestView:
    @pytest.fixture(autouse=True)
    def _viser(self):
        pytest.importorskip('viser')

    def test_ctrl_c_ends_it_cleanly(self, save):
        script = 'from relloc_ros.cli.main import main; main()'
        arguments = ['view', str(save()), '--no-browser', '--port', str(PORT)]
        process = subprocess.Popen(
            [sys.executable, '-c', script, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            url = process.stdout.readline().strip()
            assert url.startswith('http://localhost:'), process.communicate(timeout=10)
            with urlopen(url, timeout=10) as answer:
                assert answer.status == 200
        finally:
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        assert out == ''
        assert 'Traceback' not in err
        assert 'Ctrl-C ends it' in err

    def test_the_browser_is_opened_unless_unwanted(self, relloc, save):
        folder = save()
        code, out, _ = relloc('view', folder, '--port', PORT)
        assert code == 0
        assert opened == [out.strip()]
        opened.clear()
        code, out, _ = relloc('view', folder, '--port', PORT, '--no-browser')
        assert code == 0
        assert opened == []

    def test_without_the_map_estimates_are_shown_alone(self, relloc, save):
        code, out, err = relloc('view', save(map_path='/nowhere/map'), '--port', PORT)
        assert code == 0
        assert out.startswith('http://')
        assert '/nowhere/map' in err
        assert '--map' in err

    def test_a_map_built_again_is_told(self, relloc, save, office_map):
        code, _, err = relloc('view', save(map_path=str(office_map)), '--port', PORT)
        assert code == 0
        assert 'built again' in err
        with ReferenceMap.open(office_map) as reference_map:
            folder = save(map_path=str(office_map), map_id=reference_map.map_id)
        code, _, err = relloc('view', folder, '--port', PORT)
        assert code == 0
        assert 'warning' not in err

    def test_a_map_given_must_be_one(self, relloc, save):
        code, _, err = relloc('view', save(), '--map', '/nowhere/map', '--port', PORT)
        assert code == 1
        assert '/nowhere/map' in err


def test_what_is_no_run_is_said(relloc, tmp_path):
    for arguments in (
        ('view', tmp_path),
        ('bag', 'export', tmp_path, '--output', tmp_path / 'bag'),
    ):
        code, _, err = relloc(*arguments)
        assert code == 1
        assert err.startswith('error: ')
        assert 'relloc evaluate' in err


def test_export(relloc, save, tmp_path):
    code, _, err = relloc('bag', 'export', save(), '--output', tmp_path / 'run.mcap')
    assert code == 0
    assert '3 queries' in err
    with AnyReader([tmp_path / 'run.mcap']) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    assert counts[POSE_TOPIC] == 3
    code, _, err = relloc('bag', 'export', save(), '--output', tmp_path / 'run.mcap')
    assert code == 1
    assert 'exists' in err
