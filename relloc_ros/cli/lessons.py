# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A network and what it learns from, whatever that is: what `relloc train` puts together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relloc_ros.cli.console import progress_bar
from relloc_ros.cli.source_options import read_posed
from relloc_ros.cli.train_options import ABSOLUTE
from relloc_ros.cli.training_run import Choices, source_of
from relloc_ros.errors import ConfigError

if TYPE_CHECKING:
    from relloc_ros.config import TrainingConfig
    from relloc_ros.map.sources import PosedImage
    from relloc_ros.networks import Network
    from relloc_ros.networks.network_config import AbsolutePoseConfig, NetworkConfig
    from relloc_ros.networks.training.data import TrainingData
    from relloc_ros.networks.training.examples import Examples, Objective
    from relloc_ros.networks.training.pose_data import PoseData

__all__ = ['Lesson', 'read_lesson']

WHICH_POSES = {'pose_topic', 'map_frame', 'pose_frame'}
"""Options of bags that say which of their poses are meant."""
ODOM_FRAME = 'odom'


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A network and what it learns from.

    Attributes:
        objective: the network and its loss.
        training: examples to learn from.
        validation: examples that are held out.
        unit: what an example is.
        num_images: for training and for validation.
        pair_names: of each map the names of map image and query of its pairs, for a network that
            learns from pairs.
        about: what its file remembers; `data` is a hash of all the examples.
        poses: what a network for absolute poses learns from; None for other networks.
    """

    objective: Objective
    training: Examples
    validation: Examples
    unit: str
    num_images: tuple[int, int]
    pair_names: list[list[tuple[str, str]]]
    about: Mapping[str, Any]
    poses: PoseData | None = None

    @property
    def network(self) -> Network:
        """What is trained."""
        return self.objective.network


def read_lesson(
    choices: Choices, training: TrainingConfig, network_config: NetworkConfig
) -> Lesson:
    """Make the network, find the images, and make examples of them.

    Raises:
        ConfigError: settings that contradict each other.
        DataError: an image or weights are missing, or there is nothing to learn from.
        MapError: a map is missing or damaged.
    """
    from relloc_ros.networks.network_config import AbsolutePoseConfig

    if isinstance(network_config, AbsolutePoseConfig):
        return _pose_lesson(choices, training, network_config)
    return _pair_lesson(choices, training, network_config)


def _pair_lesson(
    choices: Choices, training: TrainingConfig, network_config: NetworkConfig
) -> Lesson:
    from relloc_ros.networks import make_network
    from relloc_ros.networks.training.examples import PairObjective

    network = make_network(
        choices.network,
        network_config,
        seed=training.random_seed,
        backbone_weights=choices.backbone,
    )
    data = _read_pairs(choices, training)
    return Lesson(
        PairObjective(network),
        *data.examples(network_config),
        'pairs',
        (data.num_images(validation=False), data.num_images(validation=True)),
        data.pair_names(),
        {'data': data.digest()},
    )


def _read_pairs(choices: Choices, config: TrainingConfig) -> TrainingData:
    from relloc_ros.map.reference_map import ReferenceMap
    from relloc_ros.networks.training.data import TrainingData
    from relloc_ros.networks.training.images import images_of_map
    from relloc_ros.networks.training.pairs import choose_pairs, read_pairs

    images, pairs = [], []
    sources = choices.sources or tuple(source_of(path) for path in choices.maps)
    for number, (path, source) in enumerate(zip(choices.maps, sources, strict=True)):
        with ReferenceMap.open(path) as reference_map:
            posed = read_posed(source, **choices.source_options)
            images.append(images_of_map(reference_map, posed))
            # One at once: that a source is another one should not come out hours later.
            images[-1][0].read()
            if choices.pairs:
                pairs.append(read_pairs(choices.pairs[number], reference_map))
            else:
                with progress_bar('pairing images') as report:
                    pairs.append(choose_pairs(reference_map, config, report))
    return TrainingData.of_maps(images, pairs)


def _pose_lesson(
    choices: Choices, training: TrainingConfig, network_config: AbsolutePoseConfig
) -> Lesson:
    from relloc_ros.networks.apr.variants import make_absolute_pose_net

    _check_odometry(choices, network_config)
    network = make_absolute_pose_net(
        network_config, seed=training.random_seed, backbone_weights=choices.backbone
    )
    data = _read_poses(choices, network_config)
    return Lesson(
        data.objective(network),
        *data.examples(network_config),
        'examples',
        (data.num_images(validation=False), data.num_images(validation=True)),
        [],
        data.about(),
        data,
    )


def _check_odometry(choices: Choices, network_config: AbsolutePoseConfig) -> None:
    name = f'{ABSOLUTE} variant {network_config.variant}'
    if network_config.unlabelled and choices.odometry is None:
        raise ConfigError(
            f'{name} learns from images with odometry, too: name their source with --odometry'
        )
    if choices.odometry is not None and not network_config.unlabelled:
        raise ConfigError(
            f'{name} learns nothing from images with odometry: leave out --odometry, or take '
            'variant mapnet_plus'
        )


def _read_poses(choices: Choices, network_config: AbsolutePoseConfig) -> PoseData:
    from relloc_ros.map.reference_map import ReferenceMap
    from relloc_ros.networks.training.pose_data import PoseData

    (path,) = choices.maps
    source = choices.sources[0] if choices.sources else source_of(path)
    options = dict(choices.source_options)
    odometry_options: dict[str, Any] = {}
    if choices.odometry is not None:
        options, odometry_options = _share_options(options, source, choices.odometry)
    with ReferenceMap.open(path) as reference_map:
        posed = read_posed(source, **options)
        odometry: list[PosedImage] = []
        if choices.odometry is not None:
            odometry = read_posed(choices.odometry, **odometry_options)
        data = PoseData.of_map(reference_map, posed, network_config, odometry)
    data.images[0].read()
    return data


def _share_options(
    options: dict[str, Any], source: Path, odometry: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the source of the map and that of odometry the options that their formats take.

    Those that say which poses are meant are the map's, if it takes them. A bag's odometry is then
    what its transforms say below `odom`.
    """
    from relloc_ros.map.sources import find_format

    _, ours = find_format(source, options.get('source_format'))
    name, theirs = find_format(odometry)
    taken = {key: value for key, value in options.items() if key in theirs.options}
    for key in WHICH_POSES & ours.options:
        taken.pop(key, None)
    if name == 'rosbag' and not WHICH_POSES & taken.keys():
        taken['map_frame'] = options.get('odom_frame', ODOM_FRAME)
    kept = {
        key: value
        for key, value in options.items()
        if key in ours.options or key not in theirs.options
    }
    return kept, taken
