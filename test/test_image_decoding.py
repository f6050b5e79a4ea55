# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every encoding, padded rows, both byte orders, and messages that make no sense."""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
import pytest

from relloc_ros.camera import Camera
from relloc_ros.errors import DataError
from relloc_ros.image_decoding import decode_image, stamp_of

WIDTH, HEIGHT = 38, 22

CHANNEL = {'b': 0, 'g': 1, 'r': 2}


def camera(width: int = WIDTH, height: int = HEIGHT) -> Camera:
    return Camera('PINHOLE', width, height, (30.0, 30.0, width / 2, height / 2))


def header(stamp_ns: int = 1_500_000_002, frame_id: str = 'camera') -> SimpleNamespace:
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)


def raw_message(
    pixels: NDArray[Any], encoding: str, *, padding: int = 0, big_endian: bool = False
) -> SimpleNamespace:
    """Lay pixels (H, W) or (H, W, C) out as a driver does, with junk in the padding."""
    if big_endian:
        pixels = pixels.astype(pixels.dtype.newbyteorder('>'))
    rows = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8)
    rows = rows.reshape(len(pixels), -1)
    junk = np.full((len(rows), padding), 171, np.uint8)
    return SimpleNamespace(
        header=header(),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(big_endian),
        step=rows.shape[1] + padding,
        data=np.hstack([rows, junk]).ravel(),
    )


def compressed_message(content: bytes, image_format: str) -> SimpleNamespace:
    return SimpleNamespace(
        header=header(), format=image_format, data=np.frombuffer(content, np.uint8)
    )


def decode(message: Any) -> NDArray[np.uint8]:
    return decode_image(message, camera(), '/camera').image


