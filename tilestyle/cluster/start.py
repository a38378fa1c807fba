"""What a level starts from: the coarser level's result scaled up, with or without fine detail."""

from dataclasses import dataclass

import numpy as np

from tilestyle.admm.consensus import Array
from tilestyle.admm.grid import Box
from tilestyle.admm.sharing import Statistics
from tilestyle.cluster.level import Level, LevelRef, open_level
from tilestyle.cluster.tasks import parts
from tilestyle.store.pyramid import expand
from tilestyle.store.workspace import read_box, read_pixels


@dataclass(frozen=True)
class Start:
    """How X of iteration 0 is made.

    Attributes:
        coarser: Generation in which the coarser level ended; None at the coarsest level, which
            starts as `solver.start` says.
        detail: Whether what the content has and its own coarser level has not is added.
    """

    coarser: int | None
    detail: bool = False


def begin_block(ref: LevelRef, block: int, start: Start) -> int:
    """Write X of iteration 0 on the core of one patch."""
    level = open_level(ref)
    core = level.grid[block].core
    level.state("x", 0)[(slice(None), *core.index())] = _first(level, core, start)
    return core.height * core.width


def measure_start(ref: LevelRef, core: int, index: int, start: Start) -> Statistics:
    """All that f of a start is made of, on one core, as of `tasks.measure_parts`."""
    level = open_level(ref)
    cores = level.cores(core)
    return parts(level, _first(level, cores[index].box, start), cores, index)


def _first(level: Level, box: Box, start: Start) -> Array:
    if start.coarser is None:
        return _coarsest(level, box)
    ref = level.ref
    below = open_level(LevelRef(ref.root, ref.run, ref.level + 1))
    source = below.state("x", start.coarser)
    x = expand(lambda b: read_box(source, b), below.shape, box)
    if start.detail:
        x += read_pixels(level.content, box)
        x -= expand(lambda b: read_pixels(below.content, b), below.shape, box)
    return x.clip(0, 1)


def _coarsest(level: Level, box: Box) -> Array:
    solver = level.config.solver
    if solver.start == "content":
        return read_pixels(level.content, box)
    if solver.start != "noise":
        return level.guides.over("start").read(box)
    # whole rows, so that a pixel's noise does not depend on the patches
    rows = [
        np.random.default_rng((solver.seed, y)).random((3, level.shape[1]), np.float32)
        for y in range(box.y0, box.y1)
    ]
    return np.stack(rows, axis=1)[:, :, box.x0 : box.x1]
