"""Reading an output back before it gets its name."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyvips
from numpy.typing import NDArray
from tifffile import COMPRESSION, TiffFile, TiffPage

from tilestyle.images.color import Pixels

Crop: TypeAlias = Callable[[int, int, int, int], NDArray[Any]]
"""(left, top, columns, rows) to (rows, columns, 3)."""


def reads_back(
    path: Path, *, shape: tuple[int, ...], tiles: int, samples: Mapping[tuple[int, int], Pixels]
) -> bool:
    """Whether a tiled RGB TIFF has this layout and these pixels.

    Args:
        path: The file.
        shape: (height, width, 3) of the image.
        tiles: Number of its tiles.
        samples: (3, rows, columns) contents of some tiles by their (top, left) corner in pixels;
            they are decoded by libvips, that is not by the library that encoded them, except
            for ZSTD, which libvips may not know.
    """
    with TiffFile(path) as file:
        page = file.pages[0]
        if page.shape != shape or not len(page.dataoffsets) == len(page.databytecounts) == tiles:
            return False
        crop = _by_tifffile(page) if page.compression == COMPRESSION.ZSTD else _by_libvips(path)
        return all(_same(crop, top, left, sample) for (top, left), sample in samples.items())


def _same(crop: Crop, top: int, left: int, expected: Pixels) -> bool:
    _, rows, columns = expected.shape
    try:
        found = crop(left, top, columns, rows)
    except (pyvips.Error, RuntimeError, ValueError):  # codec errors are RuntimeErrors
        return False
    return found.dtype == expected.dtype and np.array_equal(np.moveaxis(found, -1, 0), expected)


def _by_libvips(path: Path) -> Crop:
    source = pyvips.Source.new_from_file(os.fsencode(path))
    # Below "warning" libvips returns black for tiles that it cannot decode.
    image = pyvips.Image.new_from_source(source, "", access="random", fail_on="warning")

    def crop(*box: int) -> NDArray[Any]:
        return np.asarray(image.crop(*box).numpy())

    return crop


def _by_tifffile(page: TiffPage) -> Crop:
    def crop(left: int, top: int, columns: int, rows: int) -> NDArray[Any]:
        across = -(-page.imagewidth // page.tilewidth)
        index = top // page.tilelength * across + left // page.tilewidth
        file = page.parent.filehandle
        file.seek(page.dataoffsets[index])
        decoded, _, _ = page.decode(file.read(page.databytecounts[index]), index)
        return np.asarray(decoded[0, :rows, :columns])

    return crop
