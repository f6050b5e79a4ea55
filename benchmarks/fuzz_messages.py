# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ways to corrupt image messages and their CameraInfo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import cv2
from fuzz_world import Answer, Kind, Query, World, make_message
import numpy as np

from relloc_ros.camera import Camera
from relloc_ros.camera_info import camera_from_camera_info, camera_info_fields

__all__ = ['CAMERA_KINDS', 'MESSAGE_KINDS', 'damaged_bytes']

Random = np.random.Generator

NUMBERS = (
    *(float('nan'), float('inf'), float('-inf'), 0.0, -0.0, -1.0, 1e-300, 1e300, 1e-9),
    *(-535.0, 5e-324, 1e10, 1.0, 0.5),
)
SIZES = (0, 1, 2, 3, 7, 479, 481, 641, 1280, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)
ENCODINGS = (
    *('mono8', 'mono16', '8UC1', '16UC1', 'bgr8', 'rgb8', 'bgra8', 'rgba8', 'bgr16', 'rgb16'),
    *('rgba16', 'bayer_rggb8', 'bayer_bggr8', 'bayer_gbrg8', 'bayer_grbg16', 'yuv422'),
    *('yuv422_yuy2', 'uyvy', 'nv21', '32FC1', '64FC3', '8SC1', 'depth', '', 'BGR8', 'mono8; x'),
)
MODELS = (
    *('plumb_bob', 'rational_polynomial', 'equidistant', 'fisheye', '', 'plumb bob', 'thin_prism'),
    *('PLUMB_BOB', 'none', 'double_sphere', '\0', 'equidistant\n'),
)


def damaged_bytes(data: bytes, rng: Random) -> bytes:
    """Flip, cut off, remove, insert, repeat or overwrite bytes."""
    result = bytearray(data)
    start = int(rng.integers(len(result) + 1))
    length = int(2.0 ** rng.uniform(0.0, 12.0))
    choice = rng.integers(7)
    if choice == 0:
        for place in rng.integers(len(result), size=int(2.0 ** rng.uniform(0.0, 7.0))):
            result[place] ^= 1 << int(rng.integers(8))
    elif choice == 1:
        del result[start:]
    elif choice == 2:
        del result[start : start + length]
    elif choice == 3:
        result[start:start] = rng.bytes(length)
    elif choice == 4:
        result[start:start] = result[max(0, start - length) : start]
    elif choice == 5:
        result[start : start + length] = bytes([int(rng.integers(256))]) * length
    else:
        # The head is where sizes are.
        for place in rng.integers(min(len(result), 700), size=int(rng.integers(1, 5))):
            result[place] = int(rng.integers(256))
    return bytes(result)


def _compressed(world: World, rng: Random, ending: str) -> list[Answer]:
    query = world.some_query(rng)
    _, data = cv2.imencode(ending, query.pixels)
    message = make_message(query.pixels, query.stamp_ns)
    kind = ending if rng.random() < 0.8 else str(rng.choice(('', 'jpeg', 'png', 'avif', '\0')))
    damaged = damaged_bytes(data.tobytes(), rng)
    return world.ask(
        query, SimpleNamespace(header=message.header, format=kind, data=bytes(damaged))
    )


def _raw(world: World, rng: Random, corrupt: Callable[[Any, Random], None]) -> list[Answer]:
    query = world.some_query(rng)
    message = make_message(query.pixels, query.stamp_ns)
    corrupt(message, rng)
    return world.ask(query, message)


def _wrong_encoding(message: Any, rng: Random) -> None:
    message.encoding = str(rng.choice(ENCODINGS))
    message.is_bigendian = int(rng.integers(0, 256)) if rng.random() < 0.3 else 0
    if rng.random() < 0.5:
        # Enough bytes for whatever it claims.
        message.step *= int(rng.integers(1, 5))
        message.data *= 4


def _wrong_layout(message: Any, rng: Random) -> None:
    for name in rng.choice(('width', 'height', 'step', 'data'), int(rng.integers(1, 4))):
        if name == 'data':
            message.data = damaged_bytes(message.data, rng)
        elif rng.random() < 0.5:
            setattr(message, name, int(rng.choice(SIZES)))
        else:
            setattr(message, name, max(0, getattr(message, name) + int(rng.integers(-9, 10))))
    if rng.random() < 0.2:
        message.width, message.height = message.height, message.width


def _wrong_step(message: Any, rng: Random) -> None:
    """Rows that are a little longer or shorter than said: the image is sheared."""
    extra = int(rng.integers(1, 40))
    row_bytes = message.step
    message.step += extra
    if rng.random() < 0.5:
        message.data += bytes(extra * message.height)
    else:
        message.data = message.data * 2
    if rng.random() < 0.3:
        message.step = row_bytes


MESSAGE_KINDS: dict[str, Kind] = {
    'message/jpeg': Kind(partial(_compressed, ending='.jpg'), 2.0),
    'message/png': Kind(partial(_compressed, ending='.png')),
    'message/encoding': Kind(partial(_raw, corrupt=_wrong_encoding)),
    'message/layout': Kind(partial(_raw, corrupt=_wrong_layout)),
    'message/step': Kind(partial(_raw, corrupt=_wrong_step)),
}


