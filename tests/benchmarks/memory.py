"""Memory of a process and all that it has started, sampled while it works."""

import threading
from pathlib import Path
from types import TracebackType

import psutil

PERIOD = 0.1
"""Seconds between two samples."""


class Sampler:
    """Takes the greatest sum of proportional set sizes (PSS) of a process tree, in bytes.

    PSS counts a page that several processes share once: their sum is what the tree takes of the
    machine. The page cache is not in it: the kernel gives that back when it is asked to.
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._root = psutil.Process(pid)
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

    def take(self) -> int:
        """The peak since the last call."""
        peak, self.peak = self.peak, 0
        return peak

    def _watch(self) -> None:
        while not self._ended.wait(PERIOD):
            self.peak = max(self.peak, _tree(self._root))


def _tree(root: psutil.Process) -> int:
    try:
        return sum(map(_pss, (root, *root.children(recursive=True))))
    except psutil.NoSuchProcess:
        return 0


def _pss(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    except (OSError, psutil.Error):  # it has ended
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
