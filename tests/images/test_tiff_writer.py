"""TIFF writing: what two other programs read, and what happens when it fails."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tilestyle.config import Output
from tilestyle.errors import UserError
from tilestyle.images import Tags, open_source, plan_layout, srgb_profile, tiff_writer, write_tiff
from tilestyle.images.levels import halve
from tilestyle.images.metadata import Resolution
from tilestyle.images.tiff_layout import Layout
from tilestyle.images.tiff_writer import levels_of

Array = NDArray[Any]


def picture(dtype: str, height: int, width: int) -> Array:
    """(3, height, width) noise on a ramp."""
    ramp = np.linspace(0, 0.9, 3 * height * width).reshape(3, height, width)
    noise = np.random.default_rng(3).random(ramp.shape) * 0.1
    return ((ramp + noise) * np.iinfo(dtype).max).astype(dtype)


def bands(image: Array, rows: int) -> Iterator[Array]:
    for top in range(0, image.shape[1], rows):
        yield image[:, top : top + rows]


TAGS = Tags(srgb_profile(), Resolution.of_dpi(300), "tilestyle test")


def write(path: Path, image: Array, step: int = 100, **options: Any) -> Layout:
    """Write in bands of `step` rows, as options of the section `output` have it."""
    layout = plan_layout(
        image.shape[1:],
        Output(**({"tile": 64} | options)),
        dtype=image.dtype,
        colors=4 if len(image) > 4 else 3,
        alpha=len(image) > 3,
    )
    write_tiff(path, bands(image, step), layout, TAGS)
    return layout


@pytest.mark.parametrize("compression", ["auto", "none", "zstd"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("profile", ["print", "archive"])
@pytest.mark.parametrize("size", [(150, 200), (128, 64), (1, 1), (65, 300)])
def test_what_is_written_is_read(
    tmp_path: Path, compression: str, dtype: str, profile: str, size: tuple[int, int]
) -> None:
    path = tmp_path / "a[b=1].tif"
    image = picture(dtype, *size)

    write(path, image, compression=compression, profile=profile)

    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    source = open_source(path)
    np.testing.assert_array_equal(np.concatenate(list(source.rows(50)), axis=1), image)
    assert source.dpi == 300
    automatic = {"uint8": "lzw", "uint16": "adobe_deflate"}[dtype]
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert page.iccprofile == srgb_profile()
        assert page.resolution == (300, 300)
        assert page.resolutionunit == tifffile.RESUNIT.INCH
        assert page.software == "tilestyle test"
        assert page.tags["Orientation"].value == 1
        expected = {"auto": automatic}.get(compression, compression)
        assert page.compression.name.lower() == expected
        assert page.predictor == (1 if compression == "none" else 2)
        np.testing.assert_array_equal(page.asarray(), np.moveaxis(image, 0, -1))
    if compression != "zstd":  # libvips wheels come without it
        read = pyvips.Image.new_from_source(
            pyvips.Source.new_from_file(str(path)), "", fail_on="warning"
        )
        np.testing.assert_array_equal(read.numpy(), np.moveaxis(image, 0, -1))
        assert read.xres * 25.4 == pytest.approx(300, abs=1e-4)
        assert read.get("icc-profile-data") == srgb_profile()


def test_print_is_one_page_of_strips(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", np.zeros((3, 500, 1000), np.uint8))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert not file.is_bigtiff
        assert len(file.pages) == 1
        page = file.pages[0]
        assert not page.is_tiled
        assert page.rowsperstrip == 2**20 // 3000
        assert page.subifds is None


@given(height=st.integers(1, 300), width=st.integers(1, 300), step=st.integers(1, 300))
def test_levels_by_bands_are_those_of_the_whole(height: int, width: int, step: int) -> None:
    image = picture("uint8", height, width)
    options = Output(profile="archive", tile=64)
    pages = plan_layout((height, width), options, dtype=image.dtype).pages
    found: dict[int, list[Array]] = {}
    for level, band in levels_of(bands(image, step), pages):
        found.setdefault(level, []).append(band)
    for level, page in enumerate(pages):
        assert {band.shape[1] for band in found[level][:-1]} <= {page.rows}
        np.testing.assert_array_equal(np.concatenate(found[level], axis=1), image)
        image = halve(image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("samples", [3, 4, 5])
def test_an_archive_has_its_levels_in_subifds(tmp_path: Path, dtype: str, samples: int) -> None:
    image = np.resize(picture(dtype, 301, 517), (samples, 301, 517))
    write(tmp_path / "a.tif", image, profile="archive")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
        assert len(file.pages) == 1
        pages = [file.pages[0], *file.pages[0].pages]
        assert [page.shape[:2] for page in pages] == [
            (301, 517),
            (151, 259),
            (76, 130),
            (38, 65),
            (19, 33),
        ]
        for level, page in enumerate(pages):
            assert page.is_tiled
            assert page.subfiletype == (1 if level else 0)
            assert page.extrasamples == (() if samples == 3 else (2,))
            assert page.tags["XResolution"].value == (Fraction(300, 2**level)).as_integer_ratio()
            np.testing.assert_array_equal(page.asarray(), np.moveaxis(image, 0, -1))
            image = halve(image)


def test_jpeg_is_near_and_webp_exact(tmp_path: Path) -> None:
    smooth = np.linspace(0, 200, 3 * 300 * 200).reshape(3, 300, 200).astype(np.uint8)
    for name, most in (("jpeg", 6), ("webp", 0)):
        write(tmp_path / "a.tif", smooth, profile="archive", compression=name)
        found = np.moveaxis(tifffile.imread(tmp_path / "a.tif"), -1, 0)
        assert np.abs(found.astype(int) - smooth).max() <= most


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((20_000, 33_333), {}, "print"),
        ((20_000, 33_334), {}, "archive"),
        ((20_000, 33_334), {"profile": "print"}, "print"),
        ((100, 100), {"profile": "archive"}, "archive"),
    ],
)
def test_the_profile(shape: tuple[int, int], options: dict[str, Any], expected: str) -> None:
    layout = plan_layout(shape, Output(**options), dtype=np.dtype(np.uint8))
    assert layout.profile == expected
    assert len(layout.pages) == (1 if expected == "print" or max(shape) < 512 else 8)


@pytest.mark.parametrize(
    ("options", "alpha", "message"),
    [
        ({"profile": "print"}, False, r"output\.profile: print is a classic TIFF .* takes 7\.5"),
        ({"compression": "jpeg"}, True, r"output\.compression: jpeg holds RGB .* without alpha"),
        ({"compression": "webp", "profile": "print"}, False, "print is a classic TIFF"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], alpha: bool, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan_layout((50_000, 50_000), Output(**options), dtype=np.dtype(np.uint8), alpha=alpha)
    with pytest.raises(UserError, match="needs tiles"):
        plan_layout((9, 9), Output(compression="jpeg"), dtype=np.dtype(np.uint8))


def test_lzw_may_make_pixels_larger() -> None:
    pixels, shape = np.dtype(np.uint8), (30_000, 30_000)
    with pytest.raises(UserError, match=r"at most 2\.6 GB before LZW.* takes 2\.7; .*deflate"):
        plan_layout(shape, Output(profile="print"), dtype=pixels)
    plan_layout(shape, Output(profile="print", compression="deflate"), dtype=pixels)
    plan_layout((28_000, 30_000), Output(profile="print"), dtype=pixels)


def test_a_classic_tiff_that_grows_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff_writer, "_CLASSIC_BYTES", 10_000)
    with pytest.raises(UserError, match=r"a\.tif: .*set output\.profile: archive"):
        write(tmp_path / "a.tif", picture("uint8", 100, 80))
    assert not list(tmp_path.iterdir())
    write(tmp_path / "a.tif", picture("uint8", 100, 80), profile="archive")


@pytest.mark.parametrize(
    "x", [Fraction(1585245585, 2**30), Fraction(1, 2**32 - 1), Fraction(2**32 - 1)]
)
def test_resolutions_of_halves_fit_in_32_bits(tmp_path: Path, x: Fraction) -> None:
    image = picture("uint8", 301, 517)
    layout = plan_layout((301, 517), Output(profile="archive", tile=64), dtype=image.dtype)
    tags = Tags(srgb_profile(), Resolution(x, Fraction(300), "cm"), "tilestyle test")
    write_tiff(tmp_path / "a.tif", [image], layout, tags)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        pages = [file.pages[0], *file.pages[0].pages]
        found = [Fraction(*page.tags["XResolution"].value) for page in pages]
    assert found[0] == x
    for level, value in enumerate(found):
        assert value > 0
        assert abs(value - x / 2**level) <= Fraction(1, 2**32 - 1)


def test_bands_that_do_not_fit(tmp_path: Path) -> None:
    image = picture("uint8", 100, 80)
    layout = plan_layout((100, 80), Output(), dtype=image.dtype)
    for wrong, message in [
        (image[:, :64], "the bands end at row 64 of 100"),
        (picture("uint8", 101, 80), "the bands reach row 101 of 100"),
        (image[:, :, :79], r"the band at row 0 is uint8 \(3, 50, 79\), expected uint8"),
        (image.astype(np.uint16), "the band at row 0 is uint16"),
    ]:
        with pytest.raises(ValueError, match=message):
            write_tiff(tmp_path / "a.tif", bands(wrong, 50), layout, TAGS)
        assert not list(tmp_path.iterdir())


def test_no_layout_of_what_is_no_image() -> None:
    for shape, dtype in (((0, 5), "uint8"), ((5, 5), "float32")):
        with pytest.raises(ValueError, match=r"empty|must be"):
            plan_layout(shape, Output(), dtype=np.dtype(dtype))
    with pytest.raises(ValueError, match="dpi"):
        Resolution.of_dpi(0)


def test_an_error_of_the_bands_passes_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"old")

    def failing() -> Iterator[Array]:
        yield picture("uint8", 64, 80)
        raise UserError("the input broke")

    layout = plan_layout((128, 80), Output(), dtype=np.dtype(np.uint8))
    with pytest.raises(UserError, match="the input broke"):
        write_tiff(path, failing(), layout, TAGS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tif"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(("where", "reason"), [("absent/a.tif", "No such file"), (".", "folder")])
def test_unusable_paths(tmp_path: Path, where: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        write(tmp_path / where, picture("uint8", 10, 10))


def test_a_folder_that_is_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "write_bytes", deny)
    with pytest.raises(UserError, match=r"a\.tif: cannot be written \(Permission denied\)"):
        write(tmp_path / "a.tif", picture("uint8", 10, 10))


def test_a_full_disk_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match=r"a\.tif: cannot be written \(No space left on device\)"):
        write(tmp_path / "a.tif", picture("uint8", 10, 10))
    assert not list(tmp_path.iterdir())


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from tilestyle.config import Output
from tilestyle.errors import UserError
from tilestyle.images import Tags, plan_layout, srgb_profile, write_tiff
from tilestyle.images.metadata import Resolution

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
band = np.random.default_rng(0).integers(0, 256, (3, 64, 512), dtype=np.uint8)
try:
    layout = plan_layout((512, 512), Output(compression="none"), dtype=band.dtype)
    tags = Tags(srgb_profile(), Resolution.of_dpi(300), "tilestyle test")
    write_tiff(Path(sys.argv[1]), [band] * 8, layout, tags)
except UserError as error:
    print(error)
"""


