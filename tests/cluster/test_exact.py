"""Exact mode end to end: many tiles on many workers are one tile, and resume is the normal path."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from tests.cluster.conftest import Interrupt, Run
from tilestyle.admm.stopping import Trace, settled
from tilestyle.report.events import Event, IterationDone, LevelFinished, PatchDone
from tilestyle.store.workspace import Workspace

OPTIMIZERS = ["adam", "lbfgs"]
SHALLOW = (
    "loss.style_layers={first.0: 1, second.0: 1, first.1: 1}",
    "loss.content_layers={first.1: 1}",
)
"""Layers that see less than a tile, so that tiles are not the whole image."""


def exact(optimizer: str, *more: str) -> tuple[str, ...]:
    return ("solver.mode=exact", f"solver.optimizer={optimizer}", *SHALLOW, *more)


def objectives(workspace: Path) -> list[float]:
    history = Workspace.open(workspace).record["history"]
    return [entry["objective"] for entry in history if entry["level"] == 0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_many_tiles_are_one(run: Run, tmp_path: Path, optimizer: str) -> None:
    tiled = run("tiled", *exact(optimizer))
    whole = run("whole", *exact(optimizer, "patch.core=null"))
    # Adam divides by the size of the gradient, and rounding decides where that is next to nothing
    assert np.median(np.abs(tiled - whole)) < 1e-5
    assert np.sqrt(np.mean(np.square(tiled - whole))) < 1e-3
    found, expected = (objectives(tmp_path / f"{name}.tilestyle") for name in ("tiled", "whole"))
    assert found == pytest.approx(expected, rel=1e-4)
    assert found[-1] < found[0]


def test_one_tile_is_the_whole_image_solve(run: Run) -> None:
    one = run("exact", *exact("adam", "patch.core=null"))
    patch = run("admm", *SHALLOW, "patch.core=null", "solver.inner_steps=1")
    assert np.median(np.abs(one - patch)) < 1e-5
    assert np.sqrt(np.mean(np.square(one - patch))) < 1e-3


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
    options = ("solver.steps=24", "solver.min_steps=24", "solver.tolerance=0.4", *SHALLOW)
    events: list[Event] = []
    result = run("settled", *options, tell=events.append)
    ends = [event for event in events if isinstance(event, LevelFinished)]
    assert [end.level for end in ends] == [1, 0]
    assert ends[-1].reason == "settled"
    record = Workspace.open(tmp_path / "settled.tilestyle").record
    for end in ends:
        traces = [
            Trace(entry["objective"], entry["primal"], entry["dual"])
            for entry in record["history"]
            if entry["level"] == end.level
        ]
        assert record["levels"][str(end.level)] == asdict(end)
        assert len(traces) == end.iterations <= 12
        assert settled(traces, 0.4) == (end.reason == "settled")
        assert not any(settled(traces[:t], 0.4) for t in range(end.iterations))
    with pytest.raises(KeyboardInterrupt):
        run("again", *options, tell=Interrupt(LevelFinished, 1))
    assert np.array_equal(run("again", *options), result)
