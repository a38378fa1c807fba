"""One run of a benchmark, and what is to be known of it."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.images import Images
from tilestyle import pipeline, stages
from tilestyle.admm.grid import Box, Grid
from tilestyle.cluster.level import patch_grid
from tilestyle.config import Config
from tilestyle.report.events import Event, IterationDone, LevelStarted
from tilestyle.report.scores import Profile, profile
from tilestyle.store.workspace import BLOCK, Workspace, blocks, read_box, read_pixels


@dataclass(frozen=True)
class Figures:
    """What is known of a run.

    Attributes:
        workspace: Of the run.
        objective: f(X) of the finest level.
        profiles: Of X, for scores at any grid.
        grid: Of the finest level.
        disagreement: The last primal residual, in units of the pixel range.
        read: Bytes read for a pixel of the finest level in a step.
        written: Bytes written, likewise.
        psnr: X against the content, in dB.
    """

    workspace: Path
    objective: float
    profiles: list[Profile]
    grid: Grid
    disagreement: float
    read: float
    written: float
    psnr: float


class Traffic:
    """Listens to a run; bytes of the finest level's iterations, as the kernel counts them.

    All that this process reads and writes by system calls: chunks of the workspace, and what
    tasks exchange.
    """

    def __init__(self) -> None:
        self.before = self.now()
        self.total = np.zeros(2)
        self.iterations = 0

    @staticmethod
    def now() -> NDArray[np.float64]:
        """Bytes read and written so far."""
        lines = Path("/proc/self/io").read_text().splitlines()[:2]
        return np.array([float(line.split()[1]) for line in lines])

    def __call__(self, event: Event) -> None:
        if isinstance(event, IterationDone) and event.level == 0:
            self.total += self.now() - self.before
            self.iterations += 1
        if isinstance(event, IterationDone | LevelStarted):
            self.before = self.now()


def solve(images: Images, config: Config, stem: Path) -> Figures:
    """Run, or take the workspace of an earlier run."""
    traffic = Traffic()
    output = stem.with_name(f"{stem.name}.tif")
    summary = pipeline.run(images.content, [images.style], output, config, tell=traffic)
    workspace = Workspace.open(summary.workspace)
    kept = stem.with_name(f"{stem.name}.json")
    shape = summary.height * summary.width
    if traffic.iterations:
        steps = traffic.iterations * config.solver.steps_each
        kept.write_text(json.dumps([float(total) / shape / steps for total in traffic.total]))
    read, written = json.loads(kept.read_text())
    x = stages.result_array(workspace)
    content = workspace.array("content/0")
    return Figures(
        workspace=Path(workspace.root),
        objective=summary.quality.objective,
        profiles=[profile(x, box) for box in blocks(x.shape[1:], BLOCK)],
        grid=patch_grid(x.shape[1:], config.patch),
        disagreement=workspace.record["history"][-1]["primal"],
        read=read,
        written=written,
        psnr=-20 * math.log10(distance(x, lambda box: read_pixels(content, box))),
    )


def distance(x: Any, other: Callable[[Box], NDArray[np.float32]]) -> float:
    """RMS of the difference of two images, block by block, in units of the pixel range."""
    total = 0.0
    for box in blocks(x.shape[1:], BLOCK):
        total += float(np.square(read_box(x, box) - other(box), dtype=np.float64).sum())
    return math.sqrt(total / math.prod(x.shape))


def apart(ours: Figures, theirs: Figures) -> float:
    """Distance of the results of two runs on the same images."""
    x, y = (stages.result_array(Workspace.open(run.workspace)) for run in (ours, theirs))
    return distance(x, lambda box: read_box(y, box))
