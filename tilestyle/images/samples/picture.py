"""A picture that is made tile by tile from the coordinates of its pixels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tilestyle.images.color import srgb_profile
from tilestyle.images.metadata import Metadata
from tilestyle.images.samples.noise import Floats, mixed_seed

_TILE = 256


@dataclass(frozen=True)
class View:
    """The rectangle of a picture that a painter has to fill.

    The unit of length is the height of the picture, the origin its top centre, so the composition
    is the same at every size.
    """

    width: int
    height: int
    y0: int
    y1: int
    x0: int
    x1: int
    seed: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns to fill."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def pixel(self) -> float:
        """Size of one pixel."""
        return 1.0 / self.height

    @cached_property
    def x(self) -> Floats:
        """Place of each column relative to the middle of the picture, shape (1, columns)."""
        at = np.arange(self.x0, self.x1, dtype=np.float64) + (0.5 - self.width / 2)
        return (at / self.height).astype(np.float32)[None, :]

    @cached_property
    def y(self) -> Floats:
        """Place of each row below the top, shape (rows, 1)."""
        at = np.arange(self.y0, self.y1, dtype=np.float64) + 0.5
        return (at / self.height).astype(np.float32)[:, None]

    def salt(self, part: int) -> int:
        """The seed of one part of the picture."""
        return mixed_seed(self.seed, part)


Painter: TypeAlias = Callable[[View], Floats]
"""Fills a view: (3, rows, columns) sRGB, 1.0 is white; values outside 0..1 are cut."""


class SampleImage:
    """A picture of any size, drawn when and where it is read.

    It is always drawn in the same tiles, which windows and bands are cut from, so that overlapping
    reads agree byte for byte whatever the rounding of the vector units does at array ends.
    """

    def __init__(self, name: str, painter: Painter, width: int, height: int, seed: int) -> None:
        self._name, self._painter = name, painter
        self._width, self._height, self._seed = width, height, seed

    @property
    def name(self) -> str:
        """The name it was asked for by."""
        return self._name

    @property
    def width(self) -> int:
        """Columns."""
        return self._width

    @property
    def height(self) -> int:
        """Rows."""
        return self._height

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """The type of the samples, always 8 bit."""
        return np.dtype(np.uint8)

    @property
    def dpi(self) -> float:
        """Resolution in print."""
        return 300.0

    @property
    def profile(self) -> bytes:
        """Pictures are painted in sRGB."""
        return srgb_profile()

    @property
    def metadata(self) -> Metadata:
        """There is nothing to tell."""
        return Metadata()

    @property
    def alpha(self) -> None:
        """Pictures are opaque."""

    def rows(self, step: int) -> Iterator[NDArray[np.uint8]]:
        """All bands of `step` rows from top to bottom, (3, rows, width); the last may be shorter.

        Raises:
            ValueError: `step` is not positive.
        """
        if step < 1:
            raise ValueError(f"step is {step}, it must be at least 1")
        held = np.empty((3, 0, self._width), np.uint8)
        for top in range(0, self._height, _TILE):
            bottom = min(top + _TILE, self._height)
            held = np.concatenate([held, self.window(top, bottom, 0, self._width)], axis=1)
            whole = held.shape[1] // step * step
            for y in range(0, whole, step):
                yield np.ascontiguousarray(held[:, y : y + step])
            held = held[:, whole:]
        if held.shape[1]:
            yield np.ascontiguousarray(held)

    def window(self, y0: int, y1: int, x0: int, x1: int) -> NDArray[np.uint8]:
        """The pixels of rows `y0` to `y1` and columns `x0` to `x1` (ends excluded), (3, h, w).

        Raises:
            ValueError: The window is empty or reaches over the edge.
        """
        if not (0 <= y0 < y1 <= self._height and 0 <= x0 < x1 <= self._width):
            raise ValueError(f"window {y0}:{y1}, {x0}:{x1} is not in {self._height}x{self._width}")
        out = np.empty((3, y1 - y0, x1 - x0), np.uint8)
        for top in range(y0 - y0 % _TILE, y1, _TILE):
            for left in range(x0 - x0 % _TILE, x1, _TILE):
                tile = self._tile(top, left)
                a, b = max(y0, top), min(y1, top + _TILE)
                c, d = max(x0, left), min(x1, left + _TILE)
                part = tile[:, a - top : b - top, c - left : d - left]
                out[:, a - y0 : b - y0, c - x0 : d - x0] = part
        return out

    def _tile(self, top: int, left: int) -> NDArray[np.uint8]:
        bottom, right = min(top + _TILE, self._height), min(left + _TILE, self._width)
        view = View(self._width, self._height, top, bottom, left, right, self._seed)
        colour = self._painter(view) * np.float32(255) + np.float32(0.5)
        pixels: NDArray[np.uint8] = np.clip(colour, 0, 255).astype(np.uint8)
        return pixels
