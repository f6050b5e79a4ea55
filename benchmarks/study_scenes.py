# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes of the study of essential matrices, and the columns of its tables.

Two kinds of made scenes stand for the data sets of Zhou et al.: rooms for 7 Scenes, facades for
Cambridge Landmarks. Networks are trained on the maps of a lot of scenes and tested on further
images of the same scenes, on unseen scenes, and on those of the other kind. The lot `unrelated`
is trained on and never tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from study_scales import Scale

__all__ = ['REAL', 'UNRELATED', 'Column', 'Scene', 'columns_of', 'made_scenes', 'real_scenes']

REAL, UNRELATED = 'real', 'unrelated'
INDOOR_SETS = ('redkitchen',)
SEED_OF_KIND = {'room': 0, 'facade': 50}


@dataclass(frozen=True)
class Scene:
    """A made scene or a real set.

    Attributes:
        name: of its folders.
        kind: `room`, `facade` or `real`.
        lot: what trains on it: `rooms`, `facades`, `unrelated`, `real`; '' for unseen scenes.
        shorter_side: of its images, pixels.
        seed: that makes it; -1 for real ones.
    """

    name: str
    kind: str
    lot: str
    shorter_side: int
    seed: int = -1

    @property
    def is_indoors(self) -> bool:
        """Whether the paper's thresholds for rooms hold."""
        return self.kind == 'room' or self.name in INDOOR_SETS


@dataclass(frozen=True)
class Column:
    """Scenes whose medians are averaged.

    Attributes:
        name: of the kind, of the scene, or of a published data set.
        scenes: names.
        own: lot that was trained on these very scenes; '' if none was.
    """

    name: str
    scenes: tuple[str, ...]
    own: str


def made_scenes(scale: Scale) -> Iterator[Scene]:
    """Give the scenes that are rendered; no two have the same seed."""
    side = min(map(int, scale.size.split('x')))
    for kind, counts in scale.scenes.items():
        lots = ((kind, f'{kind}s', 1), (f'unseen_{kind}', '', 101))
        lots = (*lots, (f'{UNRELATED}_{kind}', UNRELATED, 201))
        for (name, lot, first), count in zip(lots, counts, strict=True):
            for number in range(count):
                seed = first + SEED_OF_KIND[kind] + number
                yield Scene(f'{name}_{number + 1}', kind, lot, side, seed)


def real_scenes(sides: Mapping[str, int]) -> Iterator[Scene]:
    """Give real sets by name and shorter side of their images."""
    for name, side in sides.items():
        yield Scene(name, REAL, REAL, side)


def columns_of(scenes: Sequence[Scene]) -> tuple[Column, ...]:
    """Put together what is tested: scenes trained on and unseen ones of a kind; each real set."""
    found: dict[str, Column] = {}
    for scene in scenes:
        if scene.lot == UNRELATED:
            continue
        name = scene.name if scene.kind == REAL else scene.lot or f'unseen {scene.kind}s'
        known = found.get(name, Column(name, (), scene.lot))
        found[name] = Column(name, (*known.scenes, scene.name), scene.lot)
    return tuple(found.values())
