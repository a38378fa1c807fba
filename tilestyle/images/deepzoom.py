"""Deep zoom (DZI): a pyramid of JPEG tiles, all levels made in one pass from top to bottom."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import imagecodecs
import numpy as np

from tilestyle.admm.grid import Box
from tilestyle.errors import UserError
from tilestyle.images.color import Pixels
from tilestyle.images.levels import Shape, half_shapes, halve
from tilestyle.images.partial import partial_folder, publish

TILE = 510
"""Side of a tile without its overlap: with it, 512."""
OVERLAP = 1
_QUALITY = 85
_WORKERS = min(8, os.cpu_count() or 1)
# A row of tiles with its overlap, or up to one row less, and what half a row of tiles adds then.
_HELD = TILE + 2 * OVERLAP + TILE // 2
_DESCRIPTOR = """<?xml version="1.0" encoding="UTF-8"?>
<Image xmlns="http://schemas.microsoft.com/deepzoom/2008" Format="jpeg" Overlap="{overlap}"
  TileSize="{tile}"><Size Height="{height}" Width="{width}"/></Image>
"""

_MapAll: TypeAlias = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]


def descriptor(width: int, height: int) -> bytes:
    """The text of NAME.dzi, for an image of this size in pixels."""
    text = _DESCRIPTOR.format(overlap=OVERLAP, tile=TILE, height=height, width=width)
    return text.encode()


def encode_tile(pixels: Pixels, quality: int) -> bytes:
    """A (3, rows, columns) uint8 tile as JPEG; from a quality of 90 on, colours are not halved."""
    rgb = np.moveaxis(pixels, 0, -1).copy(order="C")
    subsampling = "444" if quality >= 90 else "420"
    return bytes(imagecodecs.jpeg8_encode(rgb, level=quality, subsampling=subsampling))


def tiles_folder(path: Path) -> Path:
    """Where the tiles of a descriptor are: those of a.dzi are in a_files."""
    return path.with_name(f"{path.stem}_files")


def check_tiles(path: Path) -> None:
    """Refuse to replace a folder that is not one of tiles.

    Args:
        path: The descriptor, NAME.dzi.

    Raises:
        UserError: NAME_files is something else.
    """
    tiles = tiles_folder(path)
    if tiles.exists() and not (tiles / "0" / "0_0.jpeg").is_file():
        raise UserError(f"{tiles}: is in the way of the tiles of {path.name}; move it elsewhere")


def write_deepzoom(path: Path, bands: Iterable[Pixels], *, width: int, height: int) -> None:
    """Write NAME.dzi and NAME_files; beside the bands, memory holds some 5 KB a pixel of width.

    The tiles get their folder's name when they are complete, and the descriptor comes last.
    Levels are those of `levels.halve`, down to one pixel.

    Args:
        path: The descriptor, NAME.dzi; an existing deep zoom is replaced.
        bands: (3, rows, width) uint8 sRGB bands from top to bottom, of any heights.
        width: Width in pixels.
        height: Height in pixels.

    Raises:
        UserError: The folder is missing or not writable, the disk is full, or the folder of the
            tiles holds something else.
        ValueError: The bands do not have this size or dtype.
    """
    check_tiles(path)
    with partial_folder(path) as folder, ThreadPoolExecutor(_WORKERS) as pool:
        tiles = folder / "tiles"
        tiles.mkdir()
        finest = _Level(tiles, half_shapes((height, width), 1), pool.map)
        top = 0
        for band in bands:
            if band.dtype != np.uint8 or (len(band), *band.shape[2:]) != (3, width):
                raise ValueError(f"a band is {band.dtype} {band.shape}, not uint8, {width} wide")
            top += band.shape[1]
            if top > height:
                raise ValueError(f"the bands have more than {height} rows")
            finest.add(band)
        if top < height:
            raise ValueError(f"the bands have {top} rows, expected {height}")
        written = folder / "image.dzi"
        written.write_bytes(descriptor(width, height))
        path.unlink(missing_ok=True)
        publish(tiles, tiles_folder(path))
        publish(written, path)


class _Level:
    """The rows of a level that are at hand: a row of tiles is cut from them as soon as it can be.

    The same rows, halved, go on to the next coarser level.

    Args:
        folder: Of all levels.
        shapes: Size of this level and of the coarser ones.
        map_all: Does something for many numbers, in parallel.
    """

    def __init__(self, folder: Path, shapes: Sequence[Shape], map_all: _MapAll) -> None:
        (self._height, self._width), *coarser = shapes
        self._folder = folder / str(len(coarser))
        self._folder.mkdir()
        self._coarser = _Level(folder, coarser, map_all) if coarser else None
        self._map_all = map_all
        self._rows = np.empty((3, min(_HELD, self._height), self._width), np.uint8)
        self._top = self._filled = self._cut = 0

    def add(self, band: Pixels) -> None:
        """Take (3, rows, width) more pixels, from the top of the image down."""
        taken = 0
        while taken < band.shape[1]:
            part = band[:, taken : taken + self._rows.shape[1] - self._filled]
            self.room(part.shape[1])[:] = part
            self.added(part.shape[1])
            taken += part.shape[1]

    def room(self, rows: int) -> Pixels:
        """Where the next rows belong; `added` tells that they are there."""
        return self._rows[:, self._filled : self._filled + rows]

    def added(self, rows: int) -> None:
        """Cut what can be cut, now that there are so many rows more."""
        self._filled += rows
        while self._cut * TILE < self._height and self._reach() <= self._top + self._filled:
            self._cut_row()

    def _reach(self) -> int:
        """The rows that must be known for the next row of tiles, counted from the top."""
        return min((self._cut + 1) * TILE + OVERLAP, self._height)

    def _cut_row(self) -> None:
        y0, y1 = self._cut * TILE, min((self._cut + 1) * TILE, self._height)
        rows = -(-(y1 - y0) // 2)
        half = self._coarser.room(rows) if self._coarser else None
        for _ in self._map_all(partial(self._tile, y0, y1, half), range(0, self._width, TILE)):
            pass
        self._cut += 1
        if self._coarser:
            self._coarser.added(rows)
        kept = self._rows[:, y1 - OVERLAP - self._top : self._filled]
        self._top, self._filled = y1 - OVERLAP, kept.shape[1]
        self._rows[:, : self._filled] = kept

    def _tile(self, y0: int, y1: int, half: Any, x0: int) -> None:
        """Write the tile at (y0, x0), and put its half where it belongs."""
        x1 = min(x0 + TILE, self._width)
        seen = Box(y0 - OVERLAP, y1 + OVERLAP, x0 - OVERLAP, x1 + OVERLAP)
        held = Box(self._top, self._top + self._filled, 0, self._width)
        pixels = self._rows[(slice(None), *(seen & held).index(held))]
        name = f"{x0 // TILE}_{y0 // TILE}.jpeg"
        (self._folder / name).write_bytes(encode_tile(pixels, _QUALITY))
        if half is not None:
            inside = self._rows[(slice(None), *Box(y0, y1, x0, x1).index(held))]
            half[:, :, x0 // 2 : -(-x1 // 2)] = halve(inside)
