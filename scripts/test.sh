#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Lint, types and all tests; then the core on other Pythons and a colcon build.
#   scripts/test.sh                 everything
#   scripts/test.sh PYTEST-ARGS     only pytest with these arguments
set -euo pipefail
extras_of_tests=fusion,large,learn,learned,scale
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

if [ $# -gt 0 ]; then
  exec python -m pytest "$@"
fi

# The tests that need no ROS, in an environment without it.
test_core_on() (
  forget_ros
  python=$(find_python "$1")
  if [ -z "$python" ]; then
    echo "== Python $1: not on this machine, left out"
    return
  fi
  echo "== core tests on Python $1"
  make_or_reuse "$root/.venv-$1" "$python" test
  "$root/.venv-$1/bin/python" -m pytest -q --ignore-glob='*/test_ros_*.py' test
)

# A workspace with this package alone, built by the package index's colcon.
build_with_colcon() (
  echo '== colcon build'
  workspace=$(mktemp -d)
  trap 'rm -rf "$workspace"' EXIT
  mkdir "$workspace/src"
  cp -r package.xml setup.py setup.cfg README.md resource launch config relloc_ros "$workspace/src"
  rm -f "$workspace"/src/relloc_ros/vision/*.so # compiled for the tests, not by colcon
  cd "$workspace"
  python -m colcon build
  cd install/relloc_ros
  test -x lib/relloc_ros/localization_node
  test -x lib/relloc_ros/relloc
  test -f lib/python*/site-packages/relloc_ros/vision/_mutual_ratio*.so
  test -f share/relloc_ros/launch/relocalization.launch.py
  test -f share/relloc_ros/config/relloc.yaml
)

# Neither the environments nor tf2_msgs may be found by a workspace that has this checkout.
check_colcon_finds_one_package() {
  local found
  found=$(python -m colcon list --names-only)
  [ "$found" = relloc_ros ] || fail "colcon finds in this checkout: $found"
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
check_colcon_finds_one_package
build_with_colcon
echo "== all tests on Python $own"
python -m pytest
