"""From the iterate's floating point to the pixels of a file, box by box."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tilestyle.admm.grid import Box
from tilestyle.images.color import Light, Pixels

# Odd constants that mix the bits of a position (those of xxHash32).
_MIX = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D], np.uint32)
# Thresholds keep this far from 0 and 1, so that whole numbers, but for rounding, stay themselves.
_MARGIN = 2.0**-8


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