def make_info(camera: Camera) -> Any:
    """Make what looks like a sensor_msgs/CameraInfo."""
    fields = camera_info_fields(camera)
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    return SimpleNamespace(**fields, binning_x=0, binning_y=0, roi=roi)


def _odd_numbers(info: Any, rng: Random) -> None:
    for _ in range(int(rng.integers(1, 4))):
        values = [info.k, info.k, info.k, info.d, info.r, info.p][int(rng.integers(6))]
        values[int(rng.integers(len(values)))] = float(rng.choice(NUMBERS))


def _odd_sizes(info: Any, rng: Random) -> None:
    for name in rng.choice(('width', 'height'), int(rng.integers(1, 3))):
        if rng.random() < 0.5:
            setattr(info, name, int(rng.choice(SIZES)))
        else:
            setattr(info, name, max(0, getattr(info, name) + int(rng.integers(-9, 10))))


def _odd_model(info: Any, rng: Random) -> None:
    info.distortion_model = str(rng.choice(MODELS))
    info.d = (rng.normal(0.0, 10.0 ** rng.uniform(-6.0, 1.0), int(rng.integers(0, 16)))).tolist()
    if rng.random() < 0.2:
        info.k = info.k[: int(rng.integers(0, 12))]


def _wrong_distortion(info: Any, rng: Random) -> None:
    """A distortion that the camera does not have."""
    info.distortion_model = str(rng.choice(('plumb_bob', 'rational_polynomial', 'equidistant')))
    count = {'plumb_bob': 5, 'rational_polynomial': 8, 'equidistant': 4}[info.distortion_model]
    size = 10.0 ** rng.uniform(-3.0, 0.0)
    info.d = (size * rng.normal(0.0, 1.0, count) * 0.3 ** np.arange(count)).tolist()


def _wrong_focal_length(info: Any, rng: Random) -> None:
    factor = 1.0 + 10.0 ** rng.uniform(-2.5, 0.0) * rng.choice((-0.6, 1.0))
    info.k[0] *= factor
    info.k[4] *= factor


def _one_focal_length(info: Any, rng: Random) -> None:
    index = int(rng.choice((0, 4)))
    info.k[index] *= 1.0 + 10.0 ** rng.uniform(-2.5, 0.0) * rng.choice((-0.6, 1.0))


def _wrong_scale(info: Any, rng: Random) -> None:
    """A calibration of images of another size, that claims to be of this."""
    factor = float(rng.choice((0.25, 0.5, 0.75, 0.9, 1.1, 4 / 3, 1.5, 2.0, 4.0)))
    for index in (0, 2, 4, 5):
        info.k[index] *= factor


def _swapped(info: Any, rng: Random) -> None:
    k = info.k
    for first, second in ((0, 4), (2, 5), (0, 2)):
        if rng.random() < 0.5:
            k[first], k[second] = k[second], k[first]
    if rng.random() < 0.2:
        info.k = np.reshape(k, (3, 3)).T.ravel().tolist()


def _wrong_centre(info: Any, rng: Random) -> None:
    x, y = 2.0 ** rng.uniform(0.0, 8.0, 2) * rng.choice((-1.0, 1.0), 2)
    info.k[2] += x
    info.k[5] += y


def _wrong_region(info: Any, rng: Random) -> None:
    """Binning and a region of interest; sometimes a region as large as the image."""
    sizes = (0, 0, 1, 2, 3, 16, 320, 640, 2**31, 2**32 - 1)
    info.binning_x, info.binning_y = (int(rng.choice(sizes)) for _ in range(2))
    for name in ('x_offset', 'y_offset', 'width', 'height'):
        setattr(info.roi, name, int(rng.choice(sizes)))
    if rng.random() < 0.4:
        info.roi.x_offset, info.roi.y_offset = (int(value) for value in rng.integers(0, 200, 2))
        info.roi.width, info.roi.height = info.width, info.height
        info.width, info.height = info.width + 200, info.height + 200
        info.binning_x = info.binning_y = 0


def _inconsistent_rectification(info: Any, rng: Random) -> None:
    """R and P of something else; raw images do not need them."""
    info.r = rng.normal(0.0, 1.0, int(rng.choice((0, 9, 9, 8)))).tolist()
    info.p = rng.normal(0.0, 500.0, int(rng.choice((0, 12, 12, 9)))).tolist()


_CORRUPTIONS: dict[str, Callable[[Any, Random], None]] = {
    'odd numbers': _odd_numbers,
    'odd sizes': _odd_sizes,
    'odd model': _odd_model,
    'distortion': _wrong_distortion,
    'focal lengths': _wrong_focal_length,
    'one focal length': _one_focal_length,
    'scale': _wrong_scale,
    'swapped': _swapped,
    'principal point': _wrong_centre,
    'region': _wrong_region,
    'r and p': _inconsistent_rectification,
}


def _with_info(world: World, rng: Random, corrupt: Callable[[Any, Random], None]) -> list[Answer]:
    query: Query = world.some_query(rng)
    info = make_info(query.camera)
    corrupt(info, rng)
    camera = camera_from_camera_info(info)
    return world.ask(query, make_message(query.pixels, query.stamp_ns), camera)


CAMERA_KINDS: dict[str, Kind] = {
    f'camera_info/{name}': Kind(partial(_with_info, corrupt=corrupt))
    for name, corrupt in _CORRUPTIONS.items()
}
