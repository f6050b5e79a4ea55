# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 side: the node, its parameters, TF and diagnostics, and replaying bags."""
