"""Formats of libvips, and errors of opening any file."""

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
import tifffile
from numpy.typing import NDArray

from tilestyle.config import Input
from tilestyle.errors import UserError
from tilestyle.images import Source, open_source
from tilestyle.images.color import to_srgb
from tilestyle.images.exif import exif_texts

Array = NDArray[Any]

HEIGHT, WIDTH = 210, 150


def picture(dtype: str = "uint8", channels: int = 3) -> Array:
    """(HEIGHT, WIDTH, channels) noise on a ramp."""
    ramp = np.linspace(0, 0.9, HEIGHT * WIDTH * channels).reshape(HEIGHT, WIDTH, channels)
    noise = np.random.default_rng(7).random(ramp.shape) * 0.1
    return ((ramp + noise) * np.iinfo(dtype).max).astype(dtype)


def planes(image: Array) -> Array:
    return np.moveaxis(image, -1, 0)


def save(path: Path, image: Array, kind: str = "", **options: Any) -> None:
    made = pyvips.Image.new_from_array(image)
    if kind:
        made = made.copy(interpretation=kind)
    fields = {
        name: options.pop(name) for name in ("orientation", "xres", "yres") if name in options
    }
    made = made.copy(**{name: fields[name] for name in fields if name != "orientation"})
    if "orientation" in fields:
        made.set_type(pyvips.GValue.gint_type, "orientation", fields["orientation"])
    made.write_to_file(str(path), **options)


def read(source: Source, step: int = 64) -> Array:
    bands = list(source.rows(step))
    assert all(band.flags.c_contiguous and band.dtype == source.dtype for band in bands)
    assert [band.shape[1] for band in bands[:-1]] == [step] * (len(bands) - 1)
    whole = np.concatenate(bands, axis=1)
    assert whole.shape == (3, source.height, source.width)
    return whole


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(open_source(path))
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("step", [1, 64, 70, 1000])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [("png", {}), ("png", {"interlace": True}), ("webp", {"lossless": True}), ("tif", {})],
)
def test_lossless_formats(tmp_path: Path, suffix: str, options: dict[str, Any], step: int) -> None:
    path = tmp_path / f"a.{suffix}"
    save(path, picture(), **options)
    source = open_source(path)
    assert (source.name, source.width, source.height) == (path.name, WIDTH, HEIGHT)
    assert source.dtype == np.uint8
    np.testing.assert_array_equal(read(source, step), planes(picture()))
    np.testing.assert_array_equal(read(source, step), planes(picture()))  # a second pass


@pytest.mark.parametrize("interlace", [False, True])
def test_jpeg(tmp_path: Path, interlace: bool) -> None:
    path = tmp_path / "a.jpg"
    save(path, picture(), Q=100, subsample_mode="off", interlace=interlace)
    assert np.abs(read(open_source(path)).astype(int) - planes(picture())).max() <= 6


