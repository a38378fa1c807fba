"""Scores of a finished run, alone or as ratios to a whole-image solve.

The objective is evaluated on windows that see as far beyond their core as the network does, so
that it is that of the whole image, streamed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from tilestyle.admm.grid import Grid, make_grid
from tilestyle.admm.sharing import Statistics, means, merge
from tilestyle.cluster.level import ALIGN, Level
from tilestyle.errors import UserError
from tilestyle.report.scores import score_image
from tilestyle.stages import level_ref, result_array
from tilestyle.store.workspace import Workspace, read_box, read_pixels
from tilestyle.style.objective import Objective, measure

CORE = 1024


@dataclass(frozen=True)
class Quality:
    """Figures of one result; of a ratio, the goals are <= 1.01, 1.00 +- 0.02 and >= 0.97.

    Attributes:
        objective: f(X) of the finest level.
        seam: See `Scores`.
        detail: See `Scores`.
    """

    objective: float
    seam: float
    detail: float

    def __truediv__(self, other: "Quality") -> "Quality":
        return Quality(
            self.objective / other.objective, self.seam / other.seam, self.detail / other.detail
        )


def evaluate(level: Level, x: Any) -> float:
    """f(X) of a level's whole image, for any X of its size.

    Args:
        level: Its content, style and weights.
        x: (3, height, width) float32 array, of numpy or zarr.
    """
    objective = level.objective
    grid = _exact_grid(level, objective)
    styles: list[Statistics] = []
    contents: list[Statistics] = []
    for patch in grid:
        window = level.tensor(grid.window(patch))
        content = level.tensor(read_pixels(level.content, patch.box))
        with torch.no_grad():
            features = objective.features(level.tensor(read_box(x, patch.box)))
            reference = objective.content_features(content)
            contents.append(objective.content_errors(features, reference, window))
        found = {j: features[j] for j in objective.weights.style}
        styles.append(measure(level.network, found, window))
    grams = {j: level.tensor(m) for j, m in means(merge(styles)).items()}
    weights = objective.weights
    style = float(objective.style_term(grams, objective.styles))
    return weights.alpha * _weighted(means(merge(contents)), weights.content) + weights.beta * style


def _exact_grid(level: Level, objective: Objective) -> Grid:
    """Patches whose context is at least what the network sees, so that windows hide no border."""
    reach = max(objective.network.layers[name].margin for name in objective.weights.layers)
    cores = make_grid(*level.shape, CORE, 0, 0, ALIGN)
    return cores.widened(-(-reach // ALIGN) * ALIGN)


def _weighted(terms: Any, weights: Any) -> float:
    total = sum(weights.values())
    return float(sum(weights[k] * np.float64(terms[k]) for k in weights) / total) if total else 0.0


def assess(workspace: Workspace, grid: Grid | None = None) -> Quality:
    """Objective and scores of a workspace's result.

    Args:
        workspace: Of a finished run.
        grid: Where borders are looked for; None: the run's own.
    """
    level = Level(level_ref(workspace, 0))
    x = result_array(workspace)
    scores = score_image(x, grid or level.grid)
    return Quality(evaluate(level, x), scores.seam, scores.detail)


def print_scores(console: Console, workspace: Workspace, reference: Workspace | None) -> None:
    """Print what `tilestyle score` prints.

    Raises:
        UserError: A run is not finished, or the two are not of the same images and network.
    """
    table = Table("", "objective", "seam", "detail in overlaps", box=None, padding=(0, 2))
    for store in (workspace, reference):
        if store is not None and not store.finished("stylize"):
            raise UserError(f"{store.root}: the run is not finished; run it to its end first")
    found = assess(workspace)
    table.add_row("result", *_format(found))
    if reference is not None:
        _check_comparable(workspace, reference)
        whole = assess(reference, Level(level_ref(workspace, 0)).grid)
        table.add_row("whole image", *_format(whole))
        table.add_row("ratio", *_format(found / whole))
        table.add_row("goal", "<= 1.01", "0.98 - 1.02", ">= 0.97")
    console.print(table)


def _check_comparable(workspace: Workspace, reference: Workspace) -> None:
    ours, theirs = workspace.record, reference.record
    for key in ("inputs", "shapes"):
        if ours[key] != theirs[key]:
            raise UserError(f"{reference.root}: was made from other images than {workspace.root}")
    for key in ("network", "loss", "style"):
        if ours["identity"][key] != theirs["identity"][key]:
            raise UserError(f"{reference.root}: {key} is not that of {workspace.root}")


def _format(quality: Quality) -> list[str]:
    return [f"{quality.objective:.5f}", f"{quality.seam:.4f}", f"{quality.detail:.4f}"]
