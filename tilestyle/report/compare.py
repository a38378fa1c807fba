"""Scores of a finished run, alone or as ratios to a whole-image solve."""

from rich.console import Console
from rich.table import Table

from tilestyle.admm.grid import Grid
from tilestyle.cluster.connect import Cluster
from tilestyle.cluster.level import Level
from tilestyle.cluster.scoring import Quality, assess
from tilestyle.errors import UserError
from tilestyle.levels import level_ref
from tilestyle.store.workspace import Workspace


def score(cluster: Cluster, workspace: Workspace, grid: Grid | None = None) -> Quality:
    """Figures of a finished run.

    Args:
        cluster: Runs the tasks.
        workspace: Of the run.
        grid: Where borders are looked for; None: the run's own.
    """
    level = Level(level_ref(workspace, 0))
    return assess(cluster, level, workspace.record["progress"]["iteration"], grid)


def check(workspace: Workspace, reference: Workspace | None) -> None:
    """Refuse what has no scores yet, and a reference that cannot be compared.

    Raises:
        UserError: A run is not finished, or the two are not of the same images and network.
    """
    for store in (workspace, reference):
        if store is not None and not store.finished("stylize"):
            raise UserError(f"{store.root}: the run is not finished; run it to its end first")
    if reference is not None:
        _check_comparable(workspace, reference)


def print_scores(
    console: Console, cluster: Cluster, workspace: Workspace, reference: Workspace | None
) -> None:
    """Print what `tilestyle score` prints, of runs that `check` has passed."""
    columns = ("", "objective", "seam", "detail in overlaps", "disagreement")
    table = Table(*columns, box=None, padding=(0, 2))
    found = score(cluster, workspace)
    history = workspace.record["history"]
    table.add_row("result", *_format(found), f"{history[-1]['primal']:.4f}" if history else "")
    if reference is not None:
        whole = score(cluster, reference, Level(level_ref(workspace, 0)).grid)
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
