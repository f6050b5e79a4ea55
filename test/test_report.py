# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report: true figures, whatever the run; nothing from elsewhere, nothing unescaped."""

from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
import re
import sys

import cv2
import numpy as np
import pytest
from synthetic_reports import (
    NASTY,
    make_baseline,
    make_inspections,
    make_negatives,
    make_rich_run,
    nothing_localized,
    without_covariance,
    without_truth,
)
from synthetic_runs import make_outcome, make_run, shift

from relloc_ros.cli.main import main
from relloc_ros.config import LocalizationConfig, flatten
from relloc_ros.errors import DataError, MissingDependencyError
from relloc_ros.evaluation.outcomes import write_run
from relloc_ros.evaluation.report import require_report_packages, write_report
from relloc_ros.evaluation.report.error_curves import error_curves
from relloc_ros.evaluation.report.query_table import MAX_ROWS, query_table, what_happened
from relloc_ros.evaluation.report.scales import (
    length_tick,
    log_limits,
    log_ticks,
    milliseconds_tick,
    shorten,
)
from relloc_ros.evaluation.report.tables import (
    changed_settings,
    comparison_rows,
    headline_tiles,
    number_sections,
)
from relloc_ros.evaluation.report.theme import (
    DARK,
    LIGHT,
    LOST,
    SERIES,
    drawing,
    png,
    svg,
    svg_for_page,
)
from relloc_ros.evaluation.report.time_plots import errors_over_time, latency_plot
from relloc_ros.evaluation.report.trajectory_plot import TopView, trajectory_plot
from relloc_ros.evaluation.report.verdict_plots import failure_plot, reliability_plot
from relloc_ros.evaluation.summary import summarize

pytest.importorskip('matplotlib')
pytest.importorskip('jinja2')

DEFAULT = flatten(LocalizationConfig())['min_inliers']
VOID_TAGS = {'meta', 'link', 'img', 'br'}
ALL_FIGURES = {
    'position_error_curve',
    'rotation_error_curve',
    'trajectory',
    'errors_over_time',
    'reliability',
    'latency',
    'failures',
}


