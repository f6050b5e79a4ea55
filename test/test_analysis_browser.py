# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The animation of an analysis in a browser: it draws, moves, and asks for nothing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

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

for package in ('matplotlib', 'jinja2', 'playwright'):
    pytest.importorskip(package)
EXECUTABLE = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason=f'no browser: {", ".join(BROWSERS)}')

from relloc_ros.analysis.animation import Pictures, animation  # noqa: E402
from relloc_ros.analysis.model_analysis import (  # noqa: E402
    BaseTranslations,
    EmbeddedImages,
    analyse,
)
from relloc_ros.analysis.top_view import views_of  # noqa: E402


@pytest.fixture(scope='module')
def page_file(tmp_path_factory):
    rng = np.random.default_rng(1)
    base = BaseTranslations(np.zeros(3), rng.normal(0.0, 0.1, (3, 50)))

    def images(count):
        alphas = np.maximum(rng.normal(0.0, 1.0, (count, 50)), 0.0)
        positions = base.predict(alphas) + rng.normal(0.0, 0.1, (count, 3))
        names = tuple(f'<i>{number}</i>.jpg' for number in range(count))
        return EmbeddedImages(names, alphas, positions, np.tile(np.eye(3), (count, 1, 1)))

    queries = images(5)
    analysis = analyse(base, images(20), queries, base.predict(queries.alphas), queries.rotations)
    pictures = Pictures(list(rng.integers(0, 255, (5, 30, 40), np.uint8)), lambda index: None)
    page = animation(analysis, views_of(analysis), 'm', 'posenet', pictures)
    path = tmp_path_factory.mktemp('animation') / 'animation.html'
    path.write_text(page, 'utf-8')
    return path


@pytest.fixture(scope='module')
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=EXECUTABLE, headless=True, args=list(FLAGS)
        )
        yield browser
        browser.close()


@pytest.fixture(params=['light', 'dark'])
def page(browser, page_file, request):
    """Open the page; what the browser asks for or complains about fails the test."""
    context = browser.new_context(color_scheme=request.param)
    page, complaints = context.new_page(), []
    page.on('console', lambda message: complaints.append(message.text))
    page.on('pageerror', lambda error: complaints.append(str(error)))
    page.on('request', lambda asked: complaints.append(asked.url) if _is_remote(asked) else None)
    page.goto(page_file.as_uri())
    yield page
    context.close()
    assert complaints == []


def test_each_image_has_its_own_weights(page):
    first = drawn(page, 'weights')
    assert page.text_content('#count') == '1 of 5'
    page.press('#frame', 'ArrowRight')
    assert page.text_content('#count') == '2 of 5'
    assert page.text_content('#image-name') == '<i>1</i>.jpg'
    assert drawn(page, 'weights') != first
    assert 'closeness to retrieval' in page.text_content('#said')


def test_training_images_are_shown_without_a_nearest_one(page):
    assert page.is_visible('#nearest-weights')
    page.select_option('#kind', 'training')
    assert page.text_content('#count') == '1 of 20'
    assert not page.is_visible('#nearest-weights')


def test_it_plays_until_it_is_stopped(page):
    page.click('#play')
    page.get_by_text('3 of 5', exact=True).wait_for()
    page.click('#play')
    assert page.text_content('#play') == 'Play'


def drawn(page, canvas):
    return page.evaluate(f"document.getElementById('{canvas}').toDataURL()")


def _is_remote(request):
    return not request.url.startswith(('file:', 'data:'))
