"""OME-Zarr 0.5 (zarr 3): an image and its halves in shards, each written once and whole."""

import math
import os
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike
from zarr.codecs import ZstdCodec

from tilestyle.admm.grid import Box
from tilestyle.errors import UserError
from tilestyle.images.color import Pixels
from tilestyle.images.levels import KERNEL, Read, Shape, cut, half_shapes, halved
from tilestyle.images.partial import partial_folder, publish

CHUNK = 512
"""Side of what a reader fetches at a time; an image without a longer one has one level."""
SHARD = 8 * CHUNK
"""Side of a file; smaller where the image is."""
_BLOCK = 2 * CHUNK
_SAMPLED = 16
"""Shards of a level that are read back."""
_WORKERS = min(8, os.cpu_count() or 1)
# Of a shard: its pixels, its chunks, their compressed bytes, and the whole that is written.
_COPIES = 5
_CHANNELS = {"R": "FF0000", "G": "00FF00", "B": "0000FF"}


def check_folder(path: Path) -> None:
    """Refuse to replace what is no OME-Zarr.

    Raises:
        UserError: There is something else at `path`.
    """
    try:
        taken = path.exists() and "ome" not in zarr.open_group(path, mode="r").attrs
    except (ValueError, OSError, zarr.errors.BaseZarrError):
        taken = True
    if taken:
        raise UserError(f"{path}: exists and is no OME-Zarr; give a name that is not taken")


def write_ome_zarr(
    path: Path,
    read: Read,
    *,
    shape: Shape,
    dtype: DTypeLike,
    dpi: float,
    software: str,
    advanced: Callable[[int], None],
    memory: int,
) -> None:
    """Write an image as OME-Zarr; a thread takes some 250 MB, 500 at 16 bit.

    The folder appears under its name only when it is complete. Each level is made from the one
    before by `halve`; shards are written in parallel, each once and whole.

    Args:
        path: The output, a folder; an existing one is replaced.
        read: Reads (3, height, width) boxes of the image, sRGB-encoded; called by threads.
        shape: Height and width of the image, in pixels.
        dtype: uint8 or uint16.
        dpi: Resolution in dots per inch.
        software: What wrote it, for its metadata.
        advanced: Told the number of pixels of the finest level that are newly written.
        memory: Bytes to hold at a time: it decides how many threads there are, one at least.

    Raises:
        UserError: The folder is missing or not writable, the disk is full, something else has
            this name, or it does not read back as it was written.
    """
    check_folder(path)
    shapes = half_shapes(shape, CHUNK)
    attributes = _attributes(path, len(shapes), np.dtype(dtype), dpi, software)
    with partial_folder(path) as folder:
        group = zarr.create_group(folder / "image", zarr_format=3, attributes=attributes)
        checks = []
        for level, level_shape in enumerate(shapes):
            array = _create(group, str(level), level_shape, dtype)
            told = advanced if level == 0 else lambda pixels: None
            checks.append(_write_shards(array, read, _threads(array, memory), told))
            read = halved(partial(_read, array), level_shape)
        _verify(folder / "image", attributes, checks, path.name)
        publish(folder / "image", path)


