"""The water of the lake and the meadow in front of it."""

import numpy as np

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
from tilestyle.images.samples.sky import HORIZON, glow

_DEEP, _BREEZE, _GLINT = rgb("123a4a"), rgb("a9c4d4"), rgb("fff0cf")
_GRASS_LIT, _GRASS_DARK, _STRAW = rgb("a3ab3c"), rgb("1b2f14"), rgb("d9bd69")
_HEART = rgb("6b4a12")
_KINDS = ("d8321f", "d8321f", "e0452b", "f4d03a", "f4d03a", "f7f2e4", "f7f2e4", "9a63c4")
_BLOOMS = np.concatenate([rgb(code)[:, :, 0] for code in _KINDS], axis=1)


def ripples(view: View) -> Floats:
    """How far waves displace a reflection at each pixel."""
    depth = np.float32(0.1) / np.maximum(view.y - HORIZON, np.float32(0.02))
    octaves = octaves_to_pixel(60.0, view.pixel, 7)
    x = view.x * depth
    waves = fbm(x * np.float32(26), depth * np.float32(90), octaves, view.salt(41), 0.4)
    still = gradient_noise(x * np.float32(2), depth * np.float32(14), view.salt(42))
    strength = smoothstep(0.56, 0.75, view.y) * np.float32(0.016) + np.float32(0.0015)
    strength = strength * (np.float32(0.25) + smoothstep(-0.3, 0.5, still))
    return waves * strength


def paint_water(view: View, mirrored: Floats, wave: Floats) -> Floats:
    """The lake where it reflects the colours `mirrored`."""
    look_down = smoothstep(0.56, 0.84, view.y) * np.float32(0.5) + np.float32(0.1)
    colour = mix(mirrored * rgb("dfe8ee"), _DEEP, look_down)
    # Where a breeze roughens the far water it mirrors the sky above, not the shore.
    breeze = gradient_noise(view.x * np.float32(1.3), view.y * np.float32(46), view.salt(47))
    breeze = smoothstep(-0.1, 0.6, breeze + wave * np.float32(40))
    breeze = breeze * smoothstep(0.561, 0.572, view.y) * smoothstep(0.69, 0.6, view.y)
    colour = mix(colour, _BREEZE, breeze * np.float32(0.55))
    sparkle = smoothstep(0.003, 0.012, wave) * glow(view.x, view.y * np.float32(0.4), 0.16)
    return mix(colour, _GLINT, clamp(sparkle * np.float32(0.5)))


def _bank(view: View, x: Floats) -> Floats:
    """The upper edge of the meadow, without its blades."""
    swell = gradient_noise(x * np.float32(2.1), np.zeros_like(x), view.salt(43))
    aside: Floats = np.clip(x + np.float32(0.1), np.float32(-1.3), np.float32(1.3))
    rise = aside * aside * np.float32(0.09) - swell * np.float32(0.03)
    return np.float32(0.83) - rise


def water_end(view: View) -> float:
    """The place below which the meadow hides everything in the columns of the view."""
    return float(_bank(view, view.x).max()) + 0.02


def paint_meadow(view: View, below: Floats) -> Floats:
    """Lay the meadow over the lower part of the view."""
    bank = _bank(view, view.x)
    if float(view.y[-1, 0]) < float(bank.min()) - 0.05:
        return below
    x, y = view.x, view.y
    near = np.maximum(y - bank + np.float32(0.03), np.float32(0.02))
    octaves = octaves_to_pixel(60.0, view.pixel)
    lean = gradient_noise(x * np.float32(5), y * np.float32(5), view.salt(44)) * np.float32(0.05)
    blades = fbm((x + lean * y) * np.float32(140), y * np.float32(20), octaves, view.salt(45), 0.7)
    height = np.float32(0.014) * (np.float32(0.7) + blades)
    cover = clamp((y - bank + height) * np.float32(view.height * 0.5) + np.float32(0.5))
    patches = fbm(x * np.float32(4), np.log(near) * np.float32(3), 4, view.salt(46))
    light = np.float32(0.5) + blades * np.float32(0.42) + patches * np.float32(0.22)
    light = light - smoothstep(0.85, 1.05, y) * np.float32(0.25)
    colour = mix(_GRASS_DARK, _GRASS_LIT, clamp(light))
    straw = smoothstep(0.1, 0.9, patches + blades * np.float32(0.5))
    colour = mix(colour, _STRAW, straw * np.float32(0.6))
    return mix(below, _blooms(view, colour), cover)


def _blooms(view: View, colour: Floats) -> Floats:
    """Flowers, which grow larger towards the eye."""
    for layer, (count, size) in enumerate(((74.0, 0.34), (42.0, 0.3), (24.0, 0.27))):
        colour = _bed(view, colour, layer, np.float32(count), size)
    return colour


def _bed(view: View, below: Floats, layer: int, count: np.float32, size: float) -> Floats:
    """Flowers of one size, at most one in each cell of a lattice."""
    (ix, fx), (iy, fy) = cells(view.x * count), cells(view.y * count * np.float32(1.2))
    ix, iy = ix + np.zeros_like(iy), iy + np.zeros_like(ix)
    word = hash_cells(ix, iy, view.salt(50 + layer))
    # Whether a flower grows is asked at the middle of its cell, lest it be cut in two.
    half = np.float32(0.5)
    mid_x = (ix[:1] + half).astype(np.float32) / count
    mid_y = (iy[:, :1] + half).astype(np.float32) / (count * np.float32(1.2))
    near, place = mid_y - _bank(view, mid_x), 0.006 + 0.045 * layer
    grows = smoothstep(place, place + 0.03, near) * smoothstep(place + 0.14, place + 0.07, near)
    drift = gradient_noise(mid_x * np.float32(6), mid_y * np.float32(9), view.salt(60))
    there = uniform(word, 4) < grows * (np.float32(0.3) + drift * np.float32(1.1))
    if not there.any():
        return below
    span = np.float32(1 - 2.2 * size)
    dx = fx - half - (uniform(word, 1) - half) * span
    dy = (fy - half - (uniform(word, 2) - half) * span) * np.float32(1.25)
    away = np.sqrt(dx * dx + dy * dy)
    lobes = np.cos(np.arctan2(dy, dx) * np.float32(5) + uniform(word, 5) * np.float32(6))
    radius = np.float32(size) * (half + half * uniform(word, 3))
    petals = radius * (np.float32(0.8) + lobes * np.float32(0.2))
    cover = clamp((petals - away) * np.float32(view.height / count) + half) * there
    shade = np.float32(0.62) + clamp(away / radius) * np.float32(0.38) - dy * half
    bloom = np.take(_BLOOMS, (word >> np.uint32(7)) & np.uint32(7), axis=1) * shade
    heart = clamp((radius * np.float32(0.28) - away) * np.float32(view.height / count) + half)
    return mix(below, mix(bloom, _HEART, heart), cover)
