"""The graphs: what is a task, and what it waits for. One iteration of Algorithm 1 is one graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dask import annotate, delayed

from tilestyle.admm import descent
from tilestyle.admm.algorithm import iteration
from tilestyle.admm.grid import Grid, Patch
from tilestyle.admm.sharing import merge, tree_reduce
from tilestyle.cluster import exact, tasks
from tilestyle.cluster.level import LevelRef
from tilestyle.cluster.records import locate, recorded
from tilestyle.cluster.resources import Need, annotations
from tilestyle.cluster.start import Start, begin_block, measure_start
from tilestyle.store.workspace import BLOCK, blocks
from tilestyle.style.color import add_sums


def task(function: Callable[..., Any], need: Need = "CPU") -> Callable[..., Any]:
    """A function whose calls are tasks; the finished ones are kept in the workspace.

    Args:
        function: Any.
        need: The kind of worker that it is for; see `cluster.resources`.
    """

    def call(*args: Any) -> Any:
        found = locate(function, args)
        with annotate(**annotations(need)):
            if found is None:
                return delayed(function, pure=True)(*args)
            root, place = found
            return delayed(recorded)(root, place.key, function, *args, dask_key_name=place.key)

    return call


@dataclass(frozen=True)
class DaskPieces:
    """The pieces of iteration `t` of a level, each a Dask task."""

    ref: LevelRef
    t: int

    def measure(self, patch: Patch) -> Any:
        """See `admm.algorithm.Pieces`, as for the others."""
        return task(tasks.measure_patch, "GPU")(self.ref, self.t, patch.index)

    def merge(self, parts: list[Any]) -> Any:
        """A node of the tree of statistics."""
        return task(merge)(parts)

    def z_update(self, patch: Patch, mean: Any) -> Any:
        """The engine on one patch."""
        return task(tasks.z_update, "GPU")(self.ref, self.t, patch.index, mean)

    def x_update(self, block: Patch, z: list[Any]) -> Any:
        """The consensus on one core."""
        return task(tasks.x_block)(self.ref, self.t, block.index, z)

    def residuals(self, x: list[Any]) -> Any:
        """A node of the tree of residuals."""
        return task(merge)(x)


def iteration_graph(ref: LevelRef, t: int, grid: Grid) -> list[Any]:
    """Iteration t: the statistics of X, the residuals, then a receipt for each patch."""
    mean, z, residual = iteration(grid, DaskPieces(ref, t))
    return [mean, residual, *z]


@dataclass(frozen=True)
class ExactPieces:
    """The pieces of exact step `t` of a level, each a Dask task; see `admm.descent.Pieces`."""

    ref: LevelRef
    t: int
    core: int | None

    def measure(self, tile: Patch) -> Any:
        """The first pass."""
        return task(tasks.measure_parts, "GPU")(self.ref, self.t, self.core, tile.index)

    def merge(self, parts: list[Any]) -> Any:
        """A node of a tree."""
        return task(merge)(parts)

    def gradient(self, tile: Patch, mean: Any) -> Any:
        """The second pass."""
        return task(exact.gradient_tile, "GPU")(self.ref, self.t, tile.index, mean)

    def step(self, tile: Patch, products: Any) -> Any:
        """The optimiser."""
        return task(exact.step_tile, "GPU")(self.ref, self.t, tile.index, products)


def exact_graph(ref: LevelRef, t: int, grid: Grid, core: int | None) -> list[Any]:
    """Step t of exact descent: what f was made of, the change of X, then that of each tile."""
    mean, changes, change = descent.step(grid, ExactPieces(ref, t, core))
    return [mean, change, *changes]


def parts_tree(ref: LevelRef, t: int, grid: Grid, core: int | None) -> Any:
    """What f(X) of generation t is made of, measured on cores of this size."""
    measured = [task(tasks.measure_parts, "GPU")(ref, t, core, patch.index) for patch in grid]
    return tree_reduce(task(merge), measured)


def style_graph(ref: LevelRef, grids: Sequence[Grid]) -> list[Any]:
    """CF(S) of each style image."""
    return [
        tree_reduce(task(merge), [task(tasks.measure_style, "GPU")(ref, n, p.index) for p in grid])
        for n, grid in enumerate(grids)
    ]


def edges_graph(ref: LevelRef, shape: tuple[int, int]) -> list[Any]:
    """E of the level: first what its strongest gradients are, then where."""
    boxes = list(blocks(shape, BLOCK))
    measured = tree_reduce(task(merge), [task(tasks.measure_edges)(ref, box) for box in boxes])
    return [task(tasks.edge_block)(ref, box, measured) for box in boxes]


def start_graph(ref: LevelRef, grid: Grid, core: int, starts: Sequence[Start]) -> list[Any]:
    """What f of each start is made of, measured on cores of this size."""
    return [
        tree_reduce(
            task(merge), [task(measure_start, "GPU")(ref, core, p.index, start) for p in grid]
        )
        for start in starts
    ]


def begin_graph(ref: LevelRef, grid: Grid, start: Start) -> list[Any]:
    """X at iteration 0."""
    return [task(begin_block)(ref, p.index, start) for p in grid]


def color_graph(ref: LevelRef, shapes: Mapping[int | None, tuple[int, int]]) -> list[Any]:
    """Sums of the colours of styles, by number, and of the content, None; with height and width."""
    return [
        tree_reduce(
            task(add_sums),
            [task(tasks.sum_colors)(ref, style, box) for box in blocks(shape, BLOCK)],
        )
        for style, shape in shapes.items()
    ]


def pyramid_graph(root: str, image: str, level: int, shape: tuple[int, int]) -> list[Any]:
    """One level of an image from the next finer one."""
    boxes = blocks(shape, BLOCK // 2)  # each is made from twice as much, and a little more
    return [task(tasks.reduce_block)(root, image, level, box) for box in boxes]