class Page(HTMLParser):
    """A page taken apart: tags that fit, attributes, and the text that people see."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.words, self._open = [], [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID_TAGS:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] not in ('script', 'style'):
            self.words.append(data)

    @property
    def text(self):
        return ' '.join(' '.join(self.words).split())

    def attributes(self, tag, name):
        return [attrs.get(name) for each, attrs in self.elements if each == tag]


def report(run, folder, **arguments):
    return Page(write_report(run, summarize(run), folder, **arguments).read_text('utf-8'))


@pytest.fixture(scope='module')
def rich_run():
    return make_rich_run()


@pytest.fixture(scope='module')
def rich_folder(rich_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp('rich')
    (folder / 'errors.csv').write_text('name\n')
    write_report(
        rich_run,
        summarize(rich_run),
        folder,
        others={NASTY: make_baseline(rich_run), '_second': make_baseline(rich_run, spread=0.1)},
        sanity=['not <passed>', 'against retrieval: better'],
        inspections=make_inspections(rich_run),
        map_centres=np.array([o.truth.translation for o in rich_run.scored]) + 0.1,
    )
    return folder


@pytest.fixture(scope='module')
def rich_page(rich_folder):
    return Page((rich_folder / 'report.html').read_text('utf-8'))


def test_all_figures_are_in_the_page_and_beside_it(rich_page, rich_folder):
    assert set(rich_page.attributes('figure', 'id')) - {None} == ALL_FIGURES
    worst = {f'worst_{i}' for i in (1, 2, 3)}
    files = {path.name for path in (rich_folder / 'figures').iterdir()}
    assert files == {f'{name}.{kind}' for name in ALL_FIGURES | worst for kind in ('png', 'svg')}
    for name in ALL_FIGURES:
        image = cv2.imread(str(rich_folder / 'figures' / f'{name}.png'))
        assert min(image.shape[:2]) > 300
        assert 5.0 < image.std() < 100.0
        text = (rich_folder / 'figures' / f'{name}.svg').read_text('utf-8')
        assert text.startswith('<?xml')
        assert 'var(' not in text


def test_the_page_needs_nothing_from_elsewhere(rich_page, rich_folder):
    addresses = [
        value
        for _, attrs in rich_page.elements
        for name, value in attrs.items()
        if name in ('src', 'href', 'xlink:href', 'srcset', 'data', 'action')
    ]
    assert len(addresses) > 10
    others = [a for a in addresses if not a.startswith(('data:', '#'))]
    assert others == ['errors.csv']
    text = (rich_folder / 'report.html').read_text('utf-8')
    assert set(re.findall(r'https?://[\w.]+', text)) == {'http://www.w3.org'}
    assert not re.search(r'@import|url\((?!#)', text)
    assert "default-src 'none'" in ' '.join(filter(None, rich_page.attributes('meta', 'content')))


def test_names_are_text_and_nothing_else(rich_page, rich_folder):
    assert NASTY in rich_page.text
    for said in ('not <passed>', 'hall <A> & B', 'twin <1>.png', 'why <b>3</b>', 'map <1>.png'):
        assert said in rich_page.text
    assert 'alert("x")</script>' not in (rich_folder / 'report.html').read_text('utf-8')
    assert 'b' not in [tag for tag, _ in rich_page.elements]
    assert len([tag for tag, _ in rich_page.elements if tag == 'script']) == 1


def test_who_does_not_see_the_figures_is_told(rich_page):
    labels = [
        attrs['aria-label'] for tag, attrs in rich_page.elements if attrs.get('role') == 'img'
    ]
    assert len(labels) == len(ALL_FIGURES) + 3
    assert all(len(label) > 15 for label in labels)
    assert all(rich_page.attributes('img', 'alt'))
    assert rich_page.attributes('html', 'lang') == ['en']
    levels = [int(tag[1]) for tag, _ in rich_page.elements if re.fullmatch('h[1-6]', tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) <= 1
    assert any('of 6 in all' in label or '6 of 60 without a pose' in label for label in labels)


def test_no_name_is_given_twice(rich_page):
    ids = [attrs['id'] for _, attrs in rich_page.elements if 'id' in attrs]
    assert len(ids) == len(set(ids)) > 50
    wanted = {
        value[1:]
        for _, attrs in rich_page.elements
        for name, value in attrs.items()
        if name in ('href', 'xlink:href') and value.startswith('#')
    }
    assert wanted
    assert wanted <= set(ids)


def test_numbers_of_the_run_are_on_the_page(rich_page):
    text = rich_page.text
    assert '54 of 60 queries' in text
    assert 'changed settings max_pairs = 7' in text
    assert 'min_inliers =' not in text  # the default
    assert 'The worst' not in text
    assert text.count('TOO_FEW_MATCHES') == 6


@pytest.mark.parametrize(
    ('run', 'figures'),
    [
        (nothing_localized(), ALL_FIGURES - {'reliability', 'latency'}),
        (make_rich_run(1), ALL_FIGURES - {'errors_over_time', 'reliability', 'failures'}),
        (without_truth(make_rich_run()), {'trajectory', 'latency', 'failures'}),
        (without_covariance(make_rich_run()), ALL_FIGURES - {'reliability', 'latency'}),
        (make_run(make_negatives(9, 2)), set()),
        (make_run([]), set()),
        (make_rich_run(units='furlongs <of old> $x$ ' + 'very ' * 30), ALL_FIGURES),
        (
            make_run([make_outcome('a', i, shift(0), shift(0)) for i in range(5)]),
            ALL_FIGURES - {'latency', 'failures'},
        ),
        (
            make_run([make_outcome('a', i, shift(1e9 * i), shift(4e5, 5e6)) for i in range(5)]),
            ALL_FIGURES - {'latency', 'failures'},
        ),
    ],
    ids=[
        'nothing localized',
        'one query',
        'no truth',
        'no covariance',
        'negatives alone',
        'no query',
        'other units',
        'no error',
        'georeferenced and far off',
    ],
)
@pytest.mark.filterwarnings('error')
def test_any_run_has_a_report(run, figures, tmp_path):
    page = report(run, tmp_path / 'deep' / 'er')
    assert set(page.attributes('figure', 'id')) - {None} == figures
    assert 'nan' not in page.text.lower().split()


def test_thousands_of_queries_are_no_burden(tmp_path):
    run = make_rich_run(2000)
    page = report(run, tmp_path)
    assert f'The worst {MAX_ROWS} of 2000' in page.text
    assert len([tag for tag, _ in page.elements if tag == 'tr']) < MAX_ROWS + 100
    assert (tmp_path / 'report.html').stat().st_size < 1_500_000


def test_the_same_run_gives_the_same_report(tmp_path):
    run = make_rich_run(1)
    metrics = summarize(run)

    def write(name):
        return write_report(run, metrics, tmp_path / name).read_bytes()

    with ThreadPoolExecutor(2) as pool:
        texts = set(pool.map(write, ('a', 'b')))
    assert len(texts) == 1
    kept = {path.name: path.read_bytes() for path in (tmp_path / 'a' / 'figures').iterdir()}
    again = {path.name: path.read_bytes() for path in (tmp_path / 'b' / 'figures').iterdir()}
    assert kept == again


def test_settings_of_matplotlib_change_nothing_and_are_left_alone():
    import matplotlib as mpl

    run = make_rich_run(20)
    with drawing():
        expected = svg(error_curves({'run': run})[0].figure)
    with mpl.rc_context({'font.size': 40.0, 'text.usetex': True, 'axes.grid': False}):
        with drawing():
            assert svg(error_curves({'run': run})[0].figure) == expected
        assert mpl.rcParams['font.size'] == 40.0


def test_an_earlier_report_is_replaced_and_other_files_stay(tmp_path):
    figures = tmp_path / 'figures'
    figures.mkdir()
    (figures / 'mine.png').write_text('')
    (figures / 'worst_7.svg').write_text('')
    report(make_run([]), tmp_path)
    assert [path.name for path in figures.iterdir()] == ['mine.png']


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='file'):
        report(make_run([]), tmp_path / 'file')


@pytest.mark.parametrize('package', ['matplotlib', 'jinja2'])
def test_missing_packages_are_named(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf'{package}.*relloc_ros\[report\]'):
        require_report_packages()


def luminance(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a, b):
    bright, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize('theme', [LIGHT, DARK], ids=['light', 'dark'])
def test_contrasts_suffice(theme):
    # WCAG 2: 4.5 for text, 3 for what is drawn.
    assert contrast(theme['ink'], theme['ground']) > 7.0
    assert contrast(theme['muted'], theme['ground']) > 4.5
    for colour in (*SERIES, LOST):
        assert contrast(colour, theme['ground']) > 3.0, colour


def test_figures_take_the_colours_of_the_page():
    with drawing():
        (plot, _) = error_curves({'a': make_rich_run(20)})
        text = svg_for_page(plot, svg(plot.figure))
    for name, colour in LIGHT.items():
        assert name == 'ground' or f'var(--{name})' in text
        assert f': {colour}' not in text
    assert text.startswith('<svg ')
    assert 'width=' not in text.partition('>')[0]


def curve_share(plot, error):
    """Read the share of queries within an error from the first run's curve."""
    line = plot.figure.axes[0].get_lines()[-1]
    return line.get_ydata()[np.searchsorted(line.get_xdata(), error, side='right') - 1]


