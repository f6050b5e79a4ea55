# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which poses of a sequence to trust: consensus before the first, a gate for each further one.

It compares poses of different times by what odometry says of the way between them. What is judged
is what the image gave; a `PoseGraph` may then make a better pose of those that were accepted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from relloc_ros.config import TrackingConfig
from relloc_ros.errors import ConfigError
from relloc_ros.geometry import RigidTransform
from relloc_ros.innovation import Distance, mahalanobis_squared, moved_pose, position_std
from relloc_ros.odometer import Drift, Odometer
from relloc_ros.pose_graph import PoseGraph
from relloc_ros.structures import PoseEstimate, SearchArea
from relloc_ros.verdict import Observation, TrackingEvent, TrackingState, Verdict

__all__ = ['Observation', 'Tracker', 'TrackingEvent', 'TrackingState', 'Verdict']

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class _Fix:
    """A pose with the odometry of its time, and the way travelled until then."""

    pose: PoseEstimate
    odom_from_base: RigidTransform
    travelled: Drift


@dataclass(frozen=True, slots=True, eq=False)
class _Prior:
    """Where somebody says the robot is."""

    pose: PoseEstimate
    odom_from_base: RigidTransform | None
    since_ns: int


class Tracker:
    """Judges the poses of a sequence one after the other.

    Poses without odometry cannot be compared: for a robot that has none, every pose that passed
    the gate of its own image is accepted.

    Attributes:
        state: as of the last observation or tick.
        last_fix: the last observation whose pose was accepted; None before.
    """

    def __init__(self, config: TrackingConfig) -> None:
        """Start searching.

        Raises:
            ConfigError: more poses have to agree than images are looked at.
            MissingDependencyError: what `fusion` needs is not installed.
        """
        if config.consensus_count > config.consensus_window:
            raise ConfigError(
                f'consensus_count {config.consensus_count} is larger than consensus_window '
                f'{config.consensus_window}: no pose would ever be trusted'
            )
        self.config = config
        self._graph = PoseGraph(config) if config.fusion == 'pgo' else None
        self.reset()

    def reset(self) -> None:
        """Forget everything and search; poses and odometry may be of another time."""
        self.state = TrackingState.SEARCHING
        self.last_fix: Observation | None = None
        self._track: _Fix | None = None
        self._prior: _Prior | None = None
        self._had_fix = False
        self._odometer = Odometer(self.config.lost_timeout)
        self._last_stamp_ns: int | None = None
        self._refused_ns: list[int] = []
        self._candidates: deque[_Fix | None] = deque(maxlen=self.config.consensus_window)
        self._note = ''

    def search(self) -> None:
        """Give the track up and search anew; after a fix, the next is RELOCALIZED."""
        had_fix = self._had_fix
        self.reset()
        self._had_fix = had_fix

    def set_prior(
        self, pose: PoseEstimate, stamp_ns: int, odom_from_base: RigidTransform | None
    ) -> None:
        """Start searching where somebody says the robot is.

        The track is given up. Poses that contradict the prior are not trusted, until one that
        does not is accepted, or `prior_timeout` is over.

        Args:
            pose: map_from_base with covariance.
            stamp_ns: when the robot is there.
            odom_from_base: odometry at that time, None if not known.
        """
        self.search()
        self._prior = _Prior(pose, odom_from_base, stamp_ns)

    @property
    def has_prior(self) -> bool:
        """Whether the search is restricted."""
        return self._prior is not None

    def search_area(self, odom_from_base: RigidTransform | None) -> SearchArea | None:
        """Say where the robot may be, None for anywhere.

        Args:
            odom_from_base: odometry when the image was taken, None if not known.
        """
        if self._prior is None:
            return None
        pose = self._expected(self._prior, odom_from_base)
        return SearchArea(pose.map_from_body.translation, 3.0 * position_std(pose))

    def tick(self, now_ns: int) -> TrackingState:
        """Let time pass on the clock of the stamps: a track that nothing confirms gets old."""
        if self.last_fix is None or self.state in (TrackingState.SEARCHING, TrackingState.LOST):
            return self.state
        age_s = (now_ns - self.last_fix.stamp_ns) / NS_PER_S
        if age_s > self.config.lost_timeout:
            self._lose()
        elif age_s > self.config.suspect_timeout:
            self.state = TrackingState.SUSPECT
        return self.state

    def update(self, observation: Observation) -> Verdict:
        """Judge an observation. Observations come in the order of their stamps or are refused."""
        self._note = ''
        pose, odom_from_base = observation.pose, observation.odom_from_base
        if disorder := self._disorder(observation):
            return self._reject(disorder)
        self.tick(observation.stamp_ns)
        self._follow_odometry(observation)
        if pose is None:
            self._candidates.append(None)
            return self._reject(observation.reason)
        self._last_stamp_ns = observation.stamp_ns
        contradiction = self._contradicts_prior(observation, pose)
        if contradiction:
            self._candidates.append(None)
            return self._reject(contradiction)
        if odom_from_base is None:
            return self._judge_alone(observation)
        fix = _Fix(pose, odom_from_base, self._odometer.travelled)
        if self._track is None:
            return self._seek(observation, fix)
        return self._gate(observation, fix, self._track)

    def _disorder(self, observation: Observation) -> str:
        """Say that an image is older than the last pose; many in order mean that time is."""
        stamp_ns = observation.stamp_ns
        if self._last_stamp_ns is None or stamp_ns > self._last_stamp_ns:
            self._refused_ns.clear()
            return ''
        if self._refused_ns and stamp_ns <= self._refused_ns[-1]:
            self._refused_ns.clear()
        self._refused_ns.append(stamp_ns)
        age_s = (self._last_stamp_ns - stamp_ns) / NS_PER_S
        many = len(self._refused_ns) > self.config.consensus_window
        is_far = age_s > self.config.lost_timeout and observation.odom_from_base is not None
        if many or is_far:
            self.reset()
            self._note = 'the stamps of the images have jumped back; '
            return ''
        return f'out of order: {age_s:.3f} s older than the last pose'

    def _judge_alone(self, observation: Observation) -> Verdict:
        """Judge a pose that cannot be compared with any other."""
        if self._odometer.works:
            return self._reject('no odometry at its time: it cannot be compared with the track')
        if self._graph is not None:
            return self._reject('no odometry at its time, which fusion: pgo needs')
        return self._accept(observation, None, self._beginning())

    def _gate(self, observation: Observation, fix: _Fix, track: _Fix) -> Verdict:
        """Judge a pose by the track."""
        distance = self._distance(track, fix)
        if distance.squared <= self.config.mahalanobis_threshold:
            return self._accept(observation, fix, None, distance)
        self.state = TrackingState.SUSPECT
        self._candidates.append(fix)
        where = f'{distance} from where it was expected'
        if self._agreeing(fix) >= self.config.consensus_count:
            reason = f'kidnapped, or localized wrongly before: the robot is {where}'
            return self._accept(observation, fix, TrackingEvent.KIDNAPPED, distance, reason)
        return self._reject(f'contradicts the track: {where}', distance)

    def _seek(self, observation: Observation, fix: _Fix) -> Verdict:
        """Judge a pose by other poses."""
        self.state = TrackingState.SEARCHING
        self._candidates.append(fix)
        count = self._agreeing(fix)
        if count >= self.config.consensus_count:
            return self._accept(observation, fix, self._beginning())
        return self._reject(f'{count} of {self.config.consensus_count} poses that have to agree')

    def _agreeing(self, fix: _Fix) -> int:
        """Count the candidates, the newest first, that agree with the last and one another."""
        threshold = self.config.mahalanobis_threshold
        group = [fix]
        for candidate in reversed(self._candidates):
            if candidate is None or candidate is fix:
                continue
            if all(self._distance(candidate, one).squared <= threshold for one in group):
                group.append(candidate)
        return len(group)

    def _distance(self, before: _Fix, now: _Fix) -> Distance:
        motion = before.odom_from_base.inverse() @ now.odom_from_base
        drift = now.travelled - before.travelled
        predicted = moved_pose(before.pose, motion, drift, self.config)
        return mahalanobis_squared(predicted, now.pose, self.config)

    def _follow_odometry(self, observation: Observation) -> None:
        """Add up the way, and see whether the track is still good for anything."""
        break_off = self._odometer.follow(observation.stamp_ns, observation.odom_from_base)
        if break_off is not None:
            self._candidates.clear()
            if self._track is not None:
                self._lose()
            if break_off:
                self._note = f'{break_off}; '
        elif self._track is not None and self._is_far(self._track):
            self._lose()

    def _is_far(self, track: _Fix) -> bool:
        """Tell whether odometry alone leaves the robot too unsure."""
        length = self._odometer.travelled.length - track.travelled.length
        return self.config.odometry_translation_noise * length > self.config.lost_position_std

    def _contradicts_prior(self, observation: Observation, pose: PoseEstimate) -> str:
        prior = self._prior
        if prior is None:
            return ''
        # Of another clock than the images it would never be over.
        if abs(observation.stamp_ns - prior.since_ns) > self.config.prior_timeout * NS_PER_S:
            self._prior = None
            self._note = 'nothing confirmed the initial pose: searching everywhere; '
            return ''
        expected = self._expected(prior, observation.odom_from_base)
        distance = mahalanobis_squared(expected, pose, self.config)
        if distance.squared <= self.config.mahalanobis_threshold:
            return ''
        return f'contradicts the initial pose: {distance} from it'

    def _expected(self, prior: _Prior, odom_from_base: RigidTransform | None) -> PoseEstimate:
        """Move a prior along with the robot."""
        if prior.odom_from_base is None or odom_from_base is None:
            return prior.pose
        motion = prior.odom_from_base.inverse() @ odom_from_base
        return moved_pose(prior.pose, motion, Drift.of(motion), self.config)

    def _beginning(self) -> TrackingEvent | None:
        if self.state is TrackingState.LOCALIZED or self.state is TrackingState.SUSPECT:
            return None
        return TrackingEvent.RELOCALIZED if self._had_fix else TrackingEvent.LOCALIZED

    def _accept(
        self,
        observation: Observation,
        fix: _Fix | None,
        event: TrackingEvent | None,
        distance: Distance | None = None,
        reason: str = '',
    ) -> Verdict:
        self.state, self._had_fix = TrackingState.LOCALIZED, True
        self.last_fix, self._track, self._prior = observation, fix, None
        self._candidates.clear()
        innovation = None if distance is None else distance.squared
        fused = None if fix is None else self._fuse(fix, event)
        return Verdict(self.state, True, reason, event, innovation, fused)

    def _fuse(self, fix: _Fix, event: TrackingEvent | None) -> PoseEstimate | None:
        """Say where the robot is by this and the poses before, which an event puts an end to."""
        if self._graph is None:
            return None
        if event is not None:
            self._graph.clear()
        return self._graph.add(fix.pose, fix.odom_from_base, fix.travelled)

    def _reject(self, reason: str, distance: Distance | None = None) -> Verdict:
        innovation = None if distance is None else distance.squared
        return Verdict(self.state, False, self._note + reason, None, innovation)

    def _lose(self) -> None:
        """Give the track up."""
        if self._had_fix:
            self.state = TrackingState.LOST
        self._track = None
        self._candidates.clear()
