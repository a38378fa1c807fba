"""Transient errors of a store: tried again, and nobody sees them in the result."""

import errno
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from zarr.abc.store import Store
from zarr.core.sync import sync
from zarr.storage import WrapperStore

from tests.cluster.faults import run
from tilestyle.store import location, retry
from tilestyle.store.location import open_store, read_key, write_key
from tilestyle.store.retry import PAUSES, patiently, transient

SHARE = 0.05


class Flaky(WrapperStore[Store]):
    """Fails one of twenty reads and writes, before or after it was done."""

    random = random.Random(7)
    failed = 0

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        return await self._perhaps(lambda: self._store.get(*args, **kwargs))

    async def set(self, *args: Any, **kwargs: Any) -> None:
        await self._perhaps(lambda: self._store.set(*args, **kwargs))

    async def _perhaps(self, call: Callable[[], Awaitable[Any]]) -> Any:
        fate = self.random.random()
        if fate < SHARE / 2:
            self._fail()
        found = await call()
        if fate > 1 - SHARE / 2:
            self._fail()
        return found

    def _fail(self) -> None:
        Flaky.failed += 1
        raise OSError(self.random.choice([errno.EIO, errno.ESTALE, errno.ECONNRESET]), "injected")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSES", (0.001,) * len(PAUSES))


def test_a_run_on_a_flaky_store_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    undisturbed = run(tmp_path / "undisturbed.tif")
    plain = location._plain
    monkeypatch.setattr(location, "_plain", lambda *args: Flaky(plain(*args)))
    assert run(tmp_path / "flaky.tif") == undisturbed
    assert Flaky.failed > 50


def attempts(error: Exception, successful: int) -> Callable[[], Awaitable[int]]:
    calls = iter(range(1000))

    async def attempt() -> int:
        if (n := next(calls)) < successful:
            raise error
        return n

    return attempt


async def awaited(attempt: Callable[[], Awaitable[int]]) -> int:
    return await patiently(attempt)


def test_patience_has_an_end(impatient: None) -> None:
    error = OSError(errno.EIO, "broken")
    assert sync(awaited(attempts(error, len(PAUSES)))) == len(PAUSES)
    with pytest.raises(OSError, match="broken"):
        sync(awaited(attempts(error, len(PAUSES) + 1)))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        OSError("of unknown kind"),
    ],
)
def test_what_waiting_does_not_mend_is_raised_at_once(error: OSError) -> None:
    assert not transient(error)
    with pytest.raises(OSError, match=str(error.args[-1])):
        sync(awaited(attempts(error, 1)))


def test_a_missing_key_is_no_error(tmp_path: Path) -> None:
    assert read_key(open_store(tmp_path), "none") is None
    assert read_key(open_store(tmp_path / "nowhere", read_only=True), "none") is None
    write_key(open_store(tmp_path), "a/b", b"")
    assert read_key(open_store(tmp_path), "a/b") == b""
