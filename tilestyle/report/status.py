"""Where a run stands, read from its workspace alone."""

from rich.console import Console
from rich.table import Table

from tilestyle.config import Config
from tilestyle.store.location import names
from tilestyle.store.lock import holder
from tilestyle.store.workspace import DONE, STAGES, Workspace


def print_status(console: Console, workspace: Workspace) -> None:
    """Print inputs, stages, levels and the last iteration."""
    record = workspace.record
    console.print(workspace.title)
    for stage in STAGES[:-1]:
        console.print(f"  {stage}: {'done' if workspace.finished(stage) else 'to do'}")
    console.print(_levels(workspace))
    if tasks := _tasks(workspace):
        console.print(tasks)
    if who := holder(workspace.store):
        console.print(f"{'at work' if who.alive else 'left by a dead run'}: {who}")
    if record["history"]:
        last = record["history"][-1]
        console.print(
            f"last iteration: f {last['objective']:.5f}, residuals "
            f"{last['primal']:.4f} {last['dual']:.4f}, {last['seconds']:.1f} s"
        )


def _tasks(workspace: Workspace) -> str:
    """What is done of the iteration under way; another run need not do it again."""
    progress = workspace.record.get("progress", {"level": len(workspace.record["shapes"])})
    level, iteration = progress["level"], progress.get("iteration", 0)
    done = names(workspace.store, f"{DONE}/{level}/{iteration}")
    return f"level {level}, iteration {iteration + 1}: {len(done)} tasks done" if done else ""


def _levels(workspace: Workspace) -> Table:
    record = workspace.record
    solver = Config.model_validate(record["config"]).solver
    shapes = record["shapes"]
    table = Table("level", "size", "iterations", box=None, padding=(0, 2))
    for level, (height, width) in reversed(list(enumerate(shapes))):
        total = solver.iterations(level, len(shapes))
        done = workspace.iterations_done(level, total)
        ended = record["levels"].get(str(level), {}).get("reason")
        note = " (settled)" if ended == "settled" else ""
        table.add_row(str(level), f"{width} x {height}", f"{done} of {total}{note}")
    return table
