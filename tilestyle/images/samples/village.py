"""The village on its tongue of land: houses, a church, and spruces around them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilestyle.images.samples.colour import mix, rgb
from tilestyle.images.samples.noise import (
    Floats,
    clamp,
    fbm,
    gradient_noise,
    hash_cells,
    octaves_to_pixel,
    smoothstep,
    uniform,
)
from tilestyle.images.samples.picture import View
from tilestyle.images.samples.shapes import band, polygon

WATERLINE = 0.612
_TOP = 0.4  # nothing of the village stands higher in the picture
_BANK_LIT, _BANK_DARK, _BEACH = rgb("93a04a"), rgb("33471f"), rgb("b9a27c")
_TREE_LIT, _TREE_DARK = rgb("6f8238"), rgb("10231b")
_GLASS, _FRAME, _DOOR = rgb("273244"), rgb("efe6d2"), rgb("5b3a22")
_WALLS = [rgb(c) for c in ("f3e7cf", "e8cf9f", "dfe3e0", "e9b98f", "c9dbe6")]
_ROOFS = [rgb(c) for c in ("b4452d", "9c3a2a", "c65f38", "6d4a42")]


@dataclass(frozen=True)
class _House:
    left: float
    base: float
    front: float
    side: float
    wall: float
    gable: float
    colour: int
    roof: int
    tower: bool


@dataclass(frozen=True)
class _Row:
    """Spruces at the height `base` of the picture, about one for each `cell` of its width."""

    base: float
    cell: float
    tall: float
    part: int


_BEHIND, _BEFORE = _Row(0.574, 0.026, 0.062, 31), _Row(0.601, 0.034, 0.05, 33)


def _houses(seed: int) -> list[_House]:
    """Two rows of houses and one church, those farthest away first."""
    random = np.random.default_rng(seed)
    houses = []
    for base, size, start in ((0.576, 0.034, 0.17), (0.592, 0.045, 0.13)):
        left = start + 0.02 * random.random()
        while left < 1.3:
            scale = size * (0.85 + 0.4 * random.random())
            front, side = scale * 0.8, scale * (0.8 + 0.6 * random.random())
            foot = base + 0.005 * random.random()
            look = int(random.integers(len(_WALLS))), int(random.integers(len(_ROOFS)))
            gable = scale * (0.45 + 0.2 * random.random())
            houses.append(_House(left, foot, front, side, scale * 0.72, gable, *look, False))
            left += front + side + size * 2.2 * random.random() ** 2
    church = 0.3 + 0.1 * random.random()
    houses.append(_House(church + 0.034, 0.594, 0.04, 0.075, 0.055, 0.034, 0, 1, False))
    houses.append(_House(church, 0.595, 0.024, 0.012, 0.098, 0.062, 0, 3, True))
    return sorted(houses, key=lambda house: house.base)


def paint_village(view: View, below: Floats, y: Floats) -> Floats:
    """Lay the tongue of land and all that stands on it over `below`."""
    if float(view.x[0, -1]) < -0.1 or float(y.max()) < _TOP or float(y.min()) > WATERLINE:
        return below
    colour = _spruces(view, below, y, _BEHIND)
    colour = _bank(view, colour, y)
    for house in _houses(view.salt(32)):
        colour = _place(view, colour, y, house)
    return _spruces(view, colour, y, _BEFORE)


def _bank(view: View, below: Floats, y: Floats) -> Floats:
    x, line = view.x, np.float32(WATERLINE)
    wave = fbm(x * np.float32(14), x * np.float32(3), 6, view.salt(34)) * np.float32(0.006)
    top = line - smoothstep(0.02, 0.24, x) * (np.float32(0.045) + wave)
    scale, half = np.float32(view.height), np.float32(0.5)
    cover = clamp((y - top) * scale + half) * clamp((line - y) * scale + half)
    cover = np.where(x > np.float32(0.02), cover, np.float32(0))
    octaves = octaves_to_pixel(60.0, view.pixel)
    grass = fbm(x * np.float32(60), y * np.float32(160), octaves, view.salt(35), 0.65)
    green = mix(_BANK_DARK, _BANK_LIT, clamp(np.float32(0.6) + grass * np.float32(0.5)))
    edge = smoothstep(WATERLINE - 0.007, WATERLINE - 0.002, y + grass * np.float32(0.002))
    return mix(below, mix(green, _BEACH * (grass * np.float32(0.2) + np.float32(0.8)), edge), cover)


def _spruces(view: View, below: Floats, y: Floats, row: _Row) -> Floats:
    part = _reach(view, y, 3 * row.cell, np.inf, row.base - 1.35 * row.tall, row.base + 0.013)
    if part is None:
        return below
    x, y = view.x[:, part[1]], y[part]
    octaves = octaves_to_pixel(110.0, view.pixel)
    needles = fbm(x * np.float32(110), y * np.float32(190), octaves, view.salt(row.part), 0.75)
    colour, area = below.copy(), below[:, *part]
    at = np.floor(x / np.float32(row.cell)).astype(np.int32)
    for line in range(3):
        for shift in (-1, 1, 0):
            area = _spruce(view, area, x, y, needles, row, at + np.int32(shift), line)
    colour[:, *part] = area
    return colour


def _spruce(
    view: View,
    below: Floats,
    x: Floats,
    y: Floats,
    needles: Floats,
    row: _Row,
    spot: NDArray[np.int32],
    line: int,
) -> Floats:
    """Draw the spruce that grows in the cell `spot` of each column, if there is one."""
    word = hash_cells(spot, np.full_like(spot, line), view.salt(row.part))
    group = gradient_noise(spot * np.float32(row.cell * 7), np.zeros_like(x), view.salt(38))
    grows = (spot > 3) & (uniform(word, 3) < group * np.float32(0.9) + np.float32(0.34))
    if not grows.any():
        return below
    height = np.float32(row.tall) * (np.float32(0.55) + np.float32(0.75) * uniform(word, 1))
    t = (np.float32(row.base + 0.006 * line) - y) / height
    dx = x - (spot + uniform(word)).astype(np.float32) * np.float32(row.cell)
    tier = t * np.float32(8) + uniform(word, 2)
    jag = np.float32(1.12) - (tier - np.floor(tier)) * np.float32(0.4)
    half = (np.float32(1) - t) * jag * np.float32(0.2) + needles * np.float32(0.035)
    half = half * height
    cover = clamp((half - np.abs(dx)) * np.float32(view.height) + np.float32(0.5))
    cover = np.where(grows & (t > 0) & (t < 1), cover, np.float32(0))
    lit = clamp(dx / (height * np.float32(0.2)) + needles * np.float32(0.4) + np.float32(0.35))
    return mix(below, mix(_TREE_DARK, _TREE_LIT, lit), cover)


def _reach(
    view: View, y: Floats, left: float, right: float, top: float, bottom: float
) -> tuple[slice, slice] | None:
    """The lines and columns of the view that may touch a box."""
    columns = np.flatnonzero((view.x[0] > left) & (view.x[0] < right))
    lines = np.flatnonzero((y.max(axis=1) > top) & (y.min(axis=1) < bottom))
    if columns.size == 0 or lines.size == 0:
        return None
    return slice(lines[0], lines[-1] + 1), slice(columns[0], columns[-1] + 1)


def _place(view: View, colour: Floats, y: Floats, house: _House) -> Floats:
    """Draw one house into the part of the view that it may touch."""
    right, top = house.left + house.front + house.side, house.base - house.wall - house.gable
    margin = house.front * 0.2
    part = _reach(view, y, house.left - margin, right + margin, top - margin, house.base + margin)
    if part is None:
        return colour
    colour = colour.copy()
    colour[:, *part] = _draw(view, colour[:, *part], view.x[:, part[1]], y[part], house)
    return colour


def _draw(view: View, area: Floats, x: Floats, y: Floats, house: _House) -> Floats:
    pixel, base = view.pixel, house.base
    left, eaves = house.left, house.base - house.wall
    corner = left + house.front
    end, ridge = corner + house.side, eaves - house.gable
    over, middle = house.front * 0.09, left + house.front / 2
    shift = 0.001 if house.tower else house.side
    octaves = octaves_to_pixel(150.0, pixel)
    plaster = fbm(x * np.float32(150), y * np.float32(150), octaves, view.salt(36), 0.75)
    wall = _WALLS[house.colour] * (np.float32(1) + plaster * np.float32(0.07))
    front = [(left, base), (left, eaves), (middle, ridge), (corner, eaves), (corner, base)]
    area = mix(area, wall * rgb("b3abb6"), polygon(x, y, front, pixel))
    area = mix(area, wall, band(x, corner, end, pixel) * band(y, eaves, base, pixel))
    area = _windows(area, x, y, house, pixel)
    tiles = np.abs(np.modf(y * np.float32(11 / house.gable))[0] - np.float32(0.5))
    clay = np.float32(0.8) + tiles * np.float32(0.4) + plaster * np.float32(0.12)
    roof = _ROOFS[house.roof] * clay
    slab = [(corner - over / 3, eaves), (middle, ridge), (middle + shift, ridge)]
    slab = [(corner + over, eaves + over / 2), *slab, (end + over, eaves + over / 2)]
    area = mix(area, roof, polygon(x, y, slab, pixel))
    if house.tower:
        spire = [(left - over, eaves), (middle, ridge), (corner, eaves)]
        return mix(area, roof * np.float32(0.55), polygon(x, y, spire, pixel))
    verge = [(left - over, eaves + over), (middle, ridge - over / 2), (middle, ridge + over)]
    verge += [(left, eaves + over * 1.6)]
    area = mix(area, roof * np.float32(0.5), polygon(x, y, verge, pixel))
    stack = corner + house.side * 0.35
    chimney = band(x, stack, stack + over * 1.4, pixel)
    chimney = chimney * band(y, ridge - over * 2, ridge + over, pixel)
    return mix(area, _ROOFS[3], chimney)


def _windows(area: Floats, x: Floats, y: Floats, house: _House, pixel: float) -> Floats:
    """Two storeys of windows on both walls, and a door."""
    corner, eaves = house.left + house.front, house.base - house.wall
    for start, length in ((house.left, house.front), (corner, house.side)):
        count = max(1, round(length / house.front * 2))
        for storey in (0.2, 0.62):
            top = eaves + house.wall * storey
            tall = house.wall * 0.2
            for i in range(count):
                left, wide = start + length * (i + 0.3) / count, length * 0.4 / count
                rim = wide * 0.2
                outer = band(x, left - rim, left + wide + rim, pixel)
                outer = outer * band(y, top - rim, top + tall + rim, pixel)
                pane = band(x, left, left + wide, pixel) * band(y, top, top + tall, pixel)
                area = mix(mix(area, _FRAME, outer * np.float32(0.8)), _GLASS, pane)
    if house.tower:
        return area
    door = band(x, corner + house.side * 0.44, corner + house.side * 0.56, pixel)
    return mix(area, _DOOR, door * band(y, house.base - house.wall * 0.36, house.base, pixel))
