# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by demo.sh and test.sh: makes or reuses the virtual environment `.venv` of this checkout
# and puts it on the PATH. With ROS 2 sourced, `.venv` sees its packages; without, it gets ROS 2
# from the package index.

fail() {
  echo "error: $*" >&2
  exit 1
}

# A command that runs this version of Python, or nothing. Merely finding it is not enough:
# version managers put commands on the PATH that do not work.
find_python() {
  local candidate
  for candidate in "python$1" "$HOME"/.pyenv/versions/"$1".*/bin/"python$1"; do
    if "$candidate" -c "import sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" \
      >/dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
}

# The system's Python where ROS 2 is sourced, otherwise one that the ROS 2 wheels exist for.
choose_python() {
  if ros_is_sourced; then
    echo python3
    return
  fi
  local version candidate
  for version in 3.11 3.12 3.10; do
    candidate=$(find_python "$version")
    if [ -n "$candidate" ]; then
      echo "$candidate"
      return
    fi
  done
}

ros_is_sourced() {
  if [ -z "${ros_sourced:-}" ]; then
    ros_sourced=no
    [ -n "${ROS_DISTRO:-}" ] && python3 -c 'import rclpy' >/dev/null 2>&1 && ros_sourced=yes
  fi
  [ "$ros_sourced" = yes ]
}

require_tools() {
  "$1" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
    fail 'Python cannot make virtual environments: install python3-venv'
  ros_is_sourced && return
  command -v cmake >/dev/null || fail 'cmake is missing: install cmake'
  command -v c++ >/dev/null || command -v g++ >/dev/null ||
    fail 'a C++ compiler is missing: install g++ (build-essential)'
}

# What the environment is made from: when this changes, it is made again.
fingerprint() {
  {
    echo "${ROS_DISTRO:-wheels} $1"
    cat "$root"/setup.py "$root"/constraints.txt "$root"/scripts/environment.sh \
      "$root"/scripts/build_tf2_msgs.sh "$root"/scripts/tf2_msgs/*.* "$root"/scripts/tf2_msgs/msg/*
  } | sha256sum
}

make_environment() {
  local venv=$1 python=$2 extras=dev,report
  echo "Making the virtual environment ${venv#"$root"/} (a few minutes, once) ..."
  require_tools "$python"
  rm -rf "$venv"
  if ros_is_sourced; then
    "$python" -m venv --system-site-packages "$venv"
  else
    "$python" -m venv "$venv"
    extras=$extras,ros
  fi
  touch "$venv/COLCON_IGNORE"
  "$venv/bin/python" -m pip install --quiet --constraint "$root/constraints.txt" \
    --editable "$root[$extras]" || fail 'installing the packages failed, the reason is above'
  ros_is_sourced || bash "$root/scripts/build_tf2_msgs.sh" "$venv"
}

# make_or_reuse VENV PYTHON: the stamp is written last, so half an environment is never reused.
make_or_reuse() {
  local stamp=$1/.complete wanted
  wanted=$(fingerprint "$2")
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    make_environment "$1" "$2"
    echo "$wanted" >"$stamp"
  fi
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The ROS 2 wheels leave these to the processes they start; another environment must not see them.
if ! ros_is_sourced; then
  unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH AMENT_PREFIX_PATH PYTHONPATH
fi
python=$(choose_python)
[ -n "$python" ] || fail 'Python 3.10, 3.11 or 3.12 is needed: install python3.11 (or python3)'
make_or_reuse "$root/.venv" "$python"
export PATH=$root/.venv/bin:$PATH
# Keep tests and demo away from the robots on this network, and from each other.
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
export ROS_DOMAIN_ID=${ROS_DOMAIN_ID:-$((RANDOM % 100 + 1))}
cd "$root"
