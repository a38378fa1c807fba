"""Keeping the content's colours, as in "Preserving color in neural artistic style transfer".

Gatys, Bethge, Hertzmann & Shechtman (2016). Either the result's luma is laid under the content's
chroma, pixel by pixel; or the style's colours are matched to the content's beforehand, by the
linear map that takes one mean and covariance to the other. Sums are taken in integers: no cut of
an image, and no order, can change a bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilestyle.style.edges import LUMA

Image = NDArray[np.float32]
Matrix = NDArray[np.float64]
ColorMap = list[list[float]]
"""Three rows (a, b, c, d): a channel becomes a R + b G + c B + d."""

NOISE = 1e-6
"""Least variance of a style's colours that counts: about that of rounding to 8 bits. Without it a
grey style's noise would be stretched to the content's colours."""


def luma(image: Image) -> Image:
    """Y' of ITU-R BT.601, as in YIQ and Y'CbCr: (3, height, width) in, (height, width) out."""
    red, green, blue = (np.float32(weight) for weight in LUMA)
    return np.asarray(red * image[0] + green * image[1] + blue * image[2], np.float32)


def with_chroma_of(content: Image, result: Image) -> Image:
    """The luma of one image with the chroma of another.

    Args:
        content: (3, height, width) float32, 0 to 1: gives the chroma, R - Y', G - Y' and B - Y'.
        result: The same of the image that gives the luma.

    Returns:
        (3, height, width) float32, 0 to 1. Where a colour would leave that range, its chroma is
        shortened until it does not: luma and hue stay.
    """
    y = luma(result.clip(0, 1))
    chroma = content - luma(content)
    room = np.where(chroma > 0, 1 - y, y)
    scale = (room / np.maximum(np.abs(chroma), np.float32(1e-9))).min(axis=0).clip(max=1)
    return np.asarray((y + scale * chroma).clip(0, 1), np.float32)


@dataclass(frozen=True)
class ColorSums:
    """Sums over pixels, exact.

    Attributes:
        pixels: Their number, or the sum of their weights.
        first: Sums of R, G and B.
        second: Sums of their nine products.
        top: The number that stands for 1.
    """

    pixels: int
    first: tuple[int, ...]
    second: tuple[int, ...]
    top: int


def color_sums(pixels: NDArray[Any], weights: NDArray[np.uint8] | None = None) -> ColorSums:
    """The sums of colours.

    Args:
        pixels: (3, height, width), uint8 or uint16, at most 2^23 of them.
        weights: (height, width): how often each counts; None: once.
    """
    flat = pixels.reshape(3, -1).astype(np.int64)
    weighted = flat if weights is None else flat * weights.ravel()
    count = flat.shape[1] if weights is None else int(weights.sum(dtype=np.int64))
    products = [int(np.sum(a * b)) for a in weighted for b in flat]
    first = tuple(int(n) for n in weighted.sum(axis=1))
    return ColorSums(count, first, tuple(products), int(np.iinfo(pixels.dtype).max))


def add_sums(parts: Sequence[ColorSums]) -> ColorSums:
    """The sums of all parts of one image together."""
    return ColorSums(
        sum(part.pixels for part in parts),
        tuple(map(sum, zip(*(part.first for part in parts), strict=True))),
        tuple(map(sum, zip(*(part.second for part in parts), strict=True))),
        parts[0].top,
    )


def moments(sums: ColorSums) -> tuple[Matrix, Matrix]:
    """Mean (3,) and covariance (3, 3) of the colours, in units of the pixel range."""
    n, top = sums.pixels, sums.top
    mean = [total / (n * top) for total in sums.first]
    outer = [a * b for a in sums.first for b in sums.first]
    # the difference of integers is exact; of floats it would be rounding errors
    spread = [
        (n * product - square) / (n * top) ** 2
        for product, square in zip(sums.second, outer, strict=True)
    ]
    return np.array(mean), np.array(spread).reshape(3, 3)


def matching(style: ColorSums, content: ColorSums) -> ColorMap:
    """The map that gives a style's colours the mean and covariance of the content's.

    It is A = sqrt(cov C) / sqrt(cov S), with symmetric square roots: the way of Image Analogies,
    which Gatys et al. (2016) prefer to Cholesky's.
    """
    mean_s, spread_s = moments(style)
    mean_c, spread_c = moments(content)
    a = _power(spread_c, 0.5, 0.0) @ _power(spread_s, -0.5, NOISE)
    return [[*map(float, row), float(d)] for row, d in zip(a, mean_c - a @ mean_s, strict=True)]


def recolored(pixels: Image, colors: ColorMap) -> Image:
    """Pixels through a map, (3, height, width) float32; they may leave 0 to 1.

    They are measured, never shown: clipping them would change their covariance.
    """
    rows = []
    for row in colors:
        red, green, blue, offset = (np.float32(value) for value in row)
        rows.append(red * pixels[0] + green * pixels[1] + blue * pixels[2] + offset)
    return np.stack(rows)


def _power(matrix: Matrix, exponent: float, least: float) -> Matrix:
    """A power of a symmetric matrix whose eigenvalues are taken to be at least `least`."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, least) ** exponent) @ vectors.T)
