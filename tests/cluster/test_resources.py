"""The network's tasks go to workers with a GPU, the rest to those with a CPU, where these are."""

import logging
from collections import defaultdict
from collections.abc import Iterator

import pytest
from distributed import Scheduler, SpecCluster, Worker, WorkerPlugin

from tests.cluster.conftest import Run
from tilestyle.cluster.connect import connect
from tilestyle.config import Cluster as ClusterConfig

KINDS = {"one": "GPU", "two": "CPU", "three": "CPU"}
NETWORK = {"measure_patch", "measure_style", "measure_parts", "measure_start", "z_update"}
RAN: defaultdict[str, set[str]] = defaultdict(set)
"""Keys of the tasks that a worker has run, by its name."""


class Journal(WorkerPlugin):  # type: ignore[misc]
    """Keeps `RAN`."""

    def setup(self, worker: Worker) -> None:
        self.worker = worker

    def transition(self, key: object, start: str, finish: str, **_: object) -> None:
        if finish == "memory" and start == "executing":
            RAN[str(self.worker.name)].add(str(key))


def cluster_of(kinds: dict[str, dict[str, float]]) -> SpecCluster:
    """Workers in threads, each with its resources."""
    common = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    workers = {
        name: {"cls": Worker, "options": {"nthreads": 1, "resources": resources, **common}}
        for name, resources in kinds.items()
    }
    return SpecCluster(
        workers=workers,
        scheduler={"cls": Scheduler, "options": common},
        silence_logs=logging.CRITICAL,
    )


@pytest.fixture
def mixed() -> Iterator[str]:
    """Address of a scheduler with one worker for the GPU and two for the CPU."""
    with cluster_of({name: {kind: 1} for name, kind in KINDS.items()}) as cluster:
        yield cluster.scheduler_address


def test_each_task_runs_where_it_belongs(mixed: str, run: Run) -> None:
    with connect(ClusterConfig(kind=mixed)) as cluster:
        RAN.clear()
        cluster.client.register_plugin(Journal())
        found = run("mixed", f"cluster.kind={mixed}")
    network, rest = set[str](), set[str]()
    for worker, keys in RAN.items():
        (network if KINDS[worker] == "GPU" else rest).update(keys)
    assert network
    assert rest
    assert all(any(name in key for name in NETWORK) for key in network)
    assert not any(name in key for key in rest for name in NETWORK)
    assert (found == run("plain")).all()


def test_nothing_is_asked_where_nothing_is_offered(run: Run) -> None:
    with cluster_of({"one": {}}) as cluster:
        kind = cluster.scheduler_address
        assert (run("bare", f"cluster.kind={kind}") == run("plain")).all()


def test_workers_with_gpus_alone_do_all(run: Run) -> None:
    with cluster_of({"one": {"GPU": 1}, "two": {"GPU": 1}}) as cluster:
        kind = cluster.scheduler_address
        assert (run("gpus", f"cluster.kind={kind}") == run("plain")).all()
