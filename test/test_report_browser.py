# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The report in a real browser: it opens, shows all, asks for nothing, and fits on a phone."""

import shutil

import numpy as np
import pytest
from synthetic_reports import (
    NASTY,
    make_baseline,
    make_inspections,
    make_negatives,
    make_rich_run,
)
from synthetic_runs import make_run

from relloc_ros.evaluation.report import write_report
from relloc_ros.evaluation.summary import summarize

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
FLAGS = (
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)
PHONE, DESKTOP = (375, 740), (1280, 900)

for package in ('matplotlib', 'jinja2', 'playwright'):
    pytest.importorskip(package)
EXECUTABLE = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason=f'no browser: {", ".join(BROWSERS)}')


@pytest.fixture(scope='module')
def rich_report(tmp_path_factory):
    folder = tmp_path_factory.mktemp('browser') / 'rich & <odd>'
    run = make_rich_run(60)
    return write_report(
        run,
        summarize(run),
        folder,
        others={NASTY: make_baseline(run)},
        sanity=['sanity check passed: <b>' + 'long' * 40],
        inspections=make_inspections(run),
        map_centres=np.array([o.truth.translation for o in run.scored]) + 0.1,
    )


@pytest.fixture(scope='module')
def empty_report(tmp_path_factory):
    run = make_run(make_negatives(3, 0))
    return write_report(run, summarize(run), tmp_path_factory.mktemp('browser'))


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Its profile is a temporary folder of its own.
        browser = playwright.chromium.launch(
            executable_path=EXECUTABLE, headless=True, args=list(FLAGS)
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """Open a report; what the browser asks for or complains about fails the test."""
    contexts, complaints = [], []

    def open_report(path, size=DESKTOP, scheme='light'):
        context = browser.new_context(
            viewport={'width': size[0], 'height': size[1]}, color_scheme=scheme
        )
        contexts.append(context)
        page = context.new_page()
        page.on('console', lambda message: complaints.append(f'console: {message.text}'))
        page.on('pageerror', lambda error: complaints.append(f'error: {error}'))
        page.on('requestfailed', lambda request: complaints.append(f'failed: {request.url}'))
        page.on(
            'request',
            lambda request: (
                request.url.startswith('data:')
                or request.url == path.as_uri()
                or complaints.append(f'asked for {request.url}')
            ),
        )
        page.goto(path.as_uri(), wait_until='load')
        return page

    yield open_report
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('size', [PHONE, DESKTOP], ids=['phone', 'desktop'])
def test_all_is_shown_and_nothing_sticks_out(open_page, rich_report, size, scheme):
    page = open_page(rich_report, size, scheme)
    pictures = page.evaluate("""() => [...document.querySelectorAll('figure > svg, article > svg')]
        .map((svg) => svg.getBoundingClientRect()).map((box) => [box.left, box.right, box.height])
    """)
    assert len(pictures) == 7 + 3
    for left, right, height in pictures:
        assert left >= 0
        assert right <= size[0]
        assert right - left > min(size[0], 400) / 2
        assert height > 100
    loaded = page.evaluate('[...document.images].map((image) => image.naturalWidth)')
    assert len(loaded) == 2
    assert min(loaded) > 0
    inside = page.evaluate('document.querySelectorAll("svg image").length')
    assert inside >= 5
    assert page.evaluate('document.documentElement.scrollWidth') == size[0]


@pytest.mark.parametrize('size', [PHONE, DESKTOP], ids=['phone', 'desktop'])
def test_a_report_of_almost_nothing_opens(open_page, empty_report, size):
    page = open_page(empty_report, size)
    assert 'false accepts' in page.inner_text('main')
    assert page.evaluate('document.documentElement.scrollWidth') == size[0]


def test_wide_tables_scroll_by_themselves(open_page, rich_report):
    page = open_page(rich_report, PHONE)
    widths = page.evaluate("""() => [...document.querySelectorAll('.card.scroll')]
        .map((box) => [box.scrollWidth, box.clientWidth, box.tabIndex])""")
    assert len(widths) == 3
    assert all(content > shown for content, shown, _ in widths)
    assert all(index == 0 for _, _, index in widths)


def test_letters_of_figures_can_be_read_on_a_phone(open_page, rich_report):
    page = open_page(rich_report, PHONE)
    heights = page.evaluate("""() => [...document.querySelectorAll('figure > svg text')]
        .map((text) => text.getBoundingClientRect())
        .map((box) => Math.min(box.width, box.height))""")
    assert len(heights) > 60
    sizes = page.evaluate("""() => [...document.querySelectorAll('figure > svg')].map((svg) =>
        parseFloat(getComputedStyle(svg.querySelector('text')).fontSize)
        * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)""")
    assert min(sizes) > 8.0


def test_no_letter_of_a_figure_is_cut_off(open_page, rich_report):
    outside = open_page(rich_report).evaluate("""() =>
        [...document.querySelectorAll('figure > svg')].flatMap((svg) => {
            const box = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].filter((text) => {
                const own = text.getBoundingClientRect();
                return own.left < box.left - 1 || own.right > box.right + 1
                    || own.top < box.top - 1 || own.bottom > box.bottom + 1;
            }).map((text) => text.textContent);
        })""")
    assert outside == []


def test_figures_follow_the_theme(open_page, rich_report):
    colours = {}
    for scheme in ('light', 'dark'):
        page = open_page(rich_report, scheme=scheme)
        colours[scheme] = page.evaluate("""() => [
            getComputedStyle(document.body).backgroundColor,
            getComputedStyle(document.querySelector('#latency svg text')).fill,
        ]""")
    light, dark = colours['light'], colours['dark']
    assert light[0] == 'rgb(244, 246, 248)'
    assert dark[0] == 'rgb(14, 18, 23)'
    assert light[1] != dark[1]


def test_the_table_of_queries_is_sorted_by_its_headings(open_page, rich_report):
    page = open_page(rich_report)

    def column(number):
        return page.evaluate(
            'number => [...document.querySelectorAll("table.sortable tbody tr")]'
            '.map((row) => row.cells[number].dataset.key)',
            number,
        )

    button = page.get_by_role('button', name='position')
    button.click()
    errors = [float(key) for key in column(2)]
    assert len(errors) == 60
    assert errors == sorted(errors)
    button.click()
    assert [float(key) for key in column(2)] == errors[::-1]
    heading = page.locator('table.sortable th', has=button)
    assert heading.get_attribute('aria-sort') == 'descending'
    # What has no figure stays at the end either way.
    for _ in range(2):
        page.get_by_role('button', name='NEES').click()
        known = [key is not None for key in column(5)]
        assert known == [True] * 54 + [False] * 6
    page.get_by_role('button', name='query').click()
    names = page.locator('table.sortable tbody th').all_inner_texts()
    assert names[1:4] == ['images/0000.png', 'images/0001.png', 'images/0002.png']


def test_names_do_nothing(open_page, rich_report):
    page = open_page(rich_report)
    page.on('dialog', lambda dialog: pytest.fail(f'a name said {dialog.message}'))
    assert page.get_by_text(NASTY).count() >= 2
    assert page.evaluate('document.scripts.length') == 1
