"""The content sample: mountains behind a lake with a village, a meadow and a tree."""

from dataclasses import replace

import numpy as np

from tilestyle.images.samples.ground import paint_meadow, paint_water, ripples, water_end
from tilestyle.images.samples.noise import Floats, clamp, hash_cells, uniform
from tilestyle.images.samples.oak import paint_oak
from tilestyle.images.samples.picture import View
from tilestyle.images.samples.terrain import Profile, paint_distance, profile, shoreline
from tilestyle.images.samples.village import WATERLINE, paint_village


def paint(view: View) -> Floats:
    """Paint the landscape from the back to the front."""
    colour: Floats = np.zeros((3, *view.shape), np.float32)
    end = np.float32(water_end(view))
    if view.y[0, 0] < end:
        colour = _backdrop(view, colour, end)
    return _film(view, paint_oak(view, paint_meadow(view, colour)))


def _backdrop(view: View, colour: Floats, end: np.float32) -> Floats:
    """All that lies behind the meadow, down to the place `end`."""
    course, line, flat = profile(view), shoreline(), np.zeros_like(view.x)
    above = int(np.count_nonzero(view.y < np.float32(line)))
    if above:
        colour[:, :above] = paint_distance(view, course, view.y[:above] + flat, view.pixel)
    below = int(np.count_nonzero(view.y < end))
    if above < below:
        lake = replace(view, y0=view.y0 + above, y1=view.y0 + below)
        colour[:, above:below] = _lake(lake, course)
    return paint_village(view, colour, view.y + flat)


def _lake(view: View, course: Profile) -> Floats:
    """The water in front of the far shore, with what it mirrors."""
    wave = ripples(view)
    # Waves blur the finest detail; drawing it would be wasted.
    turned = np.float32(2 * shoreline()) - view.y + wave
    mirrored = paint_distance(view, course, turned, view.pixel * 4)
    mirrored = paint_village(view, mirrored, np.float32(2 * WATERLINE) - view.y + wave)
    return paint_water(view, mirrored, wave)


def _film(view: View, colour: Floats) -> Floats:
    """The curve of a film and its grain, which also hides steps in smooth skies."""
    colour = clamp(colour)
    curve = colour * colour * (np.float32(3) - np.float32(2) * colour)
    ix = np.arange(view.x0, view.x1, dtype=np.int32)[None, :]
    iy = np.arange(view.y0, view.y1, dtype=np.int32)[:, None]
    grain = uniform(hash_cells(ix, iy, view.salt(90))) - np.float32(0.5)
    colour += (curve - colour) * np.float32(0.45) + grain * np.float32(0.014)
    return colour
