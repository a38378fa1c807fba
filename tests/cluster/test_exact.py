"""Exact mode end to end: many tiles on many workers are one tile, and resume is the normal path."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.cluster.conftest import Interrupt, Run
from tilestyle.report.events import Event, IterationDone, LevelFinished, PatchDone
from tilestyle.store.workspace import Workspace

OPTIMIZERS = ["adam", "lbfgs"]


def exact(optimizer: str, *more: str) -> tuple[str, ...]:
    return ("solver.mode=exact", f"solver.optimizer={optimizer}", *more)


def objectives(workspace: Path) -> list[float]:
    history = Workspace.open(workspace).record["history"]
    return [entry["objective"] for entry in history if entry["level"] == 0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_many_tiles_are_one(run: Run, tmp_path: Path, optimizer: str) -> None:
    tiled = run("tiled", *exact(optimizer))
    whole = run("whole", *exact(optimizer, "patch.core=null"))
    # a rounding of the gradient may turn Adam's step of a pixel at rest, whose size is not 0
    assert np.sqrt(np.mean(np.square(tiled - whole))) < 1e-4
    found, expected = (objectives(tmp_path / f"{name}.tilestyle") for name in ("tiled", "whole"))
    assert found == pytest.approx(expected, rel=1e-4)
    assert found[-1] < found[0]


def test_one_tile_is_the_whole_image_solve(run: Run) -> None:
    one = run("exact", *exact("adam", "patch.core=null"))
    patch = run("admm", "patch.core=null", "solver.inner_steps=1")
    assert np.sqrt(np.mean(np.square(one - patch))) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_any_number_of_workers_gives_the_same_bytes(
    run: Run, tmp_path: Path, optimizer: str
) -> None:
    def digest(kind: str, workers: int) -> str:
        name = f"{kind}{workers}"
        run(name, *exact(optimizer), f"cluster.kind={kind}", f"cluster.workers={workers}")
        return hashlib.sha256((tmp_path / f"{name}.tif").read_bytes()).hexdigest()

    assert (
        len({digest(*cluster) for cluster in [("threads", 1), ("threads", 3), ("local", 2)]}) == 1
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_interrupted_anywhere_it_goes_on_to_the_same_bytes(run: Run, optimizer: str) -> None:
    options = exact(optimizer, "solver.steps=4", "solver.min_steps=4")
    undisturbed = run("undisturbed", *options)
    for kind, after in ((IterationDone, 1), (IterationDone, 6), (PatchDone, 3), (PatchDone, 15)):
        name = f"{kind.__name__}{after}"
        with pytest.raises(KeyboardInterrupt):
            run(name, *options, tell=Interrupt(kind, after))
        assert np.array_equal(run(name, *options), undisturbed)


def test_a_level_that_has_settled_is_left(run: Run, tmp_path: Path) -> None:
    options = ("solver.steps=30", "solver.min_steps=30", "solver.tolerance=0.05")
    events: list[Event] = []
    settled = run("settled", *options, tell=events.append)
    ends = [event for event in events if isinstance(event, LevelFinished)]
    assert [end.level for end in ends] == [1, 0]
    assert {end.reason for end in ends} == {"settled"}
    record = Workspace.open(tmp_path / "settled.tilestyle").record
    for end in ends:
        done = [entry for entry in record["history"] if entry["level"] == end.level]
        assert end.iterations == len(done) < 15
        assert max(done[-1]["primal"], done[-1]["dual"]) <= 0.05
        assert record["levels"][str(end.level)]["iterations"] == end.iterations
    with pytest.raises(KeyboardInterrupt):
        run("again", *options, tell=Interrupt(LevelFinished, 1))
    assert np.array_equal(run("again", *options), settled)
