"""TIFF and BigTIFF, decoded by tifffile and imagecodecs.

libvips is not used here: it returns black pixels, without an error, for tiles that are damaged
or compressed in a way it does not know.
"""

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tifffile import COMPRESSION, TiffFile, TiffPage

from tilestyle.errors import UserError
from tilestyle.images.bands import rebanded
from tilestyle.images.color import Pixels
from tilestyle.images.tiff_pixels import Samples, tiff_pixels

_COMPRESSIONS = {
    COMPRESSION.NONE,
    COMPRESSION.LZW,
    COMPRESSION.ADOBE_DEFLATE,
    COMPRESSION.DEFLATE,
    COMPRESSION.PACKBITS,
    COMPRESSION.JPEG,
    COMPRESSION.CCITTRLE,
    COMPRESSION.CCITTFAX3,
    COMPRESSION.CCITTFAX4,
    COMPRESSION.ZSTD,
    COMPRESSION.WEBP,
}
_INCH_BY_UNIT = {2: 1.0, 3: 2.54}
_WORKERS = min(8, os.cpu_count() or 1)
_RAW_STRIP_BYTES = 1 << 20
_JPEG_END = b"\xff\xd9"
# No codec in use packs more tightly; it matters only where memory is at stake.
_EXPANSION = 10_000
_BOMB_BYTES = 1 << 28


