"""Sample images made by code alone: one photograph-like content and several painted styles.

They cost no download and no licence, are the same on every run, and are drawn piece by piece, so
that even a picture of a gigapixel takes little memory. Sizes only scale the composition; the larger
a picture, the finer the texture that is added.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tilestyle import __version__
from tilestyle.config import Output
from tilestyle.errors import UserError
from tilestyle.images import Tags, plan_layout, write_tiff
from tilestyle.images.metadata import Resolution
from tilestyle.images.samples import (
    content,
    impasto,
    mosaic,
    strokes,
    watercolour,
    woodcut,
)
from tilestyle.images.samples.picture import Painter, SampleImage

__all__ = ["SAMPLES", "SampleImage", "sample", "save"]

_LEAST = 16

SAMPLES: Mapping[str, Painter] = MappingProxyType(
    {
        "content": content.paint,
        "strokes": strokes.paint,
        "mosaic": mosaic.paint,
        "woodcut": woodcut.paint,
        "impasto": impasto.paint,
        "watercolour": watercolour.paint,
    }
)
"""What can be painted: the content first, then the styles."""


def sample(name: str, width: int, height: int, seed: int = 0) -> SampleImage:
    """The sample image `name` at any size; nothing is drawn before it is read.

    Args:
        name: One of `SAMPLES`.
        width: Columns, at least 16.
        height: Rows, at least 16.
        seed: Another seed gives another picture of the same kind.

    Raises:
        UserError: There is no such sample, or the size is too small.
    """
    if name not in SAMPLES:
        near = difflib.get_close_matches(name, SAMPLES, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(SAMPLES)}"
        raise UserError(f"there is no sample image {name!r}; {hint}")
    if min(width, height) < _LEAST:
        raise UserError(
            f"sample image {name!r}: {width} x {height} pixels is too small; "
            f"give at least {_LEAST} x {_LEAST}"
        )
    return SampleImage(name, SAMPLES[name], width, height, seed)


def save(image: SampleImage, path: Path) -> None:
    """Write a sample image as a TIFF."""
    layout = plan_layout((image.height, image.width), Output(), dtype=image.dtype)
    software = f"tilestyle {__version__}"
    tags = Tags(image.profile, Resolution.of_dpi(image.dpi), software)
    write_tiff(path, image.rows(512), layout, tags)
