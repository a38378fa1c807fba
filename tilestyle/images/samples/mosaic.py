"""A style of glass mosaic: rows of tesserae that follow a great flowing ornament."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilestyle.images.samples.colour import mix, rgb
from tilestyle.images.samples.noise import (
    Floats,
    cells,
    clamp,
    fbm,
    gradient_noise,
    hash_cells,
    octaves_to_pixel,
    smoothstep,
    uniform,
)
from tilestyle.images.samples.picture import View

_COUNT = 74.0  # tesserae to the height of the picture
_BANDS = 9.0
_GROUT = rgb("2b2622")
_GOLD = rgb("e9b23c")
_GLASS = ("14327a", "1f6fb5", "23a6a6", "e8e0c8", "d0402b", "8e1b3a", "0f7a56", "f2c14e")
_COLOURS = np.concatenate([rgb(code)[:, :, 0] for code in _GLASS], axis=1)


def _ornament(view: View, x: Floats, y: Floats) -> Floats:
    """The field whose level lines are the bands of the ornament."""
    warp = fbm(x * np.float32(1.5), y * np.float32(1.5), 2, view.salt(1))
    wave = fbm(x * np.float32(1.2) + warp * np.float32(0.6), y * np.float32(1.2), 2, view.salt(2))
    return wave + (x + y) * np.float32(0.25)


@dataclass(frozen=True)
class _Tesserae:
    """The stones around a view, one in each cell; lengths are relative to the cell."""

    row: NDArray[np.int32]
    column: NDArray[np.int32]
    x: Floats
    y: Floats
    ux: Floats
    uy: Floats
    colour: Floats
    tilt_x: Floats
    tilt_y: Floats


def _lay_out(view: View, at_x: Floats, at_y: Floats) -> _Tesserae:
    column, row = np.floor(at_x[0]).astype(np.int32), np.floor(at_y[:, 0]).astype(np.int32)
    ix, iy = np.meshgrid(
        np.arange(column[0] - 1, column[-1] + 2, dtype=np.int32),
        np.arange(row[0] - 1, row[-1] + 2, dtype=np.int32),
    )
    word = hash_cells(ix, iy, view.salt(3))
    x = ix.astype(np.float32) + np.float32(0.25) + np.float32(0.5) * uniform(word, 1)
    y = iy.astype(np.float32) + np.float32(0.25) + np.float32(0.5) * uniform(word, 2)
    size, step = np.float32(1 / _COUNT), np.float32(0.004)
    level = _ornament(view, x * size, y * size)
    ux = _ornament(view, x * size + step, y * size) - level
    uy = _ornament(view, x * size, y * size + step) - level
    norm: Floats = np.reciprocal(np.sqrt(ux * ux + uy * uy + np.float32(1e-12)))
    tilt_x, tilt_y = uniform(word, 4) - np.float32(0.5), uniform(word, 5) - np.float32(0.5)
    colour = _glass(view, level, uniform(word, 6), uniform(word, 7))
    place = row - row[0], column - column[0]
    return _Tesserae(*place, x, y, ux * norm, uy * norm, colour, tilt_x, tilt_y)


def _glass(view: View, level: Floats, light: Floats, chance: Floats) -> Floats:
    """The colour of each stone: bands of the ornament with golden lines between them."""
    band, within = cells(level * np.float32(_BANDS))
    word = hash_cells(band, np.zeros_like(band), view.salt(4))
    kind = (band * np.int32(3) + (word & np.uint32(1)).astype(np.int32)) & np.int32(7)
    colour = _COLOURS[:, kind]
    strange = chance > np.float32(0.94)
    other = (chance * np.float32(800)).astype(np.int32) & np.int32(7)
    colour = np.where(strange, _COLOURS[:, other], colour)
    fade = np.float32(0.68) + np.float32(0.34) * within + np.float32(0.36) * light
    line = (within < np.float32(0.2)) & ~strange
    return np.where(line, _GOLD * (np.float32(0.7) + np.float32(0.5) * light), colour * fade)


def paint(view: View) -> Floats:
    """Set the stones into the mortar."""
    at_x, at_y = view.x * np.float32(_COUNT), view.y * np.float32(_COUNT)
    stones = _lay_out(view, at_x, at_y)
    nearest, second, index, u, v = _search(stones, at_x, at_y)
    gap = (second - nearest) * np.float32(0.5)
    rough = fbm(at_x * np.float32(1.3), at_y * np.float32(1.3), 4, view.salt(5))
    octaves = octaves_to_pixel(_COUNT * 2, view.pixel)
    fine = fbm(at_x * np.float32(2), at_y * np.float32(2), octaves, view.salt(6), 0.8)
    gap = gap + rough * np.float32(0.02)
    width = np.float32(view.height / _COUNT)
    cover = clamp((gap - np.float32(0.065)) * width + np.float32(0.5))
    mortar = _GROUT * (np.float32(1) + fine * np.float32(0.5))
    return mix(mortar, _shade(view, stones, index, gap, u, v, fine), cover)


def _search(
    stones: _Tesserae, at_x: Floats, at_y: Floats
) -> tuple[Floats, Floats, NDArray[np.int32], Floats, Floats]:
    """Distance to the nearest and second nearest stone, and which and where the nearest is."""
    shape = at_y.shape[0], at_x.shape[1]
    nearest, second = np.full(shape, 1e9, np.float32), np.full(shape, 1e9, np.float32)
    index = np.zeros(shape, np.int32)
    off_x, off_y = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for j in range(3):
        for i in range(3):
            row, column = stones.row + np.int32(j), stones.column + np.int32(i)
            x, y, ux, uy = (
                values.take(row, axis=0).take(column, axis=1)
                for values in (stones.x, stones.y, stones.ux, stones.uy)
            )
            dx, dy = at_x - x, at_y - y
            along, across = dx * ux + dy * uy, dy * ux - dx * uy
            a, b = along * along, across * across
            # Between round and square: stones of four sides with slightly bent edges.
            away = np.sqrt(np.sqrt(a * a + b * b))
            closer = away < nearest
            second = np.where(closer, nearest, np.minimum(second, away))
            nearest = np.where(closer, away, nearest)
            index = np.where(closer, row[:, None] * np.int32(stones.x.shape[1]) + column, index)
            off_x, off_y = np.where(closer, dx, off_x), np.where(closer, dy, off_y)
    return nearest, second, index, off_x, off_y


def _shade(
    view: View,
    stones: _Tesserae,
    index: NDArray[np.int32],
    gap: Floats,
    dx: Floats,
    dy: Floats,
    fine: Floats,
) -> Floats:
    """Glass in the light from the upper left, with worn edges and a glint on tilted stones."""
    tilt_x, tilt_y = stones.tilt_x.ravel().take(index), stones.tilt_y.ravel().take(index)
    colour = stones.colour.reshape(3, -1).take(index, axis=1)
    facing = tilt_x * (np.float32(-0.6) - dx) + tilt_y * (np.float32(-0.8) - dy)
    bevel = smoothstep(0.2, 0.07, gap) * (dx * np.float32(0.6) + dy * np.float32(0.8))
    light = np.float32(1) + facing * np.float32(0.5) - bevel * np.float32(0.75)
    place = dx * np.float32(3) + tilt_x * np.float32(50)
    haze = gradient_noise(place, dy * np.float32(3), view.salt(7))
    light = light + fine * np.float32(0.08) + haze * np.float32(0.06)
    glint = smoothstep(0.34, 0.6, facing + fine * np.float32(0.1)) * np.float32(0.5)
    return mix(colour * light, np.float32(1) + np.zeros_like(colour), glint)
