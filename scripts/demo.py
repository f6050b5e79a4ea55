# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The demo: the real node in its own process, a bag played into it, its answers judged.

Every figure printed about the node comes from messages received from its process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from matplotlib import pyplot as plt
from matplotlib.patches import Ellipse
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from relloc_ros.bags.reader import BagReader
from relloc_ros.frames import stamp_to_ns, transform_from_pose
from relloc_ros.geometry import RigidTransform, pose_error
from relloc_ros.map.reference_map import ReferenceMap

SAMPLE = Path('examples/fr3_office')
OUTPUT = Path('demo_output')
IMAGE_TOPIC = '/camera/image_raw'
CAMERA_INFO_TOPIC = '/camera/camera_info'
RATE = '2'
NODE_START_S = 60.0
LAST_ANSWER_S = 10.0
MIN_AVAILABILITY = 0.8
CONSENSUS_COUNT = 1
AGREEMENT_LIMIT = 1e-6
CHI2_2D_95 = 5.991
ENLARGEMENT = 10


@dataclass
class Answers:
    """What the node's process said, by image stamp."""

    poses: dict[int, RigidTransform] = field(default_factory=dict)
    covariances: dict[int, np.ndarray] = field(default_factory=dict)
    statuses: dict[int, dict[str, str]] = field(default_factory=dict)
    transforms: list[str] = field(default_factory=list)


class Collector(Node):
    """Listens to the localization node."""

    def __init__(self) -> None:
        super().__init__('demo_collector')
        self.answers = Answers()
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(
            PoseWithCovarianceStamped, '/localization_node/pose', self._on_pose, latched
        )
        self.create_subscription(
            DiagnosticArray, '/localization_node/status', self._on_status, 100
        )
        self.create_subscription(TFMessage, '/tf', self._on_tf, 1000)

    def _on_pose(self, message: PoseWithCovarianceStamped) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self.answers.poses[stamp_ns] = transform_from_pose(message.pose.pose)
        self.answers.covariances[stamp_ns] = np.reshape(message.pose.covariance, (6, 6))

    def _on_status(self, message: DiagnosticArray) -> None:
        values = {item.key: item.value for item in message.status[0].values}
        self.answers.statuses[stamp_to_ns(message.header.stamp)] = values

    def _on_tf(self, message: TFMessage) -> None:
        for transform in message.transforms:
            if transform.header.frame_id == 'map':
                self.answers.transforms.append(transform.child_frame_id)


def run_relloc(*arguments: str | Path) -> None:
    """Run a command of this package, showing it first."""
    command = ['relloc', *map(str, arguments)]
    print('\n$', *command, flush=True)
    subprocess.run(command, check=True)


