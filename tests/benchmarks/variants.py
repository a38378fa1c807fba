"""The variants of the study: one level of ADMM in memory, with whatever may be done otherwise.

The product knows only what the study has found worth keeping (docs/parity.md). What it rejected
lives here, so that anyone can try it again.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilestyle.admm.consensus import residuals, u_update, x_update
from tilestyle.admm.grid import Axis, Box, Grid, Patch, make_grid
from tilestyle.admm.sharing import Statistics, means, merge
from tilestyle.style.engine import Moments, PatchLoss, Problem, adam
from tilestyle.style.objective import Objective

Array = NDArray[np.float32]
ALIGN = 32


@dataclass(frozen=True)
class Variant:
    """How a level is solved; the defaults are the product's.

    Attributes:
        core: Side of a patch's core, in pixels; None: the whole image.
        overlap: Pixels that a patch adds on each inner side.
        blend: Pixels of each band that are averaged.
        window: Shape of the weights over the blend.
        inner: K, steps of a z-update.
        start: Where a z-update starts: at R_i X or at the patch's own last z.
        moments: Adam's state: averaged like X, kept by each patch, or afresh in every iteration.
        statistics: What the shared mean is: measured free of the patches' borders, on the patches
            themselves, as it was an iteration ago, or none: every patch matches the style alone.
        shift: Every other iteration has a grid that is shifted by half a core.
        ring: Pixels around a patch that it sees but does not move.
        rho: Weight of the proximal term.
        schedule: rho stays, doubles in every iteration, or is balanced (Boyd et al., 3.4.1).
        where: The proximal term acts in the overlaps, or everywhere.
        relaxation: Boyd et al., 3.4.3; 1 for none.
    """

    core: int | None = 256
    overlap: int = 64
    blend: int = 4
    window: Literal["cosine", "linear"] = "cosine"
    inner: int = 1
    start: Literal["x", "z"] = "x"
    moments: Literal["averaged", "kept", "fresh"] = "averaged"
    statistics: Literal["shared", "patches", "delayed", "own"] = "shared"
    shift: bool = False
    ring: int = 0
    rho: float = 0.0
    schedule: Literal["constant", "ramped", "balanced"] = "constant"
    where: Literal["overlap", "everywhere"] = "overlap"
    relaxation: float = 1.0


class LinearAxis(Axis):
    """Weights that rise along a line instead of a raised cosine."""

    def _rise(self, distance: NDArray[Any]) -> Array:
        return (distance / self.blend + 0.5).clip(0, 1).astype(np.float32)


class ShiftedAxis(Axis):
    """Cores that begin half a core earlier."""

    @property
    def count(self) -> int:
        """Number of cores; both ends are left to their neighbours if less than half a core."""
        return super().count + (super().count > 1)

    def core_span(self, k: int) -> tuple[int, int]:
        """Core k of the shifted partition."""
        half = self.core // 2
        last = k == self.count - 1
        return max(k * self.core - half, 0), self.length if last else (k + 1) * self.core - half


@dataclass(frozen=True)
class Problems:
    """A level to be solved.

    Attributes:
        objective: Network, weights and style.
        content: C, (3, height, width).
        start: X at iteration 0.
        steps: Inner steps in all.
        rate: Of Adam.
    """

    objective: Objective
    content: Array
    start: Array
    steps: int
    rate: float = 0.02

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.content.shape[1], self.content.shape[2]


@dataclass
class Trial:
    """A variant at work on a level; iterate over it."""

    level: Problems
    variant: Variant

    def __post_init__(self) -> None:
        height, width = self.level.shape
        v = self.variant
        self.grid = make_grid(height, width, v.core, v.overlap, v.blend, ALIGN)
        if v.window == "linear":
            self.grid = Grid(*(_as(LinearAxis, a) for a in (self.grid.rows, self.grid.columns)))
        self.x = self.level.start.copy()
        self.moments = np.zeros((6, height, width), np.float32)
        self.kept: dict[int, Moments] = {}
        self.z: dict[int, Array] = {}
        self.u: dict[int, Array] = {}
        self.rho = v.rho
        self.before: dict[str, Tensor] | None = None
        self.primal = float("nan")

    def run(self) -> Array:
        """X after all steps."""
        for t in range(self.level.steps // self.variant.inner):
            self.iterate(t)
        return self.x

    def iterate(self, t: int) -> None:
        """Algorithm 1, lines 1 to 3."""
        v, grid = self.variant, self.grid
        if v.shift and t % 2:
            grid = Grid(*(_as(ShiftedAxis, axis) for axis in (grid.rows, grid.columns)))
        mean = self._mean(grid)
        z, moments = {}, {}
        for patch in grid:
            z[patch.index], moments[patch.index] = self._z_update(grid, patch, mean, t)
        if v.relaxation != 1:
            for patch in grid:
                here = self.x[:, *patch.box.index()]
                z[patch.index] = v.relaxation * z[patch.index] + (1 - v.relaxation) * here
        after, averaged = np.empty_like(self.x), np.empty_like(self.moments)
        left = []
        for block in grid:
            core = (slice(None), *block.core.index())
            after[core] = x_update(grid, block, _parts(grid, block, z))
            pairs = {index: _numpy(moment.pair) for index, moment in moments.items()}
            averaged[core] = x_update(grid, block, _parts(grid, block, pairs))
            parts = _parts(grid, block, z)
            left.append(residuals(grid, block, after[core], self.x[core], parts))
        if v.rho:
            for patch in grid:
                old = self.u.get(patch.index, np.zeros_like(z[patch.index]))
                new = u_update(old, z[patch.index], after[:, *patch.box.index()])
                self.u[patch.index] = new
        found = means(merge(left))
        self.primal = float(np.sqrt(found["primal"]))
        self._adapt(self.primal, float(np.sqrt(found["dual"])))
        self.x, self.moments, self.z, self.kept = after, averaged, z, moments

    def _mean(self, grid: Grid) -> dict[str, Tensor]:
        """The mean that all patches share."""
        objective = self.level.objective
        reach = max(objective.network.layers[j].margin for j in objective.weights.style)
        if self.variant.statistics != "patches":
            grid = grid.widened(-(-(reach + self.variant.blend // 2) // ALIGN) * ALIGN)
        measured: list[Statistics] = []
        for patch in grid:
            features = objective.style_features(_tensor(self.x, patch.box))
            window = torch.from_numpy(grid.window(patch))
            measured.append(objective.measure(features, window))
        mean = {name: torch.from_numpy(m) for name, m in means(merge(measured)).items()}
        if self.variant.statistics == "delayed":
            mean, self.before = self.before or mean, mean
        return mean

    def _z_update(
        self, grid: Grid, patch: Patch, mean: dict[str, Tensor], t: int
    ) -> tuple[Array, Moments]:
        v, objective = self.variant, self.level.objective
        seen = _around(patch.box, v.ring, self.level.shape)
        inside = patch.box.index(seen)
        x = _tensor(self.x, seen)
        start = x.clone()
        if v.start == "z" and t:
            start[:, *inside] = torch.from_numpy(self.z[patch.index])
        if v.statistics == "own":
            mean = objective.grams(objective.style_features(start))
        free = torch.zeros(x.shape[1:])
        free[inside] = 1
        centre, penalty = x.clone(), None
        if v.rho:
            if patch.index in self.u:
                centre[:, *inside] -= torch.from_numpy(self.u[patch.index])
            window = torch.from_numpy(grid.window(patch))
            penalty = torch.zeros_like(free)
            penalty[inside] = self.rho * (window * (window < 1) if v.where == "overlap" else 1.0)
        content = _tensor(self.level.content, seen)
        loss = PatchLoss(objective, Problem(content, mean, centre, penalty))
        z = start.requires_grad_(True)
        moments = adam(
            z,
            lambda z: free * loss.gradient(z),
            v.inner,
            self.level.rate,
            self._moments(patch, seen, free, t),
        )
        cut = (slice(None), *inside)
        mine = Moments(moments.first[cut], moments.second[cut], moments.steps)
        return _numpy(z.detach()[cut]), mine

    def _moments(self, patch: Patch, seen: Box, free: Tensor, t: int) -> Moments | None:
        v = self.variant
        if not t or v.moments == "fresh":
            return None
        if v.moments == "kept":
            return self.kept[patch.index]
        first, second = (free * _tensor(self.moments, seen)).chunk(2)
        return Moments(first, second, t * v.inner)

    def _adapt(self, primal: float, dual: float) -> None:
        factor = 1.0
        if self.variant.schedule == "ramped":
            factor = 2.0
        elif self.variant.schedule == "balanced" and self.rho:
            factor = 2.0 if primal > 10 * dual else 0.5 if dual > 10 * primal else 1.0
        self.rho *= factor
        for index in self.u:
            self.u[index] /= np.float32(factor)


def _as(kind: type[Axis], axis: Axis) -> Axis:
    return kind(axis.length, axis.core, axis.overlap, axis.blend)


def _around(box: Box, ring: int, shape: tuple[int, int]) -> Box:
    wide = Box(box.y0 - ring, box.y1 + ring, box.x0 - ring, box.x1 + ring)
    return wide & Box(0, shape[0], 0, shape[1])


def _parts(grid: Grid, block: Patch, values: dict[int, Array]) -> list[tuple[Patch, Array]]:
    return [
        (p, values[p.index][:, *(p.box & block.core).index(p.box)]) for p in grid.covering(block)
    ]


def _tensor(array: Array, box: Box) -> Tensor:
    return torch.from_numpy(array[:, *box.index()].copy())


def _numpy(tensor: Tensor) -> Array:
    return tensor.numpy()
