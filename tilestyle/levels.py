"""The stylize stage: all levels, coarse to fine; every iteration is one graph and one commit."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np

from tilestyle.admm.sharing import means
from tilestyle.admm.stopping import Trace, settled
from tilestyle.cluster.connect import Cluster
from tilestyle.cluster.graph import begin_graph, exact_graph, iteration_graph, style_graph
from tilestyle.cluster.level import Level, LevelRef, kept
from tilestyle.cluster.run import Done, WorkerKilledError
from tilestyle.cluster.scoring import assess
from tilestyle.config import Config, Solver
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
    # without steps there is nothing to hand down: the finest level is the content itself
    for level in reversed(range(len(shapes) if config.solver.steps else 1)):
        if progress and progress["level"] < level:
            continue
        if not progress or progress["level"] > level:
            _begin(workspace, cluster, level)
            progress = workspace.record["progress"]
        _iterate(workspace, cluster, level, progress["iteration"], tell)
        progress = workspace.record["progress"]
    _drop_state(workspace, level=0)
    level = Level(level_ref(workspace, 0, record=True))
    quality = assess(cluster, level, workspace.record["progress"]["iteration"])
    workspace.commit(quality=asdict(quality))
    workspace.finish("stylize")
    tell(StageFinished("stylize", time.perf_counter() - start))


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


def _begin(workspace: Workspace, cluster: Cluster, number: int) -> None:
    """Measure the style, create the level's state, scale the coarser level's X up; commit."""
    ref = level_ref(workspace, number, record=True)
    level = Level(ref)
    _create_state(workspace, level)
    grids = [level.grid_of((a.shape[1], a.shape[2])) for a in level.style_arrays]
    # several styles: their mean, each counting alike whatever its size
    parts = [means(statistics) for statistics in cluster.run(style_graph(ref, grids))]
    workspace.save_target(
        number,
        {name: np.mean([part[name] for part in parts], axis=0) for name in parts[0]},
    )
    before = workspace.record.get("progress")
    cluster.run(begin_graph(ref, level.grid, before["iteration"] if before else -1))
    workspace.advance(progress={"level": number, "iteration": 0})
    if before:
        _drop_state(workspace, level=number + 1)


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
    objective = level.objective
    grams = {name: level.tensor(m) for name, m in means(mean).items()}
    style = float(objective.style_term(grams, objective.styles))
    areas = [patch.core.height * patch.core.width for patch in level.grid]
    content = float(np.average([receipt.content for receipt in receipts], weights=areas))
    return IterationDone(
        level=level.ref.level,
        iteration=t + 1,
        objective=objective.weights.alpha * content + objective.weights.beta * style,
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
    value = level.objective.value(means(mean))
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
