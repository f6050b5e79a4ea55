# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features, matching and pose solvers: arrays in, arrays out, no maps and no files."""
