"""A workspace in a bucket of a real S3 server."""

import threading
import time
from pathlib import Path

import pytest

from tests.cluster.faults import LOCAL, repeated, run, watched
from tests.services.rgw import SECRET, Server
from tilestyle import pipeline
from tilestyle.errors import TryAgainError, UserError
from tilestyle.report.events import Event, IterationDone, PatchDone
from tilestyle.store import s3 as connection
from tilestyle.store.location import as_root, create_key, names, open_store, read_key, write_key
from tilestyle.store.lock import hold
from tilestyle.store.workspace import LOCK, Workspace

ROOT = "s3://tiles/"


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return run(tmp_path_factory.mktemp("undisturbed") / "r.tif")


def test_keys(s3: Server) -> None:
    store = open_store(f"{ROOT}keys")
    assert read_key(store, "none") is None
    write_key(store, "a/b", b"123")
    assert read_key(store, "a/b") == b"123"
    assert names(store) == ["a"]
    assert names(store, "a") == ["b"]


def test_of_many_who_create_a_key_one_succeeds(s3: Server) -> None:
    ready = threading.Barrier(8)

    def create(n: int) -> None:
        ready.wait()
        create_key(as_root(f"{ROOT}race"), "key", b"%d" % n)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = read_key(open_store(f"{ROOT}race"), "key")
    create_key(as_root(f"{ROOT}race"), "key", b"later")
    assert read_key(open_store(f"{ROOT}race"), "key") == first


def test_one_driver_at_a_time(s3: Server) -> None:
    root = f"{ROOT}locked"
    with hold(root):
        with pytest.raises(TryAgainError, match="another run is at work"), hold(root):
            pass
        assert names(open_store(root)) == [LOCK]
    assert names(open_store(root)) == []


def test_what_lies_there_is_left_alone(s3: Server) -> None:
    write_key(open_store(f"{ROOT}foreign"), "diary.txt", b"dear diary")
    with pytest.raises(UserError, match="is not empty and no workspace"), hold(f"{ROOT}foreign"):
        pass
    assert read_key(open_store(f"{ROOT}foreign"), "diary.txt") == b"dear diary"


def test_a_missing_bucket_and_a_wrong_secret(s3: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="s3://nowhere/w: cannot be"), hold("s3://nowhere/w"):
        pass
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    connection._files.cache_clear()
    with pytest.raises(UserError, match=f"{ROOT}w: cannot be") as caught, hold(f"{ROOT}w"):
        pass
    assert "wrong" not in str(caught.value)


@pytest.mark.slow
def test_a_server_that_is_down_for_a_while_changes_nothing(
    s3: Server, undisturbed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, log = f"{ROOT}down", tmp_path / "log"
    monkeypatch.setattr(pipeline, "connect", watched(log))
    outages = [IterationDone, PatchDone]

    def outage() -> None:
        s3.stop_gateway()
        time.sleep(3)
        s3.start_gateway()

    def strike(event: Event) -> None:
        if outages and isinstance(event, outages[0]):
            del outages[0]
            threading.Thread(target=outage).start()

    assert run(tmp_path / "r.tif", *LOCAL, workspace=root, tell=strike) == undisturbed
    assert not outages
    assert repeated(log) == 0
    record = Workspace.open(root).record
    assert record["stages"] == ["ingest", "pyramid", "stylize"]
    assert SECRET not in str(record)
    assert run(tmp_path / "again.tif", workspace=root) == undisturbed
