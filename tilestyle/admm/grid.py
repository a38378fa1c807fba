"""The patch grid: integers only.

A level is cut into cores, a partition of its pixels into a regular lattice. A patch is a core
and `overlap` pixels more on each side that has a neighbour, so that two neighbours share a band
of 2 * overlap pixels, centred on the border of their cores. Only the middle `blend` pixels of
the band are averaged; the rest is context that the patch sees and moves, but does not hand on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilestyle.errors import UserError

Span = tuple[int, int]
"""Pixels from the first number up to, not including, the second."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: rows y0 to y1, columns x0 to x1, ends not included."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    def index(self, origin: "Box | None" = None) -> tuple[slice, slice]:
        """Slices of the box in an array whose first pixel is the origin's (default: 0, 0)."""
        y, x = (origin.y0, origin.x0) if origin else (0, 0)
        return slice(self.y0 - y, self.y1 - y), slice(self.x0 - x, self.x1 - x)

    def __and__(self, other: "Box") -> "Box":
        """The common rectangle; empty (height or width <= 0) where there is none."""
        return Box(
            max(self.y0, other.y0),
            min(self.y1, other.y1),
            max(self.x0, other.x0),
            min(self.x1, other.x1),
        )


@dataclass(frozen=True)
class Axis:
    """Cores and patches along one axis.

    Attributes:
        length: Pixels of the level along this axis.
        core: Pixels of every core but the last, which has from half to one and a half of it.
        overlap: Pixels that a patch adds to its core on each inner side.
        blend: Pixels of each band, even, at most 2 * overlap, over which weights rise or fall.
    """

    length: int
    core: int
    overlap: int
    blend: int

    @property
    def count(self) -> int:
        """Number of cores; a rest of less than half a core is left to the last one."""
        full, rest = divmod(self.length, self.core)
        return max(full + (2 * rest >= self.core), 1)

    def core_span(self, k: int) -> Span:
        """Core k; the cores are a partition of the axis."""
        last = k == self.count - 1
        return k * self.core, self.length if last else (k + 1) * self.core

    def span(self, k: int) -> Span:
        """Patch k: its core and the overlap, inside the axis."""
        start, stop = self.core_span(k)
        return max(start - self.overlap, 0), min(stop + self.overlap, self.length)

    def window(self, k: int) -> NDArray[np.float32]:
        """Raised-cosine weights of patch k, over its span; over all patches they sum to 1."""
        start, stop = self.span(k)
        pixels = np.arange(start, stop) + 0.5
        weights = np.ones(stop - start, np.float32)
        if k > 0:
            weights *= self._rise(pixels - self.core_span(k)[0])
        if k < self.count - 1:
            weights *= 1 - self._rise(pixels - self.core_span(k)[1])
        return weights

    def _rise(self, distance: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """From 0 to 1 over the blend, by distance from a border; without one, a step."""
        phase = (distance / self.blend + 0.5).clip(0, 1) if self.blend else distance > 0
        return (np.sin(np.pi / 2 * phase) ** 2).astype(np.float32)


def fit_core(length: int, largest: int, align: int) -> int:
    """The largest core that leaves no last core larger than `largest`.

    Args:
        length: Pixels of the axis.
        largest: No core is larger than this, in pixels.
        align: The core is a multiple of this, so that patch origins are.

    Returns:
        A multiple of `align` from half of `largest` up; where one core covers the axis, its
        length rounded up.
    """
    if length <= largest:
        return -(-length // align) * align
    smallest = max(align, -(-largest // 2 // align) * align)
    for core in range(largest // align * align, smallest, -align):
        axis = Axis(length, core, 0, 0)
        start, stop = axis.core_span(axis.count - 1)
        if stop - start <= largest:
            return core
    return smallest


@dataclass(frozen=True)
class Patch:
    """One patch: where it is in the lattice, the pixels that it owns, the pixels that it moves.

    Attributes:
        index: Number of the patch, row by row.
        core: The pixels whose consensus value the block of this patch writes.
        box: The pixels of the local problem: R_i in Algorithm 1.
    """

    index: int
    core: Box
    box: Box


@dataclass(frozen=True)
class Grid:
    """All patches of a level.

    Attributes:
        rows: Axis of y.
        columns: Axis of x.
    """

    rows: Axis
    columns: Axis

    def __len__(self) -> int:
        return self.rows.count * self.columns.count

    def __getitem__(self, index: int) -> Patch:
        if not 0 <= index < len(self):
            raise IndexError(index)
        j, i = divmod(index, self.columns.count)
        core = Box(*self.rows.core_span(j), *self.columns.core_span(i))
        return Patch(index, core, Box(*self.rows.span(j), *self.columns.span(i)))

    def __iter__(self) -> Iterator[Patch]:
        return (self[index] for index in range(len(self)))

    @cached_property
    def patch_shape(self) -> tuple[int, int]:
        """Height and width of the largest patch."""
        height, width = (
            max(stop - start for start, stop in map(axis.span, range(axis.count)))
            for axis in (self.rows, self.columns)
        )
        return height, width

    def window(self, patch: Patch) -> NDArray[np.float32]:
        """Weights of a patch, (height, width) of its box; over all patches they sum to 1."""
        j, i = divmod(patch.index, self.columns.count)
        return np.outer(self.rows.window(j), self.columns.window(i))

    def widened(self, overlap: int) -> "Grid":
        """The same cores and windows with another overlap, which may reach over whole cores.

        For measuring: windows then hide all that a network cannot see right near a border.
        """
        rows, columns = (replace(axis, overlap=overlap) for axis in (self.rows, self.columns))
        return Grid(rows, columns)

    def covering(self, block: Patch) -> list[Patch]:
        """The at most nine patches that overlap the core of `block`, in order of index."""
        j, i = divmod(block.index, self.columns.count)
        near = [
            self[y * self.columns.count + x]
            for y in range(max(j - 1, 0), min(j + 2, self.rows.count))
            for x in range(max(i - 1, 0), min(i + 2, self.columns.count))
        ]
        return [p for p in near if (p.box & block.core).height > 0 < (p.box & block.core).width]


def make_grid(
    height: int, width: int, core: int | None, overlap: int, blend: int, align: int
) -> Grid:
    """The grid of a level.

    Args:
        height: Rows of the level, in pixels.
        width: Columns of the level, in pixels.
        core: Largest core, in pixels; None for one patch that is the whole level.
        overlap: Pixels that a patch adds to its core on each inner side; a multiple of `align`.
        blend: Pixels of each band over which neighbours are averaged.
        align: Stride of the network: patch origins are multiples of it, so that the cells of
            all patches coincide with those of the whole image.

    Raises:
        UserError: Overlap and core do not go together.
    """
    if core is None:
        core = max(height, width)
    elif core < 2 * align or core % align or overlap % align:
        raise UserError(
            f"patch.core: {core} and patch.overlap: {overlap} do not fit the network: both have "
            f"to be multiples of its stride, {align} px, and the core at least {2 * align}"
        )
    elif 4 * overlap > core:
        raise UserError(
            f"patch.overlap: {overlap} is too wide for patch.core: {core}: "
            f"take at most a quarter, {core // 4}"
        )
    elif blend % 2 or blend > 2 * overlap:
        raise UserError(
            f"patch.blend: {blend} has to be even and at most twice patch.overlap: {overlap}"
        )
    rows, columns = (Axis(n, fit_core(n, core, align), overlap, blend) for n in (height, width))
    return Grid(rows, columns)
