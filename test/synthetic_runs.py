# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs made up for the tests of what is done with runs."""

import numpy as np

from relloc_ros.evaluation.outcomes import Outcome, Run
from relloc_ros.geometry import RigidTransform
from relloc_ros.structures import PoseEstimate, Status

COVARIANCE = np.diag([1e-2, 4e-2, 9e-2, 1e-4, 1e-4, 1e-4])
S = 1_000_000_000


def shift(x, y=0.0, z=0.0):
    return RigidTransform(np.eye(3), np.array([x, y, z]))


def make_outcome(name, stamp_ns, pose, truth, *, covariance=COVARIANCE, **fields):
    """Localized at `pose`, or not at all if that is None."""
    estimate = None if pose is None else PoseEstimate(pose, covariance)
    status = Status.LOCALIZED if estimate else Status.TOO_FEW_MATCHES
    values = {'status': status, 'reason': '' if estimate else 'only 3 matches', **fields}
    return Outcome(name=name, stamp_ns=stamp_ns, estimate=estimate, truth=truth, **values)


def make_run(outcomes, **fields):
    values = {
        'left_out': (),
        'body': 'camera',
        'localizer': 'essential',
        'settings': {},
        'map_path': '',
        'map_id': '0123456789ab',
        'units': 'm',
        'version': '0.0.0',
        'sequence': False,
        **fields,
    }
    return Run(outcomes=tuple(outcomes), **values)
