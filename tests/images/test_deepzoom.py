"""Deep zoom: descriptor, levels, tiles, and what is left when writing fails."""

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from tilestyle.errors import UserError
from tilestyle.images import deepzoom, write_deepzoom
from tilestyle.images.levels import half_shapes, halve

Array = NDArray[Any]
SIZES = [(1, 1), (1, 700), (510, 511), (1021, 1023), (1300, 30), (2600, 515)]


def smooth(height: int, width: int) -> Array:
    """A (3, height, width) grey gradient, which JPEG keeps within some levels."""
    y, x = np.mgrid[:height, :width]
    plane = (x + y) / (width + height) * 255
    return np.stack([plane.astype(np.uint8)] * 3)


def bands(image: Array, rows: int = 100) -> Iterator[Array]:
    for top in range(0, image.shape[1], rows):
        yield image[:, top : top + rows]


def write(path: Path, image: Array) -> None:
    write_deepzoom(path, bands(image), width=image.shape[2], height=image.shape[1])


def tiles(path: Path, level: int) -> dict[tuple[int, int], Array]:
    """All tiles of a level, (3, rows, columns), by (column, row)."""
    found = {}
    for file in (deepzoom.tiles_folder(path) / str(level)).iterdir():
        column, row = map(int, file.stem.split("_"))
        pixels = pyvips.Image.new_from_file(str(file), fail_on="warning").numpy()
        found[column, row] = np.moveaxis(pixels, -1, 0)
    return found


@pytest.mark.parametrize("size", SIZES)
def test_levels_and_tiles(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "a [b=1].v2.dzi"
    image = smooth(*size)

    write(path, image)

    assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name, "a [b=1].v2_files"]
    root = ET.parse(path).getroot()  # noqa: S314
    assert (root.get("TileSize"), root.get("Overlap"), root.get("Format")) == ("510", "1", "jpeg")
    (extent,) = root
    assert (extent.get("Height"), extent.get("Width")) == tuple(map(str, size))
    shapes = half_shapes(size, 1)
    folders = deepzoom.tiles_folder(path).iterdir()
    assert sorted(int(folder.name) for folder in folders) == list(range(len(shapes)))
    for level, shape in zip(reversed(range(len(shapes))), shapes, strict=True):
        assert image.shape[1:] == shape
        found = tiles(path, level)
        across, down = (-(-n // 510) for n in (shape[1], shape[0]))
        assert set(found) == {(c, r) for c in range(across) for r in range(down)}
        for (column, row), pixels in found.items():
            y, x = max(510 * row - 1, 0), max(510 * column - 1, 0)
            expected = image[:, y : 510 * (row + 1) + 1, x : 510 * (column + 1) + 1]
            assert pixels.shape == expected.shape
            assert np.abs(pixels.astype(int) - expected).max() <= 4
        image = halve(image)


@pytest.mark.parametrize("size", SIZES)
def test_without_jpeg_the_levels_are_those_of_halve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    def png(pixels: Array, quality: int) -> bytes:
        return bytes(imagecodecs.png_encode(np.moveaxis(pixels, 0, -1).copy(order="C")))

    monkeypatch.setattr(deepzoom, "encode_tile", png)
    image = np.random.default_rng(2).integers(0, 256, (3, *size), np.uint8)
    write_deepzoom(tmp_path / "a.dzi", bands(image, 37), width=size[1], height=size[0])
    for level in reversed(range(len(half_shapes(size, 1)))):
        for (column, row), pixels in tiles(tmp_path / "a.dzi", level).items():
            y, x = max(510 * row - 1, 0), max(510 * column - 1, 0)
            expected = image[:, y : 510 * (row + 1) + 1, x : 510 * (column + 1) + 1]
            np.testing.assert_array_equal(pixels, expected)
        image = halve(image)


def test_a_failure_leaves_nothing_and_an_older_output_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.dzi"
    write(path, smooth(40, 30))
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    def broken() -> Iterator[Array]:
        yield smooth(100, 700)
        raise UserError("the source ends here")

    with pytest.raises(UserError, match="ends here"):
        write_deepzoom(path, broken(), width=700, height=900)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(("height", "width"), [(99, 700), (101, 700), (100, 699)])
def test_bands_of_another_size(tmp_path: Path, height: int, width: int) -> None:
    with pytest.raises(ValueError, match="band"):
        write_deepzoom(tmp_path / "a.dzi", bands(smooth(100, 700)), width=width, height=height)
    assert not list(tmp_path.iterdir())


def test_a_smaller_one_replaces_all_of_a_larger_one(tmp_path: Path) -> None:
    path = tmp_path / "a.dzi"
    write(path, smooth(600, 700))
    write(path, smooth(5, 6))
    assert len(list(deepzoom.tiles_folder(path).iterdir())) == 4
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.dzi", "a_files"]


def test_tiles_without_their_descriptor_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.dzi"
    write(path, smooth(600, 700))
    path.unlink()
    write(path, smooth(5, 6))
    assert path.is_file()


def test_a_folder_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a_files").mkdir()
    (tmp_path / "a_files" / "diary.txt").write_text("dear diary")
    with pytest.raises(UserError, match="a_files: is in the way"):
        write(tmp_path / "a.dzi", smooth(5, 6))
    assert (tmp_path / "a_files" / "diary.txt").is_file()


def test_an_interrupt_is_heard_and_leaves_nothing(tmp_path: Path) -> None:
    script = """
import numpy as np, pathlib, sys, tilestyle.images as images
def bands():
    for n in range(10**6):
        if n == 20:
            print("running", flush=True)
        yield np.zeros((3, 100, 500), np.uint8)
images.write_deepzoom(pathlib.Path(sys.argv[1]), bands(), width=500, height=10**8)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "a.dzi")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    assert not list(tmp_path.iterdir())
