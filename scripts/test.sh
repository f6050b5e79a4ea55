#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Lint, types and all tests; then the core on other Pythons and a colcon build.
#   scripts/test.sh                 everything
#   scripts/test.sh PYTEST-ARGS     only pytest with these arguments
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if [ $# -gt 0 ]; then
  exec python -m pytest "$@"
fi

# Python version of the tests that need no ROS, in an environment without it.
test_core_on() {
  local candidate venv=$root/.venv-$1
  candidate=$(find_python "$1")
  if [ -z "$candidate" ]; then
    echo "== Python $1: not on this machine, left out"
    return
  fi
  echo "== core tests on Python $1"
  local wanted
  wanted="core $(fingerprint "$candidate")"
  if [ "$(cat "$venv/.complete" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$venv"
    env -u _ROS_WHEELS_BOOTSTRAP_COMPLETE "$candidate" -m venv "$venv"
    touch "$venv/COLCON_IGNORE"
    "$venv/bin/python" -m pip install --quiet --constraint "$root/constraints.txt" \
      --editable "$root[test]"
    echo "$wanted" >"$venv/.complete"
  fi
  "$venv/bin/python" -m pytest -q --ignore-glob='*/test_ros_*.py' test
}

# A workspace with this package alone, built by the package index's colcon.
build_with_colcon() {
  echo '== colcon build'
  local workspace
  workspace=$(mktemp -d)
  mkdir "$workspace/src"
  git ls-files -z | xargs -0 cp --parents -t "$workspace/src" 2>/dev/null
  (cd "$workspace" && python -m colcon build)
  test -x "$workspace/install/relloc_ros/lib/relloc_ros/localization_node"
  test -x "$workspace/install/relloc_ros/lib/relloc_ros/relloc"
  test -f "$workspace/install/relloc_ros/share/relloc_ros/launch/relocalization.launch.py"
  test -f "$workspace/install/relloc_ros/share/relloc_ros/config/relloc.yaml"
  rm -rf "$workspace"
}

echo '== ruff'
ruff check .
ruff format --check .
echo '== mypy'
mypy
own=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
for version in 3.10 3.12; do
  [ "$version" = "$own" ] || test_core_on "$version"
done
build_with_colcon
echo "== all tests on Python $own"
python -m pytest
