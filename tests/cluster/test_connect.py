"""Clusters by name, back-pressure, errors of tasks."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from dask import delayed
from distributed import LocalCluster

from tilestyle.cluster import connect as connect_module
from tilestyle.cluster.connect import CONFIG, connect
from tilestyle.config import Cluster as ClusterConfig
from tilestyle.errors import UserError
from tilestyle.store.lock import hold


def nap(i: int) -> int:
    time.sleep(0.02)
    return i


def fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "out.zarr/c/0")


@pytest.fixture
def threads() -> ClusterConfig:
    return ClusterConfig(kind="threads", workers=2)


def test_results_come_in_the_order_of_the_graph(threads: ClusterConfig) -> None:
    seen: list[tuple[int, int]] = []
    with connect(threads) as cluster:
        graph = [delayed(nap, pure=False)(i) for i in range(20)]
        found = cluster.run(graph, lambda place, value: seen.append((place, value)))
    assert found == list(range(20))
    assert sorted(seen) == [(i, i) for i in range(20)]


def test_ready_tasks_wait_at_the_scheduler(threads: ClusterConfig) -> None:
    held: list[int] = []
    with connect(threads) as cluster:

        def watch(*_: object) -> None:
            held.extend(len(keys) for keys in cluster.client.processing().values())

        cluster.run([delayed(nap, pure=False)(i) for i in range(60)], watch)
    assert held
    assert max(held) <= 2


def test_a_full_disk_is_one_clear_line(threads: ClusterConfig, tmp_path: Path) -> None:
    with (
        connect(threads) as cluster,
        pytest.raises(UserError, match=r"out\.zarr/c/0: no space left.*run the same command"),
        hold(tmp_path / "w"),
    ):
        cluster.run([delayed(fill_the_disk, pure=False)()])


@pytest.mark.parametrize("kind", ["nowhere", "tcp://127.0.0.1:1"])
def test_no_cluster_there(kind: str) -> None:
    with (
        pytest.raises(UserError, match=f"--cluster {kind}: "),
        connect(ClusterConfig(kind=kind)),
    ):
        pass


@pytest.mark.parametrize("by", ["address", "file"])
def test_a_scheduler_that_runs_already(by: str, tmp_path: Path) -> None:
    scheduler = LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    )
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": scheduler.scheduler_address}))
    kind = str(file) if by == "file" else scheduler.scheduler_address
    with scheduler, connect(ClusterConfig(kind=kind)) as cluster:
        assert len(cluster.client.scheduler_info()["workers"]) == 1
        assert cluster.run([delayed(nap, pure=False)(7)]) == [7]


def test_a_scheduler_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect_module, "PATIENCE", 0.2)
    scheduler = LocalCluster(
        n_workers=0, processes=False, host="127.0.0.1", protocol="tcp://", dashboard_address=None
    )
    with (
        scheduler,
        pytest.raises(UserError, match="no worker came within"),
        connect(ClusterConfig(kind=scheduler.scheduler_address)),
    ):
        pass


@pytest.mark.parametrize("kind", ["local", "threads"])
def test_a_default_cluster_listens_on_loopback_only(kind: str) -> None:
    def listening() -> set[str]:
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        sockets = (c for process in family for c in process.net_connections("inet"))
        return {c.laddr.ip for c in sockets if c.status == psutil.CONN_LISTEN}

    with connect(ClusterConfig(kind=kind, workers=1)):
        assert listening() == {"127.0.0.1"}


@pytest.mark.parametrize("kind", ["slurm", "pbs", "lsf"])
def test_a_batch_system_without_the_size_of_a_job(kind: str) -> None:
    with (
        pytest.raises(UserError, match=f"--cluster {kind}: .*deploy/{kind}/jobqueue.yaml"),
        connect(ClusterConfig(kind=kind)),
    ):
        pass


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [("cuda", "dask_cuda", "cuda"), ("slurm", "dask_jobqueue", "slurm")],
)
def test_what_is_missing_is_named(
    kind: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with (
        pytest.raises(UserError, match=rf"--cluster {kind}: .*tilestyle\[{extra}\]"),
        connect(ClusterConfig(kind=kind)),
    ):
        pass


def test_a_worker_whose_nanny_gives_up_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIG, "distributed.deploy.lost-worker-timeout", "1s")
    with connect(ClusterConfig(kind="local", workers=1)) as cluster:
        nanny = cluster.client.cluster.workers[0]
        nanny.auto_restart = False
        (pid,) = cluster.client.run(os.getpid).values()
        os.kill(pid, signal.SIGKILL)
        assert cluster.run([delayed(nap)(7)]) == [7]
        assert list(cluster.client.run(os.getpid).values()) != [pid]


SLEEPER = """
import sys
from dask import delayed
from tests.cluster.test_connect import nap
from tilestyle.cluster import connect
from tilestyle.config import Cluster

if __name__ == "__main__":
    connect.CONFIG["distributed.scheduler.worker-ttl"] = "1s"
    with connect.connect(Cluster(kind=sys.argv[1], workers=1)) as cluster:
        cluster.run([delayed(nap)(0)])
        print("up", flush=True)
        print(sum(cluster.run([delayed(nap)(i) for i in range(100)])))
"""


@pytest.mark.parametrize("kind", ["threads", "local"])
def test_a_machine_that_sleeps_for_a_while(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "sleeper.py"
    script.write_text(SLEEPER)
    paths = {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script), kind]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | paths, start_new_session=True, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(3)
        os.killpg(process.pid, signal.SIGCONT)
        assert process.communicate(timeout=120)[0] == f"{sum(range(100))}\n"
