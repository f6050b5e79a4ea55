# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measure on a map's own images how large errors are, and what covariances should say."""

DEFAULT_SAMPLES = 240
"""Images that are held out. Here, so that the command's help need not load what calibrates."""
