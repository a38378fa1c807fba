"""Tiled RGB TIFF and BigTIFF, written in one pass and verified before they get their name."""

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import imagecodecs
import numpy as np
from numpy.typing import DTypeLike
from tifffile import TiffWriter

from tilestyle.errors import UserError
from tilestyle.images.color import Pixels, srgb_profile
from tilestyle.images.partial import partial_file, sync
from tilestyle.images.tiff_verify import reads_back

Compression: TypeAlias = Literal["lzw", "deflate", "zstd", "none"]

# Above the first most classic readers have given up, above the second none can succeed.
_BIGTIFF_BYTES = 2_000_000_000
_CLASSIC_LIMIT = 3_900_000_000
_TAGS = {"lzw": "lzw", "deflate": "adobe_deflate", "zstd": "zstd", "none": None}
_WORKERS = min(8, os.cpu_count() or 1)
_LOOK_AHEAD = 2 * _WORKERS


@dataclass(frozen=True)
class _Plan:
    """The layout of one output."""

    width: int
    height: int
    dtype: np.dtype[Any]
    tile: int
    compression: Compression

    @property
    def across(self) -> int:
        return math.ceil(self.width / self.tile)

    @property
    def tiles(self) -> int:
        return self.across * math.ceil(self.height / self.tile)

    @property
    def raw_bytes(self) -> int:
        return 3 * self.width * self.height * self.dtype.itemsize

    @property
    def sampled(self) -> set[int]:
        """Tiles that are compared after writing."""
        last = self.tiles - 1
        return {0, last // 3, 2 * last // 3, last}


def write_tiff(
    path: Path,
    bands: Iterable[Pixels],
    *,
    width: int,
    height: int,
    dtype: DTypeLike,
    dpi: float,
    compression: Compression,
    tile: int = 512,
    software: str,
    profile: bytes | None = None,
    bigtiff: bool | None = None,
) -> None:
    """Write a tiled RGB TIFF with its profile; memory holds two bands at most.

    The file appears under its name only when it is complete: it is written as
    `<path>.partial`, synced, read back in part, and renamed.

    Args:
        path: The output; an existing file is replaced.
        bands: (3, rows, width) RGB bands from top to bottom, of `tile` rows each, the last of
            what remains.
        width: Width in pixels.
        height: Height in pixels.
        dtype: uint8 or uint16.
        dpi: Resolution in dots per inch.
        compression: Of the tiles; all but "none" with the horizontal predictor. libvips and
            older programs cannot read "zstd".
        tile: Width and height of a tile in pixels, a multiple of 16; an image that is smaller
            has a smaller one.
        software: Value of the Software tag, ASCII.
        profile: The ICC profile that the bands are in; None for sRGB.
        bigtiff: Write BigTIFF; None does so from 2 GB of raw pixels on.

    Raises:
        UserError: The folder is missing or not writable, the disk is full, or the file does not
            read back as it was written.
        ValueError: An argument is out of range, or the bands do not fit it.
    """
    # libvips refuses tiles much larger than the image
    tile = min(tile, -(-max(width, height) // 16) * 16)
    plan = _Plan(width, height, np.dtype(dtype), tile, compression)
    big = plan.raw_bytes >= _BIGTIFF_BYTES if bigtiff is None else bigtiff
    _check(plan, dpi, big)
    with partial_file(path) as partial:
        options = {
            "resolution": (dpi, dpi),
            "software": software,
            "iccprofile": profile or srgb_profile(),
        }
        samples = _write(partial, bands, plan, big, options)
        sync(partial)
        shape = (height, width, 3)
        if not reads_back(partial, shape=shape, tiles=plan.tiles, samples=samples):
            raise UserError(
                f"TIFF_VERIFY: {path.name}: the file reads back differently from what was"
                " written; check the disk and write it again"
            )


def _check(plan: _Plan, dpi: float, big: bool) -> None:
    if plan.width < 1 or plan.height < 1:
        raise ValueError(f"the size {plan.width} x {plan.height} is empty")
    if plan.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"dtype is {plan.dtype}, it must be uint8 or uint16")
    if not 0 < dpi < math.inf:
        raise ValueError(f"dpi is {dpi}, it must be positive")
    if not big and plan.raw_bytes > _CLASSIC_LIMIT:
        raise ValueError(f"{plan.raw_bytes} bytes do not fit in a classic TIFF")


def _write(
    partial: Path, bands: Iterable[Pixels], plan: _Plan, big: bool, options: dict[str, Any]
) -> dict[tuple[int, int], Pixels]:
    """Write all tiles; returns the pixels of the sampled ones, by their (top, left)."""
    samples: dict[tuple[int, int], Pixels] = {}
    with ThreadPoolExecutor(_WORKERS) as pool, TiffWriter(partial, bigtiff=big) as writer:
        writer.write(
            _encoded(bands, plan, samples, pool),
            shape=(plan.height, plan.width, 3),
            dtype=plan.dtype,
            tile=(plan.tile, plan.tile),
            photometric="rgb",
            planarconfig="contig",
            compression=_TAGS[plan.compression],
            predictor=plan.compression != "none",
            resolutionunit="inch",
            metadata=None,
            maxworkers=1,
            **options,
        )
    return samples


def _encoded(
    bands: Iterable[Pixels],
    plan: _Plan,
    samples: dict[tuple[int, int], Pixels],
    pool: ThreadPoolExecutor,
) -> Iterator[bytes]:
    """Encoded tiles in order, a few of them ahead of the consumer.

    The look-ahead also means that `bands` is exhausted, and found to be too long, before the
    last tile is handed out: the writer asks for no more than that.
    """
    pending: deque[Future[bytes]] = deque()
    for index, pixels in enumerate(_tiles(bands, plan)):
        if index in plan.sampled:
            row, column = divmod(index, plan.across)
            samples[row * plan.tile, column * plan.tile] = pixels
        pending.append(pool.submit(_encode, pixels, plan))
        if len(pending) > _LOOK_AHEAD:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _tiles(bands: Iterable[Pixels], plan: _Plan) -> Iterator[Pixels]:
    """Copies of the (3, rows, columns) tiles of all bands, row by row, unpadded."""
    top = 0
    for band in bands:
        expected = (3, min(plan.tile, plan.height - top), plan.width)
        if band.shape != expected or band.dtype != plan.dtype or top >= plan.height:
            raise ValueError(
                f"the band at row {top} of {plan.height} is {band.dtype} {band.shape},"
                f" expected {plan.dtype} {expected}"
            )
        top += band.shape[1]
        for left in range(0, plan.width, plan.tile):
            yield band[:, :, left : left + plan.tile].copy()
    if top != plan.height:
        raise ValueError(f"the bands end at row {top} of {plan.height}")


def _encode(pixels: Pixels, plan: _Plan) -> bytes:
    _, rows, columns = pixels.shape
    margins = ((0, plan.tile - rows), (0, plan.tile - columns), (0, 0))
    block = np.pad(np.moveaxis(pixels, 0, -1), margins, mode="edge")
    if plan.compression == "none":
        return block.tobytes()
    data = imagecodecs.delta_encode(np.ascontiguousarray(block), axis=-2).tobytes()
    if plan.compression == "lzw":
        return bytes(imagecodecs.lzw_encode(data))
    if plan.compression == "deflate":
        return bytes(imagecodecs.deflate_encode(data, level=6))
    return bytes(imagecodecs.zstd_encode(data, level=3))
