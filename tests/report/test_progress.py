"""What a person sees of a run's events."""

import io
from pathlib import Path

from rich.console import Console

from tilestyle.report.events import (
    Advanced,
    Event,
    IterationDone,
    LevelStarted,
    PatchDone,
    StageFinished,
    StageStarted,
)
from tilestyle.report.progress import Display, showing

RUN: list[Event] = [
    StageStarted("stylize", total=8, done=2),
    LevelStarted(level=1, levels=3, height=480, width=640, patches=2, iterations=3),
    PatchDone(0),
    Advanced(1),
    PatchDone(1),
    Advanced(1),
    IterationDone(1, 1, 0.25, 0.5, 0.125, 0.01, 0.02, 1.5),
    PatchDone(0),
    Advanced(1),
    StageFinished("stylize", 3.0),
]


def test_a_terminal_shows_level_iteration_patch_loss_and_residuals() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=200)
    display = Display(console)
    for event in RUN[:-1]:
        display(event)
    console.print(display.progress.get_renderable())
    for part in ("level 2/3 640x480", "iteration 2/3", "patch 1/2", "f 0.2500", "r 0.0100", "left"):
        assert part in screen.getvalue()


def test_elsewhere_each_iteration_is_a_line() -> None:
    screen = io.StringIO()
    with showing(Console(file=screen, width=200)) as listen:
        for event in RUN:
            listen(event)
    lines = screen.getvalue().splitlines()
    assert lines[0] == "stylize: goes on at 25%"
    assert lines[1] == "level 1: 640 x 480 px, 2 patches, 3 iterations"
    assert lines[2].startswith("level 1 iteration 1: f 0.25000 (content 0.5000, style 0.12500)")
    assert lines[3] == "stylize: done in 3.0 s"


def test_the_log_waits_for_its_folder_and_keeps_every_line(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with showing(Console(file=io.StringIO()), folder / "run.log") as listen:
        listen(RUN[0])
        assert not folder.exists()
        folder.mkdir()
        listen(RUN[1])
    lines = (folder / "run.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "stylize: goes on at 25%",
        "level 1: 640 x 480 px, 2 patches, 3 iterations",
    ]
