#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
#
# From nothing to a robot that knows where it is: builds a map from the bundled sample, runs the
# real node on a bag of other images, and prints and draws its errors against motion capture.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
exec python scripts/demo.py
