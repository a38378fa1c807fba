"""The stylize stage: all levels, coarse to fine; every iteration is one graph and one commit."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from tilestyle.admm.stopping import Trace, settled
from tilestyle.cluster.connect import Cluster
from tilestyle.cluster.graph import (
    begin_graph,
    color_graph,
    edges_graph,
    exact_graph,
    iteration_graph,
    style_graph,
)
from tilestyle.cluster.level import Level, LevelRef, kept
from tilestyle.cluster.run import Done, WorkerKilledError
from tilestyle.cluster.scoring import Quality, assess, better_start
from tilestyle.cluster.start import Start
from tilestyle.config import Config, Solver
from tilestyle.errors import UserError
from tilestyle.report.events import (
    Advanced,
    IterationDone,
    LevelFinished,
    LevelStarted,
    Listener,
    PatchDone,
    StageFinished,
    StageStarted,
)
from tilestyle.store.location import absolute
from tilestyle.store.workspace import Workspace
from tilestyle.style.color import ColorMap, matching
from tilestyle.style.objective import style_key

FIRST_PATCH = 2
"""Place of the first patch's result among those of an iteration's graph."""


def stylize(workspace: Workspace, cluster: Cluster, tell: Listener) -> None:
    """All levels, coarse to fine, from the last committed iteration on."""
    start = time.perf_counter()
    record = workspace.record
    config = Config.model_validate(record["config"])
    shapes = record["shapes"]
    progress = record.get("progress")
    tell(StageStarted("stylize", *_work(workspace, config)))
    if config.color.keep == "match" and "color_maps" not in record:
        workspace.commit(color_maps=_color_maps(workspace, cluster))
    # without steps there is nothing to hand down: the finest level is the content itself
    for level in reversed(range(1 if config.solver.idle else len(shapes))):
        if progress and progress["level"] < level:
            continue
        if not progress or progress["level"] > level:
            begin(workspace, cluster, level)
            progress = workspace.record["progress"]
        _iterate(workspace, cluster, level, progress["iteration"], tell)
        progress = workspace.record["progress"]
    _drop_state(workspace, level=0)
    quality = Quality(nan, nan, nan)
    if not config.solver.idle:
        finest = Level(level_ref(workspace, 0, record=True))
        quality = assess(cluster, finest, workspace.record["progress"]["iteration"])
    workspace.commit(quality=asdict(quality))
    workspace.finish("stylize")
    tell(StageFinished("stylize", time.perf_counter() - start))


def _color_maps(workspace: Workspace, cluster: Cluster) -> list[ColorMap]:
    """Of each style, the map of its colours to the content's; see `style.color.matching`."""
    record = workspace.record
    ladders = record["ladders"]
    shapes: dict[int | None, tuple[int, int]] = {None: ladders["content"][0]}
    shapes |= {n: ladders[f"style/{n}"][0] for n in range(len(record["style_levels"][0]))}
    content, *styles = cluster.run(color_graph(level_ref(workspace, 0, record=True), shapes))
    for n, style in enumerate(styles):
        if not style.pixels:
            raise _black(Config.model_validate(record["config"]), n)
    return [matching(style, content) for style in styles]


def _black(config: Config, style: int) -> UserError:
    mask = config.style.own_masks[style]
    return UserError(f"{mask}: is black at a level of the pyramid; make some of it white")


def _work(workspace: Workspace, config: Config) -> tuple[float, float]:
    """All work of the stage, and what of it is done, in pixel iterations."""
    total = done = 0.0
    shapes = workspace.record["shapes"]
    for level, (height, width) in enumerate(shapes):
        iterations = config.solver.iterations(level, len(shapes))
        total += height * width * iterations
        done += height * width * workspace.iterations_done(level, iterations)
    return total, done


def level_ref(workspace: Workspace, level: int, record: bool = False) -> LevelRef:
    """The name of a level for tasks, which keep records if asked to."""
    return LevelRef(absolute(workspace.root), workspace.record["run"], level, record)


def begin(workspace: Workspace, cluster: Cluster, number: int) -> None:
    """Measure the style, create the level's state, make X of iteration 0; commit."""
    ref = level_ref(workspace, number, record=True)
    level = Level(ref)
    _create_state(workspace, level)
    if not level.config.solver.idle:
        _measure(workspace, cluster, level)
    before = workspace.record.get("progress")
    start = Start(before["iteration"] if before else None)
    if before:
        start = better_start(cluster, level, [start, replace(start, detail=True)])
    cluster.run(begin_graph(ref, level.grid, start))
    workspace.advance(progress={"level": number, "iteration": 0})
    if before:
        _drop_state(workspace, level=number + 1)


def _measure(workspace: Workspace, cluster: Cluster, level: Level) -> None:
    """Keep what the level aims at, and where the content has edges."""
    number, edges = level.ref.level, level.config.edges
    if (edges.strength or edges.weight is not None) and not edges.mask:
        workspace.create_image(f"edges/{number}", level.shape, np.uint8, channels=1)
        cluster.run(edges_graph(level.ref, level.shape))
    for n, target in enumerate(_targets(cluster, level)):
        workspace.save_target(number, n, target)


