"""What pictures are painted on: woven canvas and paper."""

import numpy as np

from tilestyle.images.samples.noise import Floats, fbm, octaves_to_pixel
from tilestyle.images.samples.picture import View

_THREADS = 420.0  # to the height of the picture


def weave(view: View) -> Floats:
    """Height of the threads of a canvas, about -1..1."""
    threads = min(_THREADS, view.height / 4)
    turn = np.float32(threads * np.pi)
    octaves = octaves_to_pixel(120.0, view.pixel)
    rough = fbm(view.x * np.float32(120), view.y * np.float32(120), octaves, view.salt(81), 0.85)
    rough += np.sin(view.x * turn) * np.sin(view.y * turn) * np.float32(0.5)
    return rough


def paper(view: View) -> Floats:
    """Height of the grain of rough paper, about -1..1."""
    octaves = octaves_to_pixel(110.0, view.pixel)
    x, y = view.x * np.float32(110), view.y * np.float32(110)
    return fbm(x, y, octaves, view.salt(82), 0.76)
