"""Servers, started for the tests that need them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs

from tests.conftest import missing
from tests.services import slurm as slurm_programs
from tests.services.rgw import KEY, SECRET, Server, missing_programs
from tests.services.slurm import Slurm, wait_for
from tilestyle.store import s3 as connection


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """An S3 server with one user."""
    if lacking := missing_programs():
        missing(f"{', '.join(lacking)} (make services)")
    short = tempfile.TemporaryDirectory(prefix="rgw", dir="/tmp")
    with short as folder, Server(Path(folder)) as server:
        yield server


@pytest.fixture
def s3(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The same, and the environment of its user, with an empty bucket: tiles."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    connection._files.cache_clear()
    files = s3fs.S3FileSystem(skip_instance_cache=True)
    if not files.exists("tiles"):
        files.call_s3("create_bucket", Bucket="tiles")
    return s3_server


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Slurm]:
    """Two nodes with fake GPUs."""
    if lacking := slurm_programs.missing_programs():
        missing(f"{', '.join(lacking)} (make services)")
    short = tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp")
    with short as folder, Slurm(Path(folder)) as cluster:
        yield cluster


@pytest.fixture
def slurm(slurm_cluster: Slurm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """The same, and the environment of its user; no job of a test outlives it."""
    monkeypatch.setenv("SLURM_CONF", str(slurm_cluster.config))
    yield slurm_cluster
    for job in slurm_cluster.jobs():
        slurm_cluster.run("scancel", job)
    wait_for(lambda: not slurm_cluster.jobs(), "an empty queue")
