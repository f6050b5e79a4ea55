# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""relloc map calibrate: make covariances say how large errors are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

from rich.table import Table
import typer

from relloc_ros.cli.console import print_note, print_warning, progress_bar, stdout
from relloc_ros.cli.interruption import terminate_quietly
from relloc_ros.cli.options import (
    ConfigFile,
    MapArgument,
    Settings,
    Wait,
    localization_config,
)
from relloc_ros.evaluation.calibration import DEFAULT_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from relloc_ros.config import LocalizationConfig
    from relloc_ros.map.calibration import Calibration

__all__ = ['calibrate']


def calibrate(
    map_folder: MapArgument,
    localizer: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            '--localizer',
            metavar='NAME',
            help='Method to calibrate; by default all that the map is fit for.',
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            '--samples',
            min=0,
            help='Images to hold out, spread over the map; 0 is all. Each takes a localizer about '
            'a tenth of a second.',
        ),
    ] = DEFAULT_SAMPLES,
    settings: Settings = None,
    config: ConfigFile = None,
    wait: Wait = 0.0,
) -> None:
    """Calibrate covariances: make them say how large the errors are.

    Images of the map are localized in the rest of it, without those that show nearly the same.
    Their errors tell a scale and floors, which are kept in the map and applied to every pose from
    then on. What is calibrated is a localizer with its settings: give those that the robot uses
    (`--config` takes its parameter file).
    """
    from relloc_ros.evaluation.calibration.calibrating import calibrate_map

    terminate_quietly()
    configs = _configs(map_folder, config, settings, localizer)
    with progress_bar('localizing images held out') as progress:
        found = calibrate_map(map_folder, configs, samples=samples, wait=wait, progress=progress)
    stdout.print(_table(found.made))
    for failure in found.failures:
        print_warning(failure)
    print_note(
        'NEES is right with a median of 5.35, coverage with 95 %; both on the images held out'
    )
    print_note(
        f'map {map_folder} is calibrated for {", ".join(each.localizer for each in found.made)}'
    )


def _configs(
    path: Path, file: Path | None, settings: list[str] | None, localizer: str | None
) -> list[LocalizationConfig]:
    from relloc_ros.localizers import LOCALIZERS
    from relloc_ros.map.format import current_generation

    if localizer is not None:
        return [localization_config(file, settings, localizer)]
    configs = [localization_config(file, settings, name) for name in LOCALIZERS]
    # Which of them the map, and the settings, have what they need for.
    fit = {
        'structure': current_generation(path).points.is_dir(),
        'apr': bool(configs[0].apr.network),
    }
    return [each for each in configs if fit.get(each.localizer, True)]


def _table(made: Sequence[Calibration]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in (
        'localizer',
        'scale at 100 inliers',
        'position floor',
        'rotation floor',
        'localized',
        'median NEES',
        'coverage of 95 %',
        'camera scale',
    ):
        table.add_column(heading, overflow='fold')
    for each in made:
        table.add_row(
            each.localizer,
            f'{each.scale:.3g}',
            f'{each.position_floor:.3g}',
            f'{each.rotation_floor:.3g} rad',
            f'{each.num_localized} of {each.num_tried}',
            f'{each.median_nees_before:.2f} -> {each.median_nees_after:.2f}',
            f'{each.coverage_before:.0%} -> {each.coverage_after:.0%}',
            f'{each.camera_scale:.3g}' if each.camera_scale else '',
        )
    return table
