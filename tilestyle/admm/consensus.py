"""Lines 2 and 3 of Algorithm 1 on arrays in memory, and the residuals that they leave."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from tilestyle.admm.grid import Grid, Patch

Array = NDArray[np.float32]


def x_update(grid: Grid, block: Patch, parts: Iterable[tuple[Patch, Array]]) -> Array:
    """X <- argmin_X sum_i w_i ||z_i - R_i X + u_i||^2, on the core of one patch.

    The minimiser is the window-weighted average of z_i + u_i, and the weighted average of the
    duals is zero after every dual update, so that z alone is averaged (Boyd et al. 2011, 7.1).
    What else has to agree in the overlaps, the moments of an optimiser, is averaged alike.

    Args:
        grid: The grid of the level.
        block: The patch whose core is updated.
        parts: For each patch of `grid.covering(block)`, in that order, its values on the common
            rectangle of its box and the core: (channels, height, width) each.

    Returns:
        (channels, core height, core width).
    """
    total: Array | None = None
    for patch, values in parts:
        common = patch.box & block.core
        if total is None:
            total = np.zeros((len(values), block.core.height, block.core.width), np.float32)
        window = grid.window(patch)[common.index(patch.box)]
        total[(slice(None), *common.index(block.core))] += window * values
    if total is None:
        raise ValueError(f"no patch covers block {block.index}")
    return total


def u_update(u: Array, z: Array, x: Array) -> Array:
    """u_i <- u_i + z_i - R_i X, scaled form; all (3, height, width) of the patch."""
    return u + z - x


def residuals(
    grid: Grid, block: Patch, x: Array, before: Array, parts: Sequence[tuple[Patch, Array]]
) -> dict[str, tuple[NDArray[np.float64], float]]:
    """Squared residuals on one core, as weighted means that `sharing.merge` adds up.

    Args:
        grid: The grid of the level.
        block: The patch whose core is measured.
        x: X after the update, (3, core height, core width).
        before: X before it.
        parts: As for `x_update`: the z_i.

    Returns:
        `primal`: mean of (z_i - R_i X)^2 where more than one patch has weight;
        `dual`: mean of the change of X, squared.
    """
    squares, count = 0.0, 0
    for patch, z in parts:
        common = patch.box & block.core
        window = grid.window(patch)[common.index(patch.box)]
        shared = (window > 0) & (window < 1)
        error = (z - x[(slice(None), *common.index(block.core))])[:, shared]
        squares += float(np.square(error, dtype=np.float64).sum())
        count += error.size
    change = np.square(x - before, dtype=np.float64)
    return {
        "primal": (np.asarray(squares / max(count, 1)), float(count)),
        "dual": (np.asarray(change.mean()), float(change.size)),
    }
