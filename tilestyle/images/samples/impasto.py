"""A style of thick paint laid on with a knife: crimson, orange, ochre and cream."""

import numpy as np

from tilestyle.images.samples.brush import Brush, paint_layers
from tilestyle.images.samples.colour import Ramp, mix, rgb
from tilestyle.images.samples.noise import Floats, fbm, gradient_noise
from tilestyle.images.samples.picture import View

_WARM = Ramp(["3b0a24", "7d1128", "c4212f", "e8542a", "f58f29", "f9c24d", "fdf0cf"])
_COOL = Ramp(["1b2a52", "2d5f8a", "4aa3a2", "c9e3cf"])
_GROUND = rgb("5a1226")
_LAYERS = (
    Brush(0.092, 1.8, 1.05, hairs=26.0, grain=0.1, relief=0.24, square=1.0),
    Brush(0.052, 1.8, 0.95, hairs=22.0, grain=0.12, relief=0.24, square=1.0),
    Brush(0.030, 1.8, 0.85, 0.7, hairs=16.0, grain=0.14, relief=0.3, square=1.0),
    Brush(0.016, 1.7, 0.7, 0.4, hairs=12.0, grain=0.14, relief=0.32, square=0.8),
)


class _Design:
    """Glowing hills of colour; the knife follows their slopes."""

    def __init__(self, view: View) -> None:
        self._view = view

    def _tone(self, x: Floats, y: Floats) -> Floats:
        bend = gradient_noise(x * np.float32(1.3), y * np.float32(1.3), self._view.salt(1))
        u, v = x + bend * np.float32(0.3), y - bend * np.float32(0.2)
        return fbm(u * np.float32(1.9), v * np.float32(2.6), 4, self._view.salt(2), 0.45)

    def flow(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """The course of the knife: along the slopes, now and then across them."""
        step = np.float32(0.02)
        here = self._tone(x, y)
        fx, fy = self._tone(x, y + step) - here, here - self._tone(x + step, y)
        across = gradient_noise(x * np.float32(5), y * np.float32(5), self._view.salt(3))
        turn = np.where(across > np.float32(0.25), np.float32(1.2), np.float32(0))
        return fx - fy * turn, fy + fx * turn

    def palette(self, x: Floats, y: Floats, chance: Floats) -> Floats:
        """Fire colours, with cool accents in the hollows."""
        wild = chance - np.float32(0.5)
        tone = self._tone(x, y)
        warm = np.float32(0.5) + tone * np.float32(0.62) + wild * np.float32(0.24)
        spot = gradient_noise(x * np.float32(2.7), y * np.float32(2.7), self._view.salt(4))
        accent = spot - tone * np.float32(0.35) + wild * np.float32(0.2)
        cool = (accent > np.float32(0.36)).astype(np.float32)
        blue = np.float32(0.3) + spot * np.float32(0.4) + wild * np.float32(0.6)
        return mix(_WARM(warm), _COOL(blue), cool)


def paint(view: View) -> Floats:
    """Paint the layers from broad to fine."""
    design = _Design(view)
    return paint_layers(view, _GROUND, _LAYERS, design.flow, design.palette)
