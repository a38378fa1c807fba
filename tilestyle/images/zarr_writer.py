"""An image as a plain zarr array, for looking at what was read."""

import shutil
from pathlib import Path

import zarr

from tilestyle.errors import UserError
from tilestyle.images.source import Source

CHUNK = 512


def write_zarr(output: Path, source: Source) -> None:
    """Write a source as a zarr v3 array (3, height, width) in chunks of 512 x 512 pixels.

    It is written beside its place and renamed, so that no half-written array is left.

    Args:
        output: The folder to make.
        source: The image; its type is kept, its resolution becomes the attribute dpi.

    Raises:
        UserError: The folder exists or cannot be made, or the source turns out to be damaged.
    """
    if output.exists():
        raise UserError(f"{output}: exists; delete it or choose another name")
    if not output.resolve().parent.is_dir():
        raise UserError(f"{output}: its folder does not exist; make it first")
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        array = zarr.create_array(
            str(partial),
            shape=(3, source.height, source.width),
            dtype=source.dtype,
            chunks=(3, min(CHUNK, source.height), min(CHUNK, source.width)),
            attributes={"dpi": source.dpi},
        )
        top = 0
        for band in source.rows(CHUNK):
            array[:, top : top + band.shape[1]] = band
            top += band.shape[1]
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
