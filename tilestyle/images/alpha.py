"""Transparency: colours without the alpha that they were multiplied by."""

import numpy as np

from tilestyle.images.color import Light, Pixels


def straight(color: Light, alpha: Light) -> Light:
    """Undo the multiplication by alpha, in floating point.

    Args:
        color: (rows, width, channels), 0..1.
        alpha: (rows, width, 1), 0..1.

    Returns:
        (rows, width, channels), at most 1; where alpha is 0, `color`.
    """
    return np.minimum(color / np.where(alpha > 0, alpha, 1), np.float32(1))


class Filler:
    """Gives pixels of no opacity the colour of a neighbour, band by band from top to bottom.

    Their own colour is lost, mostly to black, and filters would let it bleed into the artwork.
    A pixel takes the nearest colour of its row; a row without any takes the last row that had
    some, and white where there is none above it.
    """

    def __init__(self) -> None:
        self._last: Pixels | None = None

    def __call__(self, band: Pixels, alpha: Pixels) -> Pixels:
        """Fill (channels, rows, width) where the alpha, (1, rows, width), is 0."""
        opaque = alpha[0] > 0
        if opaque.all():
            self._last = band[:, -1].copy()
            return band
        filled = np.take_along_axis(band, _nearest(opaque)[None], axis=2)
        for y in np.flatnonzero(~opaque.any(axis=1)):
            above = filled[:, y - 1] if y else self._last
            filled[:, y] = np.iinfo(band.dtype).max if above is None else above
        self._last = filled[:, -1].copy()
        return filled


def _nearest(opaque: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> np.ndarray:
    """The column of the nearest opaque pixel of the same row, for every pixel."""
    width = opaque.shape[1]
    columns = np.broadcast_to(np.arange(width), opaque.shape)
    left = np.maximum.accumulate(np.where(opaque, columns, -width), axis=1)
    right = np.minimum.accumulate(np.where(opaque, columns, 2 * width)[:, ::-1], axis=1)[:, ::-1]
    return np.clip(np.where(columns - left <= right - columns, left, right), 0, width - 1)
