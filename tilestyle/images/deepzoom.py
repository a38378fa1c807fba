"""Deep zoom (DZI): a pyramid of JPEG tiles, streamed through libvips."""

import struct
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyvips

from tilestyle.errors import UserError
from tilestyle.images.bands import rebanded
from tilestyle.images.color import Pixels
from tilestyle.images.partial import partial_folder, publish

TILE = 510
"""Side of a tile without its overlap: with it, 512."""
OVERLAP = 1
_SUFFIX = ".jpeg[Q=85]"
_ROWS = 64


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
    """Write NAME.dzi and NAME_files; beside the bands, memory holds some 20 KB a pixel of width.

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
    with partial_folder(path) as folder, ThreadPoolExecutor(1) as pool:
        stream = _Stream(_png(bands, width, height))
        try:
            # in a thread, so that an interrupt is heard
            pool.submit(_save, stream, folder / "image").result()
        except BaseException as error:
            stream.stopped = True
            if isinstance(error, pyvips.Error):
                reason = str(stream.error or error.detail).strip().splitlines()[-1]
                raise stream.error or UserError(f"{path}: cannot be written ({reason})") from error
            raise
        (folder / "image_files" / "vips-properties.xml").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        publish(folder / "image_files", tiles_folder(path))
        publish(folder / "image.dzi", path)


def _save(stream: "_Stream", name: Path) -> None:
    source = pyvips.SourceCustom()
    source.on_read(stream.read)
    image = pyvips.Image.new_from_source(
        source, "", access="sequential", fail_on="error", unlimited=True
    )
    image.dzsave(
        str(name),
        tile_size=TILE,
        overlap=OVERLAP,
        depth="onepixel",
        suffix=_SUFFIX,
        keep="none",
    )
    stream.finish()


class _Stream:
    """Pieces of bytes as a file that libvips reads; an error ends it and is kept."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.left = memoryview(b"")
        self.error: BaseException | None = None
        self.stopped = False

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end."""
        if not self.left and not self.stopped:
            try:
                self.left = memoryview(next(self.pieces, b""))
            except BaseException as error:  # libvips would print it and go on
                self.error, self.stopped = error, True
        found, self.left = self.left[:size], self.left[size:]
        return bytes(found)

    def finish(self) -> None:
        """Read what is left, so that the pieces can find that they are too many."""
        while self.read(1 << 20):
            pass
        if self.error:
            raise self.error


def _png(bands: Iterable[Pixels], width: int, height: int) -> Iterator[bytes]:
    """An uncompressed PNG, made while it is read: the one stream libvips takes without seeking."""
    yield b"\x89PNG\r\n\x1a\n" + _chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    )
    stored = zlib.compressobj(level=0)
    top = 0
    for band in rebanded(bands, _ROWS):
        rows = band.shape[1]
        if band.dtype != np.uint8 or band.shape != (3, rows, width):
            raise ValueError(f"a band is {band.dtype} {band.shape}, expected uint8, {width} wide")
        top += rows
        lines = np.zeros((rows, 1 + 3 * width), np.uint8)  # each begins with its filter: none
        lines[:, 1:] = np.moveaxis(band, 0, -1).reshape(rows, -1)
        yield _chunk(b"IDAT", stored.compress(lines.data))
    if top != height:
        raise ValueError(f"the bands have {top} rows, expected {height}")
    yield _chunk(b"IDAT", stored.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
