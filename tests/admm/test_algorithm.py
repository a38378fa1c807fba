"""One iteration: what depends on what, and where many of them lead."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from tilestyle.admm.algorithm import iteration
from tilestyle.admm.consensus import Array, u_update, x_update
from tilestyle.admm.grid import Grid, Patch, make_grid

LAYOUTS = [(None, 300, 200), (64, 300, 200), (32, 300, 300), (64, 64, 1000)]


@dataclass
class Recorder:
    """Pieces whose results name what they were made from."""

    measured: list[int] = field(default_factory=list)
    means: list[tuple[int, ...]] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    blocks: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def measure(self, patch: Patch) -> tuple[int, ...]:
        self.measured.append(patch.index)
        return (patch.index,)

    def merge(self, parts: list[tuple[int, ...]]) -> tuple[int, ...]:
        return tuple(index for part in parts for index in part)

    def z_update(self, patch: Patch, mean: tuple[int, ...]) -> int:
        self.updated.append(patch.index)
        self.means.append(mean)
        return patch.index

    def x_update(self, block: Patch, z: list[int]) -> tuple[int, ...]:
        assert block.index not in self.blocks
        self.blocks[block.index] = tuple(z)
        return (block.index,)

    def residuals(self, x: list[tuple[int, ...]]) -> tuple[int, ...]:
        return tuple(index for part in x for index in part)


@pytest.mark.parametrize(("core", "height", "width"), LAYOUTS)
def test_what_depends_on_what(core: int | None, height: int, width: int) -> None:
    grid = make_grid(height, width, core, 8, 8, 8)
    everyone = tuple(range(len(grid)))
    recorder = Recorder()
    mean, z, residual = iteration(grid, recorder)
    assert mean == everyone
    assert tuple(z) == everyone
    assert residual == everyone
    assert tuple(recorder.measured) == everyone
    assert tuple(recorder.updated) == everyone
    assert recorder.means == [everyone] * len(grid)
    assert recorder.blocks == {
        block.index: tuple(p.index for p in grid.covering(block)) for block in grid
    }


@dataclass(frozen=True)
class Quadratic:
    """z -> z.Qz / 2 - q.z over the pixels of a patch."""

    matrix: NDArray[np.float64]
    vector: NDArray[np.float64]

    @classmethod
    def random(cls, size: int, seed: int) -> "Quadratic":
        random = np.random.default_rng(seed)
        root = random.standard_normal((size, size)) / np.sqrt(size)
        matrix = root.T @ root + 0.5 * np.eye(size)
        return cls(matrix, matrix @ random.random(size))


class Prox:
    """Argmin of a quadratic + sum penalty / 2 (z - centre)^2."""

    def __init__(self, objective: Quadratic, penalty: Array) -> None:
        self.vector = objective.vector
        self.weight = penalty.ravel().astype(np.float64)
        self.inverse = np.linalg.inv(objective.matrix + np.diag(self.weight))

    def __call__(self, centre: Array) -> Array:
        z = self.inverse @ (self.vector + self.weight * centre.ravel())
        return np.asarray(z.reshape(centre.shape), np.float32)


class Toy:
    """Algorithm 1 in memory, on quadratics."""

    def __init__(self, grid: Grid, rho: float) -> None:
        self.grid = grid
        self.objectives = [Quadratic.random(p.box.height * p.box.width, p.index) for p in grid]
        windows = [np.float32(rho) * w * (w < 1) for w in map(grid.window, grid)]
        self.prox = [Prox(o, w) for o, w in zip(self.objectives, windows, strict=True)]
        shape = (1, grid.rows.length, grid.columns.length)
        self.x, self.after = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.u: dict[int, Array] = {}
        self.z: dict[int, Array] = {}

    def minimiser(self) -> NDArray[np.float64]:
        """Of the sum of all quadratics, each on its part of one image."""
        pixels = np.arange(self.x.size).reshape(self.x.shape[1:])
        matrix, vector = np.zeros((pixels.size, pixels.size)), np.zeros(pixels.size)
        for patch, objective in zip(self.grid, self.objectives, strict=True):
            own = pixels[patch.box.index()].ravel()
            matrix[np.ix_(own, own)] += objective.matrix
            vector[own] += objective.vector
        return np.asarray(np.linalg.solve(matrix, vector).reshape(self.x.shape))

    def run(self) -> Iterator[Array]:
        while True:
            iteration(self.grid, self)
            self.x = self.after.copy()
            yield self.x

    def measure(self, patch: Patch) -> None:
        return None

    def merge(self, parts: list[None]) -> None:
        return None

    def z_update(self, patch: Patch, mean: None) -> Array:
        x = self.x[(slice(None), *patch.box.index())]
        if patch.index in self.z:
            u = u_update(self.u[patch.index], self.z[patch.index], x)
        else:
            u = np.zeros_like(x)
        self.u[patch.index] = u
        self.z[patch.index] = self.prox[patch.index](x - u)
        return self.z[patch.index]

    def x_update(self, block: Patch, z: list[Array]) -> None:
        parts = []
        for patch, whole in zip(self.grid.covering(block), z, strict=True):
            common = patch.box & block.core
            parts.append((patch, whole[(slice(None), *common.index(patch.box))]))
        self.after[(slice(None), *block.core.index())] = x_update(self.grid, block, parts)

    def residuals(self, x: list[None]) -> None:
        return None


def error_after(toy: Toy, iterations: int) -> float:
    expected = toy.minimiser()
    x = next(x for t, x in enumerate(toy.run(), start=1) if t == iterations)
    return float(np.abs(x - expected).max())


@pytest.mark.parametrize(("rho", "iterations"), [(10, 500), (20, 300)])
@pytest.mark.parametrize("size", [(16, 16), (12, 26)])
def test_admm_finds_the_global_minimiser(
    rho: float, iterations: int, size: tuple[int, int]
) -> None:
    """To what rounding leaves: the weighted mean of the duals drifts by some 1e-7 an iteration."""
    grid = make_grid(*size, 8, 2, 4, 1)
    assert len(grid) > 2
    assert error_after(Toy(grid, rho), iterations) < 5e-4


def test_averaging_alone_does_not_find_it() -> None:
    """The toy tells consensus with duals from a mere blend of independent solutions."""
    assert error_after(Toy(make_grid(16, 16, 8, 2, 4, 1), 0.0), 50) > 0.01


def test_one_patch_is_solved_at_once() -> None:
    assert error_after(Toy(make_grid(12, 9, None, 0, 0, 1), 1.0), 1) < 1e-5
