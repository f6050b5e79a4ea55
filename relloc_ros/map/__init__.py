# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Maps: posed images with local features and global descriptors, built, opened and checked."""
