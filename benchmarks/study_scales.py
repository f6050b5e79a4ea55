# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How large the study of essential matrices is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ['SCALES', 'Scale']


@dataclass(frozen=True)
class Scale:
    """Sizes of a study.

    Attributes:
        what: in words.
        size: of the images, pixels.
        map_images: of a scene.
        queries: of a scene; of real sets at most so many.
        scenes: of each kind the number trained on and tested, unseen, and unrelated ones.
        network: settings of all networks.
        training: settings of all trainings.
        epochs: of a training, at most.
        network_side: shorter side of the images that are matched by networks, pixels.
        regressed_angle_deg: within which directions of regressed pairs agree. The paper has 5,
            by a search for its networks; small ones hardly ever agree within that.
    """

    what: str
    size: str
    map_images: int
    queries: int
    scenes: Mapping[str, tuple[int, int, int]]
    network: Mapping[str, str | int]
    training: Mapping[str, str | int | float]
    epochs: int
    network_side: int
    regressed_angle_deg: int

    @property
    def stride(self) -> int:
        """Pixels of a side of what a feature stands for."""
        return 2 ** (int(self.network['last_stage']) + 1)


SCALES: Mapping[str, Scale] = {
    'tiny': Scale(
        what='a test of the study itself, whose figures mean nothing',
        size='160x120',
        map_images=24,
        queries=4,
        scenes={'room': (1, 1, 1)},
        network={'backbone': 'resnet18', 'last_stage': 2, 'shorter_side': 72, 'crop': 64},
        training={'batch_size': 8, 'pairs_per_image': 4, 'reading_threads': 1},
        epochs=2,
        network_side=96,
        regressed_angle_deg=45,
    ),
    'cpu': Scale(
        what='for one or two hours on two cores',
        size='320x240',
        map_images=150,
        queries=20,
        scenes={'room': (2, 1, 1), 'facade': (2, 1, 1)},
        network={'backbone': 'resnet18', 'last_stage': 2, 'shorter_side': 72, 'crop': 64},
        training={
            'pairs_per_image': 10,
            'learning_rate': 0.0005,
            'reading_threads': 2,
            'checkpoint_steps': 100,
        },
        epochs=12,
        network_side=160,
        regressed_angle_deg=45,
    ),
    'gpu': Scale(
        what='the networks, image sizes and training of the paper, on made scenes; wants a GPU',
        size='640x480',
        map_images=300,
        queries=25,
        scenes={'room': (2, 1, 1), 'facade': (2, 1, 1)},
        network={'backbone': 'resnet34', 'last_stage': 4, 'shorter_side': 480, 'crop': 448},
        training={'precision': 'bfloat16', 'reading_threads': 12},
        epochs=200,
        network_side=480,
        regressed_angle_deg=5,
    ),
}
