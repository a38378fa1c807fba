"""Run one graph on a cluster: values as they come, errors in one clear line, a stop that drains."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from types import FrameType
from typing import Any

import torch
from dask import annotate
from distributed import Client, Future, KilledWorker, Worker
from distributed.comm import CommClosedError

from tilestyle.cluster.records import Place
from tilestyle.errors import TryAgainError, UserError

Done = Callable[[int, Any], None]
"""Is told a place in the graph and the value that has come for it."""

Finished = SimpleQueue[Future | None]
"""Futures as they finish; None: a signal asks to stop."""

OWNER = "client"
"""Annotation of a task: the client that waits for it."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class WorkerKilledError(UserError):
    """A task's workers died, every one that took it.

    Attributes:
        place: Of the task; None where it keeps no record.
        tries: Workers that died.
    """

    def __init__(self, place: Place | None, tries: int, name: str) -> None:
        super().__init__(place, tries, name)
        self.place = place
        self.tries = tries
        self.name = name

    def __str__(self) -> str:
        return (
            f"{self.name}: each of {self.tries} workers that took it died, of too little memory "
            "perhaps; what is done is kept: take smaller patches (patch.core) or fewer workers "
            "(--workers), or mend what else kills them, then run the same command again"
        )


def run_graph(client: Client, graph: Sequence[Any], done: Done | None) -> list[Any]:
    """See `Cluster.run`."""
    finished: Finished = SimpleQueue()
    results: list[Any] = [None] * len(graph)
    with _signals_to(finished):
        with annotate(**{OWNER: client.id}):
            futures = client.compute(list(graph))
        place = {future.key: i for i, future in enumerate(futures)}
        for future in futures:
            future.add_done_callback(finished.put)
        try:
            for _ in futures:
                future = finished.get()
                if future is None:
                    raise KeyboardInterrupt
                i = place[future.key]
                results[i] = future.result()
                future.release()
                if done:
                    done(i, results[i])
        except BaseException:
            _drain(client, futures)
            raise
    return results


@contextmanager
def explained(client: Client) -> Iterator[None]:
    """Errors of tasks that a user can mend, as `UserError`.

    Raises:
        WorkerKilledError: A task has killed its workers.
        UserError: A task found no memory.
        TryAgainError: The scheduler is gone.
    """
    try:
        yield
    except KilledWorker as error:
        place = Place.parse(str(error.task))
        raise WorkerKilledError(place, error.allowed_failures + 1, str(error.task)) from error
    except (CancelledError, OSError, RuntimeError, MemoryError) as error:
        if _out_of_memory(error):
            raise UserError(
                "a task found no memory; what is done is kept: take fewer workers (--workers), or "
                "smaller patches (patch.core) in a new workspace"
            ) from error
        if client.status == "running" and not isinstance(error, CancelledError | CommClosedError):
            raise
        raise TryAgainError(
            "the cluster's scheduler is gone; what is done is kept: run the same command again"
        ) from error


def _out_of_memory(error: BaseException) -> bool:
    """Of numpy, of torch on a GPU, of torch elsewhere."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "not enough memory" in str(error)
    )


@contextmanager
def _signals_to(finished: Finished) -> Iterator[None]:
    """Within, a first SIGINT or SIGTERM is told as None; a second one interrupts at once.

    Raises:
        KeyboardInterrupt: At the end, of one that came when all had been taken.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    asked = threading.Event()

    def first(number: int, frame: FrameType | None) -> None:
        asked.set()
        for each in heard:
            signal.signal(each, _interrupt)
        finished.put(None)

    # a job in the background ignores SIGINT, and so do we
    before = {each: signal.getsignal(each) for each in SIGNALS}
    heard = [each for each, handler in before.items() if handler is not signal.SIG_IGN]
    for each in heard:
        signal.signal(each, first)
    try:
        yield
    finally:
        for each in heard:
            signal.signal(each, before[each])
    if asked.is_set():
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _drain(client: Client, futures: Sequence[Future]) -> None:
    """Give up all tasks that wait, and let those that run come to their end, and their records."""
    for future in futures:
        future.release()
    with suppress(OSError, RuntimeError, CancelledError):  # the cluster itself may be what failed
        while client.status == "running" and any(
            client.run(_busy, client.id, on_error="ignore").values()
        ):
            time.sleep(0.1)


def _busy(client: str, dask_worker: Worker) -> bool:
    """Whether a worker executes a task of this client; others may share the cluster."""
    owners = [(task.annotations or {}).get(OWNER) for task in dask_worker.state.executing]
    return client in owners
