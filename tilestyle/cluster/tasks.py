"""The tasks: each reads generation k from the workspace and writes whole chunks of k + 1.

What passes between tasks is small: statistics, and receipts that say that something is written.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilestyle.admm import sharing
from tilestyle.admm.consensus import Array, residuals, u_update, x_update
from tilestyle.admm.grid import Box, Grid, Patch
from tilestyle.admm.sharing import Statistics
from tilestyle.cluster.level import Level, LevelRef, open_level, patch_index
from tilestyle.store.location import as_root
from tilestyle.store.pyramid import reduce
from tilestyle.store.workspace import Workspace, read_box, read_pixels
from tilestyle.style.color import ColorSums, color_sums
from tilestyle.style.edges import context, edge_energy, edge_mask, histogram, quantile
from tilestyle.style.engine import Moments, Problem, solve
from tilestyle.style.objective import Objective


@dataclass(frozen=True)
class Receipt:
    """A z-update is written.

    Attributes:
        patch: Index of the patch.
        content: Content term of the patch at the start of the update.
        rest: What else f is made of, weighted.
    """

    patch: int
    content: float
    rest: float


def reduce_block(root: str, image: str, level: int, box: Box) -> int:
    """Write one block of `image`/`level` from the next finer level; returns its pixels."""
    workspace = Workspace(as_root(root))
    finer = workspace.array(f"{image}/{level - 1}")
    height, width = finer.shape[1:]
    pixels = reduce(lambda b: read_box(finer, b), (height, width), box)
    workspace.array(f"{image}/{level}")[(slice(None), *box.index())] = pixels
    return box.height * box.width


def sum_colors(ref: LevelRef, style: int | None, box: Box) -> ColorSums:
    """Sums of the colours of one block of a style image, where it shows the style, or of content.

    The finest of the image's own pyramid, whatever the level.
    """
    level = Level(ref)  # not of the cache: what the sums are for is missing in its record
    image = level.workspace.array("content/0" if style is None else f"style/{style}/0")
    own = None if style is None else level.guides.of_style(style, box, 0)
    return color_sums(read_box(image, box), None if own is None else _counts(own[0]))


def _counts(mask: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Weights of 0 to 1 in whole numbers; what is not black counts."""
    return np.ceil(mask * 255).astype(np.uint8)


def measure_style(ref: LevelRef, style: int, patch: int) -> Statistics:
    """CF(S) of one patch of a style image, for all layers that count, as of one region."""
    level = open_level(ref)
    image = level.style_arrays[style]
    layers = level.weights.layers
    grid = level.measuring(level.grid_of((image.shape[1], image.shape[2])), layers)
    box = grid[patch].box
    pixels = level.tensor(level.read_style(style, box))
    with torch.no_grad():
        features = level.network.features(pixels, layers)
    every = replace(level.weights, style=dict.fromkeys(layers, 1.0))
    own = level.guides.of_style(style, box)
    mask = None if own is None else level.tensor(own)
    window = level.tensor(grid.window(grid[patch]))
    return Objective(level.network, every, ()).measure(features, window, mask)


def measure_edges(ref: LevelRef, box: Box) -> Statistics:
    """`energy`: how the edge energy of the content is distributed on a box."""
    level = open_level(ref)
    counts = histogram(_energy(level, box)).double().cpu().numpy()
    return {"energy": (counts / counts.sum(), float(counts.sum()))}


def edge_block(ref: LevelRef, box: Box, measured: Statistics) -> int:
    """Write E on a box; see `style.edges`."""
    level = open_level(ref)
    threshold = quantile(measured["energy"][0], level.config.edges.share)
    mask = to_numpy(edge_mask(_energy(level, box), threshold))
    pixels = np.rint(mask * 255).astype(np.uint8)[None]
    level.workspace.array(f"edges/{ref.level}")[(slice(None), *box.index())] = pixels
    return box.height * box.width


def _energy(level: Level, box: Box) -> Tensor:
    width = level.config.edges.width
    reach = context(width)
    around = Box(box.y0 - reach, box.y1 + reach, box.x0 - reach, box.x1 + reach)
    seen = around & Box(0, level.shape[0], 0, level.shape[1])
    energy = edge_energy(level.tensor(read_pixels(level.content, seen)), width)
    return energy[box.index(seen)]


