"""What a cluster of one machine is started with: nothing of it can be reached from outside."""

import logging
from typing import Any

DASHBOARD = "127.0.0.1:0"

ONE_MACHINE: dict[str, Any] = {
    "threads_per_worker": 1,
    # of workers in threads, too: their own protocol would open ports to the outside
    "protocol": "tcp://",
    "host": "127.0.0.1",
    "dashboard_address": DASHBOARD,
    "worker_dashboard_address": DASHBOARD,
    # a task's error reaches the caller; it need not be printed by the worker too
    "silence_logs": logging.CRITICAL,
}
"""Options of LocalCluster, and of dask-cuda's."""
