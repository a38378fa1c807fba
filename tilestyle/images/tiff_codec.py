"""Decoding one strip or tile, and finding the damage that its codec passes over.

Sizes, depths and channels in JPEG and WebP data are checked first: a codec trusts them.
"""

import logging
import re
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC, TIFF, TiffPage

from tilestyle.errors import UserError, refusal
from tilestyle.images.tiff_segments import Segments
from tilestyle.images.tiff_witness import fax_complaint, jpeg_complaint, read_jpeg

LOG = logging.getLogger(__name__)

_FAX = {COMPRESSION.CCITTRLE, COMPRESSION.CCITTFAX3, COMPRESSION.CCITTFAX4}

_PLANAR = 2
_COLORS = 3

_TOO_LITTLE_SPACE = re.compile("INSUFFICIENT_SPACE|TOO_SMALL|too small")

NO_MEMORY = "memory does not suffice to read it", "save it with smaller strips or tiles"
"""What is wrong, and what to do."""

Place: TypeAlias = tuple[int, int, int]


class SegmentDecoder:
    """Decodes the strips and tiles of one page.

    Args:
        page: A checked page whose file is open.
        segments: Its segments.
        name: The file name, for messages.

    Raises:
        UserError: The JPEG tables are none (TIFF_CORRUPT).
    """

    def __init__(self, page: TiffPage, segments: Segments, name: str) -> None:
        self._page, self._segments, self._name = page, segments, name
        self._tables = page.jpegtables or b""
        if not isinstance(self._tables, bytes):
            problem = "its JPEG tables are of the wrong type"
            raise refusal("TIFF_CORRUPT", name, problem, "export the image again")
        self._options = {"jpegtables": self._tables} if self._tables else {}
        self._check: Callable[[bytes, int], str | None] = {
            COMPRESSION.JPEG: self._jpeg_problem,
            COMPRESSION.WEBP: self._webp_problem,
            COMPRESSION.LZW: self._lzw_problem,
            **dict.fromkeys(_FAX, self._fax_problem),
        }.get(page.compression, lambda data, index: None)
        if page.compression == COMPRESSION.JPEG and page.planarconfig == _PLANAR:
            page.photometric = PHOTOMETRIC.MINISBLACK  # to its codec, a plane is a grey image
        page.init_decode()

    def __call__(self, data: bytes, index: int) -> tuple[NDArray[Any], Place]:
        """Decode a segment.

        Args:
            data: Its bytes in the file.
            index: Its number.

        Returns:
            (rows, width, samples), and its place: plane, row, column.

        Raises:
            UserError: It is damaged (TIFF_TRUNCATED, TIFF_CORRUPT).
        """
        if problem := self._check(data, index):
            raise self._corrupt(index, problem)
        try:
            decoded, place, _ = self._decode(data, index)
        except MemoryError as error:
            raise refusal("TIFF_TOO_BIG", self._name, *NO_MEMORY) from error
        except Exception as error:  # the codecs raise many types
            raise self._corrupt(index, one_line(error)) from error
        plane, _, y, x, _ = place
        return decoded[0], (plane, y, x)

    def _decode(self, data: bytes, index: int) -> Any:
        try:
            return self._page.decode(data, index, **self._options)
        except Exception as error:
            if not _TOO_LITTLE_SPACE.search(str(error)):
                raise
            kept = self._without_surplus(data, index)
        return self._page.decode(kept, index, **self._options)

    def _without_surplus(self, data: bytes, index: int) -> bytes:
        """The data of a last strip that its writer filled up with rows beyond the image."""
        compression, row = self._page.compression, self._segments.row_bytes
        full = self._segments.height * row
        whole = bytes(TIFF.DECOMPRESSORS[compression](data, out=full))
        if len(whole) != full:
            raise ValueError("it holds too much data")
        return bytes(TIFF.COMPRESSORS[compression](whole[: self._size(index)[0] * row]))

    def _size(self, index: int) -> tuple[int, int]:
        """Rows and columns of a segment; those of a tile may lie outside the image."""
        segments = self._segments
        if self._page.is_tiled:
            return segments.height, segments.width
        top = index % segments.down * segments.height
        return min(segments.height, self._page.imagelength - top), segments.width

    def _jpeg_problem(self, data: bytes, index: int) -> str | None:
        jpeg = read_jpeg(self._tables, data)
        if jpeg is None:
            return "it holds no JPEG data"
        if not self._fits(jpeg.width, jpeg.height, index):
            return f"its JPEG data are of {jpeg.width} x {jpeg.height} pixels"
        if not self._has_samples(len(jpeg.sampling)) or jpeg.depth != self._page.bitspersample:
            return f"its JPEG data are of {len(jpeg.sampling)} samples of {jpeg.depth} bits"
        if jpeg.body is None:
            raise self._truncated(index)
        return jpeg_complaint(jpeg)

    def _lzw_problem(self, data: bytes, index: int) -> None:
        # The first code clears the table: 256 in 9 bits, which old writers stored backwards.
        if data[:1] == b"\0" and data[1:2] and data[1] & 1:
            problem = "LZW in the bit order of before TIFF 6.0 is not supported"
            raise refusal("TIFF_COMPRESSION", self._name, problem, "save the image again")

    def _webp_problem(self, data: bytes, index: int) -> str | None:
        width, height = _webp_size(data)
        if not self._fits(width, height, index):
            return f"its WebP data are of {width} x {height} pixels"
        # Of four samples, the decoder makes up an alpha that is missing.
        if self._page.samplesperpixel == _COLORS and _webp_has_alpha(data):
            return "its WebP data have an alpha channel"
        return None

    def _has_samples(self, count: int) -> bool:
        """Whether a JPEG image has the samples of a segment; grey ones decode to any colour."""
        expected = 1 if self._page.planarconfig == _PLANAR else self._page.samplesperpixel
        return count == expected or (count == 1 and expected == _COLORS)

    def _fits(self, width: int, height: int, index: int) -> bool:
        """Whether an image in a segment has its size, surplus rows aside, or reaches the edge."""
        rows, columns = self._size(index)
        if self._page.is_tiled:
            segments = self._segments
            x = index % segments.across * columns
            y = index // segments.across % segments.down * rows
            rest = self._page.imagelength - y, self._page.imagewidth - x
            if (height, width) == (min(rows, rest[0]), min(columns, rest[1])):
                return True
            return (height, width) == (rows, columns)
        return width == columns and rows <= height <= max(rows, self._segments.height) + 16

    def _fax_problem(self, data: bytes, index: int) -> str | None:
        found = fax_complaint(data, *self._size(index), self._page)
        if found and self._page.compression == COMPRESSION.CCITTFAX3 and "EOF" not in found:
            # Lines of a fax get damaged on the phone, and each starts afresh.
            LOG.warning("%s: strip %d has damaged lines (%s)", self._name, index, found)
            return None
        return found

    def _corrupt(self, index: int, problem: str) -> UserError:
        problem = f"strip or tile {index} cannot be decoded ({problem})"
        return refusal("TIFF_CORRUPT", self._name, problem, "export the image again")

    def _truncated(self, index: int) -> UserError:
        problem = f"strip or tile {index} is cut short"
        return refusal("TIFF_TRUNCATED", self._name, problem, "get the file again")


def one_line(error: Exception) -> str:
    """Type and text of an error, for the middle of a message."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height that WebP data tell; zeros if they tell none."""
    kind, head = data[12:16], data[20:30]
    if data[:4] != b"RIFF" or len(head) < 10:
        return 0, 0
    if kind == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", head, 6)
    return width & 0x3FFF, height & 0x3FFF


def _webp_has_alpha(data: bytes) -> bool:
    """Whether WebP data, which tell a size, decode to four channels."""
    if data[12:16] == b"VP8X":
        return bool(data[20] & 0x10)
    return data[12:16] == b"VP8L" and bool(data[24] & 0x10)
