"""The broad tree that stands in the foreground."""

import numpy as np

from tilestyle.images.samples.colour import mix, rgb
from tilestyle.images.samples.noise import Floats, clamp, fbm, octaves_to_pixel, smoothstep
from tilestyle.images.samples.picture import View

_LEFT, _RIGHT, _TOP, _FOOT = -0.80, -0.14, 0.08, 0.94
_TRUNK_X, _CROWN_Y, _GROUND = -0.48, 0.37, 0.8
_BARK_LIT, _BARK_DARK = rgb("8a6a4c"), rgb("1f1712")
_LEAF_LIT, _LEAF_MID, _LEAF_DARK = rgb("c3b83c"), rgb("4f6b22"), rgb("0e1d12")


def paint_oak(view: View, below: Floats) -> Floats:
    """Lay the tree over `below`."""
    x, y = view.x, view.y
    if float(x[0, -1]) < _LEFT or float(x[0, 0]) > _RIGHT:
        return below
    if float(y[-1, 0]) < _TOP or float(y[0, 0]) > _FOOT:
        return below
    colour = below * _shadow(view) if float(y[-1, 0]) > _GROUND else below
    colour = _wood(view, colour) if float(y[-1, 0]) > _CROWN_Y else colour
    return _crown(view, colour) if float(y[0, 0]) < _GROUND else colour


def _shadow(view: View) -> Floats:
    """The light that is left on the ground near the trunk; the sun stands to the right."""
    dx = (view.x - np.float32(_TRUNK_X - 0.07)) * np.float32(5.5)
    dy = (view.y - np.float32(0.885)) * np.float32(28)
    return np.float32(1) - np.float32(0.6) * smoothstep(1.0, 0.1, dx * dx + dy * dy)


def _wood(view: View, below: Floats) -> Floats:
    """The trunk and the boughs that carry the crown."""
    x, y = view.x, view.y
    octaves = octaves_to_pixel(90.0, view.pixel)
    bark = fbm(x * np.float32(90), y * np.float32(22), octaves, view.salt(71), 0.6)
    boughs = ((0.0, 0.0, 0.021), (-0.5, 0.62, 0.012), (0.55, 0.58, 0.012), (0.25, 0.5, 0.01))
    # Grass stands before the foot of the trunk.
    blades = fbm(x * np.float32(150), y * np.float32(20), 4, view.salt(75), 0.7)
    foot = np.float32(0.884) + blades * np.float32(0.011)
    colour = below
    for lean, fork, width in boughs:
        up = np.maximum(np.float32(fork or 0.88) - y, np.float32(0))
        root = smoothstep(0.8, 0.9, y) * np.float32(0.02)
        bend = np.float32(0.012) * np.float32(np.sin(lean * 9)) * up * np.float32(8)
        centre = np.float32(_TRUNK_X) + up * np.float32(lean) + bend
        half = np.float32(width) * (np.float32(1) - up * np.float32(1.2)) + root
        half = half + bark * np.float32(0.0025)
        away = x - centre
        cover = clamp((half - np.abs(away)) * np.float32(view.height) + np.float32(0.5))
        ends = (y > np.float32(_CROWN_Y)) & (y < (np.float32(fork) if fork else foot))
        light = clamp(away / half * np.float32(0.45) + np.float32(0.4) + bark * np.float32(0.35))
        colour = mix(colour, mix(_BARK_DARK, _BARK_LIT, light), np.where(ends, cover, 0))
    return colour.astype(np.float32)


def _clumps(seed: int) -> list[tuple[float, float, float]]:
    """Middles and radii of the bunches of leaves, those behind first."""
    random = np.random.default_rng(seed)
    clumps = []
    for _ in range(52):
        turn, away = random.random() * 2 * np.pi, np.sqrt(random.random())
        x = _TRUNK_X + 0.2 * away * np.cos(turn)
        y = _CROWN_Y + 0.19 * away * np.sin(turn)
        clumps.append((float(x), float(y), float(0.035 + 0.035 * random.random())))
    # Those above, nearer to the light, lie over those below.
    return sorted(clumps, key=lambda clump: -clump[1] - 0.4 * clump[0])


def _crown(view: View, below: Floats) -> Floats:
    x, y = view.x, view.y
    octaves = octaves_to_pixel(40.0, view.pixel)
    leaves = fbm(x * np.float32(48), y * np.float32(52), octaves, view.salt(72), 0.68)
    shade = fbm(x * np.float32(85), y * np.float32(85), octaves, view.salt(73), 0.8)
    light: Floats = np.zeros_like(leaves)
    cover: Floats = np.zeros_like(leaves)
    for cx, cy, radius in _clumps(view.salt(74)):
        reach = radius * 2.2
        columns = np.flatnonzero(np.abs(x[0] - np.float32(cx)) < reach)
        lines = np.flatnonzero(np.abs(y[:, 0] - np.float32(cy)) < reach)
        if columns.size == 0 or lines.size == 0:
            continue
        part = (slice(lines[0], lines[-1] + 1), slice(columns[0], columns[-1] + 1))
        dx = (x[:, part[1]] - np.float32(cx)) / np.float32(radius)
        dy = (y[part[0]] - np.float32(cy)) / np.float32(radius)
        body = np.float32(0.95) - np.sqrt(dx * dx + dy * dy) + leaves[part] * np.float32(0.55)
        over = clamp(body * np.float32(radius * view.height * 0.5))
        lit = (dx * np.float32(0.6) - dy * np.float32(0.75)) * np.float32(0.36)
        lit = lit + np.float32(0.42) + shade[part] * np.float32(0.3)
        light[part] += (lit - light[part]) * over
        cover[part] = np.maximum(cover[part], over)
    colour = mix(_LEAF_DARK, _LEAF_MID, clamp(light * np.float32(2)))
    colour = mix(colour, _LEAF_LIT, clamp(light * np.float32(2) - np.float32(1)))
    return mix(below, colour, cover)
