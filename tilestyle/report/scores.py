"""How good a tiled result is: seams, detail in the overlaps, and the objective itself.

Every figure is meant as a ratio to that of a whole-image solve with the same network, levels,
steps and start.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilestyle.admm.grid import Axis, Box, Grid
from tilestyle.store.pyramid import read_around
from tilestyle.store.workspace import BLOCK, blocks, read_box

HALO = 2
"""Pixels around a window that its local mean of 5 x 5 needs."""
NEAR = 8
"""Lines nearer to a border than this are not compared with it."""


@dataclass(frozen=True)
class Scores:
    """Figures of one image on one grid; nan where the grid has no inner border.

    Attributes:
        seam: Mean absolute difference across the borders of cores, over the median of the same
            across lines from 8 px to half a core away.
        detail: Energy of the image minus its 5 x 5 mean inside the overlap bands, over that
            beside them.
    """

    seam: float
    detail: float


@dataclass(frozen=True)
class Profile:
    """Sums over one block of an image, along its rows and its columns.

    Attributes:
        box: The block.
        rows: (2, height): differences to the line above, detail energy.
        columns: (2, width): differences to the line on the left, detail energy.
    """

    box: Box
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]


def profile(x: Any, box: Box) -> Profile:
    """What one block of an image adds to its scores.

    Args:
        x: (3, height, width) array, of numpy or zarr.
        box: The block.
    """
    down, across, energy = _local(x, box)
    rows = np.stack([a.sum(axis=1, dtype=np.float64) for a in (down, energy)])
    return Profile(box, rows, np.stack([a.sum(axis=0, dtype=np.float64) for a in (across, energy)]))


def combine(profiles: Iterable[Profile], grid: Grid) -> Scores:
    """Scores of an image from the profiles of all its blocks.

    Args:
        profiles: In a fixed order: that of `blocks`.
        grid: The patch grid that made the image, or that of the run that it is compared with.
    """
    axes = (grid.rows, grid.columns)
    sums = [np.zeros((2, axis.length)) for axis in axes]
    for part in profiles:
        sums[0][:, part.box.y0 : part.box.y1] += part.rows
        sums[1][:, part.box.x0 : part.box.x1] += part.columns
    relative = [a / a.max(axis=1, keepdims=True).clip(1e-12) for a in sums]
    differences, energies = zip(*relative, strict=True)
    return Scores(
        seam=_mean([r for a, d in zip(axes, differences, strict=True) for r in _seams(a, d)]),
        detail=_mean([r for a, e in zip(axes, energies, strict=True) for r in _bands(a, e)]),
    )


def score_image(x: Any, grid: Grid) -> Scores:
    """Scores of an image, block by block; see `combine`."""
    return combine((profile(x, box) for box in blocks(x.shape[1:], BLOCK)), grid)


def _local(x: Any, core: Box) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """|X - X above|, |X - X left| and detail energy of every pixel of a box, over the channels."""
    around = Box(core.y0 - HALO, core.y1 + HALO, core.x0 - HALO, core.x1 + HALO)
    window = read_around(lambda box: read_box(x, box), x.shape[1:], around, mode="edge")
    window = window.astype(np.float32)
    middle = window[:, HALO:-HALO, HALO:-HALO]
    down = np.abs(middle - window[:, HALO - 1 : -HALO - 1, HALO:-HALO]).sum(axis=0)
    across = np.abs(middle - window[:, HALO:-HALO, HALO - 1 : -HALO - 1]).sum(axis=0)
    mean = _moving_mean(_moving_mean(window, 2), 1)
    return down, across, np.square(middle - mean).sum(axis=0)


def _moving_mean(a: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Means of 2 * HALO + 1 neighbours along an axis, which gets shorter by 2 * HALO."""
    a = np.moveaxis(a, axis, 0)
    length, count = len(a) - 2 * HALO, 2 * HALO + 1
    total = a[:length].copy()
    for start in range(1, count):
        total += a[start : start + length]
    total /= count
    return np.moveaxis(total, 0, axis)


def _seams(axis: Axis, differences: NDArray[np.float64]) -> list[float]:
    half = axis.core // 2
    ratios = []
    for k in range(1, axis.count):
        border = axis.core_span(k)[0]
        before = differences[max(border - half, 1) : border - NEAR]
        after = differences[border + NEAR + 1 : border + half]
        beside = float(np.median(np.concatenate([before, after])))
        ratios += [float(differences[border]) / beside] if beside else []
    return ratios


def _bands(axis: Axis, energies: NDArray[np.float64]) -> list[float]:
    band = axis.overlap
    reach = min(3 * band, axis.core // 2)  # not into the band of the next border
    ratios = []
    for k in range(1, axis.count if band else 0):
        border = axis.core_span(k)[0]
        inside = energies[border - band : border + band]
        beside = np.concatenate(
            [
                energies[max(border - reach, 0) : border - band],
                energies[border + band : border + reach],
            ]
        )
        ratios += [float(inside.mean() / beside.mean())] if beside.any() else []
    return ratios


def _mean(ratios: list[float]) -> float:
    return float(np.mean(ratios)) if ratios else float("nan")
