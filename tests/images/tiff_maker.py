"""TIFF files made byte by byte, so that tests do not depend on what a library would write."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Order = Literal["<", ">"]
Tags = dict[int, tuple[int, tuple[Any, ...] | bytes]]
"""Code: data type, values. Values of type 5 are pairs; bytes are of any type of one byte."""

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
NONE, JPEG, DEFLATE, OLD_DEFLATE, LZW, PACKBITS, ZSTD, WEBP = 1, 7, 8, 32946, 5, 32773, 50000, 50001
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR, CIELAB, ICCLAB = *range(7), 8, 9
_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 7: "B", 13: "I", 16: "Q"}
_ENCODERS: dict[int, Callable[..., Any]] = {
    NONE: bytes,
    DEFLATE: zlib.compress,
    OLD_DEFLATE: zlib.compress,
    LZW: imagecodecs.lzw_encode,
    PACKBITS: imagecodecs.packbits_encode,
    ZSTD: imagecodecs.zstd_encode,
}


@dataclass
class Page:
    """What one directory holds."""

    tags: Tags
    segments: list[bytes]
    parts: list["Page"] = field(default_factory=list)

    def set(self, code: int, kind: int, *values: Any) -> "Page":
        self.tags[code] = kind, values
        return self

    def drop(self, *codes: int) -> "Page":
        for code in codes:
            del self.tags[code]
        return self


def make_page(
    pixels: Array,
    *,
    photometric: int,
    bits: int | None = None,
    compression: int = NONE,
    planar: bool = False,
    tile: tuple[int, int] | None = None,
    rows: int | None = None,
    predictor: bool = False,
    order: Order = "<",
    fill: int = 1,
) -> Page:
    """A page of (height, width, samples) in one of many encodings.

    Args:
        pixels: Values as they are to be stored.
        photometric: Tag 262.
        bits: Of a sample; None: of the type of `pixels`.
        compression: Tag 259; a pixel codec is given the segment as it is.
        planar: In planes of one sample each.
        tile: Height and width of tiles; None for strips.
        rows: Of a strip; None for all.
        predictor: Store differences of neighbours.
        order: "<" or ">".
        fill: 2 to turn the bits of every byte round.
    """
    height, width, samples = pixels.shape
    bits = bits or 8 * pixels.dtype.itemsize
    high, wide = tile or (rows or height, width)
    planes = np.split(pixels, samples, axis=2) if planar else [pixels]
    segments = [
        _encode(
            _cut(plane, y, x, (high, wide), tile is not None), bits, compression, predictor, order
        )
        for plane in planes
        for y in range(0, height, high)
        for x in range(0, width, wide)
    ]
    if fill == 2:
        segments = [bytes(imagecodecs.bitorder_decode(segment)) for segment in segments]
    tags: Tags = {
        256: (LONG, (width,)),
        257: (LONG, (height,)),
        258: (SHORT, (bits,) * samples),
        259: (SHORT, (compression,)),
        262: (SHORT, (photometric,)),
        277: (SHORT, (samples,)),
        284: (SHORT, (2 if planar else 1,)),
    }
    if tile:
        tags |= {322: (LONG, (wide,)), 323: (LONG, (high,))}
    else:
        tags[278] = LONG, (high,)
    if predictor:
        tags[317] = SHORT, (3 if pixels.dtype.kind == "f" else 2,)
    if pixels.dtype.kind == "f":
        tags[339] = SHORT, (3,) * samples
    if fill == 2:
        tags[266] = SHORT, (2,)
    return Page(tags, segments)


def _cut(plane: Array, y: int, x: int, size: tuple[int, int], padded: bool) -> Array:
    part = plane[y : y + size[0], x : x + size[1]]
    if padded:
        missing = [(0, size[n] - part.shape[n]) for n in (0, 1)]
        part = np.pad(part, [*missing, (0, 0)], mode="edge")
    return part


def _encode(part: Array, bits: int, compression: int, predictor: bool, order: Order) -> bytes:
    part = np.ascontiguousarray(part)
    if compression == JPEG:
        return bytes(imagecodecs.jpeg_encode(part, level=98, colorspace="rgb", outcolorspace="rgb"))
    if compression == WEBP:
        return bytes(imagecodecs.webp_encode(part, lossless=True))
    if bits % 8:
        spread = part.reshape(len(part), -1, 1).astype(">u2").view(np.uint8)
        unpacked = np.unpackbits(spread, axis=-1).reshape(len(part), -1, 16)[..., 16 - bits :]
        data = np.packbits(unpacked.reshape(len(part), -1), axis=1).tobytes()
    else:
        if predictor and part.dtype.kind == "f":
            return bytes(_ENCODERS[compression](_float_differences(part)))
        if predictor:
            part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
        data = part.astype(part.dtype.newbyteorder(order)).tobytes()
    return bytes(_ENCODERS[compression](data))


def _float_differences(part: Array) -> bytes:
    """Predictor 3: the bytes of a row by significance, then their differences."""
    samples, size = part.shape[2], part.dtype.itemsize
    values = part.astype(part.dtype.newbyteorder(">")).view(np.uint8).reshape(len(part), -1, size)
    rows = np.swapaxes(values, 1, 2).reshape(len(part), -1)
    rows[:, samples:] -= rows[:, :-samples].copy()
    return rows.tobytes()


def make_tiff(*pages: Page, order: Order = "<", big: bool = False) -> bytes:
    """The bytes of a file: segments first, then the directories."""
    maker = _Maker(order, big)
    offsets = [maker.add(page) for page in pages]
    for (after, _), (_, following) in pairwise(offsets):
        maker.number(after, following)
    maker.number(8 if big else 4, offsets[0][1])
    return bytes(maker.data)


class _Maker:
    def __init__(self, order: Order, big: bool) -> None:
        self.order, self.big = order, big
        mark = b"II" if order == "<" else b"MM"
        head = struct.pack(order + "HHHQ", 43, 8, 0, 0) if big else struct.pack(order + "HI", 42, 0)
        self.data = bytearray(mark + head)

    def number(self, at: int, value: int) -> None:
        struct.pack_into(self.order + ("Q" if self.big else "I"), self.data, at, value)

    def append(self, data: bytes) -> int:
        self.data += bytes(len(self.data) % 2)
        at = len(self.data)
        self.data += data
        return at

    def add(self, page: Page) -> tuple[int, int]:
        """Where the page's link to the next lies, and where the page."""
        tags = dict(page.tags)
        offsets = tuple(self.append(segment) for segment in page.segments)
        kind = LONG8 if self.big else LONG
        tiled = 322 in tags
        tags.setdefault(324 if tiled else 273, (kind, offsets))
        sizes = tuple(map(len, page.segments))
        tags.setdefault(325 if tiled else 279, (kind, sizes))
        if page.parts:
            tags[330] = kind, tuple(self.add(part)[1] for part in page.parts)
        tags = {code: tag for code, tag in tags.items() if tag[1] != ()}
        entries = [self.entry(code, *tag) for code, tag in sorted(tags.items())]
        count = struct.pack(self.order + ("Q" if self.big else "H"), len(entries))
        at = self.append(count + b"".join(entries) + bytes(8 if self.big else 4))
        return len(self.data) - (8 if self.big else 4), at

    def entry(self, code: int, kind: int, values: tuple[Any, ...] | bytes) -> bytes:
        each: list[Any] = [value if kind == RATIONAL else (value,) for value in values]
        flat = [part for value in each for part in value]
        data = struct.pack(f"{self.order}{len(flat)}{_CODES[kind][0]}", *flat)
        width = 8 if self.big else 4
        if len(data) > width:
            data = struct.pack(self.order + ("Q" if self.big else "I"), self.append(data))
        form = self.order + ("HHQ" if self.big else "HHI")
        return struct.pack(form, code, kind, len(values)) + data.ljust(width, b"\0")
