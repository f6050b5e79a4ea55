# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the README says is so: parameters, topics, commands, the Python example, links."""

import importlib.util
from pathlib import Path
import re

import pytest
from typer.main import get_command

from relloc_ros.cli.main import make_app

ROOT = Path(__file__).parent.parent
README = (ROOT / 'README.md').read_text()


def between(start, end):
    return README.partition(start)[2].partition(end)[0]


def test_parameters_are_those_of_the_schema():
    spec = importlib.util.spec_from_file_location('update', ROOT / 'scripts/update_readme.py')
    update = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(update)
    assert update.with_table(README) == README, 'run scripts/update_readme.py'
    page = (ROOT / 'docs/ros.md').read_text()
    assert update.with_table(page, complete=True) == page, 'run scripts/update_readme.py'
    assert '| `max_rate` | `5.0` | Hz | 0..1000 | live |' in page
    assert '`essential.refinement`' in between('<!-- parameters -->', '<!-- end of parameters')


def topics(table):
    cells = re.findall(r'^\| ([^|]*) \|', table, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r'`([^`]+)`', cell)}


def test_topics_are_among_those_of_the_page_about_ros():
    names = topics(between('<!-- topics -->', '<!-- end of'))
    assert {'image', 'camera_info', '~/pose', '~/status', '/tf', '/diagnostics'} <= names
    page = (ROOT / 'docs/ros.md').read_text()
    assert names <= topics(page.partition('## Topics')[2].partition('\n## ')[0])


def test_commands_exist():
    group = get_command(make_app())
    commands = re.findall(r'`relloc ((?:[a-z]+(?:-[a-z]+)* ?)+)', README)
    assert len(commands) > 5
    for command in commands:
        words = command.split()
        current = group
        for word in words:
            if not hasattr(current, 'get_command'):
                break
            current = current.get_command(None, word)
            assert current is not None, command


PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md'))]


def anchors(page):
    headings = re.findall(r'^#+ (.+)$', page.read_text(), re.MULTILINE)
    kept = (re.sub(r'[^\w\- ]', '', heading.lower()) for heading in headings)
    return {heading.replace(' ', '-') for heading in kept}


@pytest.mark.parametrize('page', PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r'\]\((?!http)([^)#]*)#?([^)]*)\)', page.read_text()):
        assert (page.parent / target).exists(), target
        if anchor:
            assert anchor in anchors(page.parent / target if target else page), anchor


def test_python_example_runs(office_map, monkeypatch, tmp_path, capsys):
    code = between('```python\n', '```')
    (tmp_path / 'my_map').symlink_to(office_map)
    (tmp_path / 'my_queries').symlink_to(ROOT / 'examples/fr3_office')
    monkeypatch.chdir(tmp_path)
    exec(compile(code, 'README.md', 'exec'), {})
    assert capsys.readouterr().out.count('LOCALIZED') >= 15
