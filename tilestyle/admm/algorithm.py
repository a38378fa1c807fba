"""One iteration of Algorithm 1 over a patch grid, whoever runs the pieces.

The pieces are functions of a patch; here stands only which depends on which. With plain
functions the iteration runs in this process; with `dask.delayed` ones it is a Dask graph.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from tilestyle.admm.grid import Grid, Patch
from tilestyle.admm.sharing import tree_reduce

S = TypeVar("S")
Z = TypeVar("Z")
X = TypeVar("X")


class Pieces(Protocol, Generic[S, Z, X]):
    """What an iteration is made of. S: shared statistics. Z, X: what the updates leave behind."""

    def measure(self, patch: Patch) -> S:
        """Statistics of the iterate, weighted by the patch's window."""

    def merge(self, parts: list[S]) -> S:
        """Weighted mean of statistics."""

    def z_update(self, patch: Patch, mean: S) -> Z:
        """Line 3 of the iteration before, then line 1: u_i, then z_i from R_i X, u_i and mean.

        The dual is updated here, where R_i X is read, rather than after the consensus.
        """

    def x_update(self, block: Patch, z: list[Z]) -> X:
        """Line 2: the consensus of the patches that cover the core of a block."""

    def residuals(self, x: list[X]) -> X:
        """Residuals of several blocks, added up."""


def iteration(grid: Grid, pieces: Pieces[S, Z, X]) -> tuple[S, Sequence[Z], X]:
    """From generation k of the state to k + 1.

    Returns:
        The statistics of X at the start, what each z-update leaves, the residuals at the end.
    """
    mean = tree_reduce(pieces.merge, [pieces.measure(patch) for patch in grid])
    z = [pieces.z_update(patch, mean) for patch in grid]
    x = [pieces.x_update(block, [z[p.index] for p in grid.covering(block)]) for block in grid]
    return mean, z, tree_reduce(pieces.residuals, x)
