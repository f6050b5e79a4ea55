# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `relloc train` trains with: what the user has chosen, and the run it goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relloc_ros.cli.train_options import ABSOLUTE
from relloc_ros.errors import ConfigError, DataError

if TYPE_CHECKING:
    from relloc_ros.config import TrainingConfig
    from relloc_ros.networks.network_config import NetworkConfig
    from relloc_ros.networks.training.run_folder import RunFolder

__all__ = ['Choices', 'describe', 'resumed', 'settings_of', 'source_of']

CHANGEABLE = {
    'max_epochs',
    'patience',
    'accelerator',
    'devices',
    'reading_threads',
    'checkpoint_steps',
}
"""Settings that may be others when a run goes on: its losses stay what they would have been."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user has chosen, by options or in the run that goes on.

    Attributes:
        network: name.
        maps: folders.
        sources: of the maps' images, in their order; none takes what the maps were built from.
        source_options: how they are read.
        pairs: files, in the order of the maps; none chooses pairs by retrieval.
        backbone: file of weights to begin with.
        settings: by key, those of the training and of the network.
        variant: of a network for absolute poses.
        odometry: source of images with odometry, for one.
    """

    network: str
    maps: tuple[Path, ...]
    sources: tuple[Path, ...]
    source_options: Mapping[str, Any]
    pairs: tuple[Path, ...]
    backbone: Path | None
    settings: Mapping[str, Any]
    variant: str | None = None
    odometry: Path | None = None


def settings_of(choices: Choices) -> tuple[TrainingConfig, NetworkConfig]:
    """Part the settings into those of the training and those of the network.

    Raises:
        ConfigError: unknown network, variant or setting, or a value out of range.
    """
    from relloc_ros.config import TrainingConfig, make_config, nearest, parameters

    kind = _config_class(choices.network)
    training, network = parameters(TrainingConfig), parameters(kind)
    network.pop('variant', None)
    for key in choices.settings:
        if key not in training and key not in network:
            hint = nearest(key, [*training, *network])
            raise ConfigError(f"unknown setting '{key}' of training {choices.network}{hint}")
    return (
        make_config(TrainingConfig, _only(choices.settings, training)),
        _network_config(choices, kind, _only(choices.settings, network)),
    )


def _config_class(network: str) -> type[NetworkConfig]:
    from relloc_ros.networks import network_class
    from relloc_ros.networks.network_config import AbsolutePoseConfig

    return AbsolutePoseConfig if network == ABSOLUTE else network_class(network).config_class


def _network_config(
    choices: Choices, kind: type[NetworkConfig], values: Mapping[str, Any]
) -> NetworkConfig:
    from relloc_ros.config import make_config
    from relloc_ros.networks.apr.variants import variant_config

    if choices.variant is None:
        return make_config(kind, dict(values))
    return variant_config(choices.variant, values)


def _only(values: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in keys}


def resumed(given: Choices, run: RunFolder) -> Choices:
    """Give what a run was begun with, and what of it may change.

    Raises:
        DataError: it trains another network, or its description is damaged.
        ConfigError: a setting that has to stay is another one.
    """
    from relloc_ros.config import flatten

    found = run.describe()
    try:
        network = str(found['network'])
        maps = tuple(Path(each['map']) for each in found['maps'])
        sources = tuple(Path(each['source']) for each in found['maps'])
        begun: dict[str, Any] = {**found['training'], **found['network_settings']}
        options = dict(found['source_options'])
        backbone = str(found['backbone'])
        variant = begun.pop('variant', None)
        odometry = found.get('odometry')
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f'{run.description} is damaged ({error}): begin another run') from error
    if network != given.network:
        raise DataError(
            f'{run.folder} trains {network}, not {given.network}: resume it as {network}, or '
            'choose another output'
        )
    if given.variant not in (None, variant):
        raise DataError(
            f'{run.folder} trains variant {variant}, not {given.variant}: resume it as {variant}, '
            'or choose another output'
        )
    if given.maps and len(given.maps) != len(maps):
        raise DataError(
            f'{run.folder} learns from {len(maps)} maps: give as many in the same order, or leave '
            'out --map'
        )
    # As numbers: 1e-4 is 0.0001.
    values = {key: value for each in settings_of(given) for key, value in flatten(each).items()}
    for key in given.settings:
        value = values[key]
        if key not in CHANGEABLE and begun.get(key) != value:
            raise ConfigError(
                f'{run.folder} was begun with {key}={begun.get(key)}, which cannot become {value} '
                f'now; what can change: {", ".join(sorted(CHANGEABLE))}'
            )
    kept = {key: value for key, value in given.settings.items() if key in CHANGEABLE}
    return Choices(
        network=network,
        maps=given.maps or maps,
        sources=given.sources or (() if given.maps else sources),
        source_options=given.source_options or _with_paths(options),
        pairs=()
        if network == ABSOLUTE
        else tuple(run.pairs(number) for number in range(1, len(maps) + 1)),
        backbone=Path(backbone) if backbone else None,
        settings={**begun, **kept},
        variant=variant,
        odometry=given.odometry or (Path(odometry) if odometry else None),
    )


def _with_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: Path(value) if key == 'images' else value for key, value in options.items()}


def source_of(path: Path) -> Path:
    """Give what a map was built from.

    Raises:
        DataError: it is not here.
        MapError: the map is missing or damaged.
    """
    from relloc_ros.map.format import Manifest, current_generation

    source = Manifest.read(current_generation(path).manifest).source
    if not source or not Path(source).exists():
        raise DataError(
            f'map {path} keeps no images, and what it was built from ({source or "unknown"}) is '
            'not here: name the source of its images with --source'
        )
    return Path(source)


def describe(
    choices: Choices,
    training: TrainingConfig,
    network: NetworkConfig,
    digest: str,
) -> dict[str, Any]:
    """Give what run.yaml says."""
    from relloc_ros import __version__
    from relloc_ros.config import flatten

    sources: Sequence[Path] = choices.sources or [source_of(path) for path in choices.maps]
    return {
        'relloc_ros': __version__,
        'network': choices.network,
        'training': flatten(training),
        'network_settings': flatten(network),
        'backbone': '' if choices.backbone is None else str(choices.backbone.absolute()),
        'maps': [
            {'map': str(path.absolute()), 'source': str(source.absolute())}
            for path, source in zip(choices.maps, sources, strict=True)
        ],
        'source_options': {
            key: str(value.absolute()) if isinstance(value, Path) else value
            for key, value in choices.source_options.items()
        },
        **({} if choices.odometry is None else {'odometry': str(choices.odometry.absolute())}),
        'data': digest,
    }
