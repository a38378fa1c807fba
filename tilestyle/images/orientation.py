"""The eight orientations of TIFF and EXIF, as maps of indices."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_SWAPPED = range(5, 9)
_BACKWARDS = (3, 4, 7, 8)


def is_swapped(orientation: int) -> bool:
    """Whether stored rows are upright columns."""
    return orientation in _SWAPPED


def upright(stored: Array, orientation: int) -> Array:
    """A view of stored (rows, columns, ...) as it is to be seen.

    Args:
        stored: The pixels, or a window of them.
        orientation: 1 to 8, as the tag 274 of TIFF 6.0.
    """
    swapped = stored.swapaxes(0, 1) if is_swapped(orientation) else stored
    down = -1 if orientation in _BACKWARDS else 1
    right = -1 if orientation in (2, 3, 6, 7) else 1
    return swapped[::down, ::right]


def spans(length: int, step: int, orientation: int) -> Iterator[range]:
    """Ranges of the stored rows, or columns if they are swapped, in upright order.

    Args:
        length: Of the whole, stored.
        step: Of a range, counted from the stored beginning; the last may be shorter.
        orientation: 1 to 8.
    """
    starts = range(0, length, step)
    for start in reversed(starts) if orientation in _BACKWARDS else starts:
        yield range(start, min(length, start + step))
