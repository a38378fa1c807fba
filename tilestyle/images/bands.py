"""Cutting streams of bands."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import DTypeLike

from tilestyle.images.color import Pixels

_COPIES = 4
"""Of a band: as it is read, as tiles or levels of the writer, their halves, and what is encoded."""


def band_rows(width: int, dtype: DTypeLike, *, most: int, memory: int) -> int:
    """Rows of the RGB bands that an output is written from.

    Args:
        width: Of the image, in pixels.
        dtype: Of its samples.
        most: As high as the bands may be, in rows.
        memory: Bytes that they, and what is made of them, may take.

    Returns:
        1 to `most`; 1 even where that takes more.
    """
    row = 3 * width * np.dtype(dtype).itemsize
    return max(1, min(most, memory // (_COPIES * row)))


def rebanded(bands: Iterable[Pixels], step: int) -> Iterator[Pixels]:
    """Cut bands of any height into bands of `step` rows, in the same order.

    Args:
        bands: (channels, rows, width) arrays.
        step: Rows of a band, at least 1.

    Yields:
        C-contiguous (channels, step, width) arrays; the last may have fewer rows.

    Raises:
        ValueError: `step` is less than 1.
    """
    if step < 1:
        raise ValueError(f"step is {step}, it must be at least 1")
    held: list[Pixels] = []
    missing = step
    for band in bands:
        top = 0
        while top < band.shape[1]:
            part = band[:, top : top + missing]
            held.append(part)
            top += part.shape[1]
            missing -= part.shape[1]
            if not missing:
                yield _joined(held)
                held, missing = [], step
    if held:
        yield _joined(held)


def _joined(parts: list[Pixels]) -> Pixels:
    return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))
