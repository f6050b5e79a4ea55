# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Options of `relloc train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

__all__ = [
    'ABSOLUTE',
    'NETWORKS',
    'Backbone',
    'DryRun',
    'Maps',
    'NetworkName',
    'OdometrySource',
    'PairFiles',
    'Resume',
    'RunOutput',
    'Sources',
    'TrainingFile',
    'TrainingSettings',
    'VariantName',
]

NETWORKS = ('essnet', 'nc_essnet', 'nc_matching', 'rpr', 'relocnet')
"""The names in the table of this name, which takes long to import."""
ABSOLUTE = 'apr'
"""The network that learns absolute poses in one map."""

NetworkName = Annotated[
    str,
    typer.Argument(metavar='NETWORK', help=f'What to train: {", ".join([*NETWORKS, ABSOLUTE])}.'),
]
RunOutput = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--output',
        metavar='RUN',
        help='Folder of the run; not needed for --dry-run.',
        show_default=False,
    ),
]
Maps = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(
        '--map',
        metavar='MAP',
        help='Map to learn from. Can be given several times: one network for all.',
        show_default=False,
    ),
]
Sources = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(
        '--source',
        metavar='SOURCE',
        help='Where the images of the map are, which it does not keep; by default what it was '
        'built from. With several maps, as many in the same order.',
        show_default=False,
    ),
]
PairFiles = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(
        '--pairs',
        metavar='FILE',
        help='Text file of image pairs: names of map image and query on each line, with a tab '
        'or a space between. By default similar images that share view are paired.',
        show_default=False,
    ),
]
Backbone = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--backbone',
        metavar='FILE',
        help='Weights that the backbone begins with: of torchvision, or of another run '
        '(`best.safetensors`). By default they are random.',
        show_default=False,
    ),
]
VariantName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        '--variant',
        metavar='NAME',
        help='Which network for absolute poses `apr` trains: posenet, mapnet, … '
        'docs/training.md lists them.',
        show_default=False,
    ),
]
OdometrySource = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--odometry',
        metavar='SOURCE',
        help='Images of the same place with odometry instead of poses in the map, for `apr` '
        'variants that learn from them, too: a bag, or any source of images with poses.',
        show_default=False,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        '--resume',
        help='Go on with RUN where it was stopped or killed. Its maps and settings are taken '
        'from it.',
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        '--dry-run',
        help='Say what would be trained and how long a step takes; write nothing.',
    ),
]
TrainingSettings = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(
        '--set',
        metavar='KEY=VALUE',
        help='Change a setting of the training or the network, for example `batch_size=8`. '
        'Can be given several times.',
        show_default=False,
    ),
]
TrainingFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option(
        '--config',
        metavar='FILE',
        help='YAML file of such settings. --set goes before it.',
        show_default=False,
    ),
]
