"""TIFF writing: what two other programs read, and what happens when it fails."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from numpy.typing import NDArray

from tilestyle.errors import UserError
from tilestyle.images import open_source, srgb_profile, tiff_writer, write_tiff

Array = NDArray[Any]

COMPRESSIONS = ["lzw", "deflate", "zstd", "none"]


def picture(dtype: str, height: int, width: int) -> Array:
    """(3, height, width) noise on a ramp."""
    ramp = np.linspace(0, 0.9, 3 * height * width).reshape(3, height, width)
    noise = np.random.default_rng(3).random(ramp.shape) * 0.1
    return ((ramp + noise) * np.iinfo(dtype).max).astype(dtype)


def bands(image: Array, rows: int) -> Iterator[Array]:
    for top in range(0, image.shape[1], rows):
        yield image[:, top : top + rows]


def write(path: Path, image: Array, **options: Any) -> None:
    settings: dict[str, Any] = {
        "height": image.shape[1],
        "width": image.shape[2],
        "dtype": image.dtype,
        "dpi": 300.0,
        "compression": "lzw",
        "tile": 64,
        "software": "tilestyle test",
    }
    settings |= options
    write_tiff(path, bands(image, settings["tile"]), **settings)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("bigtiff", [True, False])
@pytest.mark.parametrize("size", [(150, 200), (128, 64), (1, 1), (65, 300)])
def test_what_is_written_is_read(
    tmp_path: Path, compression: str, dtype: str, bigtiff: bool, size: tuple[int, int]
) -> None:
    path = tmp_path / "a[b=1].tif"
    image = picture(dtype, *size)

    write(path, image, compression=compression, bigtiff=bigtiff)

    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    source = open_source(path)
    np.testing.assert_array_equal(np.concatenate(list(source.rows(50)), axis=1), image)
    assert source.dpi == 300
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        assert file.is_bigtiff == bigtiff
        side = min(64, -(-max(image.shape[1:]) // 16) * 16)
        assert page.tile == (side, side)
        assert page.iccprofile == srgb_profile()
        assert page.resolution == (300, 300)
        assert page.resolutionunit == tifffile.RESUNIT.INCH
        assert page.software == "tilestyle test"
        assert page.predictor == (1 if compression == "none" else 2)
        np.testing.assert_array_equal(page.asarray(), np.moveaxis(image, 0, -1))
    if compression != "zstd":  # libvips wheels come without it
        read = pyvips.Image.new_from_source(
            pyvips.Source.new_from_file(str(path)), "", fail_on="warning"
        )
        np.testing.assert_array_equal(read.numpy(), np.moveaxis(image, 0, -1))
        assert read.xres * 25.4 == pytest.approx(300, abs=1e-4)
        assert read.get("icc-profile-data") == srgb_profile()


@pytest.mark.parametrize(
    ("height", "width", "expected"), [(20_000, 33_333, False), (20_000, 33_334, True)]
)
def test_bigtiff_from_two_gigabytes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, height: int, width: int, expected: bool
) -> None:
    seen: list[bool] = []

    def note(*arguments: Any) -> None:
        seen.append(arguments[3])
        raise KeyboardInterrupt

    monkeypatch.setattr(tiff_writer, "_write", note)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.tif", picture("uint8", 1, 1), height=height, width=width)
    assert seen == [expected]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 99}, "band at row 64 of 99 "),
        ({"height": 101}, "band at row 64 of 101 "),
        ({"height": 64}, "band at row 64 of 64 "),
        ({"height": 164}, "band at row 64 of 164 "),
        ({"width": 79}, "band at row 0 "),
        ({"dtype": "uint16"}, "band at row 0 "),
        ({"dtype": "float32"}, "dtype"),
        ({"dpi": 0.0}, "dpi"),
        ({"height": 0}, "empty"),
        ({"height": 50_000, "width": 50_000, "bigtiff": False}, "classic"),
    ],
)
def test_bands_that_do_not_fit(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "a.tif", picture("uint8", 100, 80), **options)
    assert not list(tmp_path.iterdir())


def test_too_few_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="end at row 64 of 128"):
        write(tmp_path / "a.tif", picture("uint8", 64, 80), height=128)


def test_an_error_of_the_bands_passes_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"old")

    def failing() -> Iterator[Array]:
        yield picture("uint8", 64, 80)
        raise UserError("the input broke")

    with pytest.raises(UserError, match="the input broke"):
        write_tiff(
            path,
            failing(),
            width=80,
            height=128,
            dtype="uint8",
            dpi=300,
            compression="lzw",
            tile=64,
            software="tilestyle test",
        )
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
from tilestyle.errors import UserError
from tilestyle.images import write_tiff

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
band = np.random.default_rng(0).integers(0, 256, (3, 64, 512), dtype=np.uint8)
try:
    write_tiff(Path(sys.argv[1]), [band] * 8, width=512, height=512, dtype="uint8", dpi=300,
               compression="none", tile=64, software="tilestyle test")
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


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_damage_on_the_way_to_the_disk_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str
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
        write(tmp_path / "a.tif", picture("uint8", 100, 80), compression=compression)
    assert not list(tmp_path.iterdir())


MEMORY = """
import sys
from pathlib import Path
import numpy as np
from tilestyle.images import open_source, write_tiff

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

side, path = 8192, Path(sys.argv[1])
ramp = (np.arange(side) // 32).astype(np.uint8)
def bands():
    for top in range(0, side, 512):
        yield np.broadcast_to(ramp, (3, 512, side)) + np.uint8(top // 512)

before = peak()
write_tiff(path, bands(), width=side, height=side, dtype="uint8", dpi=300,
           compression=sys.argv[2], software="tilestyle test")
for found, expected in zip(open_source(path).rows(512), bands(), strict=True):
    assert np.array_equal(found, expected)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read there")
@pytest.mark.parametrize("compression", ["lzw", "none"])
def test_memory_is_bounded(tmp_path: Path, compression: str) -> None:
    # Raw pixels are 201 MB and a band is 13 MB. Peak memory by getrusage would include that of
    # the parent process.
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "a.tif"), compression],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 130
