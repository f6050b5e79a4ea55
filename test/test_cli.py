# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The relloc command: every command once, every bad input with its message and exit code."""

from __future__ import annotations

from importlib.metadata import EntryPoint
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

from bag_messages import info, write
import pytest
import yaml

from relloc_ros import __version__
from relloc_ros.cli import extensions
from relloc_ros.cli.interruption import was_interrupted
from relloc_ros.cli.main import main
from relloc_ros.map.reference_map import ReferenceMap

ROOT = Path(__file__).parents[1]
OFFICE = ROOT / 'examples' / 'fr3_office'
MAP_LIST, QUERY_LIST = OFFICE / 'map.txt', OFFICE / 'query.txt'
QUERIES = QUERY_LIST.read_text().split()
COMMANDS = [
    [],
    ['map'],
    ['map', 'build'],
    ['map', 'info'],
    ['map', 'check'],
    ['map', 'refine'],
    ['map', 'add'],
    ['map', 'remove'],
    ['map', 'merge'],
    ['map', 'split'],
    ['map', 'prune'],
    ['map', 'export'],
    ['localize'],
    ['evaluate'],
    ['benchmark'],
    ['score'],
    ['compare'],
    ['bag'],
    ['bag', 'write'],
    ['bag', 'export'],
    ['report'],
    ['view'],
    ['train'],
]
PINHOLE = 'PINHOLE,640,480,535.4,539.2,320.6,248.1'
# Maps of few images and features are quick to build.
QUICK = ['--set', 'max_keypoints=500', '--set', 'vlad_clusters=8']


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def relloc(capsys, monkeypatch):
    """Run the command in this process."""
    monkeypatch.setenv('COLUMNS', '80')

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Result(caught.value.code or 0, captured.out, captured.err)

    handler = signal.getsignal(signal.SIGTERM)
    yield run
    signal.signal(signal.SIGTERM, handler)


