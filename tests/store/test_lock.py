"""The lock: one driver at a time, and none is kept out by a dead one."""

import errno
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from tilestyle.errors import TryAgainError, UserError
from tilestyle.store import lock
from tilestyle.store.location import create_key, names, open_store, read_key, write_key
from tilestyle.store.lock import STALE, Holder, hold, holder
from tilestyle.store.workspace import LOCK, Workspace


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lock, "SETTLE", 0.05)
    Workspace.create(tmp_path / "w", {})
    return tmp_path / "w"


def write(root: Path, who: Holder) -> None:
    write_key(open_store(root), LOCK, json.dumps(asdict(who)).encode())


def test_a_second_driver_is_told_who_is_at_work(root: Path) -> None:
    with hold(root):
        mine = holder(open_store(root))
        assert mine is not None
        said = f"process {mine.pid} on {mine.host}, since"
        with pytest.raises(TryAgainError, match=said), hold(root):
            pass
        assert holder(open_store(root)) == mine
    assert holder(open_store(root)) is None


def dead_process() -> int:
    with subprocess.Popen(["true"]) as process:
        pass
    return process.pid


@pytest.fixture
def zombie() -> Iterator[Holder]:
    """A driver that was killed, and whose parent has not asked how it ended."""
    process = subprocess.Popen(["sleep", "60"])
    who = Holder(pid=process.pid, started=psutil.Process(process.pid).create_time())
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    yield who
    process.wait()


def test_a_zombie_is_dead(root: Path, zombie: Holder) -> None:
    write(root, zombie)
    with hold(root):
        pass


def test_a_lock_is_released_though_its_last_beat_failed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with hold(root):
        monkeypatch.setattr(lock, "write_key", no_space)
        time.sleep(0.2)
    assert holder(open_store(root)) is None


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_system_without_hard_links(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with hold(root), pytest.raises(TryAgainError, match="another run is at work"), hold(root):
        pass
    assert names(open_store(root)) == ["zarr.json"]


ELSEWHERE = Holder(host="elsewhere", nonce="theirs")


@pytest.mark.parametrize(
    "stale",
    [
        Holder(pid=dead_process()),
        replace(Holder(), started=time.time() - 1e6),  # this number was another process's
        replace(ELSEWHERE, beat=time.time() - 2 * STALE),
    ],
)
def test_a_dead_driver_does_not_keep_others_out(root: Path, stale: Holder) -> None:
    write(root, stale)
    with hold(root):
        found = holder(open_store(root))
        assert found is not None
        assert found.alive
        assert found.nonce != stale.nonce


def test_a_driver_elsewhere_lives_while_its_heart_beats(root: Path) -> None:
    write(root, replace(ELSEWHERE, beat=time.time() - STALE / 2))
    with pytest.raises(TryAgainError, match="on elsewhere"), hold(root):
        pass
    assert holder(open_store(root)) is not None


def test_a_damaged_lock_keeps_nobody_out(root: Path) -> None:
    write_key(open_store(root), LOCK, b'{"host": "half of a')
    with hold(root):
        assert holder(open_store(root)) is not None


def test_the_heart_beats(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.02)
    with hold(root):
        first = holder(open_store(root))
        assert first is not None
        while (now := holder(open_store(root))) == first:
            time.sleep(0.01)
        assert now is not None
        assert replace(now, beat=first.beat) == first


@pytest.mark.usefixtures("interruptible")
def test_a_driver_whose_lock_was_taken_ends(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.02)

    def work() -> None:
        with hold(root):
            for _ in range(1000):  # a beat under way may overwrite the first
                write(root, ELSEWHERE)
                time.sleep(0.05)

    with pytest.raises(TryAgainError, match=r"was taken over by process \d+ on elsewhere"):
        work()
    assert holder(open_store(root)) == ELSEWHERE


def test_of_a_workspace_that_was_not_made_nothing_is_left(tmp_path: Path) -> None:
    with hold(tmp_path / "new"):
        assert names(open_store(tmp_path / "new")) == [LOCK]
    assert not (tmp_path / "new").exists()


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(UserError, match="is not empty and no workspace"), hold(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_of_many_who_create_a_key_one_succeeds(root: Path) -> None:
    ready = threading.Barrier(8)

    def create(n: int) -> None:
        ready.wait()
        create_key(root, "key", b"%d" % n * 1000)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = read_key(open_store(root), "key")
    assert first is not None
    assert len(set(first)) == 1
    create_key(root, "key", b"later")
    assert read_key(open_store(root), "key") == first
