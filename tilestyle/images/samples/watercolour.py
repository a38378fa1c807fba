"""A style of watercolour: translucent warm washes with dark rims on rough paper."""

import numpy as np

from tilestyle.images.samples.canvas import paper
from tilestyle.images.samples.colour import rgb
from tilestyle.images.samples.noise import Floats, clamp, fbm, octaves_to_pixel, smoothstep
from tilestyle.images.samples.picture import View

_PAPER = rgb("fdf6e6")
_WASHES = (
    ("ffd27a", 0.9, -0.35, 0.9),
    ("ff9a6b", 1.3, -0.05, 0.85),
    ("f2637e", 1.6, 0.05, 0.8),
    ("ffb347", 2.1, 0.1, 0.8),
    ("c84b9a", 1.9, 0.22, 0.75),
    ("5a56b5", 2.3, 0.38, 0.75),
    ("2f9c95", 2.9, 0.38, 0.7),
    ("d8343f", 3.4, 0.36, 0.85),
    ("7a2a6b", 5.2, 0.42, 0.7),
    ("f07d1e", 7.5, 0.46, 0.8),
)
"""Pigment, scale, height of the water's edge and strength of each wash."""


def paint(view: View) -> Floats:
    """Lay the washes over one another, each drying before the next."""
    grain = paper(view)
    x, y = view.x, view.y
    octaves = octaves_to_pixel(6.0, view.pixel)
    bleed_x = fbm(x * np.float32(6), y * np.float32(6), octaves, view.salt(1), 0.55)
    bleed_y = fbm(x * np.float32(6), y * np.float32(6), octaves, view.salt(2), 0.55)
    # Pigment takes away its complement, the more of it the darker: the law of Beer.
    absorbed: Floats = np.zeros((3, *view.shape), np.float32)
    for part, (code, scale, edge, strength) in enumerate(_WASHES):
        u = (x + bleed_x * np.float32(0.03)) * np.float32(scale)
        v = (y + bleed_y * np.float32(0.03)) * np.float32(scale)
        level = fbm(u, v, 3, view.salt(10 + part)) - np.float32(edge)
        pool = fbm(u * np.float32(2.7), v * np.float32(2.7), 3, view.salt(30 + part))
        amount = _pigment(view, level, pool, grain, scale) * np.float32(strength)
        absorbed += np.log(rgb(code)) * amount
    return _PAPER * (grain * np.float32(0.03) + np.float32(1)) * np.exp(absorbed)


def _pigment(view: View, level: Floats, pool: Floats, grain: Floats, scale: float) -> Floats:
    """How much pigment dries where: a sharp dark rim, blooms and grain inside."""
    wet = clamp(level * np.float32(view.height / scale / 2) + np.float32(0.5))
    rim = smoothstep(0.05, 0.0, np.abs(level - np.float32(0.012)))
    body = pool * np.float32(0.42) + smoothstep(0.0, 0.7, level) * np.float32(0.35)
    body = body + rim * np.float32(0.75) + np.float32(0.62)
    settled = np.float32(1) - grain * np.float32(0.28)
    dry: Floats = wet * np.maximum(body, np.float32(0.05)) * settled
    return dry