def assert_fails(result, *parts):
    """Exit code 1 and one line that says all of this."""
    assert result.code == 1, result.err
    errors = [line for line in result.err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1, result.err
    for part in parts:
        assert part in errors[0]
    assert 'Traceback' not in result.err


@pytest.fixture(scope='module')
def office_map(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cli') / 'map'
    with pytest.raises(SystemExit) as caught:
        main(['map', 'build', str(OFFICE), '--list', str(MAP_LIST), '--output', str(folder)])
    assert not caught.value.code
    return folder


@pytest.fixture(scope='module')
def query_bag(tmp_path_factory):
    folder = tmp_path_factory.mktemp('cli') / 'bag'
    with pytest.raises(SystemExit) as caught:
        main(['bag', 'write', str(OFFICE), '--list', str(QUERY_LIST), '--output', str(folder)])
    assert not caught.value.code
    return folder


@pytest.mark.parametrize('command', COMMANDS, ids=' '.join)
def test_help(relloc, command):
    result = relloc(*command, '--help')
    assert result.code == 0
    assert f'Usage: relloc {" ".join(command)}'.strip() in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_help_lists_all_commands(relloc):
    out = relloc('--help').out
    for name in ('map', 'localize', 'evaluate', 'bag'):
        assert f'│ {name} ' in out


def test_version(relloc):
    result = relloc('--version')
    assert (result.code, result.out.strip()) == (0, f'relloc {__version__}')


@pytest.mark.parametrize(
    'arguments',
    [
        ['nonsense'],
        ['localize'],
        ['localize', 'image.png'],
        ['evaluate', 'source', '--map', 'map'],
        ['map', 'build', 'source'],
        ['map', 'build', 'source', '--output', 'map', '--nonsense'],
        ['bag', 'write', 'source', '--output', 'bag', '--storage', 'zip'],
        ['bag', 'write', 'source', '--output', 'bag', '--odom-drift', '-1'],
        ['bag', 'write', 'source', '--output', 'bag', '--kidnap', '2-4'],
    ],
    ids=' '.join,
)
def test_wrong_usage(relloc, arguments):
    result = relloc(*arguments)
    assert result.code == 2
    assert 'Usage: relloc' in result.err


def test_map_info_and_check(relloc, office_map):
    result = relloc('map', 'info', office_map)
    assert result.code == 0
    assert 'images' in result.out
    assert '14' in result.out
    result = relloc('map', 'check', office_map)
    assert (result.code, result.out) == (0, f'map {office_map} is complete and undamaged\n')


def test_localize(relloc, office_map):
    paths = [OFFICE / 'images' / name for name in QUERIES[:2]]
    result = relloc('localize', *paths, '--map', office_map)
    assert result.code == 0, result.err
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert [answer['image'] for answer in answers] == list(map(str, paths))
    for answer in answers:
        assert answer['status'] == 'LOCALIZED'
        assert len(answer['position']) == 3
        assert len(answer['quat_xyzw']) == 4
        assert [len(row) for row in answer['covariance']] == [6] * 6
        assert answer['inliers'] > 0
        assert answer['ms'] > 0


def test_localize_takes_a_camera_in_three_ways(relloc, office_map, tmp_path):
    calibration = tmp_path / 'office, left.yaml'
    content = {
        'image_width': 640,
        'image_height': 480,
        'camera_matrix': {
            'rows': 3,
            'cols': 3,
            'data': [535.4, 0, 320.1, 0, 539.2, 247.6, 0, 0, 1],
        },
        'distortion_model': 'plumb_bob',
        'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [0.0] * 5},
    }
    calibration.write_text(yaml.safe_dump(content))
    path = OFFICE / 'images' / QUERIES[0]
    positions = []
    for camera in ('1', PINHOLE, str(calibration)):
        result = relloc('localize', path, '--map', office_map, '--camera', camera)
        assert result.code == 0, result.err
        positions.append(json.loads(result.out)['position'])
    assert positions[1] == pytest.approx(positions[0], abs=1e-6)
    assert positions[2] == pytest.approx(positions[0], abs=1e-6)


def test_evaluate_a_folder(relloc, office_map, tmp_path):
    output = tmp_path / 'results'
    result = relloc('evaluate', OFFICE, '--map', office_map, '--output', output)
    assert result.code == 0, result.err
    metrics = json.loads((output / 'metrics.json').read_text())
    assert metrics['queries'] == len(QUERIES)
    assert len(metrics['left_out']) == 14
    assert 'left out, because they are in the map: 14' in result.err
    assert 'median position error' in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_evaluate_a_bag_with_settings(relloc, office_map, query_bag, tmp_path):
    result = relloc(
        *('evaluate', query_bag, '--map', office_map, '--output', tmp_path / 'results'),
        *('--localizer', 'essential', '--set', 'essential.refinement=none'),
        *('--config', ROOT / 'config' / 'relloc.yaml', '--image-topic', '/camera/image_raw'),
    )
    assert result.code == 0, result.err
    metrics = json.loads((tmp_path / 'results' / 'metrics.json').read_text())
    assert metrics['body'] == 'base_link'
    assert metrics['config']['essential.refinement'] == 'none'
    assert metrics['queries'] == len(QUERIES)


def test_the_tracker_of_a_bag_can_be_set_and_left_out(relloc, office_map, query_bag, tmp_path):
    run = ('evaluate', query_bag, '--map', office_map, '--no-report', '--overwrite')
    run += ('--output', tmp_path / 'results')

    def available(*options):
        result = relloc(*run, *options)
        assert result.code == 0, result.err
        metrics = json.loads((tmp_path / 'results' / 'metrics.json').read_text())
        assert ('consensus_count' in metrics['config']) == ('--no-tracker' not in options)
        return metrics['localized']

    everything = available('--no-tracker')
    assert available('--set', 'consensus_count=1') == everything
    assert available('--set', 'consensus_count=3') == everything - 2
    assert available('--set', 'consensus_count=3', '--odom-frame', 'nowhere') == everything


def test_fusion_of_a_bag_needs_odometry(relloc, office_map, query_bag, tmp_path):
    pytest.importorskip('gtsam', reason='extra fusion')
    run = ('evaluate', query_bag, '--map', office_map, '--no-report', '--set', 'fusion=pgo')
    run += ('--output', tmp_path / 'results')
    assert_fails(relloc(*run, '--odom-frame', 'nowhere'), 'fusion: pgo needs odometry')
    assert relloc(*run).code == 0
    metrics = json.loads((tmp_path / 'results' / 'metrics.json').read_text())
    assert metrics['config']['fusion'] == 'pgo'
    assert metrics['localized'] > 0


def test_images_of_a_folder_have_no_tracker(relloc, office_map, tmp_path):
    run = ('evaluate', OFFICE, '--map', office_map, '--output', tmp_path / 'results')
    for options, said in (
        (['--no-tracker'], '--no-tracker is for bags'),
        (['--set', 'consensus_count=1'], '--set consensus_count: this run has no'),
    ):
        result = relloc(*run, *options)
        assert result.code == 2
        assert said in ' '.join(result.err.split())


def test_evaluate_again_needs_overwrite(relloc, office_map, tmp_path):
    arguments = ['evaluate', OFFICE, '--list', QUERY_LIST, '--map', office_map]
    arguments += ['--output', tmp_path]
    assert relloc(*arguments).code == 0
    assert_fails(relloc(*arguments), str(tmp_path), 'metrics.json', '--overwrite')
    assert relloc(*arguments, '--overwrite').code == 0


def test_build_again_needs_overwrite(relloc, tmp_path):
    some = tmp_path / 'some.txt'
    some.write_text('\n'.join(MAP_LIST.read_text().split()[:3]))
    arguments = ['map', 'build', OFFICE, '--list', some, '--output', tmp_path / 'map', *QUICK]
    assert relloc(*arguments, '--units', 'ft').code == 0
    assert_fails(relloc(*arguments), str(tmp_path / 'map'), 'exists', '--overwrite')
    assert relloc(*arguments, '--overwrite').code == 0
    with ReferenceMap.open(tmp_path / 'map') as reference_map:
        assert reference_map.num_images == 3
        assert reference_map.config.max_keypoints == 500


def test_a_vocabulary_can_be_given(relloc, office_map, tmp_path):
    some = tmp_path / 'some.txt'
    some.write_text(MAP_LIST.read_text().split()[0])
    vocabulary = office_map / 'current' / 'vocabulary.npz'
    arguments = ['map', 'build', OFFICE, '--list', some, '--output', tmp_path / 'map', *QUICK]
    assert relloc(*arguments, '--vocabulary', vocabulary).code == 0
    assert_fails(relloc(*arguments, '--overwrite', '--vocabulary', some), 'some.txt')


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_write_bags(relloc, tmp_path, storage):
    some = tmp_path / 'some.txt'
    some.write_text(QUERIES[0])
    arguments = ['bag', 'write', OFFICE, '--list', some, '--output', tmp_path / 'bag']
    options = ['--storage', storage, '--compressed', '--odom-drift', '0.02']
    assert relloc(*arguments, *options).code == 0
    suffix = {'mcap': '.mcap', 'sqlite3': '.db3'}[storage]
    assert [path.suffix for path in (tmp_path / 'bag').iterdir() if path.suffix == suffix]
    assert_fails(relloc(*arguments), str(tmp_path / 'bag'), 'exists')


# Bad input


def copy_of(folder, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(folder, copy, symlinks=True)
    return copy


def localize(relloc, map_folder, *options):
    return relloc('localize', OFFICE / 'images' / QUERIES[0], '--map', map_folder, *options)


def test_a_missing_map(relloc, tmp_path):
    missing = tmp_path / 'none'
    for result in (
        localize(relloc, missing),
        relloc('map', 'info', missing),
        relloc('map', 'check', missing),
        relloc('evaluate', OFFICE, '--map', missing, '--output', tmp_path / 'results'),
    ):
        assert_fails(result, f'map {missing} does not exist', 'relloc map build')
    assert not (tmp_path / 'results').exists()


def test_a_folder_that_is_no_map(relloc):
    assert_fails(localize(relloc, OFFICE), f'{OFFICE} is not a map', 'relloc map build')


def test_a_map_of_another_version(relloc, office_map, tmp_path):
    copy = copy_of(office_map, tmp_path)
    manifest = copy / 'map.yaml'
    manifest.write_text(manifest.read_text().replace('format_version: 1', 'format_version: 99'))
    for result in (localize(relloc, copy), relloc('map', 'check', copy)):
        assert_fails(result, 'format version 99', 'build the map again')


def test_a_truncated_database(relloc, office_map, tmp_path):
    copy = copy_of(office_map, tmp_path)
    database = copy / 'database.db'
    with database.open('r+b') as file:
        file.truncate(database.stat().st_size // 2)
    assert_fails(localize(relloc, copy), 'database.db')
    result = relloc('map', 'check', copy)
    assert result.code == 1
    assert 'database.db' in result.err


def test_image_list_and_descriptors_disagree(relloc, office_map, tmp_path):
    copy = copy_of(office_map, tmp_path)
    images = copy / 'current' / 'images.txt'
    images.write_text(''.join(images.read_text().splitlines(keepends=True)[:-1]))
    assert_fails(localize(relloc, copy), '13 images', '14', 'build it again')


def test_a_changed_map_is_noticed(relloc, office_map, tmp_path):
    copy = copy_of(office_map, tmp_path)
    images = copy / 'current' / 'images.txt'
    images.write_text(images.read_text().replace(MAP_LIST.read_text().split()[0], 'other.jpg'))
    result = relloc('map', 'check', copy)
    assert result.code == 1
    assert 'disagree about image' in result.err


def test_an_undecodable_image_does_not_stop_the_others(relloc, office_map, tmp_path):
    bad, missing = tmp_path / 'bad.jpg', tmp_path / 'none.jpg'
    bad.write_bytes(b'no image')
    good = OFFICE / 'images' / QUERIES[0]
    result = relloc('localize', bad, missing, good, '--map', office_map)
    assert result.code == 1
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert [answer['status'] for answer in answers] == ['ERROR', 'ERROR', 'LOCALIZED']
    assert 'damaged or no image file' in answers[0]['reason']
    assert 'no such file' in answers[1]['reason']
    assert answers[0]['position'] is answers[0]['covariance'] is None
    assert result.err.splitlines() == [f'error: {answer["reason"]}' for answer in answers[:2]]


def test_an_image_of_another_size_than_its_camera(relloc, office_map):
    result = localize(relloc, office_map, '--camera', PINHOLE.replace('640', '320'))
    assert_fails(result, '640x480', '320x480')
    assert json.loads(result.out)['status'] == 'ERROR'


@pytest.mark.parametrize(
    ('camera', 'parts'),
    [
        ('7', ['has no camera 7', 'its IDs: 1']),
        ('PINHOLE,640,480,535.4', ['PINHOLE takes 4 parameters', 'got 1']),
        ('PINHOL,640,480,535.4', ['unknown camera model', 'PINHOL']),
        ('PINHOLE,640', ['MODEL,WIDTH,HEIGHT,PARAMETERS']),
        ('none.yaml', ['cannot read calibration none.yaml']),
        (f'{QUERY_LIST}', ['query.txt is no camera calibration']),
    ],
)
def test_bad_cameras(relloc, office_map, camera, parts):
    assert_fails(localize(relloc, office_map, '--camera', camera), *parts)


def test_an_uncalibrated_camera(relloc, office_map, tmp_path):
    calibration = tmp_path / 'zero.yaml'
    content = {
        'width': 640,
        'height': 480,
        'distortion_model': 'plumb_bob',
        'k': [0.0] * 9,
        'd': [],
    }
    calibration.write_text(yaml.safe_dump(content))
    result = localize(relloc, office_map, '--camera', calibration)
    assert_fails(result, 'zero.yaml', 'uncalibrated', 'K[0] = 0')


@pytest.mark.parametrize(
    ('options', 'parts'),
    [
        (['--localizer', 'essentail'], ["unknown localizer 'essentail'", "'essential'"]),
        (['--set', 'topk=3'], ["unknown setting 'topk'", "'top_k'"]),
        (['--set', 'top_k=many'], ["'top_k'", "'many'"]),
        (['--set', 'top_k=0'], ["'top_k'", 'greater than or equal to 1']),
        (['--set', 'top_k'], ["'top_k' is not of the form key=value"]),
        (['--config', 'none.yaml'], ['cannot read none.yaml']),
        (['--config', MAP_LIST], ['map.txt holds a str, not a table of settings']),
    ],
    ids=str,
)
def test_bad_settings(relloc, office_map, tmp_path, options, parts):
    assert_fails(localize(relloc, office_map, *options), *parts)
    output = tmp_path / 'results'
    result = relloc('evaluate', OFFICE, '--map', office_map, '--output', output, *options)
    assert_fails(result, *parts)
    assert not output.exists()


def test_a_config_file_with_an_unknown_key(relloc, office_map, tmp_path):
    path = tmp_path / 'settings.yaml'
    path.write_text('essential:\n  refinment: none\n')
    assert_fails(
        localize(relloc, office_map, '--config', path),
        "unknown setting 'essential.refinment'",
        "'essential.refinement'",
    )


@pytest.mark.parametrize(
    ('content', 'parts'),
    [
        ('\n  \n', ['is empty', 'one image name a line']),
        ('no such image.jpg\n', ["'no such image.jpg'"]),
        (None, ['cannot read list']),
    ],
)
def test_bad_lists(relloc, office_map, tmp_path, content, parts):
    path = tmp_path / 'list.txt'
    if content is not None:
        path.write_text(content)
    for command in (
        ['evaluate', OFFICE, '--map', office_map],
        ['map', 'build', OFFICE],
        ['bag', 'write', OFFICE],
    ):
        output = tmp_path / 'output'
        assert_fails(relloc(*command, '--list', path, '--output', output), 'list.txt', *parts)
        assert not output.exists()


def test_an_image_that_is_listed_and_gone(relloc, tmp_path):
    source = copy_of(OFFICE, tmp_path)
    (source / 'images' / QUERIES[1]).unlink()
    result = relloc('map', 'build', source, '--list', QUERY_LIST, '--output', tmp_path / 'map')
    assert_fails(result, '1 images are missing', QUERIES[1])


def test_sources_that_are_none(relloc, office_map, tmp_path):
    output = tmp_path / 'output'
    empty = tmp_path / 'empty'
    empty.mkdir()
    for command in (
        ['evaluate', '--map', office_map],
        ['map', 'build'],
        ['bag', 'write'],
    ):
        result = relloc(*command, tmp_path / 'none', '--output', output)
        assert_fails(result, f'{tmp_path / "none"} does not exist')
        result = relloc(*command, empty, '--output', output)
        assert_fails(result, f'{empty} holds no posed images; looked for a COLMAP model')
        assert not output.exists()


def evaluate_bag(relloc, bag, office_map, tmp_path, *options):
    output = tmp_path / 'results'
    return relloc('evaluate', bag, '--map', office_map, '--output', output, *options)


def test_a_bag_without_images(relloc, office_map, tmp_path):
    bag = write(tmp_path / 'bag', [info(1)])
    result = evaluate_bag(relloc, bag, office_map, tmp_path)
    assert_fails(result, str(bag), 'it has no images', '/cam/camera_info')


def test_a_truncated_mcap(relloc, office_map, query_bag, tmp_path):
    bag = copy_of(query_bag, tmp_path)
    (storage,) = bag.glob('*.mcap')
    with storage.open('r+b') as file:
        file.truncate(storage.stat().st_size // 2)
    result = evaluate_bag(relloc, bag, office_map, tmp_path)
    assert_fails(result, f'cannot read bag {bag}', 'mcap recover')


def test_a_bag_without_true_poses(relloc, office_map, query_bag, tmp_path):
    # Odometry is none, and nothing else tells where the robot was.
    options = ['--map-frame', 'nowhere', '--ground-truth-topic', '/tf']
    result = evaluate_bag(relloc, query_bag, office_map, tmp_path, *options)
    assert result.code == 0
    assert 'warning: 5 of 5 queries have no true pose' in result.err
    assert 'infinite' not in result.out


def test_a_wrong_topic(relloc, office_map, query_bag, tmp_path):
    result = evaluate_bag(relloc, query_bag, office_map, tmp_path, '--image-topic', '/camera/imag')
    assert_fails(result, "'/camera/imag'", "did you mean '/camera/image_raw'?")


@pytest.mark.parametrize(
    ('is_bag', 'options'),
    [(True, ['--list', QUERY_LIST]), (False, ['--image-topic', '/camera/image_raw'])],
)
def test_options_of_the_other_kind_of_source(
    relloc, office_map, query_bag, tmp_path, is_bag, options
):
    source = query_bag if is_bag else OFFICE
    result = evaluate_bag(relloc, source, office_map, tmp_path, *options)
    assert result.code == 2
    assert options[0] in result.err


def test_a_map_evaluated_on_itself(relloc, office_map, tmp_path):
    arguments = ['evaluate', OFFICE, '--list', MAP_LIST, '--map', office_map]
    result = relloc(*arguments, '--output', tmp_path / 'results')
    assert_fails(result, 'all 14 queries are images of the map', '--allow-map-images')


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_a_folder_that_cannot_be_written(relloc, office_map, tmp_path):
    tmp_path.chmod(0o500)
    arguments = ['evaluate', OFFICE, '--list', QUERY_LIST, '--map', office_map]
    assert_fails(relloc(*arguments, '--output', tmp_path / 'results'), 'cannot write to')


# Commands of other parts


def provide(monkeypatch, value):
    entry = EntryPoint('replay', value, extensions.GROUP)
    monkeypatch.setattr(extensions, 'entry_points', lambda group: [entry])


def test_replay_is_listed_without_being_imported(relloc, monkeypatch):
    provide(monkeypatch, 'no_such_module:replay')
    assert '│ replay ' in relloc('--help').out


def test_replay_without_ros(relloc, monkeypatch):
    provide(monkeypatch, 'no_such_module:replay')
    for arguments in ([], ['--help'], ['some bag', '--rate', '2']):
        result = relloc('replay', *arguments)
        assert_fails(result, 'relloc replay needs', 'no_such_module', 'relloc_ros[ros]')


def test_arguments_are_passed_on(relloc, monkeypatch):
    provide(monkeypatch, 'shlex:join')
    result = relloc('replay', '--nonsense')
    assert result.code == 2
    assert 'Usage: relloc replay' in result.err


# Being stopped


def test_ctrl_c_inside_an_extension_module_is_recognized():
    error = ImportError('initialization failed')
    error.__cause__ = KeyboardInterrupt()
    assert was_interrupted(error)
    assert not was_interrupted(ImportError('no such module'))


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_build_is_quiet_and_leaves_nothing(tmp_path, number, code):
    script = 'from relloc_ros.cli.main import main; main()'
    process = subprocess.Popen(
        [sys.executable, '-c', script, 'map', 'build', OFFICE, '--output', tmp_path / 'map'],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    output = process.communicate(timeout=30)[0]
    assert (process.returncode, output) == (code, b'')
    assert not (tmp_path / 'map').exists()


def test_a_closed_pipe_is_quiet(office_map):
    script = 'from relloc_ros.cli.main import main; main()'
    images = [OFFICE / 'images' / name for name in QUERIES]
    process = subprocess.Popen(
        [sys.executable, '-c', script, 'localize', *images, '--map', office_map],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b''
    process.stderr.close()
    process.wait(timeout=30)
