"""Brush strokes laid over one another like paint.

Every layer has a lattice of cells with one stroke in each. A stroke never leaves the three by three
cells around its own, so all strokes of every third column and row can be painted at once without
touching: nine passes paint a layer in a fixed order, and a view needs only the cells around it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tilestyle.images.samples.canvas import weave
from tilestyle.images.samples.colour import mix
from tilestyle.images.samples.noise import Floats, cells, clamp, hash_cells, uniform
from tilestyle.images.samples.picture import View

Flow: TypeAlias = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""Direction of the strokes at a place, as a vector of any length."""
Palette: TypeAlias = Callable[[Floats, Floats, Floats], Floats]
"""Colours (3, ...) at places; the third argument is a random number for each stroke."""

_PASSES = ((1, 2), (0, 0), (2, 1), (1, 0), (2, 2), (0, 1), (2, 0), (1, 1), (0, 2))
_HAIRS, _FINE = 1024, 8


@dataclass(frozen=True)
class Brush:
    """How the strokes of one layer look; lengths are relative to the cell.

    Attributes:
        cell: Size of the cells relative to the height of the picture.
        length: From end to end, at most 2.2 (1.8 for a knife).
        width: From side to side.
        cover: Share of the cells that get a stroke.
        hairs: How many bristles lie side by side.
        grain: How much bristles lighten and darken the colour.
        relief: How much the light from the upper left models the stroke.
        square: 1 for a knife with straight ends, 0 for a round brush.
    """

    cell: float
    length: float
    width: float
    cover: float = 1.0
    hairs: float = 9.0
    grain: float = 0.16
    relief: float = 0.14
    square: float = 0.0


@dataclass(frozen=True)
class _Strokes:
    """All strokes of a layer that may touch a view, one in each cell of its lattice.

    Places and lengths are in cells; `dx` and `dy` point along the stroke, which bends by `bend`.
    Cells without a stroke have an immense `thin`, the reciprocal of half the width.
    """

    column: int
    row: int
    x: Floats
    y: Floats
    dx: Floats
    dy: Floats
    bend: Floats
    short: Floats
    thin: Floats
    hairs: Floats
    colour: Floats


def _toss(view: View, brush: Brush, flow: Flow, palette: Palette, part: int) -> _Strokes:
    """Choose the strokes of a layer around a view."""
    column, last_column = _range(view.x[0], brush)
    row, last_row = _range(view.y[:, 0], brush)
    ix, iy = np.meshgrid(
        np.arange(column, last_column, dtype=np.int32), np.arange(row, last_row, dtype=np.int32)
    )
    word, size = hash_cells(ix, iy, view.salt(100 + part)), np.float32(brush.cell)
    x = ix.astype(np.float32) + np.float32(0.3) + np.float32(0.4) * uniform(word, 1)
    y = iy.astype(np.float32) + np.float32(0.3) + np.float32(0.4) * uniform(word, 2)
    turn = (uniform(word, 3) - np.float32(0.5)) * np.float32(0.5)
    fx, fy = flow(x * size, y * size)
    dx, dy = _unit(fx - fy * turn, fy + fx * turn)
    # The stroke bends with the flow: compare its direction a little further on.
    gx, gy = _unit(*flow((x + dx * np.float32(0.5)) * size, (y + dy * np.float32(0.5)) * size))
    bend = np.clip(dx * gy - dy * gx, np.float32(-0.25), np.float32(0.25))
    random = uniform(word, 4)
    long = np.float32(brush.length / 2) * (np.float32(0.7) + np.float32(0.3) * random)
    wide = np.float32(brush.width / 2) * (np.float32(0.75) + np.float32(0.25) * random)
    wide = wide * (uniform(word, 5) < np.float32(brush.cover)) + np.float32(1e-6)
    colour = palette(x * size, y * size, uniform(word, 6))
    short, thin = np.reciprocal(long), np.reciprocal(wide)
    hairs = random * np.float32(_HAIRS)
    return _Strokes(column, row, x, y, dx, dy, bend, short, thin, hairs, colour)


