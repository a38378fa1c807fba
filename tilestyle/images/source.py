"""Images as streams of sRGB bands, whatever the file format."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tilestyle.errors import UserError
from tilestyle.images.color import Pixels
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

    def rows(self, step: int) -> Iterator[Pixels]:
        """Read the image once, from top to bottom, in bounded memory.

        Args:
            step: Rows a band, at least 1; the last band may have fewer.

        Yields:
            C-contiguous (3, rows, width) bands of `dtype`, sRGB-encoded over its whole range.

        Raises:
            UserError: The file is damaged or a pixel has no meaning.
        """


def open_source(path: str | os.PathLike[str], *, profile: bytes | None = None) -> Source:
    """Open an image file; its content, not its extension, tells the format.

    Args:
        path: TIFF or BigTIFF, or a format that libvips reads (JPEG, PNG, WebP and others).
        profile: ICC profile to assume where the file embeds none; it is used for images of its
            colour space only, so a CMYK profile leaves RGB files alone.

    Returns:
        The source; pixels are read by its `rows` only.

    Raises:
        UserError: There is no such file, or it is no image that can be read.
    """
    file = Path(path)
    head = _head(file)
    if not head:
        raise UserError(f"{file}: the file is empty; copy or export the image again")
    if head in _TIFF_MAGIC:
        return TiffSource(file, profile)
    return VipsSource(file, profile)


def _head(file: Path) -> bytes:
    if not file.exists():
        raise UserError(f"{file}: no such file; check the path")
    if not file.is_file():
        kind = "a folder" if file.is_dir() else "not a regular file"
        raise UserError(f"{file}: this is {kind}; give the path of an image file")
    try:
        with file.open("rb") as stream:
            return stream.read(4)
    except OSError as error:
        raise UserError(
            f"{file}: the file cannot be read ({error.strerror}); check its permissions"
        ) from error