def test_the_content_tells_the_format(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save(path, picture())
    path.rename(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(open_source(tmp_path / "a.tif")), planes(picture()))
    tifffile.imwrite(path, picture(), photometric="rgb")
    np.testing.assert_array_equal(read(open_source(path)), planes(picture()))


@pytest.mark.parametrize("name", ["a[b=1].png", "a[page=3].tif", "-x.png", "ä b.png"])
def test_names_are_not_parsed(tmp_path: Path, name: str) -> None:
    kind = tmp_path / f"plain{Path(name).suffix}"
    save(kind, picture())
    kind.rename(tmp_path / name)
    np.testing.assert_array_equal(read(open_source(tmp_path / name)), planes(picture()))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_channels(tmp_path: Path, dtype: str, channels: int) -> None:
    image = picture(dtype, channels)
    image[..., -1] |= 1  # the colour of what is transparent would not count
    colors, alpha = (channels - 1) // 2 * 2 + 1, 1 - channels % 2
    path = tmp_path / "a.png"
    kinds = {("uint8", 1): "b-w", ("uint8", 3): "srgb", ("uint16", 1): "grey16"}
    save(path, image, kinds.get((dtype, colors), "rgb16"))

    source = open_source(path)
    found = read(source)

    assert source.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(
        found, planes(np.broadcast_to(image[..., :colors], (HEIGHT, WIDTH, 3)))
    )
    assert (source.alpha is None) == (not alpha)
    if source.alpha:
        opacity = np.concatenate(list(source.alpha(7)), axis=1)
        np.testing.assert_array_equal(opacity, planes(image[..., -1:]))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_embedded_profiles_are_converted(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / "a.png"
    profile = pyvips.Image.profile_load("p3")
    made = pyvips.Image.new_from_array(picture(dtype))
    made = made.copy(interpretation="srgb" if dtype == "uint8" else "rgb16")
    made.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    made.write_to_file(str(path))
    expected = to_srgb(picture(dtype), profile, name="a")
    assert not np.array_equal(expected, picture(dtype))
    np.testing.assert_array_equal(read(open_source(path)), planes(expected))


def test_cmyk_jpeg_with_and_without_a_profile(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    # Flat colours, so that the JPEG code changes nothing to speak of: paper, cyan, black.
    inks = np.zeros((48, 64, 4), np.uint8)
    inks[16:32, :, 0] = 255
    inks[32:, :, 3] = 255
    save(path, inks, "cmyk", Q=100, keep="none")
    assert refused(path).startswith("CMYK_NO_PROFILE: a.jpg: ")
    found = read(open_source(path, Input(cmyk_profile="cmyk")))
    assert found[:, 4, 4].min() > 250
    assert found[0, 24, 4] < 60 < 120 < found[2, 24, 4]
    assert found[:, 44, 4].max() < 60
    save(path, inks, "cmyk", Q=100, profile="cmyk")
    np.testing.assert_array_equal(read(open_source(path)), found)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    upright = np.where(picture() > 128, 255, 0).astype(np.uint8)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    path = tmp_path / f"a.{suffix}"
    across, down = (10.0, 20.0) if orientation < 5 else (20.0, 10.0)
    options: dict[str, Any] = {"Q": 100, "subsample_mode": "off"} if suffix == "jpg" else {}
    save(path, stored.copy(), orientation=orientation, xres=across, yres=down, **options)
    source = open_source(path)
    assert (source.width, source.height) == (WIDTH, HEIGHT)
    assert source.dpi == pytest.approx(254, abs=0.5)
    assert np.abs(read(source).astype(int) - planes(upright)).max() <= 8


@pytest.mark.parametrize(
    ("unit", "density", "dpi"), [(0, 1, None), (1, 300, 300), (1, 72, 72), (2, 118, 299.72)]
)
def test_resolution_of_jpeg(tmp_path: Path, unit: int, density: int, dpi: float | None) -> None:
    path = tmp_path / "a.jpg"
    data = imagecodecs.jpeg_encode(picture())
    path.write_bytes(data[:13] + struct.pack(">BHH", unit, density, density) + data[18:])
    assert open_source(path).dpi == (None if dpi is None else pytest.approx(dpi))


def exif(texts: dict[int, bytes]) -> bytes:
    """An EXIF block of tags of type ASCII."""
    entries, values = b"", b""
    for code, text in sorted(texts.items()):
        place = 8 + 2 + 12 * len(texts) + 4 + len(values)
        value = text if len(text) <= 4 else struct.pack("<I", place)
        entries += struct.pack("<HHI4s", code, 2, len(text), value)
        values += text if len(text) > 4 else b""
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(texts)) + entries + bytes(4) + values


def test_texts_of_exif(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    block = exif(
        {270: b"A b\0", 315: "Jos\xe9 M\xfcller\0".encode("latin-1"), 33432: b"E. M.\0F. N.\0"}
    )
    data = imagecodecs.jpeg_encode(picture())
    path.write_bytes(data[:2] + struct.pack(">BBH", 0xFF, 0xE1, len(block) + 2) + block + data[2:])
    found = open_source(path).metadata
    assert found.description == "A b"
    assert found.artist == "José Müller"
    assert found.copyright == "E. M.; F. N."
    for end in range(len(block)):
        exif_texts(block[:end])


def test_ten_bits_reach_white(tmp_path: Path) -> None:
    path = tmp_path / "a.avif"
    white = np.full((64, 64, 3), 65535, np.uint16)
    save(path, white, "rgb16", compression="av1", bitdepth=10, lossless=True)
    np.testing.assert_array_equal(read(open_source(path)), planes(white))


def test_resolution_of_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(picture()))
    assert open_source(path).dpi is None
    save(path, picture(), xres=300 / 25.4, yres=300 / 25.4, keep="none")
    assert open_source(path).dpi == pytest.approx(300, abs=0.02)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("jpg", {}),
        ("jpg", {"interlace": True}),
        ("png", {}),
        ("png", {"interlace": True}),
        ("webp", {}),
        ("gif", {}),
    ],
)
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.95])
@pytest.mark.parametrize("orientation", [1, 6])
def test_truncated_images_are_refused(
    tmp_path: Path, suffix: str, options: dict[str, Any], kept: float, orientation: int
) -> None:
    path = tmp_path / f"a.{suffix}"
    save(path, picture(), orientation=orientation, **options)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    refused(path)


def test_a_damaged_png_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save(path, picture())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert "damaged" in refused(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"II", "not an image"),
        (b"Dear Sir or Madam,\n" * 20, "not an image"),
        (b"%PDF-1.7\n", "not an image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "not an image"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (b"II*\0", "TIFF_TRUNCATED: a.png: "),
        (b"MM\0+" + bytes(100), "TIFF_CORRUPT: a.png: "),
    ],
)
def test_files_that_are_no_images(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert words in refused(path)


def test_an_image_of_size_zero(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    data = imagecodecs.png_encode(picture())
    path.write_bytes(data[:16] + bytes(8) + data[24:])
    refused(path)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "absent.tif")
    assert "cannot be opened as zarr" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(tmp_path / "pipe")


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    save(path, picture())

    def deny(*_: Any, **__: Any) -> Iterator[None]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", deny)
    assert "cannot be read (Permission denied)" in refused(path)
