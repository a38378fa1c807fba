"""JPEG 2000 as an input."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from tilestyle.config import Input
from tilestyle.errors import UserError
from tilestyle.images import open_source
from tilestyle.images.color import to_srgb

Array = NDArray[Any]


def picture(dtype: str, channels: int = 3) -> Array:
    light = np.random.default_rng(2).random((70, 90, channels)).squeeze()
    return (light * np.iinfo(dtype).max).astype(dtype)


def read(path: Path) -> Array:
    source = open_source(path)
    whole = np.concatenate(list(source.rows(16)), axis=1)
    assert whole.dtype == source.dtype
    return whole


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("codec", ["jp2", "j2k"])
def test_lossless(tmp_path: Path, dtype: str, channels: int, codec: str) -> None:
    image = picture(dtype, channels)
    path = tmp_path / "a.jp2"
    path.write_bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat=codec))
    expected = np.moveaxis(np.atleast_3d(image), -1, 0)
    np.testing.assert_array_equal(read(path), np.broadcast_to(expected, (3, 70, 90)))


@pytest.mark.parametrize("method", [1, 2, 3])
def test_profiles(tmp_path: Path, method: int, caplog: pytest.LogCaptureFixture) -> None:
    image = picture("uint8")
    data = bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat="jp2"))
    expected = image
    if method > 1:
        profile = bytes(pyvips.Image.profile_load("p3"))
        data = with_color(data, bytes([method, 0, 0]) + profile)
        expected = to_srgb(image, profile, name="a")
        assert not np.array_equal(expected, image)
    (tmp_path / "a.jp2").write_bytes(data)
    np.testing.assert_array_equal(read(tmp_path / "a.jp2"), np.moveaxis(expected, -1, 0))
    assert ("a.jp2: has no ICC profile" in caplog.text) == (method == 1)


def with_color(data: bytes, color: bytes) -> bytes:
    """A JP2 file with another colour box, which is the last of its header."""
    header, box = data.index(b"jp2h") - 4, data.index(b"colr") - 4
    end = box + int.from_bytes(data[box : box + 4])
    colr = (len(color) + 8).to_bytes(4) + b"colr" + color
    size = box - header + len(colr)
    return data[:header] + size.to_bytes(4) + data[header + 4 : box] + colr + data[end:]


@pytest.mark.parametrize("kept", [0.001, 0.05, 0.5, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, kept: float) -> None:
    data = imagecodecs.jpeg2k_encode(picture("uint8"), level=0)
    path = tmp_path / "a.jp2"
    path.write_bytes(data[: int(len(data) * kept) + 12])
    with pytest.raises(UserError, match=r"a\.jp2: the image is damaged or truncated"):
        read(path)


def test_sizes_are_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    data = bytearray(imagecodecs.jpeg2k_encode(picture("uint8"), level=0))
    at = data.index(b"\xff\x4f\xff\x51") + 8
    path = tmp_path / "a.jp2"
    for size, words in ((400_000, "a side may have"), (100_000, "has to be decoded whole")):
        data[at : at + 8] = size.to_bytes(4) * 2
        path.write_bytes(data)
        with pytest.raises(UserError, match=rf"a\.jp2: .*{words}"):
            open_source(path)


def test_other_channels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jp2"
    path.write_bytes(imagecodecs.jpeg2k_encode(picture("uint8", 4), level=0))
    with pytest.raises(UserError, match=r"a\.jp2: 4 channels of 8 bits"):
        open_source(path, Input())