def measure_patch(ref: LevelRef, t: int, patch: int) -> Statistics:
    """CF(X) weighted by the patch's window, free of the patch's border: see docs/adr/0004."""
    level = open_level(ref)
    grid = level.measuring(level.grid, level.weights.style)
    where = grid[patch]
    x = level.tensor(read_box(level.state("x", t), where.box))
    window = level.tensor(grid.window(where))
    features = level.objective.style_features(x)
    return level.objective.measure(features, window, level.guide(where.box))


def measure_parts(ref: LevelRef, t: int, core: int | None, index: int) -> Statistics:
    """All that f(X) is made of, on one of the level's cores of a size; see `Level.cores`."""
    level = open_level(ref)
    cores = level.cores(core)
    return parts(level, read_box(level.state("x", t), cores[index].box), cores, index)


def parts(level: Level, x: Array, cores: Grid, index: int) -> Statistics:
    """See `Objective.parts`; x lies on the box of the core."""
    where = cores[index]
    content = level.tensor(read_pixels(level.content, where.box))
    window = level.tensor(cores.window(where))
    guides, edges = level.guide(where.box), level.edges(where.box)
    return level.objective.parts(level.tensor(x), content, window, guides, edges)


def z_update(ref: LevelRef, t: int, patch: int, mean: Statistics) -> Receipt:
    """Dual and z of one patch, generation t + 1; see `admm.algorithm`."""
    level = open_level(ref)
    solver = level.config.solver
    where = level.grid[patch]
    own = patch_index(patch, where.box, where.box)
    x = read_box(level.state("x", t), where.box)
    centre, penalty = x, None
    if solver.rho:
        u = np.zeros_like(x)
        if t:
            u = u_update(_read(level, "u", t, own), _read(level, "z", t, own), x)
        level.state("u", t + 1)[own] = u
        centre = x - u
        window = level.grid.window(where)
        penalty = level.tensor(np.float32(solver.rho) * window * (window < 1))
    problem = Problem(
        content=level.tensor(read_pixels(level.content, where.box)),
        mean={name: level.tensor(m) for name, m in sharing.means(mean).items()},
        centre=level.tensor(centre),
        penalty=penalty,
        guides=level.guide(where.box),
        edges=level.edges(where.box),
    )
    solution = solve(
        level.objective,
        problem,
        level.tensor(x),
        solver.steps_each,
        optimizer=solver.optimizer,
        rate=solver.rate,
        moments=read_moments(level, t, where.box),
    )
    level.state("z", t + 1)[own] = to_numpy(solution.z)
    if solution.moments is not None:
        level.state("z_moments", t + 1)[own] = to_numpy(solution.moments.pair)
    return Receipt(patch, solution.content, solution.rest)


def read_moments(level: Level, t: int, box: Box) -> Moments | None:
    """State of Adam at the start of iteration t, on a box; None where there is none."""
    if level.config.solver.optimizer != "adam" or t == 0:
        return None
    first, second = level.tensor(read_box(level.state("moments", t), box)).chunk(2)
    return Moments(first, second, t * level.config.solver.steps_each)


def x_block(ref: LevelRef, t: int, block: int, receipts: list[Receipt]) -> Statistics:
    """Consensus of X, and of the moments, on one core, generation t + 1; its residuals.

    The receipts are not read: they make the task wait for the patches that it does read.
    """
    level = open_level(ref)
    where = level.grid[block]
    core = (slice(None), *where.core.index())
    z = _parts(level, "z", t + 1, where)
    x = x_update(level.grid, where, z)
    level.state("x", t + 1)[core] = x
    if level.config.solver.optimizer == "adam":
        moments = _parts(level, "z_moments", t + 1, where)
        level.state("moments", t + 1)[core] = x_update(level.grid, where, moments)
    before = read_box(level.state("x", t), where.core)
    return residuals(level.grid, where, x, before, z)


def _read(level: Level, name: str, generation: int, index: tuple[Any, ...]) -> Array:
    return np.asarray(level.state(name, generation)[index])


def _parts(level: Level, name: str, generation: int, block: Patch) -> list[tuple[Patch, Array]]:
    parts = []
    for patch in level.grid.covering(block):
        index = patch_index(patch.index, patch.box, patch.box & block.core)
        parts.append((patch, _read(level, name, generation, index)))
    return parts


def to_numpy(tensor: Tensor) -> Array:
    """Back from the worker's device, float32."""
    return tensor.float().cpu().numpy()
