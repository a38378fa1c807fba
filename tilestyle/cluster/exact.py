"""The tasks of an exact step: the two passes, then the optimiser on each tile's core.

Generations are kept as in `cluster.tasks`: what a task reads, no task of the same step overwrites.
"""

import numpy as np

from tilestyle.admm.consensus import Array
from tilestyle.admm.grid import Box
from tilestyle.admm.lbfgs import direction, inner_products, length
from tilestyle.admm.sharing import Statistics
from tilestyle.cluster.level import Level, LevelRef, open_level
from tilestyle.cluster.tasks import read_moments, to_numpy
from tilestyle.store.workspace import read_box, read_pixels
from tilestyle.style.engine import HISTORY, adam
from tilestyle.style.exact import gradient


def gradient_tile(ref: LevelRef, t: int, tile: int, measured: Statistics) -> Statistics:
    """Gradient of f(X_t) on the core of a tile, for all to read; its inner products.

    Returns:
        `products` of (s_i .., y_i .., g), as `admm.lbfgs.direction` takes them.
    """
    level = open_level(ref)
    where = level.tiles[tile]
    x = level.tensor(read_box(level.state("x", t), where.box))
    content = level.tensor(read_pixels(level.content, where.box))
    pixels = level.shape[0] * level.shape[1]
    guides = level.guide(where.box)
    found = to_numpy(gradient(level.objective, x, content, measured, pixels, guides))
    core = where.core
    g = np.ascontiguousarray(found[(slice(None), *core.index(where.box))])
    _write(level, "g", t, core, g)
    if t and level.config.solver.optimizer == "lbfgs":
        _write(level, "y", t - 1, core, g - read_box(level.state("g", t - 1), core))
    return {"products": (inner_products(_basis(level, t, core)), float(g.size))}


def step_tile(ref: LevelRef, t: int, tile: int, products: Statistics) -> Statistics:
    """X of generation t + 1 on the core of a tile; `dual`: mean of its change, squared."""
    level = open_level(ref)
    core = level.tiles[tile].core
    before = read_box(level.state("x", t), core)
    if level.config.solver.optimizer == "adam":
        x = _adam_step(level, t, core, before)
    else:
        x = _lbfgs_step(level, t, core, before, products)
    _write(level, "x", t + 1, core, x)
    return {"dual": (np.asarray(np.square(x - before, dtype=np.float64).mean()), float(x.size))}


def _adam_step(level: Level, t: int, core: Box, before: Array) -> Array:
    z = level.tensor(before.copy())
    g = level.tensor(read_box(level.state("g", t), core))
    moments = adam(z, lambda _: g, 1, level.config.solver.rate, read_moments(level, t, core))
    _write(level, "moments", t + 1, core, to_numpy(moments.pair))
    return to_numpy(z)


def _lbfgs_step(level: Level, t: int, core: Box, before: Array, products: Statistics) -> Array:
    """One step along the direction, at most of full length, its RMS at most `solver.rate`."""
    matrix = products["products"][0]
    coefficients = direction(matrix)
    rate, rms = level.config.solver.rate, length(coefficients, matrix)
    # without any pair the direction is the gradient, whose size says nothing
    scale = rate / rms if rms and (t == 0 or rms > rate) else 1.0
    towards = np.einsum("i,icyx->cyx", coefficients * scale, _basis(level, t, core))
    x = np.asarray((before + towards).clip(0, 1), np.float32)
    # the step as taken: a pair (s, y) holds whatever the bounds have cut off
    _write(level, "s", t, core, x - before)
    return x


def _basis(level: Level, t: int, core: Box) -> Array:
    """(s_1 .. s_m, y_1 .. y_m, g) on a core, oldest first; of Adam, g alone."""
    pairs = range(max(t - HISTORY, 0), t if level.config.solver.optimizer == "lbfgs" else 0)
    states = [(name, k) for name in ("s", "y") for k in pairs] + [("g", t)]
    return np.stack([read_box(level.state(name, k), core) for name, k in states])


def _write(level: Level, name: str, generation: int, core: Box, values: Array) -> None:
    level.state(name, generation)[(slice(None), *core.index())] = values
