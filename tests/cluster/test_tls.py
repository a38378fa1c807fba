"""Certificates: who may connect, what is warned of, what stays secret."""

import gc
import logging
import stat
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from dask import delayed
from distributed import Client, LocalCluster

from tests.cluster.test_connect import nap
from tilestyle.cluster.connect import connect
from tilestyle.cluster.tls import make_certificates, security, warn_if_open
from tilestyle.config import Cluster as ClusterConfig
from tilestyle.errors import UserError


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("cryptography", reason="cryptography makes certificates")
    folder = tmp_path_factory.mktemp("tls") / "certificates"
    make_certificates(folder)
    return folder


@pytest.fixture
def scheduler(certificates: Path) -> Iterator[str]:
    """Address of a scheduler with one worker, which talk TLS."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tls://",
        security=security(str(certificates)),
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster.scheduler_address


def test_who_has_the_certificates_is_let_in(scheduler: str, certificates: Path) -> None:
    assert scheduler.startswith("tls://127.0.0.1:")
    with connect(ClusterConfig(kind=scheduler, tls=str(certificates))) as cluster:
        assert cluster.run([delayed(nap)(7)]) == [7]


def test_dasks_own_settings_do_as_well(scheduler: str, certificates: Path) -> None:
    settings = dask.config.collect_yaml([str(certificates)])
    merged = dask.config.merge(dask.config.config, *settings)
    with dask.config.set(merged), connect(ClusterConfig(kind=scheduler)) as c:
        assert c.run([delayed(nap)(7)]) == [7]


def test_others_are_not(scheduler: str, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    make_certificates(foreign)
    for tls in (None, str(foreign)):
        with (
            pytest.raises(UserError, match="answers only with its certificates"),
            connect(ClusterConfig(kind=scheduler, tls=tls)),
        ):
            pass
        assert not open_clients(scheduler)


def open_clients(address: str) -> list[Client]:
    """Clients that a failed connection has left open: garbage that closes itself, anywhere."""
    clients = [thing for thing in gc.get_objects() if issubclass(type(thing), Client)]
    return [c for c in clients if c._start_arg == address and c.status != "closed"]


def test_without_tls_none_gets_through(scheduler: str) -> None:
    with pytest.raises(OSError, match=r"Timed out|ConnectionResetError"):
        Client(scheduler.replace("tls://", "tcp://"), timeout="1s")


def test_keys_are_their_owners_alone(certificates: Path) -> None:
    assert stat.S_IMODE(certificates.stat().st_mode) == 0o700
    keys = list(certificates.glob("*-key.pem"))
    assert len(keys) == 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert not list(certificates.glob("ca-key*"))


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists; name a new folder"):
        make_certificates(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_without_certificates(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="tilestyle cluster cert"):
        security(str(tmp_path))


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("tcp://localhost:8786", False),
        ("tls://10.0.0.5:8786", False),
        ("tcp://10.0.0.5:8786", True),
        ("tcp://head.example:8786", True),
    ],
)
def test_a_scheduler_on_a_network_without_tls_is_warned_of(
    address: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    warn_if_open(address)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == warned
    assert all(line.startswith(f"{address}: ") and "\n" not in line for line in lines)
