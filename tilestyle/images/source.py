"""Images as streams of RGB bands, whatever the file format."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tilestyle.config import Input
from tilestyle.errors import UserError
from tilestyle.images.color import Pixels
from tilestyle.images.jpeg2000_source import JPEG2000_MAGIC, Jpeg2000Source
from tilestyle.images.metadata import Metadata
from tilestyle.images.tiff_source import TiffSource
from tilestyle.images.vips_source import VipsSource

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Source(Protocol):
    """An image that is read from top to bottom, never whole."""

    @property
    def name(self) -> str:
        """The file name, for messages."""

    @property
    def width(self) -> int:
        """Width in pixels, upright."""

    @property
    def height(self) -> int:
        """Height in pixels, upright."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the bands: uint8 for up to 8 bits a sample in the file, else uint16."""

    @property
    def dpi(self) -> float | None:
        """Horizontal resolution in dots per inch; None if the file tells none."""

    @property
    def profile(self) -> bytes:
        """The ICC profile that the bands are in: sRGB, or the file's own if it is preserved."""

    @property
    def metadata(self) -> Metadata:
        """What the file tells of the picture besides its pixels."""

    @property
    def alpha(self) -> Callable[[int], Iterator[Pixels]] | None:
        """Reads the opacity as `rows` does the colours; None if the image has none.

        Its bands are (1, rows, width), of `dtype`, 0 transparent, the top of the range opaque.
        """

    def rows(self, step: int) -> Iterator[Pixels]:
        """Read the image once, from top to bottom, in bounded memory.

        Args:
            step: Rows a band, at least 1; the last band may have fewer.

        Yields:
            C-contiguous (3, rows, width) bands of `dtype`, RGB in the meaning of `profile`, over
            the whole range of the type.

        Raises:
            UserError: The file is damaged, a pixel has no meaning, or the file was changed.
        """


def open_source(path: str | os.PathLike[str], options: Input | None = None) -> Source:
    """Open an image; its content, not its extension, tells the format.

    Args:
        path: A TIFF, BigTIFF or JPEG 2000 file, one of a format that libvips reads (JPEG, PNG,
            WebP and others), or the folder of a zarr array or an OME-Zarr image.
        options: How it is read; None for the defaults.

    Returns:
        The source; pixels are read by its `rows` only.

    Raises:
        UserError: There is no such file, or it is no image that can be read.
    """
    file, options = Path(path), options or Input()
    if file.is_dir():
        from tilestyle.images.zarr_source import ZarrSource

        return ZarrSource(file, options)
    head = _head(file)
    if not head:
        raise UserError(f"{file}: the file is empty; copy or export the image again")
    if head.startswith(_TIFF_MAGIC):
        return TiffSource(file, options)
    if head.startswith(JPEG2000_MAGIC):
        return Jpeg2000Source(file, options)
    return VipsSource(file, options)


def _head(file: Path) -> bytes:
    if not file.exists():
        raise UserError(f"{file}: no such file; check the path")
    if not file.is_file():
        raise UserError(f"{file}: this is not a regular file; give the path of an image file")
    try:
        with file.open("rb") as stream:
            return stream.read(12)
    except OSError as error:
        raise UserError(
            f"{file}: the file cannot be read ({error.strerror}); check its permissions"
        ) from error
