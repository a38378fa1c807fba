"""What a worker process does first; Dask calls it, see `distributed.worker.preload`."""

import signal
import threading
from typing import Any


def dask_setup(worker: Any) -> None:
    """Ignore SIGINT: a terminal's Ctrl-C reaches all processes, and is for the driver alone.

    A worker that takes the place of a dead one is started long after the driver's own handler.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
