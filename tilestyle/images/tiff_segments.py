"""Where the strips or tiles of a TIFF page lie, checked before any is read."""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tifffile import COMPRESSION, TiffPage

from tilestyle.errors import refusal

_MOST_BYTES = 512 << 20
# A bilevel page becomes a byte a pixel, without copies: an A0 fax at 600 dpi in one strip.
_MOST_BYTES_BILEVEL = 768 << 20
_RAW_STRIP_BYTES = 1 << 20
_STRIP_SIZES, _TILE_SIZES, _ROWS_PER_STRIP = 279, 325, 278
# No encoder packs more tightly. Those of CCITT can spend a bit a row, LZW's codes grow to 12 bits
# for 5000 bytes; where the ratio has no bound, _MOST_BYTES is what protects memory.
_FAX = {COMPRESSION.CCITTRLE, COMPRESSION.CCITTFAX3, COMPRESSION.CCITTFAX4}
_MOST_EXPANSION = {
    COMPRESSION.NONE: 1,
    COMPRESSION.PACKBITS: 64,
    COMPRESSION.ADOBE_DEFLATE: 1_100,
    COMPRESSION.DEFLATE: 1_100,
    COMPRESSION.LZW: 1_500,
    COMPRESSION.JPEG: 1_500,
    **dict.fromkeys(_FAX, 10_000),
}
_UNBOUND_EXPANSION = 50_000
# Below this, headers and tables blur the ratio, and memory is not at stake.
_SMALL_BYTES = 1 << 20


@dataclass(frozen=True)
class Segments:
    """The strips or tiles of one page, strips being tiles of the full width.

    Attributes:
        offsets: Where each begins in the file: plane by plane, row by row.
        sizes: Bytes of each to read.
        height: Rows of one; the last strip may have fewer.
        width: Columns of one.
        down: Number from top to bottom.
        across: Number from left to right.
        row_bytes: Bytes of one of its rows before compression.
        decoded: Bytes of one in memory.
    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    height: int
    width: int
    down: int
    across: int
    row_bytes: int
    decoded: int

    def indices(self, planes: tuple[int, ...], rows: range, columns: range) -> Iterator[int]:
        """The segments of some planes that hold pixels of a window."""
        for plane in planes:
            for y in range(rows.start // self.height, math.ceil(rows.stop / self.height)):
                row = (plane * self.down + y) * self.across
                first, last = columns.start // self.width, math.ceil(columns.stop / self.width)
                yield from range(row + first, row + last)


def find_segments(page: TiffPage, file_size: int, *, name: str) -> Segments:
    """Check and list the segments of a page.

    An uncompressed image in one strip a plane is presented as strips of about 1 MB, here and in
    `page`, and the sizes it lists are not trusted: they follow from the layout.

    Args:
        page: A parsed page; its width and height are at least 1.
        file_size: In bytes.
        name: The name of the file, for messages.

    Raises:
        UserError: A segment is missing, empty, outside the file (TIFF_TRUNCATED) or of an
            impossible size (TIFF_CORRUPT, TIFF_TOO_BIG).
    """
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    samples = 1 if page.planarconfig == 2 else page.samplesperpixel
    _check_layout(page, planes, name)
    if _STRIP_SIZES not in page.tags and _TILE_SIZES not in page.tags:
        page.databytecounts = _sizes_up_to_the_next(page.dataoffsets, file_size)
    is_raw = page.compression == COMPRESSION.NONE
    row_bytes = math.ceil(_width(page) * samples * page.bitspersample / 8)
    if is_raw and not page.is_tiled and page.rowsperstrip >= page.imagelength:
        _split_raw_strips(page, row_bytes, planes, name)
    height, width = _height(page), _width(page)
    down, across = math.ceil(page.imagelength / height), math.ceil(page.imagewidth / width)
    count = planes * down * across
    offsets, sizes = tuple(page.dataoffsets[:count]), tuple(page.databytecounts[:count])
    if min(len(offsets), len(sizes)) < count:
        problem = f"only {min(len(offsets), len(sizes))} of {count} strips or tiles are listed"
        raise refusal("TIFF_TRUNCATED", name, problem, "get the file again")
    decoded = height * width * samples * page.dtype.itemsize
    if decoded > most_bytes(page):
        problem = f"one strip or tile takes {decoded >> 20} MiB when decoded"
        raise refusal("TIFF_TOO_BIG", name, problem, "save the image with smaller strips or tiles")
    found = Segments(offsets, sizes, height, width, down, across, row_bytes, decoded)
    return _Checker(page, found, file_size, name).checked()


def most_bytes(page: TiffPage) -> int:
    """What one strip or tile, and one row of them, may take in memory when decoded."""
    return _MOST_BYTES_BILEVEL if page.bitspersample == 1 else _MOST_BYTES


class _Checker:
    """Compares what the segments of a page claim with what can be."""

    def __init__(self, page: TiffPage, segments: Segments, file_size: int, name: str) -> None:
        self._page, self._segments, self._name = page, segments, name
        self._file_size = file_size
        most = _MOST_EXPANSION.get(page.compression, _UNBOUND_EXPANSION)
        # A blank row of a fax takes one bit, however wide it is.
        self._most = max(most, page.imagewidth) if page.compression in _FAX else most

    def checked(self) -> Segments:
        found, total = self._segments, 0
        sizes = []
        for index, (offset, size) in enumerate(zip(found.offsets, found.sizes, strict=True)):
            packed = self._packed(index)
            sizes.append(self._size(index, offset, size, packed))
            total += packed
        if total > max(_SMALL_BYTES, self._most * self._file_size):
            problem = f"{total} bytes of pixels cannot come from {self._file_size} bytes"
            raise refusal("TIFF_CORRUPT", self._name, problem, "export the image again")
        return replace(found, sizes=tuple(sizes))

    def _packed(self, index: int) -> int:
        """Bytes of a segment's pixels, before compression."""
        found, page = self._segments, self._page
        rows = found.height
        if not page.is_tiled:
            rows = min(rows, page.imagelength - index % found.down * found.height)
        return rows * found.row_bytes

    def _size(self, index: int, offset: int, size: int, packed: int) -> int:
        """The bytes to read of a segment, once nothing speaks against it."""
        is_raw = self._page.compression == COMPRESSION.NONE
        # Trailing bytes of no use may be listed; no encoding needs twice the space.
        needed = packed if is_raw else min(size, 2 * packed + _SMALL_BYTES)
        kind = "tile" if self._page.is_tiled else "strip"
        if offset < 1 or size < 1:
            problem = f"{kind} {index} is empty"
        elif size < needed:
            problem = f"{kind} {index} has {size} of {needed} bytes"
        elif offset + needed > self._file_size:
            problem = f"{kind} {index} ends beyond the file"
        elif packed > max(_SMALL_BYTES, size * self._most):
            problem = f"{kind} {index} claims to hold {packed} bytes in {size}"
            raise refusal("TIFF_CORRUPT", self._name, problem, "export the image again")
        else:
            return needed
        raise refusal("TIFF_TRUNCATED", self._name, problem, "get the file again")


