"""The sky of the landscape: a gradient, the glow of a low sun and soft clouds."""

import numpy as np

from tilestyle.images.samples.colour import Ramp, mix, rgb
from tilestyle.images.samples.noise import Floats, fbm, octaves_to_pixel, smoothstep
from tilestyle.images.samples.picture import View

SUN_X, SUN_Y = np.float32(0.2), np.float32(0.36)
HORIZON = np.float32(0.5)

_AIR = Ramp(["1d4f91", "2f6fb4", "5f9bd0", "9cc2dc", "dcdccb", "f8dcae"])
_GLOW, _SUN = rgb("ffd9a0"), rgb("fffbe8")
_LIT, _SHADE = rgb("fff4e2"), rgb("8c9ab8")


def glow(x: Floats, y: Floats, reach: float) -> Floats:
    """Light around the sun, 1 at its centre and a half at the distance `reach`."""
    dx, dy = x - SUN_X, y - SUN_Y
    return np.float32(1) / (np.float32(1) + (dx * dx + dy * dy) * np.float32(1 / reach**2))


def paint_sky(view: View, x: Floats, y: Floats) -> Floats:
    """The colours of the sky at the places `x`, `y`."""
    colour = _AIR(y / HORIZON + np.zeros_like(x))
    colour = mix(colour, _GLOW, glow(x, y, 0.17) * np.float32(0.75))
    density, light = _clouds(view, x, y)
    shade = mix(_SHADE, _LIT, light)
    shade = mix(shade, _GLOW, glow(x, y, 0.2) * np.float32(0.7))
    colour = mix(colour, shade, density)
    return mix(colour, _SUN, smoothstep(0.55, 0.95, glow(x, y, 0.05)))


def _clouds(view: View, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """How thick the clouds are, and how bright: their side towards the sun is lit."""
    # A flat layer overhead: its clouds shrink and draw together towards the horizon.
    depth = np.float32(0.5) / (HORIZON + np.float32(0.13) - np.minimum(y, HORIZON))
    px, py = x * depth * np.float32(1.7), depth * np.float32(2.6)
    octaves = min(9, octaves_to_pixel(2.0, view.pixel))
    warp = fbm(px, py, 3, view.salt(11)) * np.float32(0.35)
    here = fbm(px + warp, py - warp, octaves, view.salt(12))
    step_x = (SUN_X - x) * np.float32(0.16)
    there = fbm(px + warp + step_x, py - warp + np.float32(0.16), 5, view.salt(12))
    density = smoothstep(-0.22, 0.5, here) * smoothstep(0.5, 0.33, y)
    light = smoothstep(-0.5, 0.35, here * np.float32(0.6) - there)
    return density * np.float32(0.92), light