def test_error_curves_count_failures():
    errors = [0.01, 0.02, 0.04, 0.08, None, None, None, None]
    run = make_run(
        make_outcome(f'{i}', i, None if error is None else shift(error), shift(0.0))
        for i, error in enumerate(errors)
    )
    with drawing():
        plot, _ = error_curves({'ours': run, 'other': make_baseline(run)})
    assert curve_share(plot, 0.0101) == 12.5
    assert curve_share(plot, 0.05) == 37.5
    assert plot.figure.axes[0].get_lines()[-1].get_ydata()[-1] == 50.0
    assert 'ours: 50 % within 8.00 cm, 90 % within infinite, 4 of 8 without a pose' in plot.text


def test_the_first_run_is_named_first_whatever_its_name():
    run = make_rich_run(20)
    with drawing():
        plot, _ = error_curves({'_first': run, '$second$': make_baseline(run)})
        legend = plot.figure.axes[0].get_legend()
        assert [text.get_text() for text in legend.get_texts()] == ['_first', '$second$']
        colours = [line.get_color() for line in legend.get_lines()]
        assert colours == list(SERIES[:2])
        assert png(plot.figure)


@pytest.mark.parametrize('seed', range(3))
def test_from_above_east_and_north_are_not_mirrored(seed):
    rng = np.random.default_rng(seed)
    up = np.array([0.0, 0.0, 1.0])
    points = rng.normal(size=(50, 3)) * [3.0, 2.0, 0.1] + 100.0
    view = TopView.of(points, up)
    np.testing.assert_allclose(np.cross(*view.axes), up, atol=0.1)
    flat = view.flatten(points)
    distances = np.linalg.norm(points[1:] - points[0], axis=1)
    np.testing.assert_allclose(np.linalg.norm(flat[1:] - flat[0], axis=1), distances, atol=0.1)
    assert np.abs(np.median(flat, axis=0)).max() < 0.5


