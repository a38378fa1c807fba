"""A style of woodcut: engraved lines in black and red on cream paper."""

import numpy as np

from tilestyle.images.samples.canvas import paper
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

_PAPER, _BLACK, _RED = rgb("f1e4c6"), rgb("17130f"), rgb("c4271b")
_LINES = 80.0  # to the height of the picture
_SUNS = 1.6


def paint(view: View) -> Floats:
    """Print the red block, then the black one."""
    grain = paper(view)
    x, y = view.x, view.y
    octaves = octaves_to_pixel(200.0, view.pixel)
    wood = fbm(x * np.float32(28), y * np.float32(200), octaves, view.salt(1), 0.7)
    colour = _PAPER * (np.float32(1) + grain * np.float32(0.045))
    red, black = _blocks(view, wood)
    # Ink does not reach the hollows of the paper, nor the pores of the wood.
    inked = smoothstep(-1.05, -0.6, grain + wood * np.float32(0.35))
    colour = mix(colour, _RED * (np.float32(1) + wood * np.float32(0.08)), red * inked)
    ink = _BLACK * (np.float32(1) + (wood + grain) * np.float32(0.5))
    return mix(colour, ink, black * inked)


def _suns(view: View) -> tuple[Floats, Floats]:
    """Distance from the rim of the nearest disc (positive inside), and from its middle."""
    (ix, fx), (iy, fy) = cells(view.x * np.float32(_SUNS)), cells(view.y * np.float32(_SUNS))
    inside = np.full(view.shape, -1e9, np.float32)
    middle = np.full(view.shape, 1e9, np.float32)
    for j in (-1, 0, 1):
        for i in (-1, 0, 1):
            cx = (ix + np.int32(i)) + np.zeros_like(iy)
            cy = (iy + np.int32(j)) + np.zeros_like(ix)
            word = hash_cells(cx, cy, view.salt(2))
            dx = fx - np.float32(i + 0.2) - np.float32(0.6) * uniform(word, 1)
            dy = fy - np.float32(j + 0.2) - np.float32(0.6) * uniform(word, 2)
            radius = np.float32(0.12) + np.float32(0.3) * uniform(word, 3)
            radius = np.where(uniform(word, 4) < 0.62, radius, np.float32(-5))
            away = np.sqrt(dx * dx + dy * dy)
            inside = np.maximum(inside, radius - away)
            middle = np.minimum(middle, np.where(radius > 0, away, np.float32(1e9)))
    return inside / np.float32(_SUNS), middle / np.float32(_SUNS)


def _course(view: View) -> tuple[Floats, Floats]:
    """The field that the lines are level lines of, and the tone of the design."""
    x, y = view.x, view.y
    bend = fbm(x * np.float32(1.3), y * np.float32(1.3), 2, view.salt(3))
    curl = fbm(x * np.float32(2.4) + bend, y * np.float32(2.4), 2, view.salt(4))
    field = y + bend * np.float32(0.2) + curl * np.float32(0.06)
    folds = gradient_noise(x * np.float32(1.1), field * np.float32(4.2), view.salt(5))
    mass = fbm(x * np.float32(1.7), y * np.float32(1.7), 3, view.salt(6))
    tone = np.float32(0.5) + folds * np.float32(0.62) + mass * np.float32(0.32)
    return field, tone


def _lines(view: View, phase: Floats, ink: Floats, rag: Floats) -> Floats:
    """Cover of lines, one to each unit of `phase`, that fill the share `ink` of their room."""
    away = np.abs(phase - np.floor(phase) - np.float32(0.5)) * np.float32(2)
    scale = np.float32(view.height / _LINES / 2)
    full = ink + rag * np.float32(0.07)
    return clamp((full - away) * scale + np.float32(0.5)) * (ink > np.float32(0.06))


def _blocks(view: View, wood: Floats) -> tuple[Floats, Floats]:
    """Cover of the red and the black ink."""
    field, tone = _course(view)
    inside, middle = _suns(view)
    swell = gradient_noise(view.x * np.float32(40), view.y * np.float32(40), view.salt(7))
    rag = wood + swell
    detail = fbm(view.x * np.float32(5), field * np.float32(14), 3, view.salt(9)) * np.float32(0.3)
    edge = clamp(inside * np.float32(view.height) + np.float32(0.5))
    halo = smoothstep(0.09, 0.0, np.abs(inside + np.float32(0.012)))
    dark = smoothstep(-0.1, 1.0, tone + detail) * np.float32(0.84) + np.float32(0.12)
    dark = dark - halo * np.float32(0.4)
    along = _lines(view, field * np.float32(_LINES), dark, rag)
    slant = (view.x * np.float32(0.8) + field * np.float32(0.75)) * np.float32(_LINES * 0.8)
    cross = _lines(view, slant, smoothstep(0.62, 1.15, tone), rag)
    black = np.maximum(along, cross)
    rays = _lines(view, middle * np.float32(_LINES * 0.6), np.float32(0.24) + tone * 0.3, rag)
    black = black + (rays * np.float32(0.9) - black) * edge
    sweep = gradient_noise(view.x * np.float32(2), field * np.float32(3), view.salt(8))
    flame = smoothstep(-0.05, 0.5, sweep) * np.float32(0.85)
    flame = _lines(view, field * np.float32(_LINES * 0.5), flame, rag)
    red = np.maximum(edge, flame)
    return red.astype(np.float32), black.astype(np.float32)
