"""Scores of a level as tasks: f(X) and what the patch borders show, streamed at any size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tilestyle.admm.grid import Box, Grid
from tilestyle.cluster.connect import Cluster
from tilestyle.cluster.graph import parts_tree, start_graph, task
from tilestyle.cluster.level import Level, LevelRef, open_level
from tilestyle.cluster.start import Start
from tilestyle.report.scores import Profile, combine, profile
from tilestyle.store.workspace import BLOCK, blocks

CORE = 1024
"""Side of what is measured at a time of an image that is solved as one patch, in pixels."""


@dataclass(frozen=True)
class Quality:
    """Figures of one result; of a ratio, the goals are <= 1.01, 1.00 +- 0.02 and >= 0.97.

    Attributes:
        objective: f(X).
        seam: See `report.scores.Scores`.
        detail: See `report.scores.Scores`.
    """

    objective: float
    seam: float
    detail: float

    def __truediv__(self, other: "Quality") -> "Quality":
        return Quality(
            self.objective / other.objective, self.seam / other.seam, self.detail / other.detail
        )


def assess(cluster: Cluster, level: Level, t: int, grid: Grid | None = None) -> Quality:
    """Figures of X of generation t.

    Args:
        cluster: Runs the tasks.
        level: Its content, style and weights.
        t: Iterations that made X.
        grid: Where borders are looked for; None: the level's own.
    """
    mean, *profiles = cluster.run(_graph(level, t))
    scores = combine(profiles, grid or level.grid)
    return Quality(level.objective.value(mean).total, scores.seam, scores.detail)


def better_start(cluster: Cluster, level: Level, starts: Sequence[Start]) -> Start:
    """The start of the lowest f; the first of equals."""
    core = _core(level)
    measured = cluster.run(start_graph(level.ref, level.cores(core), core, starts))
    values = [level.objective.value(mean).total for mean in measured]
    return starts[values.index(min(values))]


def _core(level: Level) -> int:
    """Side of the cores that f is measured on."""
    return min(level.config.patch.core or CORE, CORE)


def _graph(level: Level, t: int) -> Sequence[Any]:
    core = _core(level)
    parts = [task(_profile)(level.ref, t, box) for box in blocks(level.shape, BLOCK)]
    return [parts_tree(level.ref, t, level.cores(core), core), *parts]


def _profile(ref: LevelRef, t: int, box: Box) -> Profile:
    return profile(open_level(ref).state("x", t), box)