def test_estimates_far_off_do_not_shrink_the_map():
    run = make_run(
        [make_outcome(str(i), i, shift(i + 1e4 * (i == 3)), shift(i)) for i in range(6)]
    )
    with drawing():
        plot = trajectory_plot(run, np.array([[0.0, 0.0, 0.0], [5.0, 1.0, 0.0]]))
    assert np.ptp(plot.figure.axes[0].get_xlim()) < 10.0
    assert '1 estimate lies outside' in plot.caption
    assert '1 estimate lies outside' in plot.text


def test_errors_over_time_are_in_order_of_time():
    run = make_run(
        [make_outcome(str(t), t * 10**9, shift(0.1 * t), shift(0.0)) for t in (30, 10, 20)],
        sequence=True,
    )
    with drawing():
        drawn = errors_over_time(run).figure.axes[0].collections[0].get_offsets()
    np.testing.assert_allclose(drawn, [[0.0, 1.0], [10.0, 2.0], [20.0, 3.0]])


def test_reliability_needs_covariances_and_knows_chance():
    run = make_rich_run(200)
    with drawing():
        assert reliability_plot(without_covariance(run)) is None
        plot = reliability_plot(run)
    # 6 of 200 poses and more are wrong on purpose: chance would leave 95 %.
    share = re.search(r'hold ([\d.]+) % of pose', plot.text)
    assert 85.0 < float(share[1]) < 95.0


def test_failures_are_counted_by_stage():
    with drawing():
        plot = failure_plot(make_rich_run(60))
        assert failure_plot(make_run([make_outcome('a', 0, shift(0), shift(0))])) is None
    assert '9 failed queries' in plot.text
    assert 'retrieval 2, matching 2, geometry 4, gate 1' in plot.text
    with drawing():
        assert 'not told 12' in failure_plot(nothing_localized()).text


def test_latency_says_medians_of_stages():
    timings = [{'features': ms, 'total': 10.0 * ms} for ms in (1.0, 2.0, 4.0)]
    run = make_run(
        [make_outcome(str(i), i, None, None, timings_ms=t) for i, t in enumerate(timings)]
    )
    with drawing():
        assert 'Medians: total 20 ms, features 2 ms' in latency_plot(run).text
        assert latency_plot(nothing_localized()) is None


@pytest.mark.parametrize(
    ('low', 'high', 'ticks'),
    [
        (0.009, 1.1, [0.01, 0.03, 0.1, 0.3, 1.0]),
        (1.0, 4.0, [1.0, 1.5, 2.0, 3.0]),
        (0.011, 0.012, []),
        (1e-6, 1e9, [1e-6, 1e-3, 1.0, 1e3, 1e6, 1e9]),
    ],
)
def test_ticks_are_round_and_few(low, high, ticks):
    np.testing.assert_allclose(log_ticks(low, high), ticks)


def test_limits_hold_the_values():
    low, high = log_limits(np.array([0.0, 0.01, 2.0, np.inf, np.nan]))
    assert 0.005 < low < 0.01
    assert 2.0 < high < 3.0
    low, high = log_limits(np.array([1e-15, 1.0]))
    assert low > 1e-7
    assert log_limits(np.array([np.inf])) == (0.01, 1.0)


def test_ticks_are_written_with_units():
    write = length_tick('m')
    assert [write(v) for v in (0.0005, 0.001, 0.02, 1.0, 50.0, 2000.0)] == [
        '0.5 mm',
        '1 mm',
        '2 cm',
        '1 m',
        '50 m',
        '2 km',
    ]
    assert length_tick('yards')(0.02) == '0.02'
    assert [milliseconds_tick(v) for v in (0.05, 1.0, 999.0, 1500.0)] == [
        '50 µs',
        '1 ms',
        '999 ms',
        '1.5 s',
    ]


def test_long_names_keep_their_ends():
    assert shorten('short') == 'short'
    text = shorten('beginning' + 'x' * 100 + 'ending')
    assert len(text) == 36
    assert text.startswith('beginning')
    assert text.endswith('ending')


def test_many_queries_show_the_worst_first():
    run = make_run(
        [make_outcome(f'q{i}', i, shift(0.001 * i), shift(0)) for i in range(400)]
        + [make_outcome('lost', 400, None, shift(0)), *make_negatives(2, 1)]
    )
    table = query_table(run)
    names = [row.cells[0].text for row in table.rows]
    assert (len(names), table.total) == (MAX_ROWS, 403)
    assert names[:3] == ['elsewhere/0', 'lost', 'q399'] or names[:3] == [
        'elsewhere/0.png',
        'lost',
        'q399',
    ]
    assert 'q0' not in names


