"""A cluster of this machine's GPUs, one worker for each."""

from typing import Any

import torch

from tilestyle.cluster.loopback import ONE_MACHINE
from tilestyle.config import Cluster as ClusterConfig
from tilestyle.errors import UserError


def local_gpus(config: ClusterConfig) -> Any:
    """dask-cuda's LocalCUDACluster, all on loopback.

    Each worker sees its own GPU first and stays on the cores next to it.

    Raises:
        UserError: dask-cuda is not installed, or there are fewer GPUs than workers.
    """
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError as error:
        raise UserError(
            "--cluster cuda: needs dask-cuda; install it with pip install 'tilestyle[cuda]'"
        ) from error
    count = torch.cuda.device_count()
    if not count:
        raise UserError("--cluster cuda: torch finds no GPU; take --cluster local")
    if (config.workers or 1) > count:
        raise UserError(f"--cluster cuda: {config.workers} workers, but only {count} GPUs")
    return LocalCUDACluster(
        n_workers=config.workers,
        resources={"GPU": 1},
        # results of tasks are NumPy arrays: there is nothing on a GPU that Dask could spill
        device_memory_limit=None,
        **ONE_MACHINE,
    )
