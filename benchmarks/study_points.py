# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a map of a study with 3D points, which `structure` needs; the map stays as it is.

python benchmarks/study_points.py MAP OUTPUT
"""

from __future__ import annotations

from pathlib import Path
import shutil
from typing import Annotated

import typer


def main(
    reference: Annotated[Path, typer.Argument(metavar='MAP', help='Folder of the map.')],
    output: Annotated[Path, typer.Argument(help='Folder of the map with points.')],
) -> None:
    """Copy a map and triangulate its keypoints."""
    from relloc_ros.map.triangulation import triangulate_map

    shutil.copytree(reference, output, symlinks=True)
    print(f'{triangulate_map(output)} points')


if __name__ == '__main__':
    typer.run(main)
