"""One step of exact descent over a grid of tiles: the whole image's gradient in two passes.

Like `admm.algorithm`, with whoever runs the pieces; here stands only which depends on which.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from tilestyle.admm.grid import Grid, Patch
from tilestyle.admm.sharing import tree_reduce

S = TypeVar("S")


class Pieces(Protocol, Generic[S]):
    """What a step is made of. S: statistics, shared by all tiles."""

    def measure(self, tile: Patch) -> S:
        """What f is made of, measured under the tile's window: the first pass."""

    def merge(self, parts: list[S]) -> S:
        """Weighted mean of statistics."""

    def gradient(self, tile: Patch, mean: S) -> S:
        """The image's gradient on the tile's core: the second pass; its inner products."""

    def step(self, tile: Patch, products: S) -> S:
        """The optimiser's step on the tile's core; the change of X."""


def step(grid: Grid, pieces: Pieces[S]) -> tuple[S, Sequence[S], S]:
    """From generation k of the state to k + 1.

    Returns:
        What f was made of at the start, the change of each tile, that of the whole image.
    """
    mean = tree_reduce(pieces.merge, [pieces.measure(tile) for tile in grid])
    products = tree_reduce(pieces.merge, [pieces.gradient(tile, mean) for tile in grid])
    changes = [pieces.step(tile, products) for tile in grid]
    return mean, changes, tree_reduce(pieces.merge, changes)
