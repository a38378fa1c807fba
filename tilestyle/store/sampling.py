"""An image of another size laid over a level of the content: masks, and where a run starts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tilestyle.admm.grid import Box
from tilestyle.store.pyramid import Read, Shape


def nearest_level(ladder: Sequence[Shape], shape: Shape) -> int:
    """The coarsest level of a pyramid that is not smaller than a shape; else the finest."""
    fits = [k for k, s in enumerate(ladder) if s[0] >= shape[0] and s[1] >= shape[1]]
    return max(fits, default=0)


def positions(
    begin: int, end: int, level: int, content: int, k: int, image: int
) -> NDArray[np.float64]:
    """Where pixels of a level of the content lie in level `k` of an image of another length.

    Args:
        begin: First pixel.
        end: Behind the last.
        level: Whose pixel i lies on pixel i * 2^level of the finest, see `store.pyramid`.
        content: Length of the content's finest level.
        k: Level of the image.
        image: Length of its finest level; both lengths cover the same picture.
    """
    finest = (np.arange(begin, end) * 2.0**level + 0.5) * image / content - 0.5
    return finest / 2.0**k


def sample(
    read: Read, shape: Shape, y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float32]:
    """An image at the crossings of rows and columns between its pixels, bilinearly.

    Args:
        read: The image, any integer type; its edge is repeated.
        shape: Its height and width.
        y: Rows, ascending.
        x: Columns, ascending.

    Returns:
        (channels, len(y), len(x)) float32, 0 to 1.
    """
    rows, columns = (_neighbours(at, length) for at, length in zip((y, x), shape, strict=True))
    box = Box(rows[0][0], rows[1][-1] + 1, columns[0][0], columns[1][-1] + 1)
    pixels = read(box)
    top = np.float32(np.iinfo(pixels.dtype).max)
    a = pixels.astype(np.float32) / top
    a = _between(a, rows, box.y0, axis=1)
    return _between(a, columns, box.x0, axis=2)


_Between = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]


def _neighbours(at: NDArray[np.float64], length: int) -> _Between:
    inside = at.clip(0, length - 1)
    below = np.floor(inside).astype(np.int64)
    above = np.minimum(below + 1, length - 1)
    return below, above, (inside - below).astype(np.float32)


def _between(
    a: NDArray[np.float32], where: _Between, origin: int, axis: int
) -> NDArray[np.float32]:
    below, above, part = where
    shape = [1, 1, 1]
    shape[axis] = len(part)
    weight = part.reshape(shape)
    found = a.take(below - origin, axis) * (1 - weight) + a.take(above - origin, axis) * weight
    return np.asarray(found, np.float32)
