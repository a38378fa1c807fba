"""One graph on a cluster: what a signal, a lost scheduler and a full disk do to it."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from dask import delayed
from distributed import Client, LocalCluster

from tests.cluster.faults import repeated, run, watched
from tilestyle import pipeline
from tilestyle.cluster.connect import connect
from tilestyle.cluster.records import Place
from tilestyle.config import Cluster as ClusterConfig
from tilestyle.errors import TryAgainError, UserError
from tilestyle.report.events import Event, PatchDone

NO_MEMORY = "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."
STARTED, GO_ON, ENDED = threading.Event(), threading.Event(), threading.Event()


def wait_to_be_told() -> None:
    STARTED.set()
    GO_ON.wait(60)
    ENDED.set()


@pytest.fixture(autouse=True)
def untold() -> None:
    for event in (STARTED, GO_ON, ENDED):
        event.clear()


def after_start(*signals: signal.Signals, then_go_on: bool) -> None:
    """Send signals to this process once the task runs."""

    def act() -> None:
        STARTED.wait(60)
        for number in signals:
            os.kill(os.getpid(), number)
            time.sleep(0.5)
        if then_go_on:
            GO_ON.set()

    threading.Thread(target=act).start()


@pytest.mark.usefixtures("interruptible")
def test_one_signal_waits_for_running_tasks_and_starts_no_others() -> None:
    ran: list[int] = []
    with connect(ClusterConfig(kind="threads", workers=1)) as cluster:
        after_start(signal.SIGTERM, then_go_on=True)
        graph = [delayed(wait_to_be_told, pure=False)()]
        graph += [delayed(ran.append, pure=False)(n) for n in range(20)]
        with pytest.raises(KeyboardInterrupt):
            cluster.run(graph)
        assert ENDED.is_set()
        assert not ran
        assert cluster.run([delayed(abs)(-7)]) == [7]


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_stops_at_once() -> None:
    with connect(ClusterConfig(kind="threads", workers=1)) as cluster:
        after_start(signal.SIGINT, signal.SIGINT, then_go_on=False)
        with pytest.raises(KeyboardInterrupt):
            cluster.run([delayed(wait_to_be_told, pure=False)()])
        assert not ENDED.is_set()
        GO_ON.set()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("last", [True, False])
def test_a_signal_is_heard_to_the_last_value(last: bool) -> None:
    def done(place: int, _: object) -> None:
        if place == (4 if last else 0):
            os.kill(os.getpid(), signal.SIGTERM)

    with connect(ClusterConfig(kind="threads", workers=1)) as cluster:
        graph = [delayed(abs)(-n) for n in range(5)]
        with pytest.raises(KeyboardInterrupt):
            cluster.run(graph, done)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_tasks_of_others_are_not_waited_for(shared: LocalCluster) -> None:
    with Client(shared) as other, connect(ClusterConfig(kind=shared.scheduler_address)) as cluster:
        theirs = other.submit(wait_to_be_told, pure=False)
        STARTED.wait(60)
        with pytest.raises(ZeroDivisionError):
            cluster.run([delayed(divmod)(1, 0)])
        assert not ENDED.is_set()
        GO_ON.set()
        theirs.result()


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError(NO_MEMORY)]
)
def test_no_memory_is_one_clear_line(error: Exception) -> None:
    with (
        connect(ClusterConfig(kind="threads", workers=1)) as cluster,
        pytest.raises(UserError, match=r"found no memory; .*fewer workers"),
    ):
        cluster.run([delayed(fail)(error)])


def fail(error: Exception) -> None:
    raise error


@pytest.fixture
def shared() -> Iterator[LocalCluster]:
    """A cluster of two workers, for more than one client."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tcp://",
        dashboard_address=None,
    ) as cluster:
        yield cluster


def test_a_scheduler_that_goes_away_is_one_clear_line(shared: LocalCluster) -> None:
    def close() -> None:
        STARTED.wait(60)
        GO_ON.set()
        shared.close()

    with connect(ClusterConfig(kind=shared.scheduler_address)) as cluster:
        threading.Thread(target=close).start()
        graph = [delayed(wait_to_be_told, pure=False)()]
        graph += [delayed(time.sleep, pure=False)(0.1) for _ in range(100)]
        with pytest.raises(
            TryAgainError, match="scheduler is gone; what is done is kept"
        ) as caught:
            cluster.run(graph)
    assert caught.value.exit_code == 75


@pytest.mark.parametrize("index", ["", "4711"])
def test_a_key_tells_its_place(index: str) -> None:
    place = Place("style/0", "3", "reduce_block", index, "0a1b2c")
    assert Place.parse(place.key) == place
    assert Place.parse("merge-0a1b2c") is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_midway_loses_nothing(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run(tmp_path / "undisturbed.tif")
    log, ballast = tmp_path / "log", small_disk / "ballast"
    monkeypatch.setattr(pipeline, "connect", watched(log))

    def fill(event: Event) -> None:
        if isinstance(event, PatchDone) and not ballast.exists():
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                while file.write(bytes(4096)):
                    pass

    workspace = small_disk / "w"
    with pytest.raises(UserError, match=r"no space left.*nothing is lost.*make space") as caught:
        run(tmp_path / "r.tif", workspace=workspace, tell=fill)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    ballast.unlink()
    assert run(tmp_path / "r.tif", workspace=workspace) == undisturbed
    assert repeated(log) <= 2  # those that could not be written
