"""Encoding of one strip or tile: a pure function, which any thread or worker can call."""

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from tilestyle.images.color import Pixels
from tilestyle.images.tiff_layout import Compression, Page

_JPEG_QUALITY = 95


class Segment(NamedTuple):
    """An encoded strip or tile.

    Attributes:
        data: Its bytes in the file.
        check: `checksum` of the pixels that it decodes to.
    """

    data: bytes
    check: int


def encode(pixels: Pixels, page: Page) -> Segment:
    """Encode one segment; the same pixels give the same bytes.

    Args:
        pixels: (samples, rows, columns) of the segment, of the page's dtype, without padding.
        page: What it is a part of.
    """
    block = np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
    rows, columns, _ = block.shape
    padded = block
    if page.tiled and (rows, columns) != (page.rows, page.columns):
        margins = ((0, page.rows - rows), (0, page.columns - columns), (0, 0))
        padded = np.pad(block, margins, mode="edge")
    data = _ENCODERS[page.compression](padded.astype(padded.dtype.newbyteorder("<"), copy=False))
    if page.compression == "jpeg":
        block = imagecodecs.jpeg_decode(data)[:rows, :columns]
    return Segment(data, checksum(block))


def checksum(block: NDArray[Any]) -> int:
    """CRC-32 of (rows, columns, samples) pixels."""
    return zlib.crc32(np.ascontiguousarray(block).data)


def _predicted(block: NDArray[Any]) -> bytes:
    """Differences to the pixel on the left: TIFF's predictor 2."""
    return bytes(imagecodecs.delta_encode(block, axis=-2).tobytes())


def _jpeg(block: NDArray[Any]) -> bytes:
    encode_jpeg = partial(imagecodecs.jpeg_encode, colorspace="rgb", outcolorspace="ycbcr")
    return bytes(encode_jpeg(block, _JPEG_QUALITY, subsampling="444"))


_ENCODERS: dict[Compression, Callable[[NDArray[Any]], bytes]] = {
    "lzw": lambda block: bytes(imagecodecs.lzw_encode(_predicted(block))),
    "deflate": lambda block: bytes(imagecodecs.deflate_encode(_predicted(block), level=6)),
    "none": lambda block: block.tobytes(),
    "zstd": lambda block: bytes(imagecodecs.zstd_encode(_predicted(block), level=3)),
    "webp": lambda block: bytes(imagecodecs.webp_encode(block, lossless=True)),
    "jpeg": _jpeg,
}
