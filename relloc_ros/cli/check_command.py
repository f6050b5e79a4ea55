# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map check: what is wrong with a map, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

from rich.text import Text
import typer

from relloc_ros.cli.console import print_error, print_note, print_warning, progress_bar, stdout
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import Overwrite

if TYPE_CHECKING:
    from relloc_ros.evaluation.map_check.deep import DeepCheck
    from relloc_ros.map.findings import Finding

__all__ = ['check']

DEFAULT_SAMPLES = 200


def check(
    map_folder: Annotated[Path, typer.Argument(metavar='MAP', help='Folder of the map.')],
    deep: Annotated[
        bool,
        typer.Option(
            '--deep',
            help='Match the images, too, and localize each in the rest of the map: wrong poses '
            'and calibrations, clocks that differ, and places where localization will fail. Takes '
            'some tenths of a second an image.',
        ),
    ] = False,
    samples: Annotated[
        int,
        typer.Option(
            '--samples',
            min=0,
            help='With --deep: images to localize, spread over the map, and those that '
            'contradict them; 0 is all.',
        ),
    ] = DEFAULT_SAMPLES,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            '--output',
            metavar='DIR',
            help='With --deep: folder for a map of the places where localization works '
            '(coverage.png), a table (coverage.csv) and markers for RViz (coverage.yaml).',
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option('--json', help='Print the findings as JSON on stdout.')
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Find what is wrong with a map, and say what to do about it; exit code 1 on errors.

    Reads everything in the map and compares its parts; with `--deep`, its images with each other.
    """
    from relloc_ros.errors import ConfigError
    from relloc_ros.map.appraisal import appraise_map
    from relloc_ros.map.findings import Level

    if output is not None and not deep:
        raise ConfigError('--output shows what --deep finds out: give both')
    terminate_quietly()
    with progress_bar('reading the map') as progress:
        progress(0, 1, '')
        findings = appraise_map(map_folder)
    intact = not any(finding.kind == 'damage' for finding in findings)
    result = _deep(map_folder, samples, output, overwrite=overwrite) if deep and intact else None
    findings += result.findings if result else []
    order = list(Level)
    findings.sort(key=lambda finding: order.index(finding.level))
    if as_json:
        content = {
            'map': str(map_folder),
            'findings': [finding.to_dict() for finding in findings],
            'places': [place.to_dict() for place in result.places] if result else None,
        }
        stdout.file.write(json.dumps(content, indent=2) + '\n')
    else:
        _print(map_folder, findings, result, intact=intact)
    if any(finding.level is Level.ERROR for finding in findings):
        raise typer.Exit(1)


def _deep(path: Path, samples: int, output: Path | None, *, overwrite: bool) -> DeepCheck:
    from relloc_ros.evaluation.map_check.deep import check_by_localizing
    from relloc_ros.evaluation.map_check.pictures import prepare_output, write_coverage
    from relloc_ros.map.reference_map import ReferenceMap

    if output is not None:
        prepare_output(output, overwrite=overwrite)
    with ReferenceMap.open(path) as reference_map:
        with progress_bar('localizing the images') as progress:
            result = check_by_localizing(reference_map, samples, progress)
        if output is not None:
            write_coverage(result, reference_map, output)
            print_note(f'written to {output}')
    return result


def _print(path: Path, findings: list[Finding], result: DeepCheck | None, *, intact: bool) -> None:
    printers = {'error': print_error, 'warning': print_warning}
    for finding in findings:
        text = finding.message
        printer = printers.get(finding.level.value)
        if printer is None:
            print_note(f'note: {text}')
        else:
            printer(text)
        if finding.remedy and finding.kind != 'damage':
            print_note(f'  remedy: {finding.remedy}')
    if result is not None:
        localized = sum(not place.lost for place in result.places)
        stdout.print(
            Text(
                f'{localized} of {len(result.places)} images looked at were localized in the rest '
                f'of the map, which has {result.num_images}'
            ),
            soft_wrap=True,
        )
    if intact:
        stdout.print(f'map {path} is complete and undamaged')
