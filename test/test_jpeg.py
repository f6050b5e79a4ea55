# SPDX-FileCopyrightText: 2026 the relloc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG data is decoded as OpenCV does, and refused where it is damaged."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
import pytest

from relloc_ros.errors import DataError
from relloc_ros.jpeg import MAX_PADDING, decode_jpeg, jpeg_ends_early

WIDTH, HEIGHT = 120, 90
END = b'\xff\xd9'


def any_size(width: int, height: int) -> None:
    """Take every size."""


@pytest.fixture(name='picture', scope='module')
def fixture_picture() -> NDArray[np.uint8]:
    noise = np.random.default_rng(3).normal(0.0, 1.0, (HEIGHT, WIDTH, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3.0)
    return np.clip(128.0 + 400.0 * smooth, 0, 255).astype(np.uint8)


def encoded(picture: NDArray[np.uint8], *flags: int) -> bytes:
    return bytes(cv2.imencode('.jpg', picture, flags)[1].tobytes())


@pytest.mark.parametrize('progressive', [0, 1])
@pytest.mark.parametrize('sampling', [0x411111, 0x221111, 0x211111, 0x121111, 0x111111])
@pytest.mark.parametrize('is_grey', [False, True])
def test_same_pixels_as_opencv(
    picture: NDArray[np.uint8], progressive: int, sampling: int, is_grey: bool
) -> None:
    flags = [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    data = encoded(picture[..., 0] if is_grey else picture, *flags)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    decoded = decode_jpeg(data, any_size)
    assert decoded.shape == expected.shape
    # Versions of libjpeg-turbo round the colours of halved channels differently.
    assert np.abs(decoded.astype(int) - expected).max() <= 3


def without_tables(data: bytes) -> bytes:
    """Take the Huffman tables away, as cameras with motion JPEG do."""
    start = 2
    result = data[:2]
    while data[start + 1] != 0xDA:
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], 'big')
        if data[start + 1] != 0xC4:
            result += data[start:end]
        start = end
    return result + data[start:]


def test_motion_jpeg_needs_no_tables(picture: NDArray[np.uint8]) -> None:
    data = encoded(picture)
    assert len(without_tables(data)) < len(data)
    np.testing.assert_array_equal(
        decode_jpeg(without_tables(data), any_size), decode_jpeg(data, any_size)
    )


def test_padding_and_a_missing_end_are_harmless(picture: NDArray[np.uint8]) -> None:
    data = encoded(picture)
    expected = decode_jpeg(data, any_size)
    for harmless in (data[:-2] + bytes(MAX_PADDING) + END, data[:-2], data + b'of some cameras'):
        np.testing.assert_array_equal(decode_jpeg(harmless, any_size), expected)


def is_refused(data: bytes) -> bool:
    try:
        decode_jpeg(data, any_size)
    except DataError:
        return True
    return False


def test_most_damaged_data_is_refused(picture: NDArray[np.uint8]) -> None:
    data = encoded(picture)
    start = data.rfind(b'\xff\xda') + 20
    places = range(start, len(data) - 200, 50)
    damaged = [data[:place] + data[place + 100 :] for place in places]
    # Now and then the rest happens to have as many blocks as are missing.
    assert np.mean([is_refused(each) for each in damaged]) > 0.5
    assert not is_refused(data)


def test_the_reason_is_told(picture: NDArray[np.uint8]) -> None:
    data = encoded(picture)
    with pytest.raises(DataError, match=r'JPEG data cannot be decoded: .* extraneous bytes'):
        decode_jpeg(data[:-2] + bytes(100) + END, any_size)


@pytest.mark.parametrize('share', [0.3, 0.6, 0.95])
def test_truncated_data_is_refused(picture: NDArray[np.uint8], share: float) -> None:
    data = encoded(picture)
    data = data[: int(share * len(data))]
    assert jpeg_ends_early(data)
    with pytest.raises(DataError, match='premature end'):
        decode_jpeg(data, any_size)


@pytest.mark.parametrize('data', [b'', b'\xff\xd8\xff', b'\xff\xd8\xff\xe0' + bytes(100)])
def test_no_jpeg_data(data: bytes) -> None:
    with pytest.raises(DataError, match=f'^{len(data)} bytes|^{len(data) + 2} bytes'):
        decode_jpeg(data, any_size)


def test_size_is_checked_before_memory_is_taken(picture: NDArray[np.uint8]) -> None:
    def none_fits(width: int, height: int) -> None:
        raise DataError(f'{width}x{height}')

    with pytest.raises(DataError, match=f'^{WIDTH}x{HEIGHT}$'):
        decode_jpeg(encoded(picture), none_fits)
