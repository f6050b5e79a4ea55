# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes the weights that networks of the study begin with: features before any training.

python benchmarks/study_initial.py FOLDER backbone=resnet18 last_stage=2 … [--backbone FILE]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def main(
    folder: Annotated[Path, typer.Argument(help='Gets best.safetensors.')],
    settings: Annotated[list[str], typer.Argument(metavar='KEY=VALUE', help='Of the network.')],
    backbone: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help='Weights of the backbone; random ones without.'),
    ] = None,
) -> None:
    """Write the weights of an essnet that has not been trained."""
    from relloc_ros.config import make_config, parse_assignments
    from relloc_ros.networks import make_network
    from relloc_ros.networks.checkpoint import save_network
    from relloc_ros.networks.network_config import EssNetConfig

    config = make_config(EssNetConfig, parse_assignments(settings))
    folder.mkdir(parents=True, exist_ok=True)
    network = make_network('essnet', config, backbone_weights=backbone)
    save_network(folder / 'best.safetensors', network.eval(), {'epoch': 0})


if __name__ == '__main__':
    typer.run(main)
