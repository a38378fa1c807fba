"""How a TIFF is laid out: one page in strips to print from, or a pyramid of tiles to keep."""

import logging
import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from tilestyle.admm.grid import Box
from tilestyle.config import Output
from tilestyle.errors import UserError
from tilestyle.images.levels import Shape, half_shapes

LOG = logging.getLogger(__name__)

Compression: TypeAlias = Literal["lzw", "deflate", "none", "zstd", "webp", "jpeg"]
Profile: TypeAlias = Literal["print", "archive"]

# Above the first most readers of classic TIFF have given up, above the second none can succeed.
_PRINT_BYTES = 2_000_000_000
_CLASSIC_LIMIT = 3_900_000_000
_MOST_LZW = 1.5
"""By how much LZW makes pixels larger at most: a code of 12 bits a byte. Grain comes near 1.4."""
_STRIP_BYTES = 1 << 20
_RARE = {"zstd", "webp"}
_PHOTOS_ONLY = {"webp", "jpeg"}


@dataclass(frozen=True)
class Page:
    """One page: its pixels, and how they are cut into segments: strips, or tiles.

    Attributes:
        height: In pixels.
        width: In pixels.
        colors: Samples of a pixel that are its colour: 3 (RGB) or 4 (CMYK).
        alpha: One more sample is its opacity, and the colours are not multiplied by it.
        dtype: uint8 or uint16.
        compression: Of each segment by itself.
        rows: Of a segment.
        columns: Of a segment: the width for strips.
        tiled: Segments are tiles, padded at the edges; strips are not.
    """

    height: int
    width: int
    colors: int
    alpha: bool
    dtype: np.dtype[Any]
    compression: Compression
    rows: int
    columns: int
    tiled: bool

    @property
    def samples(self) -> int:
        """Samples of a pixel."""
        return self.colors + self.alpha

    @property
    def across(self) -> int:
        """Segments of a row."""
        return math.ceil(self.width / self.columns)

    @property
    def count(self) -> int:
        """Segments of the page, counted row by row."""
        return self.across * math.ceil(self.height / self.rows)

    def box(self, index: int) -> Box:
        """The pixels of a segment, without padding."""
        y, x = divmod(index, self.across)
        top, left = y * self.rows, x * self.columns
        bottom, right = min(top + self.rows, self.height), min(left + self.columns, self.width)
        return Box(top, bottom, left, right)


@dataclass(frozen=True)
class Layout:
    """A whole file.

    Attributes:
        profile: print is classic TIFF; archive is BigTIFF.
        pages: The image, and for an archive its halves, finest first.
    """

    profile: Profile
    pages: tuple[Page, ...]


def plan_layout(
    shape: Shape, options: Output, *, dtype: np.dtype[Any], colors: int = 3, alpha: bool = False
) -> Layout:
    """The layout of an image, as the options have it.

    Args:
        shape: Height and width in pixels.
        options: How it is written.
        dtype: uint8 or uint16.
        colors: Samples of a pixel that are its colour: 3 (RGB) or 4 (CMYK).
        alpha: One more sample is its opacity.

    Raises:
        UserError: The image does not fit in what is asked for.
        ValueError: It is empty, or of another dtype.
    """
    height, width = shape
    if height < 1 or width < 1:
        raise ValueError(f"the size {width} x {height} is empty")
    if dtype not in (np.uint8, np.uint16):
        raise ValueError(f"dtype is {dtype}, it must be uint8 or uint16")
    row_bytes = width * (colors + alpha) * dtype.itemsize
    profile = pick_profile(height * row_bytes, options)
    compression = _pick_compression(options, dtype)
    if profile == "print":
        _check_classic(height * row_bytes, compression)
    _check_compression(compression, dtype, colors, alpha, profile)
    shapes = half_shapes(shape, options.tile) if profile == "archive" else [shape]

    def page(size: Shape) -> Page:
        # libvips refuses tiles much larger than the image
        rows = columns = min(options.tile, -(-max(size) // 16) * 16)
        if profile == "print":
            rows, columns = min(height, max(1, _STRIP_BYTES // row_bytes)), width
        tiled = profile == "archive"
        return Page(*size, colors, alpha, dtype, compression, rows, columns, tiled)

    return Layout(profile, tuple(map(page, shapes)))


def pick_profile(raw: int, options: Output) -> Profile:
    """The profile of a file with `raw` bytes of pixels before compression."""
    if options.profile == "auto":
        return "print" if raw < _PRINT_BYTES else "archive"
    return options.profile


def _check_classic(raw: int, compression: Compression) -> None:
    """Refuse pixels that a classic TIFF may not be able to hold."""
    most = _CLASSIC_LIMIT / _MOST_LZW if compression == "lzw" else _CLASSIC_LIMIT
    if raw <= most:
        return
    remedy = "output.depth: 8" if raw > _CLASSIC_LIMIT else "output.compression: deflate"
    named = "LZW, which makes grain larger" if compression == "lzw" else "compression"
    raise UserError(
        f"output.profile: print is a classic TIFF of at most {most / 1e9:.1f} GB before {named}, "
        f"the image takes {raw / 1e9:.1f}; choose archive, or {remedy}"
    )


def _pick_compression(options: Output, dtype: np.dtype[Any]) -> Compression:
    if options.compression == "auto":
        return "lzw" if dtype == np.uint8 else "deflate"
    return options.compression


def _check_compression(
    chosen: Compression, dtype: np.dtype[Any], colors: int, alpha: bool, profile: Profile
) -> None:
    if chosen in _PHOTOS_ONLY and (dtype != np.uint8 or colors != 3 or alpha):
        raise UserError(
            f"output.compression: {chosen} holds RGB of 8 bits without alpha; choose lzw or "
            "deflate, or set output.depth: 8 and output.alpha: white"
        )
    if chosen in _PHOTOS_ONLY and profile == "print":
        raise UserError(
            f"output.compression: {chosen} needs tiles; set output.profile: archive, or choose "
            "lzw or deflate"
        )
    if chosen in _RARE:
        LOG.warning("output.compression: many programs cannot read %s in TIFF", chosen)