def _create(group: zarr.Group, name: str, shape: Shape, dtype: DTypeLike) -> zarr.Array[Any]:
    shard = tuple(min(SHARD, -(-n // CHUNK) * CHUNK) for n in shape)
    return group.create_array(
        name,
        shape=(3, *shape),
        dtype=dtype,
        chunks=(3, CHUNK, CHUNK),
        shards=(3, *shard),
        compressors=ZstdCodec(level=1),
        dimension_names=("c", "y", "x"),
    )


def _threads(array: zarr.Array[Any], memory: int) -> int:
    """How many shards may be made side by side."""
    shard = math.prod(array.shards or array.chunks) * array.dtype.itemsize
    return max(1, min(_WORKERS, memory // (_COPIES * shard)))


def _write_shards(
    array: zarr.Array[Any], read: Read, threads: int, advanced: Callable[[int], None]
) -> list[int]:
    """Write all shards, some at a time; after an error or interrupt, no thread writes on.

    Returns:
        A checksum of each.
    """
    checks = []
    with ThreadPoolExecutor(threads) as pool:
        try:
            shards = _shards(array)
            for shard, check in zip(
                shards, pool.map(partial(_write_shard, array, read), shards), strict=True
            ):
                checks.append(check)
                advanced(shard.height * shard.width)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return checks


def _shards(array: zarr.Array[Any]) -> list[Box]:
    _, height, width = array.shape
    return list(cut(Box(0, height, 0, width), SHARD))


def _write_shard(array: zarr.Array[Any], read: Read, shard: Box) -> int:
    """Put a shard together from blocks, so that `read` needs little; returns its checksum."""
    pixels = np.empty((3, shard.height, shard.width), array.dtype)
    for block in cut(shard, _BLOCK):
        pixels[(slice(None), *block.index(shard))] = read(block)
    array[(slice(None), *shard.index())] = pixels
    return zlib.crc32(pixels.data)


def _verify(folder: Path, attributes: dict[str, Any], checks: list[list[int]], name: str) -> None:
    """Read metadata and, of each level, some shards back from the disk.

    Raises:
        UserError: They are not what was written (ZARR_VERIFY).
    """
    try:
        group = zarr.open_group(folder, mode="r", zarr_format=3)
        same = group.attrs.asdict() == attributes
        for level, expected in enumerate(checks):
            array: Any = group[str(level)]
            chosen = sorted({round(n) for n in np.linspace(0, len(expected) - 1, _SAMPLED)})
            shards = _shards(array)
            for n in chosen if same else ():
                pixels = np.ascontiguousarray(_read(array, shards[n]))
                same = same and zlib.crc32(pixels.data) == expected[n]
    except Exception:  # the codecs raise many types
        same = False
    if not same:
        raise UserError(
            f"ZARR_VERIFY: {name}: it reads back differently from what was written; check the disk "
            "and write it again"
        )


def _read(array: zarr.Array[Any], box: Box) -> Pixels:
    return np.asarray(array[(slice(None), *box.index())])


def _attributes(
    path: Path, levels: int, dtype: np.dtype[Any], dpi: float, software: str
) -> dict[str, Any]:
    """The `ome` attributes, and in `tilestyle` what they have no place for."""
    top = int(np.iinfo(dtype).max)
    window = {"min": 0, "max": top, "start": 0, "end": top}
    multiscale = {
        "name": path.name.removesuffix(".ome.zarr"),
        "axes": [
            {"name": "c", "type": "channel"},
            {"name": "y", "type": "space", "unit": "micrometer"},
            {"name": "x", "type": "space", "unit": "micrometer"},
        ],
        "datasets": [_dataset(level, 25_400 / dpi) for level in range(levels)],
        "type": "mean",
        "metadata": {"description": KERNEL},
    }
    channels = [
        {"label": label, "color": color, "active": True, "window": window}
        for label, color in _CHANNELS.items()
    ]
    omero = {"channels": channels, "rdefs": {"model": "color"}}
    return {
        "ome": {"version": "0.5", "multiscales": [multiscale], "omero": omero},
        "tilestyle": {"software": software, "color_space": "sRGB", "dpi": dpi},
    }


def _dataset(level: int, pixel: float) -> dict[str, Any]:
    """A level's place; `pixel` is the finest level's pixel size. Pixels lie at their centres."""
    scale, shift = pixel * 2**level, pixel * (2**level - 1) / 2
    return {
        "path": str(level),
        "coordinateTransformations": [
            {"type": "scale", "scale": [1.0, scale, scale]},
            {"type": "translation", "translation": [0.0, shift, shift]},
        ],
    }
