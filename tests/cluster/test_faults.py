"""Workers and drivers that die: the same bytes, and no finished task is run again."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.faults import LOCAL, repeated, run, runs, start_driver, watched
from tilestyle import pipeline
from tilestyle.cluster.connect import CONFIG, Cluster
from tilestyle.cluster.run import WorkerKilledError
from tilestyle.report.events import Event, IterationDone, PatchDone
from tilestyle.store.workspace import Workspace

KILLS = 3


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return run(tmp_path_factory.mktemp("undisturbed") / "r.tif")


class AfterTasks:
    """Does something while a graph runs, each time that some more tasks have been begun."""

    def __init__(self, log: Path, moments: list[int], action: Callable[[], None]) -> None:
        self.log = log
        self.moments = moments
        self.action = action

    def __call__(self, event: Event) -> None:
        within = isinstance(event, PatchDone)
        if within and self.moments and runs(self.log).total() >= self.moments[0]:
            self.moments.pop(0)
            self.action()


@pytest.mark.slow
def test_killed_workers_repeat_no_finished_task(
    undisturbed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    clusters: list[Cluster] = []
    monkeypatch.setattr(pipeline, "connect", watched(log, then=clusters.append))

    def kill() -> None:
        workers = clusters[0].client.run(os.getpid, on_error="ignore").values()
        os.kill(random.choice(list(workers)), signal.SIGKILL)

    moments = sorted(random.sample(range(10, 80), KILLS))
    killer = AfterTasks(log, moments, kill)
    assert run(tmp_path / "r.tif", *LOCAL, tell=killer) == undisturbed
    assert not killer.moments
    assert repeated(log) <= KILLS  # the one that the worker was at, each time


@pytest.mark.slow
def test_a_killed_driver_goes_on_and_repeats_no_finished_task(
    undisturbed: bytes, tmp_path: Path
) -> None:
    output, log = tmp_path / "r.tif", tmp_path / "log"
    for moment in sorted(random.sample(range(5, 80), KILLS)):
        with start_driver(output, log) as driver:
            while driver.poll() is None and runs(log).total() < moment:
                time.sleep(0.01)
            driver.kill()
        assert driver.returncode == -signal.SIGKILL
    with start_driver(output, log) as driver:
        pass
    assert driver.returncode == 0
    assert output.read_bytes() == undisturbed
    assert repeated(log) <= KILLS


@pytest.mark.slow
def test_a_patch_that_kills_its_workers_is_named_and_the_rest_is_kept(
    undisturbed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CONFIG, "distributed.scheduler.allowed-failures", 1)
    log = tmp_path / "log"
    monkeypatch.setattr(pipeline, "connect", watched(log, poison="done/0/1/z_update-4-"))
    with pytest.raises(WorkerKilledError) as caught:
        run(tmp_path / "r.tif", *LOCAL)
    assert caught.value.exit_code == 2
    named = r"z_update of level 0, iteration 2, patch 4 \(x 96 to 192, y 128 to 192\): each of 2 "
    assert caught.match(named)
    assert Workspace.open(tmp_path / "r.tilestyle").record["progress"]["iteration"] == 1
    monkeypatch.setattr(pipeline, "connect", watched(log))
    assert run(tmp_path / "r.tif") == undisturbed
    again = {path: n for path, n in runs(log).items() if n > 1}
    assert all("z_update-4-" in path or n == 2 for path, n in again.items())
    assert len(again) <= 3  # what else the dying workers were at


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_running_tasks_end_and_nothing_is_run_twice(
    undisturbed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    monkeypatch.setattr(pipeline, "connect", watched(log))
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    stop = AfterTasks(log, [45], lambda: os.kill(os.getpid(), number))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "r.tif", tell=stop)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert runs(log).total() < 80
    assert run(tmp_path / "r.tif") == undisturbed
    assert repeated(log) == 0


def test_records_are_dropped_with_the_commit_that_makes_them_needless(
    undisturbed: bytes, tmp_path: Path
) -> None:
    done = tmp_path / "r.tilestyle" / "done"
    seen: list[bool] = []

    def look(event: Event) -> None:
        if isinstance(event, PatchDone | IterationDone):
            seen.append(isinstance(event, PatchDone) == any(done.rglob("z_update-*")))

    assert run(tmp_path / "r.tif", tell=look) == undisturbed
    assert all(seen)
    assert not done.exists()
    assert not (tmp_path / "r.tilestyle" / "lock.json").exists()


def test_what_killed_writers_leave_behind_is_harmless(undisturbed: bytes, tmp_path: Path) -> None:
    def litter(event: Event) -> None:
        if isinstance(event, IterationDone):
            for file in (tmp_path / "r.tilestyle").rglob("levels/*/[xz]/*/zarr.json"):
                for name in ("zarr", "c/0/0/0"):
                    stale = file.parent / f"{name}.{os.urandom(4).hex()}.partial"
                    stale.parent.mkdir(parents=True, exist_ok=True)
                    stale.write_bytes(b"half of a chu")

    assert run(tmp_path / "r.tif", tell=litter) == undisturbed
