"""Memory and processor time of a process and all that it has started, while it works."""

import threading
from pathlib import Path
from types import TracebackType

import psutil

PERIOD = 0.1
"""Seconds between two samples."""


class Sampler:
    """Takes the greatest sum of proportional set sizes (PSS) of a process tree.

    PSS counts a page that several processes share once: their sum is what the tree takes of the
    machine. The page cache is not in it: the kernel gives that back when it is asked to.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._peak, self._cpu, self._taken = 0, 0.0, 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def take(self) -> tuple[float, int]:
        """Seconds of processor time and the peak, in bytes, since the last call."""
        self._sample()
        cpu, peak = self._cpu - self._taken, self._peak
        self._taken, self._peak = self._cpu, 0
        return cpu, peak

    def _watch(self) -> None:
        while not self._ended.wait(PERIOD):
            self._sample()

    def _sample(self) -> None:
        try:
            tree = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        self._peak = max(self._peak, sum(map(_pss, tree)))
        # what has ended is counted by its parent
        self._cpu = max(self._cpu, sum(map(_seconds, tree)))


def _pss(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)
