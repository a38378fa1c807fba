"""Straight-edged shapes, softened over one pixel."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from tilestyle.images.samples.noise import Floats, clamp

Point: TypeAlias = tuple[float, float]


def band(at: Floats, low: float, high: float, pixel: float) -> Floats:
    """Cover of the interval `low` to `high` along one axis."""
    scale, half = np.float32(1 / pixel), np.float32(0.5)
    rise = clamp((at - np.float32(low)) * scale + half)
    return np.minimum(rise, clamp((np.float32(high) - at) * scale + half))


def polygon(x: Floats, y: Floats, corners: Sequence[Point], pixel: float) -> Floats:
    """Cover of a convex polygon whose corners run clockwise on the screen."""
    cover: Floats = np.ones(np.broadcast_shapes(x.shape, y.shape), np.float32)
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        scale = 1.0 / (np.hypot(bx - ax, by - ay) * pixel)
        across, along = np.float32((bx - ax) * scale), np.float32((by - ay) * scale)
        inside = (y - np.float32(ay)) * across - (x - np.float32(ax)) * along
        cover = np.minimum(cover, clamp(inside + np.float32(0.5)))
    return cover
