# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A run as a rosbag2, to be looked at in RViz or Foxglove."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from relloc_ros.bags.messages import (
    compressed_image_message,
    path_message,
    pose_message,
    pose_with_covariance_message,
    status_message,
    transform_message,
)
from relloc_ros.bags.new_bag import NewBag, new_bag
from relloc_ros.errors import DataError
from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.structures import PoseEstimate

__all__ = [
    'DEBUG_IMAGE_TOPIC',
    'ESTIMATE_FRAME',
    'MAP_FRAME',
    'PATH_TOPIC',
    'POSE_TOPIC',
    'STATUS_TOPIC',
    'TRUTH_PATH_TOPIC',
    'TRUTH_TOPIC',
    'write_result_bag',
]

POSE_TOPIC = '/relloc/pose'
PATH_TOPIC = '/relloc/path'
STATUS_TOPIC = '/relloc/status'
DEBUG_IMAGE_TOPIC = '/relloc/debug_image/compressed'
TRUTH_TOPIC = '/ground_truth/pose'
TRUTH_PATH_TOPIC = '/ground_truth/path'
MAP_FRAME, ESTIMATE_FRAME = 'map', 'relloc_estimate'

MAX_STAMP_NS = 2**31 * 1_000_000_000
"""Messages have 32 bits for the seconds."""

DebugImage = Callable[[Outcome], bytes | None]
"""Gives a picture of a query as JPEG, or None."""


def write_result_bag(run: Run, output: Path, debug_image: DebugImage | None = None) -> None:
    """Write estimates with covariance, TF, true poses, the paths of both, and what went wrong.

    Args:
        run: what came out.
        output: folder to create; with the suffix `.mcap`, a bare file.
        debug_image: gives the picture of a query; None leaves the pictures out.

    Raises:
        DataError: output exists or cannot be written, or a stamp does not fit into a message.
    """
    for outcome in run.outcomes:
        if not 0 <= outcome.stamp_ns < MAX_STAMP_NS:
            raise DataError(
                f'query {outcome.name!r} has the stamp {outcome.stamp_ns} ns, which ROS cannot '
                'express: a bag needs stamps from 1970 to 2038'
            )
    with new_bag(output) as bag:
        recording = _Recording(bag, run, debug_image)
        recording.write_paths()
        for outcome in sorted(run.outcomes, key=lambda outcome: outcome.stamp_ns):
            recording.write(outcome)


class _Recording:
    def __init__(self, bag: NewBag, run: Run, debug_image: DebugImage | None) -> None:
        self._bag = bag
        self._run = run
        self._debug_image = debug_image
        self._pose = bag.add(POSE_TOPIC, 'geometry_msgs/msg/PoseWithCovarianceStamped')
        self._truth = bag.add(TRUTH_TOPIC, 'geometry_msgs/msg/PoseStamped')
        self._status = bag.add(STATUS_TOPIC, 'diagnostic_msgs/msg/DiagnosticArray')
        self._tf = bag.add('/tf', 'tf2_msgs/msg/TFMessage', 100)
        if debug_image is not None:
            self._image = bag.add(DEBUG_IMAGE_TOPIC, 'sensor_msgs/msg/CompressedImage')

    def write_paths(self) -> None:
        """Write each path as one message at the start, so that the whole of it is seen at once."""
        outcomes = sorted(self._run.outcomes, key=lambda outcome: outcome.stamp_ns)
        estimates = [
            (o.stamp_ns, o.estimate.map_from_body) for o in outcomes if o.estimate is not None
        ]
        truth = [(o.stamp_ns, o.truth) for o in outcomes if o.truth is not None]
        start_ns = outcomes[0].stamp_ns
        for topic, poses in ((PATH_TOPIC, estimates), (TRUTH_PATH_TOPIC, truth)):
            path = self._bag.add(topic, 'nav_msgs/msg/Path', 1, latched=True)
            self._bag.put(path, start_ns, path_message(poses, start_ns, MAP_FRAME))

    def write(self, outcome: Outcome) -> None:
        """Write all that is known of a query, at its stamp."""
        stamp_ns = outcome.stamp_ns
        if outcome.truth is not None:
            self._bag.put(self._truth, stamp_ns, pose_message(outcome.truth, stamp_ns, MAP_FRAME))
        if outcome.estimate is not None:
            pose = outcome.estimate.map_from_body
            # ROS says zeros where a covariance is not known.
            estimate = PoseEstimate(pose, np.nan_to_num(outcome.estimate.covariance))
            message = pose_with_covariance_message(estimate, stamp_ns, MAP_FRAME)
            self._bag.put(self._pose, stamp_ns, message)
            transform = transform_message(MAP_FRAME, ESTIMATE_FRAME, stamp_ns, pose)
            self._bag.put(self._tf, stamp_ns, transform)
        self._bag.put(self._status, stamp_ns, self._status_message(outcome))
        jpeg = None if self._debug_image is None else self._debug_image(outcome)
        if jpeg is not None:
            image = compressed_image_message(jpeg, 'jpeg', stamp_ns, ESTIMATE_FRAME)
            self._bag.put(self._image, stamp_ns, image)

    def _status_message(self, outcome: Outcome) -> object:
        """Make a status as the node does, with the errors it cannot know."""
        values = {
            'name': outcome.name,
            'status': str(outcome.status),
            'reason': outcome.reason,
            'inliers': str(outcome.num_inliers),
            'confidence': '' if outcome.confidence is None else f'{outcome.confidence:.3f}',
            'ms': f'{outcome.timings_ms.get("total", 0.0):.1f}',
            'map_id': self._run.map_id,
        }
        if outcome.error is not None:
            position, rotation = outcome.error
            values['position_error'] = f'{position:.6g} {self._run.units}'
            values['rotation_error'] = f'{rotation:.6g} deg'
        if outcome.nees is not None:
            values['nees'] = f'{outcome.nees:.6g}'
        if outcome.failure:
            values['failure'] = f'{outcome.failure}: {outcome.failure_detail}'
        text = outcome.reason or str(outcome.status)
        return status_message(
            'relloc: query', text, values, outcome.stamp_ns, ok=outcome.localized
        )
