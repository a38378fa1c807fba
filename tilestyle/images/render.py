"""From the iterate's floating point to the pixels of a file, box by box."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tilestyle.admm.grid import Box
from tilestyle.images.color import Light, Pixels
from tilestyle.images.output_profile import Conversion

# Odd constants that mix the bits of a position (those of xxHash32).
_MIX = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D], np.uint32)
# Thresholds keep this far from 0 and 1, so that whole numbers, but for rounding, stay themselves.
_MARGIN = 2.0**-8


@dataclass(frozen=True)
class Rendering:
    """How a result becomes the pixels of a file: the same for each pixel, whatever the boxes.

    Attributes:
        dtype: uint8 or uint16, of all samples.
        alpha: Opacity is one more sample; if not, what there is of it is laid on white.
        conversion: Of the colours; None: they stay in the working space.
    """

    dtype: np.dtype[Any]
    alpha: bool = False
    conversion: Conversion | None = None

    def __call__(self, x: NDArray[np.float32], alpha: Pixels | None, box: Box) -> Pixels:
        """Render one box.

        Args:
            x: (3, height, width), 0 to 1.
            alpha: (1, height, width), 0 transparent; None: all is opaque.
            box: Where it lies in the image.

        Returns:
            (samples, height, width) of `dtype`: RGB or CMYK, then alpha if it is kept.
        """
        opacity = None if alpha is None else _spread(alpha)
        if opacity is not None and not self.alpha:
            x = x * opacity + (1 - opacity)
        if self.conversion:
            x = self.conversion(quantize(x, np.uint16)).astype(np.float32) / np.float32(65535)
        color = dither(x, box) if self.dtype == np.uint8 else quantize(x, self.dtype)
        if opacity is None or not self.alpha:
            return color
        return np.concatenate([color, quantize(opacity, self.dtype)])


def _spread(pixels: Pixels) -> NDArray[np.float32]:
    """Integers as 0 to 1."""
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def quantize(x: NDArray[np.float32], dtype: DTypeLike) -> NDArray[Any]:
    """Pixels from 0 to 1 as integers over the whole range of `dtype`; what is beyond is clipped."""
    scaled = np.clip(x, 0, 1)
    scaled *= np.iinfo(dtype).max
    return np.rint(scaled, out=scaled).astype(dtype)


def dither(x: Light, box: Box) -> Pixels:
    """Pixels from 0 to 1 as uint8, rounded up or down so that areas keep their mean.

    The threshold depends on the place in the image alone, so that boxes fit together, and is the
    same for all channels, so that greys stay grey. What is a whole level already is kept.

    Args:
        x: (channels, height, width).
        box: Where it lies in the image.
    """
    scaled = np.clip(x, 0, 1) * np.float32(255)
    scaled += _thresholds(box)
    return np.asarray(np.floor(scaled, out=scaled), np.uint8)


def _thresholds(box: Box) -> NDArray[np.float32]:
    """(height, width) of white noise in 0..1: a hash of each pixel's place."""
    y, x = (np.arange(*span, dtype=np.uint32) for span in ((box.y0, box.y1), (box.x0, box.x1)))
    mixed = _scrambled(y * _MIX[0])[:, None] ^ _scrambled(x * _MIX[1])[None, :]
    noise = (_scrambled(mixed * _MIX[2]) >> np.uint32(8)).astype(np.float32)
    return noise * np.float32((1 - 2 * _MARGIN) / 2**24) + np.float32(_MARGIN)


def _scrambled(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    bits = bits ^ (bits >> np.uint32(15))
    bits *= _MIX[1]
    return np.asarray(bits ^ (bits >> np.uint32(13)))
