# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What corrupted inputs are shown to, and how the answers are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
import tempfile
import time
import traceback
from types import SimpleNamespace
from typing import Any
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from relloc_ros.camera import Camera
from relloc_ros.errors import RellocError
from relloc_ros.evaluation.metrics import measure_error, normalized_error
from relloc_ros.geometry import RigidTransform
from relloc_ros.map.reference_map import ReferenceMap
from relloc_ros.map.sources import PosedImage, read_image
from relloc_ros.pipeline import Relocalizer
from relloc_ros.structures import Localization, PoseEstimate

__all__ = ['NS', 'Answer', 'Case', 'Kind', 'Outcome', 'Query', 'Stage', 'World', 'make_message']

NS = 1_000_000_000
SIGMAS = 5.0
DEFECT = 'this is a defect'
"""The node says so of exceptions that it did not expect."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """One corruption: its kind and the seed of all that is random about it."""

    kind: str
    seed: int

    def __str__(self) -> str:
        """Give what `--case` takes."""
        return f'{self.kind}:{self.seed}'


@dataclass(frozen=True)
class Answer:
    """What became of a corrupted input.

    Attributes:
        pose: None if there is none.
        truth: map_from_body of the uncorrupted input.
        reason: why there is no pose.
        shown: map_from_body that the corrupted input is a flawless account of, if it is one.
        name: which of several answers this is.
    """

    pose: PoseEstimate | None
    truth: RigidTransform
    reason: str = ''
    shown: RigidTransform | None = None
    name: str = ''


@dataclass(frozen=True)
class Outcome:
    """What is made of a case.

    Attributes:
        verdict: refused, right, other (what the input shows, and no check could tell), wrong,
            crash, hang or memory.
        detail: for people.
        seconds: it took.
        cpu_seconds: of processor time.
    """

    verdict: str
    detail: str = ''
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Stage:
    """Where cases are played; goes to the worker processes.

    Attributes:
        map_folder: of the map, triangulated and calibrated.
        queries: images with true poses that the map does not have.
        mapped: images of the same place, to mix in.
        memory: bytes that a case may add to what the process needs anyway.
    """

    map_folder: Path
    queries: tuple[PosedImage, ...]
    mapped: tuple[PosedImage, ...]
    memory: int = 2**30


@dataclass(frozen=True)
class Query:
    """An intact query."""

    name: str
    pixels: Image
    camera: Camera
    stamp_ns: int
    truth: RigidTransform


@dataclass(frozen=True)
class Kind:
    """A way to corrupt something.

    Attributes:
        play: makes a corrupted input and asks for the answers.
        share: of all cases, relative to the other kinds.
        prepare: what takes long the first time.
    """

    play: Callable[[World, np.random.Generator], Sequence[Answer]]
    share: float = 1.0
    prepare: Callable[[World], None] | None = None


class World:
    """A map opened in a worker process, and what its queries say when nothing is wrong."""

    def __init__(self, stage: Stage) -> None:
        """Open the map."""
        self.stage = stage
        self._resources = ExitStack()
        self.folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory()))
        self.map = self._resources.enter_context(ReferenceMap.open(stage.map_folder))
        self.relocalizer = Relocalizer(self.map)
        self._queries: dict[int, Query] = {}
        self._intact: dict[int, Localization] = {}
        self.kept: dict[str, Any] = {}
        """What kinds make once, by name."""

    def __enter__(self) -> World:
        """Return self."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the map."""
        self._resources.close()

    @property
    def num_queries(self) -> int:
        """Count the queries."""
        return len(self.stage.queries)

    def query(self, index: int) -> Query:
        """Read a query."""
        if index not in self._queries:
            image = self.stage.queries[index]
            truth = image.cam_from_map.inverse()
            pixels = read_image(image)
            self._queries[index] = Query(image.name, pixels, image.camera, image.stamp_ns, truth)
        return self._queries[index]

    def some_query(self, rng: np.random.Generator) -> Query:
        """Read one of the queries."""
        return self.query(int(rng.integers(self.num_queries)))

    def another_image(self, rng: np.random.Generator, query: Query) -> Image:
        """Read an image of the same place that is not the query, as large as the query."""
        images = [*self.stage.mapped, *self.stage.queries]
        others = [image for image in images if image.name != query.name]
        pixels = read_image(others[int(rng.integers(len(others)))])
        height, width = query.pixels.shape[:2]
        return np.asarray(cv2.resize(pixels, (width, height)), dtype=np.uint8)

    def intact(self, index: int) -> Localization:
        """Say what a query gives when nothing is wrong."""
        if index not in self._intact:
            query = self.query(index)
            message = make_message(query.pixels, query.stamp_ns)
            self._intact[index] = self.relocalizer.process_message(message, query.camera)
        return self._intact[index]

    def ask(
        self,
        query: Query,
        message: Any,
        camera: Camera | None = None,
        shown: RigidTransform | None = None,
    ) -> list[Answer]:
        """Localize a message that once was the query."""
        found = self.relocalizer.process_message(message, camera or query.camera, query.name)
        return [Answer(found.camera_pose, query.truth, found.reason, shown, query.name)]

    def play(self, case: Case, kind: Kind) -> Outcome:
        """Play a case and judge it."""
        rng = np.random.default_rng([zlib.crc32(case.kind.encode()), case.seed])
        start = time.perf_counter()
        try:
            outcome = _judge(kind.play(self, rng))
        except RellocError as error:
            outcome = Outcome('refused', str(error))
            if not str(error).strip():
                outcome = Outcome('crash', f'{type(error).__name__} without a message')
        except Exception:
            outcome = Outcome('crash', traceback.format_exc())
        return replace(outcome, seconds=time.perf_counter() - start)


def make_message(pixels: Image, stamp_ns: int, frame_id: str = 'camera') -> Any:
    """Make what looks like a sensor_msgs/Image."""
    height, width = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    sec, nanosec = divmod(stamp_ns, NS)
    stamp = SimpleNamespace(sec=sec, nanosec=nanosec)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id=frame_id),
        width=width,
        height=height,
        encoding='mono8' if channels == 1 else 'bgr8',
        is_bigendian=0,
        step=width * channels,
        data=pixels.tobytes(),
    )


def _judge(answers: Sequence[Answer]) -> Outcome:
    """Take the worst of the answers."""
    outcomes = [_judge_one(answer) for answer in answers]
    for verdict in ('crash', 'wrong', 'other', 'right'):
        for outcome in outcomes:
            if outcome.verdict == verdict:
                return outcome
    return outcomes[0] if outcomes else Outcome('refused', 'no answer')


def _judge_one(answer: Answer) -> Outcome:
    if answer.pose is None:
        return Outcome('crash' if DEFECT in answer.reason else 'refused', answer.reason)
    nees = normalized_error(answer.pose, answer.truth)
    distance, degrees = measure_error(answer.pose, answer.truth)
    detail = f'{answer.name}: {distance:.3f} and {degrees:.2f} deg off, NEES {nees:.1f}'
    if nees <= SIGMAS**2:
        return Outcome('right', detail)
    if answer.shown is not None and normalized_error(answer.pose, answer.shown) <= SIGMAS**2:
        return Outcome('other', detail)
    return Outcome('wrong', detail)
