"""One level up or down a Gaussian pyramid, window by window, exactly as on the whole image.

Pixel k of a level lies on pixel 2k of the next finer one (Burt & Adelson 1983).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilestyle.admm.grid import Box

Read = Callable[[Box], NDArray[Any]]
"""Reads a rectangle of an image: (channels, height, width)."""
Shape = tuple[int, int]
"""Height and width."""

_STRIP = 32
"""Rows that are filtered at a time: what lies between the two directions stays in the cache."""


def coarser(shape: Shape) -> Shape:
    """Size of the next coarser level: half, rounded up."""
    return -(-shape[0] // 2), -(-shape[1] // 2)


def level_shapes(shape: Shape, smallest: int) -> list[Shape]:
    """Sizes of all levels, finest first; the last short side is the smallest >= `smallest`."""
    shapes = [shape]
    while min(coarser(shapes[-1])) >= smallest:
        shapes.append(coarser(shapes[-1]))
    return shapes


def reduce(read: Read, shape: Shape, box: Box) -> NDArray[np.uint16]:
    """Filter by the binomial (1, 4, 6, 4, 1) / 16 in both directions and keep every other pixel.

    In integers, rounded once: no window, and no order of windows, can change a bit.

    Args:
        read: The finer level, uint8 or uint16; reflected at its borders.
        shape: Its height and width.
        box: What to compute, in pixels of the coarser level.

    Returns:
        (channels, height, width) of the box, uint16; an uint8 level is spread to 0 - 65535.
    """
    inside = _footprint(box) & Box(0, shape[0], 0, shape[1])
    pixels = read(inside)
    reduced = np.empty((len(pixels), box.height, box.width), np.uint16)
    for y in range(box.y0, box.y1, _STRIP):
        rows = Box(y, min(y + _STRIP, box.y1), box.x0, box.x1)
        seen = read_around(
            lambda b: pixels[(slice(None), *b.index(inside))], shape, _footprint(rows)
        )
        reduced[(slice(None), *rows.index(box))] = _reduced(seen)
    return reduced


def _footprint(box: Box) -> Box:
    """What a box is made of, in pixels of the next finer level."""
    return Box(2 * box.y0 - 2, 2 * box.y1 + 1, 2 * box.x0 - 2, 2 * box.x1 + 1)


def _reduced(pixels: NDArray[Any]) -> NDArray[np.uint32]:
    narrow = pixels.dtype == np.uint8  # 256 times as much fits into 16 bits
    filtered = _binomial(_binomial(pixels.astype(np.uint16 if narrow else np.uint32), 1), 2)
    return (filtered * np.uint32(257 if narrow else 1) + np.uint32(128)) >> np.uint32(8)


def _binomial(a: NDArray[Any], axis: int) -> NDArray[Any]:
    a = np.moveaxis(a, axis, 0)
    filtered = a[1:-3:2] + a[3:-1:2]
    filtered *= 4
    filtered += a[:-4:2]
    filtered += a[4::2]
    filtered += 6 * a[2:-2:2]
    return np.moveaxis(filtered, 0, axis)


def expand(read: Read, shape: Shape, box: Box) -> NDArray[np.float32]:
    """The next finer level by cubic interpolation: old pixels stay, new ones lie between them.

    Args:
        read: The coarser level, float32; its edge pixels are repeated beyond its borders.
        shape: Its height and width.
        box: What to compute, in pixels of the finer level.

    Returns:
        (channels, height, width) of the box, float32, clipped to 0 - 1.
    """
    y0, x0 = box.y0 // 2, box.x0 // 2
    y1, x1 = (box.y1 + 1) // 2, (box.x1 + 1) // 2
    pixels = read_around(read, shape, Box(y0 - 1, y1 + 2, x0 - 1, x1 + 2), mode="edge")
    doubled = _double(_double(pixels, 1), 2)
    inside = Box(2 * y0, 2 * y1, 2 * x0, 2 * x1)
    return doubled[(slice(None), *box.index(inside))].clip(0, 1)


def _double(a: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    a = np.moveaxis(a, axis, 0)
    doubled = np.empty((2 * (len(a) - 3), *a.shape[1:]), np.float32)
    doubled[::2] = a[1:-2]
    doubled[1::2] = (9 * (a[1:-2] + a[2:-1]) - (a[:-3] + a[3:])) / 16
    return np.moveaxis(doubled, 0, axis)


def read_around(read: Read, shape: Shape, box: Box, mode: Any = "reflect") -> NDArray[Any]:
    """Read a box that may reach beyond the image, continued by numpy's padding `mode`."""
    inside = box & Box(0, shape[0], 0, shape[1])
    beyond = (
        (0, 0),
        (inside.y0 - box.y0, box.y1 - inside.y1),
        (inside.x0 - box.x0, box.x1 - inside.x1),
    )
    return np.pad(read(inside), beyond, mode=mode)
