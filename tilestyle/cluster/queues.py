"""Workers as jobs of a batch system: Slurm, PBS or LSF, by dask-jobqueue.

A job's size, queue and time limit come from Dask's own configuration, `jobqueue.yaml`; deploy/ has
one for each system.
"""

from pathlib import Path
from typing import Any

import dask
from distributed import Security, Status

from tilestyle.cluster.loopback import DASHBOARD
from tilestyle.cluster.tls import security
from tilestyle.config import Cluster as ClusterConfig
from tilestyle.errors import UserError

CLUSTERS = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster"}


def submitted(config: ClusterConfig) -> Any:
    """A scheduler in this process, and as many jobs as the config has workers, one worker each.

    All talk TLS: with the certificates of `cluster.tls`, or else with such as last as long as this
    cluster, which the jobs find in files that only their user can read. Jobs that are lost are
    submitted again.

    Raises:
        UserError: dask-jobqueue is not installed, jobqueue.yaml does not say how large a job is, or
            the batch system refuses the job.
    """
    try:
        import dask_jobqueue
    except ImportError as error:
        raise UserError(
            f"--cluster {config.kind}: needs dask-jobqueue; install it with "
            "pip install 'tilestyle[slurm]'"
        ) from error
    settings = dask.config.get(f"jobqueue.{config.kind}")
    if not (settings["cores"] and settings["memory"]):
        raise UserError(
            f"--cluster {config.kind}: Dask's settings do not say how large a job is; copy "
            f"deploy/{config.kind}/jobqueue.yaml to ~/.config/dask/ and fit it to your site"
        )
    cluster = getattr(dask_jobqueue, CLUSTERS[config.kind])(
        processes=1,
        security=security(config.tls) or Security.temporary(),
        # where a job finds the certificates of this run: a folder that all machines share
        shared_temp_directory=settings["shared-temp-directory"] or str(Path.cwd()),
        scheduler_options={"dashboard_address": DASHBOARD, **settings["scheduler-options"]},
        worker_extra_args=[
            *("--nthreads", "1", "--dashboard-address", DASHBOARD),
            *settings["worker-extra-args"],
        ],
    )
    try:
        _submit(cluster, config.workers or 1)
    except RuntimeError as error:
        for job in cluster.workers.values():
            job.status = Status.failed  # which close() asks of a job that never was
        cluster.close()
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f"--cluster {config.kind}: no job could be submitted: {reason}") from error
    return cluster


def _submit(cluster: Any, jobs: int) -> None:
    """Submit the jobs."""
    # not by scale(): that leaves what goes wrong to the log
    for _ in range(jobs):
        cluster.worker_spec.update(cluster.new_worker_spec())
    cluster.sync(cluster._correct_state)