class TiffSource:
    """The first page of a TIFF or BigTIFF file.

    The header is checked before any pixel is read. Memory holds a few bands, or rows of tiles or
    compressed strips where these are higher.

    Args:
        path: The file.
        profile: ICC profile to assume where the file embeds none.

    Raises:
        UserError: The file is damaged (TIFF_CORRUPT, TIFF_TRUNCATED) or its pixels are stored in
            a way that is not supported (TIFF_COMPRESSION, TIFF_LAYOUT, TIFF_ORIENTATION and the
            codes of `tiff_pixels`).
    """

    def __init__(self, path: Path, profile: bytes | None = None) -> None:
        self.name = path.name
        self._path = path
        with _header_errors(self.name), TiffFile(path) as file:
            page = file.pages[0]
            _check_page(page, self.name)
            self._pixels = tiff_pixels(page, profile, name=self.name)
            _split_raw_strip(page, self.name)
            _check_segments(page, file.filehandle.size, self.name)
            self.width: int = page.imagewidth
            self.height: int = page.imagelength
            self.dtype = self._pixels.dtype
            self.dpi = _dpi(page)
            self._page = page
            self._tables = {"jpegtables": page.jpegtables} if page.jpegtables else {}
            page.init_decode()

    def rows(self, step: int) -> Iterator[Pixels]:
        """Bands of `step` rows; see `Source.rows`."""
        return rebanded(self._chunks(step), step)

    def _chunks(self, step: int) -> Iterator[Pixels]:
        """Bands of whole segment rows, about `step` rows high."""
        segment = _segment_rows(self._page)
        rows = segment * max(1, step // segment)
        with self._path.open("rb") as file, ThreadPoolExecutor(_WORKERS) as pool:
            for top in range(0, self.height, rows):
                bottom = min(self.height, top + rows)
                yield self._pixels.to_srgb(self._read(file.fileno(), pool, top, bottom))

    def _read(self, file: int, pool: ThreadPoolExecutor, top: int, bottom: int) -> Samples:
        """Decode the rows [top, bottom); both are multiples of the segment height or the end."""
        page = self._page
        out = np.empty((bottom - top, self.width, page.samplesperpixel), page.dtype)

        def place(index: int) -> None:
            data, (plane, _, y, x, _) = self._decode(file, index)
            part = out[y - top : y - top + len(data), x : x + data.shape[1], plane:]
            part[..., : data.shape[2]] = data[: part.shape[0], : part.shape[1]]

        for _ in pool.map(place, _segment_indices(page, top, bottom)):
            pass
        return out

    def _decode(self, file: int, index: int) -> tuple[Samples, tuple[int, ...]]:
        """One segment as (rows, width, samples) and its place (plane, depth, row, column, 0)."""
        size, offset = self._page.databytecounts[index], self._page.dataoffsets[index]
        data = os.pread(file, size, offset)
        # The JPEG decoder would fill what is missing with grey.
        is_jpeg = self._page.compression == COMPRESSION.JPEG
        if len(data) != size or (is_jpeg and _JPEG_END not in data):
            raise _truncated(self.name, index)
        try:
            decoded, place, _ = self._page.decode(data, index, **self._tables)
        except Exception as error:  # the codecs raise many types
            raise UserError(
                f"TIFF_CORRUPT: {self.name}: segment {index} cannot be decoded"
                f" ({_one_line(error)}); export the image again"
            ) from error
        return decoded[0], place


@contextmanager
def _header_errors(name: str) -> Iterator[None]:
    """Turn whatever the parser raises on a hostile header into one TIFF_CORRUPT."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        raise UserError(
            f"TIFF_CORRUPT: {name}: the header cannot be read ({_one_line(error)});"
            " export the image again"
        ) from error


def _check_page(page: TiffPage, name: str) -> None:
    """Refuse what the decoder cannot know or would misplace."""
    if page.imagewidth < 1 or page.imagelength < 1:
        raise UserError(
            f"TIFF_CORRUPT: {name}: the size is {page.imagewidth} x {page.imagelength} pixels;"
            " export the image again"
        )
    if page.compression not in _COMPRESSIONS:
        label = getattr(page.compression, "name", page.compression)
        raise UserError(
            f"TIFF_COMPRESSION: {name}: the compression {label} is not supported; save the image"
            " with LZW, deflate or no compression"
        )
    if page.imagedepth != 1 or page.tiledepth > 1:
        raise UserError(f"TIFF_LAYOUT: {name}: this is a volume; export one plane of it")
    orientation = page.tags.valueof(274, 1)
    if orientation in range(2, 9):
        raise UserError(
            f"TIFF_ORIENTATION: {name}: the Orientation tag is {orientation}, the pixels are"
            " turned or mirrored; open the image in an editor and save it upright (tag 1)"
        )


def _check_segments(page: TiffPage, file_size: int, name: str) -> None:
    """Every strip or tile lies inside the file, is not empty and of a credible size."""
    expected = math.prod(page.chunked)
    decoded = math.prod(page.chunks) * page.dtype.itemsize
    offsets, sizes = page.dataoffsets, page.databytecounts
    if len(offsets) < expected or len(sizes) < expected:
        found = min(len(offsets), len(sizes))
        raise UserError(
            f"TIFF_TRUNCATED: {name}: {found} of {expected} strips or tiles are listed; copy or"
            " export the image again"
        )
    for index, (offset, size) in enumerate(zip(offsets[:expected], sizes, strict=False)):
        if offset < 1 or size < 1 or offset + size > file_size:
            raise _truncated(name, index)
        if decoded > max(_BOMB_BYTES, size * _EXPANSION):
            raise UserError(
                f"TIFF_CORRUPT: {name}: strip or tile {index} claims to hold {decoded} bytes in"
                f" {size}; export the image again"
            )


def _truncated(name: str, index: int) -> UserError:
    return UserError(
        f"TIFF_TRUNCATED: {name}: strip or tile {index} is empty, cut short or outside the"
        " file; copy or export the image again"
    )


def _split_raw_strip(page: TiffPage, name: str) -> None:
    """Present an uncompressed image in one strip a plane as strips of about 1 MB."""
    height, offsets, sizes = page.imagelength, page.dataoffsets, page.databytecounts
    if page.is_tiled or page.compression != COMPRESSION.NONE or page.rowsperstrip < height:
        return
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    row = math.ceil(page.imagewidth * samples * page.bitspersample / 8)
    for index, size in enumerate(sizes):
        if size < row * height:
            raise _truncated(name, index)
    rows = min(height, max(1, _RAW_STRIP_BYTES // row))
    tops = range(0, height, rows)
    page.rowsperstrip = rows
    page.dataoffsets = tuple(start + y * row for start in offsets for y in tops)
    page.databytecounts = tuple(min(rows, height - y) * row for _ in offsets for y in tops)


def _segment_rows(page: TiffPage) -> int:
    return int(page.tilelength if page.is_tiled else page.rowsperstrip)


def _segment_indices(page: TiffPage, top: int, bottom: int) -> list[int]:
    """Segments of all planes that hold the rows [top, bottom)."""
    height = _segment_rows(page)
    down = math.ceil(page.imagelength / height)
    across = math.ceil(page.imagewidth / page.tilewidth) if page.is_tiled else 1
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    return [
        (plane * down + row) * across + column
        for plane in range(planes)
        for row in range(top // height, math.ceil(bottom / height))
        for column in range(across)
    ]


def _dpi(page: TiffPage) -> float | None:
    dots, per = page.tags.valueof(282, (0, 1))
    inch = _INCH_BY_UNIT.get(page.resolutionunit)
    return dots / per * inch if inch and dots > 0 and per > 0 else None


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
