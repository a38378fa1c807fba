"""Connect to a Dask cluster by name, and run graphs on it."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster
from distributed.system import MEMORY_LIMIT

from tilestyle.cluster import resources
from tilestyle.cluster.gpus import local_gpus
from tilestyle.cluster.loopback import ONE_MACHINE
from tilestyle.cluster.queues import CLUSTERS as QUEUES
from tilestyle.cluster.queues import submitted
from tilestyle.cluster.run import Done, explained, run_graph
from tilestyle.cluster.tls import security, warn_if_open
from tilestyle.config import Cluster as ClusterConfig
from tilestyle.errors import UserError

WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # glibc would give every freed chunk back and fetch it again
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
    "MALLOC_ARENA_MAX": "2",
}

CONFIG = {
    # state is in the workspace: there is nothing that spilling could save
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    # nor would a pause free any; a worker near its limit is ended and its task tried elsewhere
    "distributed.worker.memory.pause": False,
    # a task whose workers died so often is at fault itself; on a preempted cluster few die so often
    "distributed.scheduler.allowed-failures": 5,
    # a worker whose host has stopped; a long task in native code leaves the heartbeat alone
    "distributed.scheduler.worker-ttl": "10 minutes",
    # a network that is down for a while; also how long a worker asks a dead one for its results,
    # before they are read from their records: hence no retries (distributed.comm.retry) on top
    "distributed.comm.timeouts.connect": "30s",
    "distributed.comm.timeouts.tcp": "60s",
    # a worker takes long to start on a busy machine; only then is its nanny given up
    "distributed.deploy.lost-worker-timeout": "2 minutes",
    # its sys._current_frames can deadlock with the garbage collector (CPython's gh-106883)
    "distributed.worker.profile.enabled": False,
    # back-pressure: ready tasks wait at the scheduler, a worker has one or two
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
    "distributed.worker.preload": ["tilestyle.cluster.preload"],
}

WORKER_MEMORY = 2 * 2**30
"""Bytes that a worker is given at least: a patch of 512 px takes 0.7 GB, with VGG-19 1.2."""

PATIENCE = 300
"""Seconds to wait for the first worker of a cluster that is there already."""

logger = logging.getLogger("tilestyle.cluster")

KINDS = "local, threads, cuda, slurm, pbs, lsf"

QUIET = 20
"""Seconds to wait for a batch system's first job before that is said; it may take hours."""


class _Client(Client):  # type: ignore[misc]  # distributed has no types
    """Dask's client, closed if it fails to connect.

    Dask leaves it open after some errors (no certificates, no address). Collected as garbage later,
    it closes itself on whatever thread that happens, and waits forever where another client is
    starting there.
    """

    def start(self, **kwargs: Any) -> None:
        try:
            super().start(**kwargs)
        except BaseException:
            self.close()
            raise


class Cluster:
    """A connected cluster.

    Attributes:
        client: Dask's client.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._look()

    def _look(self) -> None:
        """See what the workers offer, for the graphs to come."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        resources.offer(name for worker in workers for name in worker["resources"])

    def run(self, graph: Sequence[Any], done: Done | None = None) -> list[Any]:
        """Run the tasks of one graph.

        Args:
            graph: Delayed values; what they share is computed once.
            done: Called with each value, and its place, as it completes; the cluster forgets it
                then.

        Returns:
            The values, in the order of `graph`.

        A first SIGINT or SIGTERM lets the tasks that run come to their end, and their records,
        and starts no others; a second one stops at once.

        Raises:
            UserError: A task failed for a reason that the user can mend.
            KeyboardInterrupt: A signal came.
        """
        with explained(self.client):
            self._look()
            return run_graph(self.client, graph, done)


@contextmanager
def connect(config: ClusterConfig) -> Iterator[Cluster]:
    """A cluster of the configured kind, for as long as the context lasts.

    Raises:
        UserError: No scheduler answers, or the kind is unknown.
    """
    with dask.config.set(CONFIG), dask.config.set({resources.OFFERED: []}):
        if config.kind in ("local", "threads"):
            yield from _owned(_local, config)
        elif config.kind == "cuda":
            yield from _owned(local_gpus, config)
        elif config.kind in QUEUES:
            yield from _owned(submitted, config)
        else:
            yield from _remote(config)


def _owned(start: Callable[[ClusterConfig], Any], config: ClusterConfig) -> Iterator[Cluster]:
    """A cluster that ends with the context; as long, what it has lost is started again."""
    with _interrupt_ignored():
        cluster = start(config)
    workers = len(cluster.worker_spec)
    # a nanny starts its worker again, unless it fails at that; nobody but this starts a nanny, or a
    # job, again: without a range to choose from, to adapt does nothing else
    cluster.adapt(minimum=workers, maximum=workers)
    with cluster, _Client(cluster) as client:
        try:
            client.wait_for_workers(1, timeout=QUIET)
        except TimeoutError:
            logger.warning("--cluster %s: waiting for the first worker to start", config.kind)
            client.wait_for_workers(1)
        yield Cluster(client)


def _local(config: ClusterConfig) -> LocalCluster:
    fit = min(len(os.sched_getaffinity(0)) // config.threads, MEMORY_LIMIT // WORKER_MEMORY)
    processes = config.kind == "local"
    # a thread is not started again: it must not be given up after the machine has slept
    alone = {} if processes else {"distributed.scheduler.worker-ttl": None}
    with dask.config.set(alone):
        return LocalCluster(
            n_workers=config.workers or max(fit, 1),
            processes=processes,
            **ONE_MACHINE,
        )


@contextmanager
def _interrupt_ignored() -> Iterator[None]:
    """Processes started within ignore SIGINT: a terminal's Ctrl-C is for the driver alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _remote(config: ClusterConfig) -> Iterator[Cluster]:
    address = config.kind
    if Path(address).is_file():
        where: dict[str, Any] = {"scheduler_file": address}
    elif "://" in address or ":" in address:
        where = {"address": address}
    else:
        raise UserError(
            f"--cluster {address}: neither {KINDS}, a scheduler's address (tcp://host:8786) nor "
            "an existing scheduler file"
        )
    try:
        client = _Client(**where, security=security(config.tls), timeout="10s")
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise UserError(
            f"--cluster {address}: no scheduler answers there; one that talks TLS (tls://...) "
            "answers only with its certificates, cluster.tls"
        ) from error
    with client:
        warn_if_open(client.scheduler.address)
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise UserError(
                f"--cluster {address}: no worker came within {PATIENCE} s; start some with "
                "`dask worker`, see deploy/README.md"
            ) from error
        yield Cluster(client)
