"""Reading an output back before it gets its name, with another decoder than it was made by."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyvips
from numpy.typing import NDArray
from tifffile import TiffFile, TiffPage

from tilestyle.admm.grid import Box
from tilestyle.images.tiff_encode import checksum
from tilestyle.images.tiff_layout import Layout, Page

Crop: TypeAlias = Callable[[Box], NDArray[Any]]
"""A box of a page to (rows, columns, samples)."""

_TILES = 32
"""Tiles of a page that are decoded, evenly spread; strips are read through in any case."""
_NOT_IN_LIBVIPS = {"zstd", "webp"}  # its wheels come without them


def reads_back(path: Path, layout: Layout, checks: Sequence[Sequence[int]]) -> bool:
    """Whether a TIFF has this layout and these pixels.

    All strips are decoded, and of each level some tiles, by libvips, that is not by the library
    that encoded them, except for ZSTD and WebP, which libvips may not know.

    Args:
        path: The file.
        layout: What was to be written.
        checks: `tiff_encode.checksum` of every segment of every page.
    """
    with TiffFile(path) as file:
        first = file.pages[0]
        found = [first, *(first.pages or ())]
        if len(file.pages) != 1 or len(found) != len(layout.pages):
            return False
        for level, (page, expected) in enumerate(zip(found, layout.pages, strict=True)):
            if not _has_layout(page, expected):
                return False
            by_tifffile = expected.compression in _NOT_IN_LIBVIPS
            crop = _by_tifffile(page) if by_tifffile else _by_libvips(path, expected, level)
            if not all(_same(crop, expected, n, checks[level][n]) for n in _chosen(expected)):
                return False
    return True


def _has_layout(page: TiffPage, expected: Page) -> bool:
    return bool(
        page.shape == (expected.height, expected.width, expected.samples)
        and page.dtype == expected.dtype
        and page.is_tiled == expected.tiled
        and len(page.dataoffsets) == len(page.databytecounts) == expected.count
    )


def _chosen(page: Page) -> Iterator[int]:
    if page.tiled:
        yield from sorted({round(n) for n in np.linspace(0, page.count - 1, _TILES)})
    else:
        yield from range(page.count)


def _same(crop: Crop, page: Page, index: int, check: int) -> bool:
    try:
        found = crop(page.box(index))
    except (pyvips.Error, RuntimeError, ValueError):  # codec errors are RuntimeErrors
        return False
    return found.dtype == page.dtype and checksum(found) == check


def _by_libvips(path: Path, page: Page, level: int) -> Crop:
    source = pyvips.Source.new_from_file(os.fsencode(path))
    # Below "warning" libvips returns black for tiles that it cannot decode.
    image = pyvips.Image.new_from_source(
        source,
        "",
        access="random" if page.tiled else "sequential",
        fail_on="warning",
        subifd=level - 1,
    )

    # One region: a crop each would empty the buffers that hold the next strip's first rows.
    region = pyvips.Region.new(image)

    def crop(box: Box) -> NDArray[Any]:
        data = region.fetch(box.x0, box.y0, box.width, box.height)
        found = np.frombuffer(data, page.dtype)
        return found.reshape(box.height, box.width, image.bands)

    return crop


def _by_tifffile(page: TiffPage) -> Crop:
    def crop(box: Box) -> NDArray[Any]:
        rows = page.tilelength if page.is_tiled else page.rowsperstrip
        columns = page.tilewidth if page.is_tiled else page.imagewidth
        index = box.y0 // rows * -(-page.imagewidth // columns) + box.x0 // columns
        file = page.parent.filehandle
        file.seek(page.dataoffsets[index])
        decoded, _, _ = page.decode(file.read(page.databytecounts[index]), index)
        return np.asarray(decoded[0, : box.height, : box.width])

    return crop