def test_a_full_disk_on_the_way(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.tif")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "a.tif: cannot be written (File too large); free space" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("profile", ["print", "archive"])
@pytest.mark.parametrize("compression", ["lzw", "deflate", "zstd", "none"])
def test_damage_on_the_way_to_the_disk_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str, profile: str
) -> None:
    def damage(partial: Path) -> None:
        with tifffile.TiffFile(partial) as file:
            offset = file.pages[0].dataoffsets[0]
            size = file.pages[0].databytecounts[0]
        content = bytearray(partial.read_bytes())
        content[offset : offset + size] = bytes(size)
        partial.write_bytes(content)

    monkeypatch.setattr(tiff_writer, "sync", damage)
    with pytest.raises(UserError, match=r"^TIFF_VERIFY: a\.tif: "):
        write(
            tmp_path / "a.tif", picture("uint8", 100, 80), compression=compression, profile=profile
        )
    assert not list(tmp_path.iterdir())


MEMORY = """
import sys
from pathlib import Path
import numpy as np
from tilestyle.config import Output
from tilestyle.images import Tags, open_source, plan_layout, srgb_profile, write_tiff
from tilestyle.images.metadata import Resolution

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

side, path = 8192, Path(sys.argv[1])
ramp = (np.arange(side) // 32).astype(np.uint8)
def bands():
    for top in range(0, side, 512):
        yield np.broadcast_to(ramp, (3, 512, side)) + np.uint8(top // 512)

before = peak()
options = Output(profile=sys.argv[2], compression=sys.argv[3])
layout = plan_layout((side, side), options, dtype=np.dtype("uint8"))
write_tiff(path, bands(), layout, Tags(srgb_profile(), Resolution.of_dpi(300), "tilestyle test"))
for found, expected in zip(open_source(path).rows(512), bands(), strict=True):
    assert np.array_equal(found, expected)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read there")
@pytest.mark.parametrize(("profile", "compression"), [("print", "lzw"), ("archive", "none")])
def test_memory_is_bounded(tmp_path: Path, profile: str, compression: str) -> None:
    # Raw pixels are 201 MB and a band is 13 MB. Peak memory by getrusage would include that of
    # the parent process.
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "a.tif"), profile, compression],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 130
