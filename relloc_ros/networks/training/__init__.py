# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of networks on the images of maps: pairs, batches, the loop, and what a run keeps."""

from __future__ import annotations

from importlib.util import find_spec

from relloc_ros.errors import MissingDependencyError

__all__: list[str] = []

for _module in ('lightning_fabric', 'safetensors'):
    if find_spec(_module) is None:
        raise MissingDependencyError(f"training needs {_module}: pip install 'relloc_ros[learn]'")