@pytest.fixture
def bgr() -> NDArray[np.uint8]:
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def smooth() -> NDArray[np.uint8]:
    """Colours that change slowly, so that subsampled ones can be compared."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.dstack([60 + 3 * x, 200 - 4 * y, 40 + 2 * x + 3 * y]).astype(np.uint8)


# 5 bytes are no multiple of any colour pixel: the case that shears in other decoders.
@pytest.mark.parametrize('padding', [0, 5, 12])
@pytest.mark.parametrize(
    ('encoding', 'order'),
    [
        ('bgr8', [0, 1, 2]),
        ('8UC3', [0, 1, 2]),
        ('rgb8', [2, 1, 0]),
        ('bgra8', [0, 1, 2, 0]),
        ('8UC4', [0, 1, 2, 0]),
        ('rgba8', [2, 1, 0, 1]),
    ],
)
def test_colour(bgr: NDArray[np.uint8], encoding: str, order: list[int], padding: int) -> None:
    message = raw_message(bgr[..., order], encoding, padding=padding)
    np.testing.assert_array_equal(decode(message), bgr)


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('encoding', ['mono8', '8UC1'])
def test_grey(bgr: NDArray[np.uint8], encoding: str, padding: int) -> None:
    grey = bgr[..., 0]
    np.testing.assert_array_equal(decode(raw_message(grey, encoding, padding=padding)), grey)


@pytest.mark.parametrize('padding', [0, 3, 6])
@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('encoding', ['mono16', '16UC1'])
def test_grey_of_16_bits(encoding: str, big_endian: bool, padding: int) -> None:
    grey = np.random.default_rng(6).integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
    image = decode(raw_message(grey, encoding, padding=padding, big_endian=big_endian))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, np.round(grey / 257.0))


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize(('encoding', 'order'), [('bgr16', [0, 1, 2]), ('rgba16', [2, 1, 0, 0])])
def test_colour_of_16_bits(
    bgr: NDArray[np.uint8], encoding: str, order: list[int], big_endian: bool
) -> None:
    wide = bgr.astype(np.uint16) * 257
    message = raw_message(wide[..., order], encoding, padding=1, big_endian=big_endian)
    np.testing.assert_array_equal(decode(message), bgr)


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer(smooth: NDArray[np.uint8], pattern: str, padding: int, bits: int) -> None:
    mosaic = np.empty((HEIGHT, WIDTH), np.uint16)
    for i, colour in enumerate(pattern):
        y, x = divmod(i, 2)
        mosaic[y::2, x::2] = smooth[y::2, x::2, CHANNEL[colour]]
    pixels = mosaic * 257 if bits == 16 else mosaic.astype(np.uint8)
    image = decode(raw_message(pixels, f'bayer_{pattern}{bits}', padding=padding))
    # Linear colours are interpolated exactly, but for rounding; the border is copied.
    difference = np.abs(image.astype(int) - smooth)[2:-2, 2:-2]
    assert difference.max() <= 1


@pytest.mark.parametrize('padding', [0, 5])
@pytest.mark.parametrize(
    ('encoding', 'luma_first'),
    [('yuv422', False), ('uyvy', False), ('yuv422_yuy2', True), ('yuyv', True)],
)
def test_yuv422(smooth: NDArray[np.uint8], encoding: str, luma_first: bool, padding: int) -> None:
    b, g, r = (smooth[..., i].astype(float) for i in range(3))
    # ITU-R BT.601, luma from 16 to 235.
    luma = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    chroma = np.where(np.arange(WIDTH) % 2 == 0, u, np.roll(v, 1, axis=1))
    channels = [luma, chroma] if luma_first else [chroma, luma]
    pixels = np.round(np.dstack(channels)).astype(np.uint8)
    image = decode(raw_message(pixels, encoding, padding=padding))
    # Two pixels share their chroma.
    assert np.abs(image.astype(int) - smooth).max() <= 6


@pytest.mark.parametrize('container', [bytes, lambda data: array('B', data.tobytes()), np.array])
def test_data_of_rclpy_and_rosbags(bgr: NDArray[np.uint8], container: Any) -> None:
    message = raw_message(bgr, 'bgr8', padding=3)
    message.data = container(message.data)
    np.testing.assert_array_equal(decode(message), bgr)
    content = cv2.imencode('.png', bgr)[1]
    compressed = compressed_message(b'', 'png')
    compressed.data = container(content.ravel())
    np.testing.assert_array_equal(decode(compressed), bgr)


def test_stamp_frame_and_name(bgr: NDArray[np.uint8]) -> None:
    message = raw_message(bgr, 'bgr8')
    message.header.frame_id = '/camera_optical'
    query = decode_image(message, camera(), '/camera/image_raw')
    assert query.stamp_ns == stamp_of(message) == 1_500_000_002
    assert query.frame_id == 'camera_optical'
    assert query.name == '/camera/image_raw'
    assert query.camera == camera()


@pytest.mark.parametrize('image_format', ['png', 'bgr8; png compressed bgr8', ''])
def test_png(bgr: NDArray[np.uint8], image_format: str) -> None:
    content = cv2.imencode('.png', bgr)[1].tobytes()
    np.testing.assert_array_equal(decode(compressed_message(content, image_format)), bgr)


def test_png_of_16_bits_and_with_alpha(bgr: NDArray[np.uint8]) -> None:
    wide = bgr[..., 0].astype(np.uint16) * 257
    content = cv2.imencode('.png', wide)[1].tobytes()
    np.testing.assert_array_equal(decode(compressed_message(content, 'mono16; png')), bgr[..., 0])
    content = cv2.imencode('.png', bgr[..., [0, 1, 2, 0]])[1].tobytes()
    np.testing.assert_array_equal(decode(compressed_message(content, 'png')), bgr)


@pytest.mark.parametrize('progressive', [0, 1])
def test_jpeg(smooth: NDArray[np.uint8], progressive: int) -> None:
    flags = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    content = cv2.imencode('.jpg', smooth, flags)[1].tobytes()
    image = decode(compressed_message(content, 'bgr8; jpeg compressed bgr8'))
    assert np.abs(image.astype(int) - smooth).max() <= 12


def test_jpeg_is_not_turned_by_its_orientation_tag(smooth: NDArray[np.uint8]) -> None:
    content = cv2.imencode('.jpg', smooth)[1].tobytes()
    # An EXIF block that says "turn by 180 degrees".
    exif = b'Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0'
    block = b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif
    turned = content[:2] + block + content[2:]
    np.testing.assert_array_equal(
        decode(compressed_message(turned, 'jpeg')), decode(compressed_message(content, 'jpeg'))
    )


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'height': 0, 'width': 0}, 'no pixels'),
        ({'width': WIDTH + 1}, rf'39x22 differs from the camera, {WIDTH}x{HEIGHT}'),
        ({'height': 2**32 - 1, 'width': 2**32 - 1}, 'differs from the camera'),
        ({'step': 3 * WIDTH - 1}, 'step 113 is less than the 114 bytes'),
        ({'step': 0}, 'step 0 is less'),
        ({'step': 2**32 - 1}, 'fewer than step'),
        ({'data': np.zeros(3 * WIDTH * HEIGHT - 1, np.uint8)}, 'truncated'),
        ({'data': b''}, '0 bytes of data are fewer'),
        ({'encoding': 'bgr_8'}, "'bgr_8' is unknown; the nearest known is 'bgr8'"),
        ({'encoding': ''}, 'is unknown'),
        ({'encoding': '32FC1'}, 'depth'),
    ],
)
def test_unusable_raw_image(bgr: NDArray[np.uint8], change: dict[str, Any], words: str) -> None:
    message = raw_message(bgr, 'bgr8')
    vars(message).update(change)
    with pytest.raises(DataError, match=words) as caught:
        decode_image(message, camera(), '/camera')
    assert '/camera' in str(caught.value)


@pytest.mark.parametrize(('encoding', 'shape'), [('bayer_rggb8', (2, 2)), ('uyvy', (2, 3, 2))])
def test_too_small_for_its_encoding(encoding: str, shape: tuple[int, ...]) -> None:
    message = raw_message(np.zeros(shape, np.uint8), encoding)
    with pytest.raises(DataError, match=r'too small|even width'):
        decode_image(message, camera(shape[1], shape[0]))


def test_one_pixel() -> None:
    message = raw_message(np.full((1, 1), 7, np.uint8), 'mono8', padding=2)
    assert decode_image(message, camera(1, 1)).image.tolist() == [[7]]


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (b'', 'neither JPEG nor PNG'),
        (b'RIFF....WEBP', 'neither JPEG nor PNG'),
        (b'\xff\xd8\xff', 'cannot be decoded'),
        (b'\xff\xd8\xff\xe0' + bytes(100), 'cannot be decoded'),
        (b'\x89PNG\r\n\x1a\n', 'no pixels'),
    ],
)
def test_undecodable_compressed_image(content: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        decode(compressed_message(content, 'jpeg'))


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_compressed_image_of_other_size(smooth: NDArray[np.uint8], suffix: str) -> None:
    content = cv2.imencode(suffix, smooth[:, :-2])[1].tobytes()
    with pytest.raises(DataError, match='36x22 differs from the camera, 38x22'):
        decode(compressed_message(content, suffix))


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_size_is_checked_before_decoding(smooth: NDArray[np.uint8], suffix: str) -> None:
    content = bytearray(cv2.imencode(suffix, smooth)[1].tobytes())
    size = content.find(HEIGHT.to_bytes(2, 'big') + WIDTH.to_bytes(2, 'big'))
    if suffix == '.png':
        content[16:24] = b'\0\1\0\0\0\1\0\0'
    else:
        content[size : size + 4] = b'\xff\xff\xff\xff'
    with pytest.raises(DataError, match=r'65536x65536 differs|65535x65535 differs'):
        decode(compressed_message(bytes(content), suffix))


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_damaged_files_never_crash(smooth: NDArray[np.uint8], suffix: str) -> None:
    rng = np.random.default_rng(7)
    content = cv2.imencode(suffix, smooth)[1].ravel()
    for _ in range(50):
        damaged = content[: rng.integers(len(content) + 1)].copy()
        places = rng.integers(0, max(1, len(damaged)), 4)
        damaged[places[: len(damaged)]] = rng.integers(0, 256)
        try:
            image = decode(compressed_message(damaged.tobytes(), suffix))
        except DataError:
            continue
        assert image.shape[:2] == (HEIGHT, WIDTH)


@pytest.mark.parametrize('suffix', ['', '.jpg', '.png'])
def test_resized_image_has_a_scaled_camera(smooth: NDArray[np.uint8], suffix: str) -> None:
    half = cv2.resize(smooth, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    message = raw_message(half, 'bgr8')
    if suffix:
        message = compressed_message(cv2.imencode(suffix, half)[1].tobytes(), suffix)
    with pytest.raises(DataError, match=r'19x11 differs .*resized_images'):
        decode_image(message, camera())
    query = decode_image(message, camera(), resized=True)
    assert query.image.shape == (11, 19, 3)
    assert query.camera == Camera('PINHOLE', 19, 11, (15.0, 15.0, 9.5, 5.5))


@pytest.mark.parametrize(
    ('size', 'words'),
    [((20, 30), 'takes only the same shape.*region of interest'), ((9 * 38, 9 * 22), '8 times')],
)
def test_what_is_no_resized_image(size: tuple[int, int], words: str) -> None:
    message = raw_message(np.zeros((size[1], size[0]), np.uint8), 'mono8')
    with pytest.raises(DataError, match=words):
        decode_image(message, camera(), resized=True)


def test_image_of_the_cameras_size_keeps_its_camera(bgr: NDArray[np.uint8]) -> None:
    assert decode_image(raw_message(bgr, 'bgr8'), camera(), resized=True).camera == camera()
