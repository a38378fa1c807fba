"""What a person sees: a live display on a terminal, a line an iteration elsewhere, and a log."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tilestyle.report.events import (
    Advanced,
    Event,
    IterationDone,
    LevelFinished,
    LevelStarted,
    Listener,
    PatchDone,
    StageFinished,
    StageStarted,
)

LOG = logging.getLogger("tilestyle")


def describe(event: Event) -> str | None:
    """One line for a log; None for what is too small to tell."""
    match event:
        case StageStarted(stage=stage, done=done, total=total):
            return f"{stage}" + (f": goes on at {done / total:.0%}" if done else "")
        case StageFinished(stage=stage, seconds=seconds):
            return f"{stage}: done in {seconds:.1f} s"
        case LevelStarted():
            return (
                f"level {event.level}: {event.width} x {event.height} px, "
                f"{event.patches} {'patch' if event.patches == 1 else 'patches'}, "
                f"{event.iterations} iterations"
            )
        case LevelFinished(reason="settled"):
            return f"level {event.level}: settled after {event.iterations} iterations"
        case IterationDone():
            return (
                f"level {event.level} iteration {event.iteration}: f {event.objective:.5f} "
                f"(content {event.content:.4f}, style {event.style:.5f}), "
                f"residuals {event.primal:.4f} {event.dual:.4f}, {event.seconds:.1f} s"
            )
        case _:
            return None


class Display:
    """A live bar for the running stage; call it with events."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description:<8}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=False),
            TextColumn("{task.fields[now]}"),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=600,
        )
        self.task: TaskID | None = None
        self.level: LevelStarted | None = None
        self.iteration = 0
        self.patches = 0
        self.residuals = ""

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case StageStarted():
                self.task = self.progress.add_task(event.stage, total=event.total, now="")
                self.progress.advance(self.task, event.done)
            case Advanced(work=work) if self.task is not None:
                self.progress.advance(self.task, work)
            case StageFinished() if self.task is not None:
                self._show("")
                self.progress.update(self.task, completed=self.progress.tasks[-1].total)
                self.progress.stop_task(self.task)
            case LevelStarted():
                self.level, self.iteration, self.patches = event, 0, 0
                self.residuals = ""
            case PatchDone():
                self.patches += 1
                self._show(self._now())
            case IterationDone():
                self.iteration, self.patches = event.iteration, 0
                self.residuals = (
                    f"f {event.objective:.4f}  r {event.primal:.4f}  s {event.dual:.4f}"
                )
                self._show(self._now())
            case _:
                pass

    def _now(self) -> str:
        level = self.level
        if level is None:
            return ""
        return (
            f"level {level.levels - level.level}/{level.levels} {level.width}x{level.height}  "
            f"iteration {min(self.iteration + 1, level.iterations)}/{level.iterations}  "
            f"patch {self.patches}/{level.patches}  {self.residuals}"
        )

    def _show(self, now: str) -> None:
        if self.task is not None:
            self.progress.update(self.task, now=now)


@contextmanager
def showing(console: Console, log: Path | None = None) -> Iterator[Listener]:
    """A listener that shows a run on a console and, if asked, writes it to a log file.

    The log's folder may come into being during the run; lines wait until then.
    """
    display = Display(console)
    waiting: list[str] = []

    def listen(event: Event) -> None:
        display(event)
        line = describe(event)
        if line is None:
            return
        if not console.is_terminal:
            console.print(line, highlight=False)
        LOG.info(line)
        if log is not None:
            waiting.append(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
            if log.parent.is_dir():
                with log.open("a", encoding="utf-8") as file:
                    file.writelines(waiting)
                waiting.clear()

    with display.progress:
        yield listen