def _range(at: Floats, brush: Brush) -> tuple[int, int]:
    """The cells whose strokes may touch pixels at the places `at`."""
    return int(at[0] / brush.cell) - 3, int(at[-1] / brush.cell) + 4


def _unit(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    scale: Floats = np.reciprocal(np.sqrt(x * x + y * y + np.float32(1e-12)))
    return x * scale, y * scale


def _hair_table() -> Floats:
    """Heights across the bristles, about -1 to 1, in a ring; each has finer ones on it."""
    random = np.random.default_rng(1)
    at = np.arange(_HAIRS * _FINE)
    table = np.zeros(at.size)
    for step, weight in ((_FINE, 0.75), (_FINE // 2, 0.3), (1, 0.32)):
        knots = random.uniform(-weight, weight, at.size // step)
        table += np.interp(at, np.arange(knots.size + 1) * step, np.append(knots, knots[0]))
    return table.astype(np.float32)


_TABLE = _hair_table()


def _hairs(at: Floats) -> Floats:
    index, share = cells(at * np.float32(_FINE))
    left = _TABLE.take(index & np.int32(_TABLE.size - 1))
    right = _TABLE.take((index + np.int32(1)) & np.int32(_TABLE.size - 1))
    return left + (right - left) * share


def paint_layers(
    view: View, ground: Floats, layers: Iterable[Brush], flow: Flow, palette: Palette
) -> Floats:
    """Lay all layers over a ground of one colour, on a canvas whose weave shows."""
    colour: Floats = ground * np.ones(view.shape, np.float32)
    for part, brush in enumerate(layers, start=1):
        colour = _paint_layer(view, colour, brush, flow, palette, part)
    return colour * (np.float32(1) + weave(view) * np.float32(0.055))


def _paint_layer(
    view: View, below: Floats, brush: Brush, flow: Flow, palette: Palette, part: int
) -> Floats:
    """Lay one layer of strokes over `below`."""
    strokes = _toss(view, brush, flow, palette, part)
    for shift in _PASSES:
        below = _paint_pass(view, below, brush, strokes, shift)
    return below


def _own(at: Floats, shift: int, first: int) -> NDArray[np.int32]:
    """Index of the cell, of those that a pass paints, whose stroke may cover each place."""
    block = np.floor((at - np.float32(shift)) * np.float32(1 / 3))
    own: NDArray[np.int32] = (block * np.float32(3)).astype(np.int32)
    return own + np.int32(shift + 1 - first)


def _paint_pass(
    view: View, below: Floats, brush: Brush, strokes: _Strokes, shift: tuple[int, int]
) -> Floats:
    """Lay the strokes of every third column and row over `below`."""
    scale, one = np.float32(1 / brush.cell), np.float32(1)
    at_x, at_y = view.x * scale, view.y * scale
    column, row = _own(at_x[0], shift[0], strokes.column), _own(at_y[:, 0], shift[1], strokes.row)

    def spread(values: Floats) -> Floats:
        pixels: Floats = values.take(row, axis=-2).take(column, axis=-1)
        return pixels

    dx, dy = at_x - spread(strokes.x), at_y - spread(strokes.y)
    turn_x, turn_y = spread(strokes.dx), spread(strokes.dy)
    along, across = dx * turn_x + dy * turn_y, dy * turn_x - dx * turn_y
    u = along * spread(strokes.short)
    v = (across - spread(strokes.bend) * along * along) * spread(strokes.thin)
    hair = _hairs(v * np.float32(brush.hairs / 2) + spread(strokes.hairs))
    # A round brush ends like an ellipse, a knife like a rectangle; bristles fray both.
    u4 = u * u * u * u
    blunt = u4 * (u4 * np.float32(1 - brush.square) + np.float32(brush.square))
    inside = one - v * v - blunt + hair * np.float32(0.16)
    edge = np.float32(max(brush.width / 4 * brush.cell * view.height, 1.2))
    shade = hair * np.float32(brush.grain) - v * np.float32(brush.relief) + one
    return mix(below, spread(strokes.colour) * shade, clamp(inside * edge))
