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
  for candidate in "python$1" "${HOME:-}"/.pyenv/versions/"$1".*/bin/"python$1"; do
    if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" \
      >/dev/null 2>&1; then
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

# ROS 2, installed or from wheels, leaves these to what it starts: an environment without it, or
# with another one, must not see them.
forget_ros() {
  ros_sourced=no
  unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH AMENT_PREFIX_PATH PYTHONPATH \
    RMW_IMPLEMENTATION
}

# The system's Python where ROS 2 is sourced, otherwise one that the ROS 2 wheels exist for.
choose_python() {
  if ros_is_sourced; then
    echo python3
    return
  fi
  local version candidate
  for version in 3.11 3.12 3.10 3.13 3.14; do
    candidate=$(find_python "$version")
    if [ -n "$candidate" ]; then
      echo "$candidate"
      return
    fi
  done
}

# What pip and the build of tf2_msgs would fail over, minutes later and at length.
require_ros_wheels() {
  [ "$(uname -sm)" = 'Linux x86_64' ] ||
    fail 'the ROS 2 wheels are for Linux on x86_64 only: install ROS 2 and source its setup.bash'
  command -v c++ >/dev/null || command -v g++ >/dev/null ||
    fail 'a C++ compiler is missing: install g++ (Debian, Ubuntu: build-essential)'
  command -v make >/dev/null || fail 'make is missing: install make'
  command -v cmake >/dev/null || fail 'cmake is missing: install cmake'
  [ -f "$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ] ||
    fail "the C headers of $1 are missing: install python3-dev"
}

# The tested versions. ROS 2's compiled modules, cv_bridge for one, need the NumPy they were
# built with, and OpenCV has to fit that: there the installation decides, not we.
write_constraints() {
  if ros_is_sourced; then
    grep -vE '^(numpy|opencv-python-headless)\b' "$root/constraints.txt"
    "$1" -c 'import numpy; print("numpy<%d" % (int(numpy.__version__.split(".")[0]) + 1))'
  else
    cat "$root/constraints.txt"
  fi
}

# What an environment is made from: when this changes, it is made again.
fingerprint() {
  {
    echo "${ROS_DISTRO:-} $ros_sourced $1 $root"
    cat "$root"/setup.py "$root"/relloc_ros/vision/*.cpp "$root"/constraints.txt "$root"/scripts/environment.sh \
      "$root"/scripts/build_tf2_msgs.sh "$root"/scripts/tf2_msgs/*.* "$root"/scripts/tf2_msgs/msg/*
  } | sha256sum
}

# Whether an environment was made from the same, with these extras or more.
has_what_is_wanted() {
  local made made_from extra
  [ -f "$1" ] && read -r made made_from <"$1" && [ "$made_from" = "$3" ] || return 1
  for extra in ${2//,/ }; do
    case ,$made, in *,"$extra",*) ;; *) return 1 ;; esac
  done
}

# make_or_reuse VENV PYTHON EXTRAS: the stamp is written last, so that half an environment, left by
# an interruption, is never reused. COLCON_IGNORE comes first: it tells our folders from others.
make_or_reuse() {
  local venv=$1 python=$2 extras=$3 stamp=$1/.complete wanted
  wanted=$(fingerprint "$python")
  if [ -x "$venv/bin/python" ] && has_what_is_wanted "$stamp" "$extras" "$wanted"; then
    return
  fi
  "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
    fail "$python cannot make virtual environments: install python3-venv"
  case $extras in *ros*) require_ros_wheels "$python" ;; esac
  [ ! -e "$venv" ] || [ -e "$venv/COLCON_IGNORE" ] ||
    fail "$venv was not made by this script, which would replace it: move it away first"
  echo "Making the virtual environment $venv (a few minutes, once) ..."
  rm -rf "$venv"
  mkdir "$venv"
  touch "$venv/COLCON_IGNORE"
  fill_environment "$venv" "$python" "$extras"
  echo "$extras $wanted" >"$stamp"
}

fill_environment() {
  local venv=$1 python=$2 extras=$3 options=()
  if ros_is_sourced; then
    options=(--system-site-packages)
  fi
  "$python" -m venv "${options[@]}" "$venv"
  write_constraints "$python" >"$venv/constraints.txt"
  local log=$venv/pip.log
  "$venv/bin/python" -m pip install --constraint "$venv/constraints.txt" \
    --editable "$root[$extras]" >"$log" 2>&1 || {
    tail -n 12 "$log" >&2
    fail "installing the packages failed, the whole output is in $log"
  }
  case $extras in *ros*) bash "$root/scripts/build_tf2_msgs.sh" "$venv" ;; esac
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PIP_DISABLE_PIP_VERSION_CHECK=1
# Learned features are large, and the demo does without.
extras=dev,report,view${extras_of_tests:+,$extras_of_tests}
if ! ros_is_sourced; then
  extras=$extras,ros
  forget_ros
fi
python=$(choose_python)
[ -n "$python" ] || fail 'Python 3.10 to 3.14 is missing: install python3 and python3-venv'
make_or_reuse "$root/.venv" "$python" "$extras"
export PATH=$root/.venv/bin:$PATH
# Keep tests and demo away from the robots on this network, and from each other.
export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
# Raw images do not fit into the middleware's default buffers.
export FASTDDS_DEFAULT_PROFILES_FILE=$root/config/fastdds.xml
export ROS_DOMAIN_ID=$((RANDOM % 100 + 1))
case ${ROS_DISTRO:-} in
  humble | jazzy) export FASTRTPS_DEFAULT_PROFILES_FILE=$FASTDDS_DEFAULT_PROFILES_FILE ;;
esac
if [ "${ROS_DISTRO:-}" = humble ]; then
  export ROS_LOCALHOST_ONLY=1 # Humble knows no discovery range
fi
cd "$root"
