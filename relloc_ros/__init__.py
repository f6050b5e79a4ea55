# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Visual relocalization for robots: a camera image in, a trustworthy pose in the map out."""

import logging

__version__ = '0.1.0'

logging.getLogger(__name__).addHandler(logging.NullHandler())