def _check_layout(page: TiffPage, planes: int, name: str) -> None:
    if page.imagedepth != 1 or (page.is_tiled and page.tiledepth > 1):
        raise refusal("TIFF_LAYOUT", name, "it is a volume", "export one plane of it")
    if _height(page) < 1 or _width(page) < 1 or page.planarconfig not in (1, 2):
        problem = "the sizes of its strips or tiles make no sense"
        raise refusal("TIFF_CORRUPT", name, problem, "export the image again")
    if not page.is_tiled and _ROWS_PER_STRIP not in page.tags:
        listed = page.tags.valueof(273, ())
        if len(listed) > planes:
            problem = "the rows of a strip are not told (RowsPerStrip)"
            raise refusal("TIFF_CORRUPT", name, problem, "export the image again")


def _sizes_up_to_the_next(offsets: tuple[int, ...], file_size: int) -> tuple[int, ...]:
    """What old writers that list no sizes leave to be understood."""
    ends = sorted({*offsets, file_size})
    return tuple(
        ends[min(bisect_right(ends, offset), len(ends) - 1)] - offset for offset in offsets
    )


def _split_raw_strips(page: TiffPage, row_bytes: int, planes: int, name: str) -> None:
    """Present an uncompressed image in one strip a plane as strips of about 1 MB."""
    height, offsets = page.imagelength, page.dataoffsets[:planes]
    if len(offsets) < planes or 0 in page.databytecounts:
        problem = "a strip is missing or empty"
        raise refusal("TIFF_TRUNCATED", name, problem, "get the file again")
    rows = min(height, max(1, _RAW_STRIP_BYTES // row_bytes))
    tops = range(0, height, rows)
    page.rowsperstrip = rows
    page.dataoffsets = tuple(start + y * row_bytes for start in offsets for y in tops)
    page.databytecounts = tuple(min(rows, height - y) * row_bytes for _ in offsets for y in tops)


def _height(page: TiffPage) -> int:
    return int(page.tilelength if page.is_tiled else page.rowsperstrip)


def _width(page: TiffPage) -> int:
    return int(page.tilewidth if page.is_tiled else page.imagewidth)
