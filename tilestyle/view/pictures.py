"""What a page shows: pictures as deep zooms, on disk already or made tile by tile."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tilestyle.admm.grid import Box
from tilestyle.errors import UserError
from tilestyle.images import write_deepzoom
from tilestyle.images.color import Pixels
from tilestyle.images.deepzoom import OVERLAP, TILE, descriptor, encode_tile, tiles_folder
from tilestyle.view.pyramid import Pyramid

QUALITY = 95
"""Of the tiles that are made on demand, and of thumbnails."""


class Picture(Protocol):
    """A deep zoom."""

    @property
    def suffix(self) -> str:
        """Of the tiles: jpeg, jpg, png or webp."""

    def descriptor(self) -> bytes:
        """The text of NAME.dzi."""

    def tile(self, level: int, column: int, row: int) -> bytes | None:
        """An encoded tile; level 0 is one pixel. None where there is none."""

    def save(self, path: Path) -> None:
        """Write it all as NAME.dzi and NAME_files."""

    def warm(self) -> None:
        """Begin with what the first look needs."""


class DeepZoom:
    """A deep zoom that is on disk."""

    def __init__(self, path: Path) -> None:
        """Read the descriptor.

        Raises:
            UserError: It is none, or its tiles are missing.
        """
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            raise UserError(f"{path}: cannot be read as a deep zoom ({reason})") from error
        suffix = re.search(r'<Image\b[^>]*\bFormat="(jpe?g|png|webp)"', text)
        if not suffix:
            raise UserError(f"{path}: is no deep zoom of JPEG, PNG or WebP tiles; export it again")
        if not tiles_folder(path).is_dir():
            raise UserError(f"{path}: its tiles are missing; put {tiles_folder(path).name} beside")
        self.suffix = suffix[1]

    def descriptor(self) -> bytes:
        """The text of NAME.dzi."""
        return self.path.read_bytes()

    def tile(self, level: int, column: int, row: int) -> bytes | None:
        """An encoded tile, None where there is none."""
        file = tiles_folder(self.path) / str(level) / f"{column}_{row}.{self.suffix}"
        return file.read_bytes() if file.is_file() else None

    def save(self, path: Path) -> None:
        """Copy it."""
        shutil.copyfile(self.path, path)
        shutil.copytree(tiles_folder(self.path), tiles_folder(path))

    def warm(self) -> None:
        """Do nothing: all tiles are there."""


class LazyZoom:
    """A deep zoom whose tiles are made when they are asked for, as JPEG of quality 95, 4:4:4."""

    suffix = "jpeg"

    def __init__(self, pyramid: Pyramid) -> None:
        self.pyramid = pyramid

    def descriptor(self) -> bytes:
        """The text of NAME.dzi."""
        height, width = self.pyramid.shapes[0]
        return descriptor(width, height)

    def tile(self, level: int, column: int, row: int) -> bytes | None:
        """An encoded tile, None where there is none."""
        halves = len(self.pyramid.shapes) - 1 - level
        if halves < 0:
            return None
        height, width = self.pyramid.shapes[halves]
        if TILE * row >= height or TILE * column >= width:
            return None
        y, x = TILE * row - OVERLAP, TILE * column - OVERLAP
        side = TILE + 2 * OVERLAP
        box = Box(y, y + side, x, x + side) & Box(0, height, 0, width)
        return encode_tile(self.pyramid.read(halves, box), QUALITY)

    def save(self, path: Path) -> None:
        """Write it all as NAME.dzi and NAME_files."""
        height, width = self.pyramid.shapes[0]

        def bands() -> Iterator[Pixels]:
            for y in range(0, height, TILE):
                yield self.pyramid.read(0, Box(y, min(y + TILE, height), 0, width))

        write_deepzoom(path, bands(), width=width, height=height)

    def warm(self) -> None:
        """Begin with what the first look needs."""
        self.pyramid.warm()