def _targets(cluster: Cluster, level: Level) -> list[Mapping[str, NDArray[np.float32]]]:
    """CF(S) by layer: of each style, if masks say where it is used; else of their blend."""
    grids = [level.grid_of((a.shape[1], a.shape[2])) for a in level.style_arrays]
    parts = cluster.run(style_graph(level.ref, grids))
    layers = sorted(level.weights.layers)
    for n, part in enumerate(parts):
        if not part[style_key(0, layers[0])][1]:
            raise _black(level.config, n)
    each = [{j: np.asarray(part[style_key(0, j)][0], np.float32) for j in layers} for part in parts]
    if level.guides.masks:
        return list(each)
    # each counts by its weight, whatever its size
    weights = level.config.style.weights
    return [{j: np.average([s[j] for s in each], axis=0, weights=weights) for j in layers}]


def layout(solver: Solver) -> tuple[dict[str, int], dict[str, int]]:
    """Channels of a level's arrays, by name: of those like the image, of those of patches."""
    images, patches = {"x": 3}, {}
    if solver.optimizer == "adam":
        images["moments"] = 6
    if solver.mode == "exact":
        images["g"] = 3
        if solver.optimizer == "lbfgs":
            images |= {"s": 3, "y": 3}
    else:
        patches["z"] = 3
        if solver.optimizer == "adam":
            patches["z_moments"] = 6
        if solver.rho:
            patches["u"] = 3
    return images, patches


def _create_state(workspace: Workspace, level: Level) -> None:
    kinds = (workspace.create_iterate, workspace.create_patches)
    for create, arrays in zip(kinds, layout(level.config.solver), strict=True):
        for name, channels in arrays.items():
            for generation in range(kept(name)):
                create(f"levels/{level.ref.level}/{name}/{generation}", level.grid, channels)


def _drop_state(workspace: Workspace, level: int) -> None:
    """Delete what a finished level no longer needs; X stays."""
    for name in ("z", "z_moments", "u", "moments", "g", "s", "y"):
        workspace.drop(f"levels/{level}/{name}")


def _iterate(
    workspace: Workspace, cluster: Cluster, number: int, first: int, tell: Listener
) -> None:
    """Iterations of one level; each is one graph, then one commit."""
    level = Level(level_ref(workspace, number, record=True))
    solver, levels = level.config.solver, len(workspace.record["shapes"])
    iterations = solver.iterations(number, levels)
    iterate = _exact if solver.mode == "exact" else _admm
    tell(LevelStarted(number, levels, *level.shape, len(level.grid), iterations))
    share = level.shape[0] * level.shape[1] / len(level.grid)

    def done(place: int, _: object) -> None:
        if place >= FIRST_PATCH:
            tell(PatchDone(place - FIRST_PATCH))
            tell(Advanced(share))

    t = first
    while t < iterations and not settled(_traces(workspace, number), solver.tolerance):
        with _naming(level):
            event = iterate(level, cluster, t, done)
        if not isfinite(event.objective):
            raise UserError(
                f"level {number}, iteration {t + 1}: f is no finite number any more; "
                "in a new workspace, network.precision=float32 or a smaller solver.rate may do"
            )
        t += 1
        workspace.advance(
            progress={"level": number, "iteration": t},
            history=[*workspace.record["history"], asdict(event)],
        )
        tell(event)
    finished = LevelFinished(number, t, "steps" if t == iterations else "settled")
    workspace.commit(levels=workspace.record["levels"] | {str(number): asdict(finished)})
    tell(Advanced((iterations - t) * level.shape[0] * level.shape[1]))
    tell(finished)


@contextmanager
def _naming(level: Level) -> Iterator[None]:
    """Name the patch that kills its workers as a person would look for it."""
    try:
        yield
    except WorkerKilledError as error:
        if (place := error.place) is None or not place.index:
            raise
        core = level.grid[int(place.index)].core
        name = (
            f"{place.function} of level {place.scope}, iteration {int(place.step) + 1}, patch "
            f"{place.index} (x {core.x0} to {core.x1}, y {core.y0} to {core.y1})"
        )
        raise WorkerKilledError(place, error.tries, name) from error


def _traces(workspace: Workspace, number: int) -> list[Trace]:
    history = [past for past in workspace.record["history"] if past["level"] == number]
    return [Trace(past["objective"], past["primal"], past["dual"]) for past in history]


def _admm(level: Level, cluster: Cluster, t: int, done: Done) -> IterationDone:
    """One iteration of Algorithm 1."""
    start = time.perf_counter()
    graph = iteration_graph(level.ref, t, level.grid)
    mean, residual, *receipts = cluster.run(graph, done)
    objective, weights = level.objective, level.weights
    style = objective.style_value(mean)
    areas = [patch.core.height * patch.core.width for patch in level.grid]
    content, rest = (
        float(np.average([getattr(r, name) for r in receipts], weights=areas))
        for name in ("content", "rest")
    )
    return IterationDone(
        level=level.ref.level,
        iteration=t + 1,
        objective=weights.alpha * content + weights.beta * style + rest,
        content=content,
        style=style,
        primal=float(np.sqrt(residual["primal"][0])),
        dual=float(np.sqrt(residual["dual"][0])),
        seconds=time.perf_counter() - start,
    )


def _exact(level: Level, cluster: Cluster, t: int, done: Done) -> IterationDone:
    """One step of exact descent; there is nothing that patches could disagree on."""
    start = time.perf_counter()
    graph = exact_graph(level.ref, t, level.grid, level.config.patch.core)
    mean, change, *_ = cluster.run(graph, done)
    value = level.objective.value(mean)
    return IterationDone(
        level=level.ref.level,
        iteration=t + 1,
        objective=value.total,
        content=value.content,
        style=value.style,
        primal=0.0,
        dual=float(np.sqrt(change["dual"][0])),
        seconds=time.perf_counter() - start,
    )
