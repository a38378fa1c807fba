"""The mountains: a fractal height field seen over a lake, found by marching along the columns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tilestyle.images.samples.colour import mix, rgb
from tilestyle.images.samples.noise import (
    Floats,
    clamp,
    fbm,
    gradient_noise,
    octaves_to_pixel,
    ridged,
    smoothstep,
)
from tilestyle.images.samples.picture import View
from tilestyle.images.samples.sky import HORIZON, glow, paint_sky

EYE = np.float32(0.55)
"""Height of the eye above the lake; the far shore is nine units away."""
_SHORE = 9.0
_NEAR, _FAR, _SLICES = 8.0, 46.0, 128
_ROCK_LIT, _ROCK_DARK = rgb("c2a385"), rgb("3d4258")
_SNOW_LIT, _SNOW_DARK = rgb("fff3e0"), rgb("6f87b8")
_WOOD_LIT, _WOOD_DARK = rgb("7d8f3f"), rgb("16291f")
_HAZE, _WARM_HAZE = rgb("a9bfd6"), rgb("f6d5a8")


def shoreline() -> float:
    """Where the far shore lies in the picture; reflections are mirrored there."""
    return float(HORIZON + EYE / np.float32(_SHORE))


def _height(x: Floats, z: Floats, octaves: int, view: View) -> Floats:
    """Height of the ground above the lake at `x` to the right and `z` ahead."""
    side = x / z
    peak = np.exp(-np.square((side + np.float32(0.24)) * np.float32(3.8)))
    right = np.exp(-np.square((side - np.float32(0.62)) * np.float32(3.2)))
    swell = np.float32(0.34) + np.float32(0.62) * peak + np.float32(0.36) * right
    rough = ridged(x * np.float32(0.105), z * np.float32(0.105), octaves, view.salt(21), 0.47)
    bay = gradient_noise(x * np.float32(0.35), z * np.float32(0.05), view.salt(22))
    ashore = z - np.float32(_SHORE) - bay * np.float32(0.5)
    foot = np.minimum(ashore * np.float32(0.11), np.float32(0.55))
    high = smoothstep(9.0, 30.0, z) * np.float32(8.6) * swell * rough * (rough + np.float32(0.5))
    ground: Floats = foot + high + smoothstep(0.0, 4.0, ashore) * rough * np.float32(1.5)
    return ground


@dataclass(frozen=True)
class Profile:
    """Where the ground of each column appears in the picture, from near to far."""

    depth: Floats
    visible: NDArray[np.float64]

    @property
    def skyline(self) -> Floats:
        """The upper edge of the ground in each column, with its sign changed."""
        skyline: Floats = self.visible[-1].astype(np.float32)
        return skyline

    def find(self, y: Floats) -> Floats:
        """The depth at which each pixel meets the ground, infinite in the sky."""
        slices, columns = self.visible.shape
        # One search serves all columns: their courses, all inside -8..8, are put end to end.
        lift = np.arange(columns, dtype=np.float64) * 16.0
        course = (self.visible + lift).T.ravel()
        # The courses fall, so their signs are changed to make them rise.
        place = np.searchsorted(course, (lift - y).ravel(), side="left").reshape(y.shape)
        index = place - np.arange(columns) * slices
        far = np.clip(index, 1, slices - 1)
        at = far + np.arange(columns) * slices
        before, after = course[at - 1], course[at]
        share = np.clip((lift - y - before) / np.maximum(after - before, 1e-9), 0, 1)
        depth = self.depth[far - 1] + (self.depth[far] - self.depth[far - 1]) * share
        return np.where(index >= slices, np.inf, depth).astype(np.float32)


def profile(view: View) -> Profile:
    """March through the height field along all columns of the view."""
    depth = np.geomspace(_NEAR, _FAR, _SLICES).astype(np.float32)
    z = depth[:, None]
    octaves = octaves_to_pixel(0.105, view.pixel * 14)
    ground = _height(view.x * z, z, octaves, view)
    seen = (ground - EYE) / z - HORIZON
    return Profile(depth, np.maximum.accumulate(seen.astype(np.float64), axis=0))


def paint_distance(view: View, course: Profile, y: Floats, finest: float) -> Floats:
    """Sky and mountains at the places (`view.x`, `y`), with details down to the size `finest`."""
    depth = course.find(y)
    ground = np.isfinite(depth)
    # Softening the skyline by one pixel needs the sky behind the uppermost ground as well.
    edge = clamp((y + course.skyline) * np.float32(view.height) + np.float32(0.5))
    open_sky = edge < 1
    x = view.x + np.zeros_like(y)
    colour: Floats = np.zeros((3, *y.shape), np.float32)
    # Each painter gets only the pixels that show its work, as one long row.
    if open_sky.any():
        colour[:, open_sky] = paint_sky(view, x[None, open_sky], y[None, open_sky])[:, 0]
    if ground.any():
        places = x[None, ground], y[None, ground], depth[None, ground]
        land = _land(view, *places, finest)[:, 0]
        colour[:, ground] = mix(colour[:, ground], land, edge[ground])
    return colour


def _land(view: View, x: Floats, y: Floats, z: Floats, finest: float) -> Floats:
    """The ground seen through the air in front of it."""
    colour = _surface(view, x * z, y, z, finest)
    thick = np.float32(1) - np.exp((z - np.float32(6)) * np.float32(-1 / 34.0))
    haze = mix(_HAZE, _WARM_HAZE, clamp(glow(x, y, 0.3) * np.float32(1.1)))
    low = smoothstep(0.36, 0.52, y) * smoothstep(11.0, 22.0, z) * np.float32(0.4)
    return mix(colour, haze, clamp(thick * np.float32(0.85) + low))


def _surface(view: View, x: Floats, y: Floats, z: Floats, finest: float) -> Floats:
    """Rock, snow and woods in the light that falls from the right."""
    octaves = octaves_to_pixel(0.105, finest * 12)
    step = z * np.float32(max(finest, 1 / 2000) * 2.0)
    here = _height(x, z, octaves, view)
    lit = _height(x + step, z + step * np.float32(0.1), octaves, view)
    slope: Floats = (here - lit) / step
    tilt = slope - np.float32(0.55)
    bright: Floats = tilt / (np.abs(tilt) + np.float32(1.5))
    light = (bright + np.float32(0.67)) * np.float32(0.75)
    height = EYE + (HORIZON - y) * z
    grain = fbm(x * np.float32(2.5), z * np.float32(2.5), 4, view.salt(23))
    rock = mix(_ROCK_DARK, _ROCK_LIT, light + grain * np.float32(0.12))
    bare = np.abs(tilt) * np.float32(0.95) - grain * np.float32(0.9)
    snow = mix(_SNOW_DARK, _SNOW_LIT, light)
    colour = mix(rock, snow, smoothstep(3.0, 3.6, height - bare))
    fine = min(5, max(1, octaves - 2))
    crowns = fbm(x * np.float32(9), height * np.float32(14), fine, view.salt(24), 0.7)
    leaf = clamp(light * np.float32(1.25) - np.float32(0.12) + crowns * np.float32(0.27))
    woods = smoothstep(2.2, 1.6, height + grain * np.float32(0.9) + slope * np.float32(0.15))
    return mix(colour, mix(_WOOD_DARK, _WOOD_LIT, leaf), woods)
