# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of networks on the images of maps: pairs, batches, the loop, and what a run keeps."""
