"""Which worker does what: the network asks for a GPU, the rest for a CPU, where these are offered.

`GPU` and `CPU` are resources that a worker is started with: `dask worker --resources GPU=1`. No
task asks for what no worker offers: in a cluster of equal workers nothing is asked.
"""

from collections.abc import Iterable
from typing import Any, Literal

import dask

Need = Literal["GPU", "CPU"]
OFFERED = "tilestyle.offered"
"""Key of Dask's configuration; tasks are annotated by way of that, too."""


def offered() -> frozenset[str]:
    """What the workers of the connected cluster offer."""
    return frozenset(dask.config.get(OFFERED, ()))


def offer(resources: Iterable[str]) -> None:
    """Note what workers offer, besides what they did before: who is lost will be replaced."""
    dask.config.set({OFFERED: sorted(offered().union(resources) & {"GPU", "CPU"})})


def annotations(need: Need) -> dict[str, Any]:
    """For `dask.annotate`, around the making of a task."""
    return {"resources": {need: 1}} if need in offered() else {}