@contextmanager
def running_node(map_path: Path, log_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the node in a process of its own; end it with SIGINT, as Ctrl-C would."""
    command = [
        sys.executable, '-m', 'relloc_ros.ros.localization_node', '--ros-args',
        '--params-file', 'config/relloc.yaml',
        '-p', f'map_path:={map_path}', '-p', 'autostart:=true', '-p', 'use_sim_time:=true',
        # A robot sends images all the time; of these five each one counts.
        '-p', f'consensus_count:={CONSENSUS_COUNT}',
        # Best effort, right for a live camera, may lose messages.
        '-p', f'qos_overrides.{IMAGE_TOPIC}.subscription.reliability:=reliable',
        '-p', f'qos_overrides.{CAMERA_INFO_TOPIC}.subscription.reliability:=reliable',
        '-r', f'image:={IMAGE_TOPIC}', '-r', f'camera_info:={CAMERA_INFO_TOPIC}',
    ]  # fmt: skip
    print('\n$', *command, flush=True)
    with log_path.open('w') as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield process
            process.send_signal(signal.SIGINT)
            code = process.wait(timeout=20)
            if code != 0:
                raise RuntimeError(f'the node ended with exit code {code}, see {log_path}')
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def collect(bag: Path, map_path: Path, log_path: Path, num_images: int) -> Answers:
    """Play the bag into the node and gather its answers."""
    rclpy.init()
    collector = Collector()
    executor = SingleThreadedExecutor()
    executor.add_node(collector)
    try:
        with running_node(map_path, log_path) as process:
            deadline = time.monotonic() + NODE_START_S
            while not collector.count_subscribers(IMAGE_TOPIC):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f'the node did not start, see {log_path}')
                executor.spin_once(timeout_sec=0.1)
            command = ['relloc', 'replay', str(bag), '--clock', '--rate', RATE, '--wait', '30']
            print('\n$', *command, flush=True)
            player = subprocess.Popen(command)
            answers = collector.answers
            deadline = None
            while len(answers.statuses) < num_images:
                executor.spin_once(timeout_sec=0.1)
                if player.poll() is not None:
                    deadline = deadline or time.monotonic() + LAST_ANSWER_S
                    if time.monotonic() > deadline:
                        break
            player.wait()
            # The last pose and transform may still be under way.
            for _ in range(20):
                executor.spin_once(timeout_sec=0.05)
            return answers
    finally:
        executor.shutdown()
        collector.destroy_node()
        rclpy.try_shutdown()


def print_answers(answers: Answers, truth: dict[int, RigidTransform]) -> np.ndarray:
    """Print a line for each image; return (N, 2) errors, infinite where there is no pose."""
    print('\nWhat the node said about each image, against motion capture (base_link in map):\n')
    print(f'{"image stamp":>22} {"status":>16} {"error":>9} {"":>8} {"inliers":>8} {"latency":>9}')
    errors = []
    for stamp_ns, true_pose in truth.items():
        status = answers.statuses.get(stamp_ns, {})
        error = (np.inf, np.inf)
        if stamp_ns in answers.poses:
            error = pose_error(answers.poses[stamp_ns], true_pose)
        errors.append((error[0], np.rad2deg(error[1])))
        print(
            f'{stamp_ns / 1e9:22.6f} {status.get("status", "no answer"):>16} '
            f'{1e3 * error[0]:6.1f} mm {errors[-1][1]:7.3f}° {status.get("inliers", "-"):>8} '
            f'{float(status.get("ms", "nan")):6.0f} ms'
        )
    return np.array(errors)


def print_summary(answers: Answers, errors: np.ndarray) -> float:
    """Print medians over all images; return the share of images with a pose."""
    availability = float(np.isfinite(errors[:, 0]).mean())
    latencies = [float(status['ms']) for status in answers.statuses.values()]
    median = np.median(errors, axis=0)
    print(
        f'\nmedian error {1e3 * median[0]:.1f} mm, {median[1]:.3f}°; median latency '
        f'{np.median(latencies) if latencies else np.nan:.0f} ms; '
        f'{availability:.0%} of {len(errors)} images localized'
    )
    print(f'transforms received: {len(answers.transforms)} of map -> {set(answers.transforms)}')
    return availability


def draw(
    path: Path, reference_map: ReferenceMap, answers: Answers, truth: dict[int, RigidTransform]
) -> None:
    """Draw everything from above."""
    plt.switch_backend('Agg')
    figure, axes = plt.subplots(figsize=(8, 8), dpi=110)
    centres = reference_map.centres[:, :2]
    axes.scatter(*centres.T, marker='^', color='0.6', label='map cameras')
    for index, centre in enumerate(centres):
        forward = reference_map.cam_from_map(index).rotation[2]
        _line(axes, centre, centre + 0.15 * forward[:2], color='0.8')
    true_xy = np.array([pose.translation[:2] for pose in truth.values()])
    style = {'s': 70, 'facecolors': 'none', 'edgecolors': 'tab:green'}
    axes.scatter(*true_xy.T, **style, label='true base_link (motion capture)')
    label: str | None = 'estimate'
    for stamp_ns, pose in answers.poses.items():
        xy, true_pose = pose.translation[:2], truth[stamp_ns]
        axes.plot(*xy, '+', color='tab:red', ms=10, label=label)
        end = true_pose.translation[:2] + ENLARGEMENT * (xy - true_pose.translation[:2])
        _line(axes, true_pose.translation[:2], end, color='tab:red', label=label and 'error')
        ellipse = _ellipse(xy, answers.covariances[stamp_ns][:2, :2])
        ellipse.set_label(label and '95 % of the covariance')
        axes.add_patch(ellipse)
        text = f'{1e3 * pose_error(pose, true_pose)[0]:.0f} mm'
        axes.annotate(text, xy, xytext=(9, 7), textcoords='offset points', fontsize=9)
        label = None
    title = f'fr3_office from above; errors and covariances {ENLARGEMENT} times enlarged'
    axes.set(xlabel='x in map [m]', ylabel='y in map [m]', aspect='equal', title=title)
    axes.grid(alpha=0.3)
    axes.legend(loc='best')
    figure.tight_layout()
    figure.savefig(path)


def _line(axes: plt.Axes, start: np.ndarray, end: np.ndarray, **style: str | None) -> None:
    axes.plot([start[0], end[0]], [start[1], end[1]], **style)


def _ellipse(xy: np.ndarray, covariance: np.ndarray) -> Ellipse:
    values, vectors = np.linalg.eigh(covariance)
    width, height = 2 * ENLARGEMENT * np.sqrt(CHI2_2D_95 * values)
    angle = float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
    return Ellipse(tuple(xy), width, height, angle=angle, fill=False, color='tab:blue')


def largest_difference(answers: Answers, tum_file: Path) -> float:
    """Largest difference of position or quaternion between node and offline evaluation."""
    offline = {
        round(float(row[0]) * 1e6): np.array(row[1:], dtype=float)
        for row in (line.split() for line in tum_file.read_text().splitlines())
        if row and not row[0].startswith('#')
    }
    online = {round(stamp_ns / 1e3): pose for stamp_ns, pose in answers.poses.items()}
    if set(offline) != set(online):
        return np.inf
    return max(
        float(np.abs(np.r_[pose.translation, pose.quat_xyzw] - offline[stamp]).max())
        for stamp, pose in online.items()
    )


def main() -> int:
    """Run the demo; the exit code says whether it went as it should."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir()
    map_path, bag = OUTPUT / 'map', OUTPUT / 'queries_bag'
    run_relloc('map', 'build', SAMPLE, '--list', SAMPLE / 'map.txt', '--output', map_path)
    run_relloc('bag', 'write', SAMPLE, '--list', SAMPLE / 'query.txt', '--output', bag)
    with BagReader(bag) as reader:
        truth = {frame.stamp_ns: frame.truth for frame in reader}

    answers = collect(bag, map_path, OUTPUT / 'node.log', len(truth))
    availability = print_summary(answers, print_answers(answers, truth))
    picture = OUTPUT / 'topdown.png'
    draw(picture, ReferenceMap.open(map_path), answers, truth)

    run_relloc(
        'evaluate', bag, '--map', map_path, '--output', OUTPUT / 'offline',
        '--set', f'consensus_count={CONSENSUS_COUNT}',
    )  # fmt: skip
    difference = largest_difference(answers, OUTPUT / 'offline' / 'poses.tum')
    agree = difference <= AGREEMENT_LIMIT
    print(
        f'\nnode and offline evaluation {"agree" if agree else "DISAGREE"}: '
        f'largest difference {difference:.1e}'
    )
    print(f'picture: {picture}\n\nWhat to type next:')
    image = SAMPLE / 'images' / f'{(SAMPLE / "query.txt").read_text().splitlines()[0]}'
    print(f'  .venv/bin/relloc localize {image} --map {map_path}')
    print('  .venv/bin/relloc map build MY_COLMAP_MODEL --images MY_IMAGES --output my_map')
    return 0 if agree and availability >= MIN_AVAILABILITY else 1


if __name__ == '__main__':
    try:
        sys.exit(main())
    except (RuntimeError, subprocess.SubprocessError) as error:
        sys.exit(f'error: {error}')