def test_a_query_is_summed_up_in_words():
    assert what_happened(make_outcome('a', 0, shift(1), shift(0)), 'm') == '1.00 m and 0° off'
    assert what_happened(make_outcome('a', 0, None, shift(0)), 'm') == 'no pose'
    assert what_happened(make_outcome('a', 0, shift(1), None), 'm') == 'localized'
    accepted, refused = make_negatives(2, 1)
    assert 'another place' in what_happened(accepted, 'm')
    assert what_happened(refused, 'm') == 'refused'


def test_tables_hold_what_metrics_hold():
    run = make_rich_run(60)
    metrics = summarize(run)
    tiles = {tile.label: tile.value for tile in headline_tiles(metrics)}
    assert tiles['localized'] == '90 %'
    assert set(tiles) == {'localized', 'median position', 'median rotation', 'time per query'}
    rows = {
        (section.title, row.label): row
        for section in number_sections(metrics)
        for row in section.rows
    }
    assert rows['Errors', 'within 25 cm, 2°'].over_all == '85 %'
    assert rows['Sequence', 'longest gap without a pose'].over_all == '0.2 s'
    negatives = summarize(make_run(make_negatives(20, 2)))
    assert [tile.value for tile in headline_tiles(negatives)] == ['2 of 20']


def test_runs_are_put_beside_each_other():
    run = make_rich_run(60)
    ours, theirs = comparison_rows({'a': run, 'b': make_baseline(run), 'c': without_truth(run)})
    assert (ours.label, ours.localized, ours.recalls[2]) == ('a', '90 %', '85 %')
    assert (theirs.label, theirs.localized) == ('b', '100 %')
    assert comparison_rows({'none': nothing_localized()})[0].position == 'infinite'


def test_settings_that_were_changed_are_told():
    run = make_rich_run(
        2, settings={'max_pairs': 7, 'localizer': 'x', 'min_inliers': DEFAULT, 'z': 1}
    )
    assert changed_settings(run) == {'max_pairs': '7', 'z': '1'}


@pytest.fixture
def relloc(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        return caught.value.code or 0, capsys.readouterr().err

    return run


def test_relloc_report_draws_runs_into_one(relloc, tmp_path):
    run = make_rich_run(3, map_path=str(tmp_path / 'gone'))
    write_run(run, tmp_path / 'one')
    write_run(make_baseline(run), tmp_path / 'one' / 'baselines' / 'affine')
    write_run(make_rich_run(3, spread=0.1), tmp_path / 'two')
    output = tmp_path / 'report'
    code, err = relloc('report', tmp_path / 'one', tmp_path / 'two', '--output', output)
    assert code == 0, err
    assert 'drawn without the map' in err
    page = Page((output / 'report.html').read_text('utf-8'))
    assert page.text.count('Relocalization report one in gone') == 1
    for name in ('two', 'retrieval + affine', 'sanity check passed: essential beats'):
        assert name in page.text
    code, err = relloc('report', tmp_path / 'one', '--output', output)
    assert code == 1
    assert '--overwrite' in err
    code, err = relloc('report', tmp_path / 'one', '--output', output, '--overwrite')
    assert code == 0, err
    page = Page((output / 'report.html').read_text('utf-8'))
    assert 'Relocalization report essential in gone' in page.text


def test_without_the_packages_everything_else_is_written(
    relloc, office_map, tmp_path, monkeypatch
):
    from conftest import EXAMPLE

    name = (EXAMPLE / 'query.txt').read_text().split()[0]
    (tmp_path / 'list.txt').write_text(name)
    evaluate = ['evaluate', EXAMPLE, '--list', tmp_path / 'list.txt', '--map', office_map]
    monkeypatch.setitem(sys.modules, 'jinja2', None)
    code, err = relloc(*evaluate, '--output', tmp_path / 'out')
    assert code == 0, err
    assert 'relloc_ros[report]' in err
    assert (tmp_path / 'out' / 'metrics.json').exists()
    assert not (tmp_path / 'out' / 'report.html').exists()
    code, err = relloc(*evaluate, '--output', tmp_path / 'out', '--overwrite', '--no-report')
    assert (code, 'report]' in err) == (0, False)
    monkeypatch.undo()
    code, err = relloc(*evaluate, '--output', tmp_path / 'out', '--overwrite')
    assert code == 0, err
    page = Page((tmp_path / 'out' / 'report.html').read_text('utf-8'))
    assert 'Largest errors' in page.text
    assert page.text.count(name) >= 2
    assert (tmp_path / 'out' / 'figures' / 'worst_1.png').exists()
