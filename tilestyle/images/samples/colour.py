"""Colours, ramps of colours and covering one colour with another."""

from collections.abc import Sequence

import numpy as np

from tilestyle.images.samples.noise import Floats, clamp


def rgb(code: str) -> Floats:
    """The colour `rrggbb` (hexadecimal) as an array of shape (3, 1, 1)."""
    return np.array([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)], np.float32)[:, None, None]


def mix(below: Floats, above: Floats, cover: Floats) -> Floats:
    """`above` laid over `below`, as opaque as `cover` says."""
    return below + (above - below) * cover


class Ramp:
    """A smooth course through several colours, evenly spaced over 0..1."""

    def __init__(self, codes: Sequence[str], steps: int = 1024) -> None:
        stops = np.concatenate([rgb(code)[:, :, 0] for code in codes], axis=1)
        at = np.linspace(0, stops.shape[1] - 1, steps)
        self._table = np.stack([np.interp(at, np.arange(stops.shape[1]), c) for c in stops])
        self._table = self._table.astype(np.float32)
        self._last = np.float32(steps - 1)

    def __call__(self, t: Floats) -> Floats:
        """The colours at `t`, with the channels as a new first axis."""
        index = (clamp(t) * self._last).astype(np.int32)
        return np.take(self._table, index, axis=1)
