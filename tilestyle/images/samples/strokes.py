"""A style of swirling brush strokes in deep blue, teal and golden light."""

from typing import NamedTuple

import numpy as np

from tilestyle.images.samples.brush import Brush, paint_layers
from tilestyle.images.samples.colour import Ramp, mix, rgb
from tilestyle.images.samples.noise import (
    Floats,
    fbm,
    hash_cells,
    smoothstep,
    uniform,
)
from tilestyle.images.samples.picture import View

_NIGHT = Ramp(["0b1545", "12307a", "1d5aa8", "2a8fb5", "57b8a8", "a9d6a4"])
_GOLD = Ramp(["2a7fb0", "7fc3a0", "f3d35b", "fbb22b", "f58a1f", "fff0b0"])
_GROUND = rgb("0d1c4f")
_SPACING = np.float32(0.42)
_AROUND_X = np.tile(np.arange(-1, 2, dtype=np.int32), 3)[:, None, None]
_AROUND_Y = np.repeat(np.arange(-1, 2, dtype=np.int32), 3)[:, None, None]
_LAYERS = (
    Brush(0.060, 2.2, 0.80, hairs=20.0, grain=0.2),
    Brush(0.034, 2.2, 0.62, hairs=14.0, grain=0.2),
    Brush(0.020, 2.2, 0.55, cover=0.9, hairs=10.0, grain=0.2),
    Brush(0.0125, 2.2, 0.5, cover=0.55, hairs=7.0),
)


class _Swirls(NamedTuple):
    """The swirls around some places, with the nine nearest cells as the first axis."""

    dx: Floats
    dy: Floats
    pull: Floats
    turn: Floats
    bright: Floats


class _Design:
    """Swirls, one in each cell of a coarse lattice, in a drifting sky."""

    def __init__(self, view: View) -> None:
        self._view = view

    def _swirls(self, x: Floats, y: Floats) -> _Swirls:
        ix = np.floor(x / _SPACING).astype(np.int32) + _AROUND_X
        iy = np.floor(y / _SPACING).astype(np.int32) + _AROUND_Y
        word = hash_cells(ix, iy, self._view.salt(1))
        mx = (ix + np.float32(0.2) + np.float32(0.6) * uniform(word, 1)).astype(np.float32)
        my = (iy + np.float32(0.2) + np.float32(0.6) * uniform(word, 2)).astype(np.float32)
        size = uniform(word, 3)
        reach = np.float32(1) / (np.float32(0.16) + np.float32(0.3) * size * size)
        dx, dy = (x / _SPACING - mx) * reach, (y / _SPACING - my) * reach
        pull = np.exp(-(dx * dx + dy * dy)).astype(np.float32)
        sign = np.where(uniform(word, 4) < 0.65, np.float32(1), np.float32(-1))
        bright = (uniform(word, 5) < 0.5).astype(np.float32)
        return _Swirls(dx, dy, pull, sign, bright)

    def flow(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """The course of the brush."""
        wave = fbm(x * np.float32(2.2), y * np.float32(2.2), 3, self._view.salt(2))
        swirls = self._swirls(x, y)
        strength = swirls.turn * swirls.pull * np.float32(2.4)
        fx = np.float32(0.34) - (swirls.dy * strength).sum(axis=0)
        fy = wave * np.float32(0.45) + (swirls.dx * strength).sum(axis=0)
        return fx, fy

    def palette(self, x: Floats, y: Floats, chance: Floats) -> Floats:
        """Night colours; gold in the hearts of the bright swirls."""
        cold = fbm(x * np.float32(3.1), y * np.float32(3.1), 3, self._view.salt(3))
        swirls = self._swirls(x, y)
        away = np.sqrt(swirls.dx * swirls.dx + swirls.dy * swirls.dy) * np.float32(2.1)
        rings = np.abs(away - np.floor(away) - np.float32(0.5)) - np.float32(0.25)
        ring = (rings * swirls.pull).sum(axis=0)
        heart = (swirls.pull * swirls.bright).max(axis=0)
        wild = chance - np.float32(0.5)
        tone = np.float32(0.38) + cold * np.float32(0.3) + ring * np.float32(1.5)
        tone = tone + wild * np.float32(0.42)
        warm = heart + ring * np.float32(0.6) + wild * np.float32(0.3)
        gold = smoothstep(0.36, 0.56, warm)
        spark = (chance > np.float32(0.93)) & (cold > np.float32(0.1))
        gold = np.maximum(gold, spark.astype(np.float32) * np.float32(0.8))
        return mix(_NIGHT(tone), _GOLD(warm), gold)


def paint(view: View) -> Floats:
    """Paint the layers from broad to fine."""
    design = _Design(view)
    return paint_layers(view, _GROUND, _LAYERS, design.flow, design.palette)
