"""The graphs: what is a task, and what it waits for. One iteration of Algorithm 1 is one graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dask import delayed

from tilestyle.admm.algorithm import iteration
from tilestyle.admm.grid import Grid, Patch
from tilestyle.admm.sharing import merge, tree_reduce
from tilestyle.cluster import tasks
from tilestyle.cluster.level import LevelRef
from tilestyle.store.workspace import BLOCK, blocks


def _task(function: Any) -> Any:
    # not pure: the same call in the next iteration is another task
    return delayed(function, pure=False)


@dataclass(frozen=True)
class DaskPieces:
    """The pieces of iteration `t` of a level, each a Dask task."""

    ref: LevelRef
    t: int

    def measure(self, patch: Patch) -> Any:
        """See `admm.algorithm.Pieces`, as for the others."""
        return _task(tasks.measure_patch)(self.ref, self.t, patch.index)

    def merge(self, parts: list[Any]) -> Any:
        """A node of the tree of statistics."""
        return _task(merge)(parts)

    def z_update(self, patch: Patch, mean: Any) -> Any:
        """The engine on one patch."""
        return _task(tasks.z_update)(self.ref, self.t, patch.index, mean)

    def x_update(self, block: Patch, z: list[Any]) -> Any:
        """The consensus on one core."""
        return _task(tasks.x_block)(self.ref, self.t, block.index, z)

    def residuals(self, x: list[Any]) -> Any:
        """A node of the tree of residuals."""
        return _task(merge)(x)


def iteration_graph(ref: LevelRef, t: int, grid: Grid) -> list[Any]:
    """Iteration t: the statistics of X, the residuals, then a receipt for each patch."""
    mean, z, residual = iteration(grid, DaskPieces(ref, t))
    return [mean, residual, *z]


def style_graph(ref: LevelRef, grids: Sequence[Grid]) -> list[Any]:
    """CF(S) of each style image."""
    return [
        tree_reduce(_task(merge), [_task(tasks.measure_style)(ref, n, p.index) for p in grid])
        for n, grid in enumerate(grids)
    ]


def begin_graph(ref: LevelRef, grid: Grid, coarser: int) -> list[Any]:
    """X at iteration 0."""
    return [_task(tasks.begin_block)(ref, p.index, coarser) for p in grid]


def pyramid_graph(root: str, image: str, level: int, shape: tuple[int, int]) -> list[Any]:
    """One level of an image from the next finer one."""
    return [_task(tasks.reduce_block)(root, image, level, box) for box in blocks(shape, BLOCK)]
