"""Levels by halves: one kernel for every format that an image is published in."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tilestyle.admm.grid import Box
from tilestyle.images.color import Pixels

Read: TypeAlias = Callable[[Box], Pixels]
"""Reads a rectangle of an image: (3, height, width)."""
Shape: TypeAlias = tuple[int, int]
"""Height and width."""

KERNEL = "mean of 2 x 2 pixels, (sum + 2) >> 2; odd edges are repeated; sizes are ceil(n / 2)"
"""What `halve` does, as published images say it of themselves."""


def half_shapes(shape: Shape, largest: int) -> list[Shape]:
    """Sizes of an image and its halves, finest first, until no side is more than `largest`."""
    shapes = [shape]
    while max(shapes[-1]) > largest:
        height, width = shapes[-1]
        shapes.append((-(-height // 2), -(-width // 2)))
    return shapes


def halve(pixels: Pixels) -> Pixels:
    """The mean of every 2 x 2 pixels, rounded half up; an odd edge is repeated first.

    It is the kernel of libvips' deep zooms too, bit for bit.

    Args:
        pixels: (channels, height, width), uint8 or uint16.

    Returns:
        (channels, ceil(height / 2), ceil(width / 2)) of the same dtype.
    """
    _, height, width = pixels.shape
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    wider = np.uint16 if pixels.dtype == np.uint8 else np.uint32
    sums: NDArray[Any] = pixels[:, ::2].astype(wider)
    sums += pixels[:, 1::2]
    fours: NDArray[Any] = sums[..., ::2] + sums[..., 1::2]
    fours += 2
    fours >>= 2
    return fours.astype(pixels.dtype)


def halved(read: Read, shape: Shape) -> Read:
    """Reads half of an image: each box is made from the twice as large one of the image.

    Args:
        read: Reads the image.
        shape: Its height and width.
    """
    height, width = shape

    def read_half(box: Box) -> Pixels:
        double = Box(2 * box.y0, 2 * box.y1, 2 * box.x0, 2 * box.x1)
        return halve(read(double & Box(0, height, 0, width)))

    return read_half


def cut(box: Box, side: int) -> Iterator[Box]:
    """Squares of a box, row by row; the last ones are what is left."""
    for y in range(box.y0, box.y1, side):
        for x in range(box.x0, box.x1, side):
            yield Box(y, y + side, x, x + side) & box
