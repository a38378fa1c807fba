"""A store whose transient errors are tried again: one lost packet need not end a week's run."""

import asyncio
import errno
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

from tilestyle.errors import TryAgainError, UserError

T = TypeVar("T")

PAUSES = (0.1, 0.3, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds before each further try, about a minute in sum; each is varied by half, so that many
workers do not come back all at once."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

_TRANSIENT = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EINTR,
    errno.EIO,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.ENETUNREACH,
    errno.EREMOTEIO,
    errno.ESTALE,
}


def transient(error: BaseException) -> bool:
    """Whether the same read or write may well succeed later.

    Full disks, missing rights and the like are not: waiting does not mend them.
    """
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in _TRANSIENT


class Retrying(WrapperStore[Store]):
    """Tries the reads and writes of a store again while their errors are transient.

    All of them may be repeated: a set gives a key the same bytes, a delete may find nothing.
    """

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """See `zarr.abc.store.Store`, as for the others."""
        return await patiently(lambda: self._store.get(key, prototype, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Ranges of several keys."""
        ranges = list(key_ranges)
        return await patiently(lambda: self._store.get_partial_values(prototype, ranges))

    async def exists(self, key: str) -> bool:
        """Whether there is a key."""
        return await patiently(lambda: self._store.exists(key))

    async def set(self, key: str, value: Buffer) -> None:
        """Write a key."""
        await patiently(lambda: self._store.set(key, value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a key that is not there yet."""
        await patiently(lambda: self._store.set_if_not_exists(key, value))

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        await asyncio.gather(*(self.set(key, value) for key, value in values))

    async def delete(self, key: str) -> None:
        """Delete a key."""
        await patiently(lambda: self._store.delete(key))

    async def delete_dir(self, prefix: str) -> None:
        """Delete all keys below a prefix."""
        await patiently(lambda: self._store.delete_dir(prefix))

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """What is directly below a prefix."""
        return self._listed(lambda: self._store.list_dir(prefix))

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """All keys below a prefix."""
        return self._listed(lambda: self._store.list_prefix(prefix))

    async def _listed(self, listing: Callable[[], AsyncIterator[str]]) -> AsyncIterator[str]:
        async def collect() -> list[str]:
            return [name async for name in listing()]

        for name in await patiently(collect):
            yield name


async def patiently(attempt: Callable[[], Awaitable[T]]) -> T:
    """Await an attempt, and further ones after its transient errors.

    Raises:
        OSError: The last transient error, or the first other one.
    """
    for pause in PAUSES:
        try:
            return await attempt()
        except OSError as error:
            if not transient(error):
                raise
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))
    return await attempt()


@contextmanager
def explained(where: Any) -> Iterator[None]:
    """What a store could not do after all, in one line.

    Args:
        where: Names the workspace.

    Raises:
        UserError: The disk is full.
        TryAgainError: A transient error has lasted.
    """
    try:
        yield
    except OSError as error:
        name = error.filename or where
        if error.errno in NO_SPACE:
            raise UserError(
                f"{name}: no space left on the device; nothing is lost: make space, then run the "
                "same command again"
            ) from error
        if transient(error):
            raise TryAgainError(
                f"{name}: cannot be reached ({error.strerror or error}); what is done is kept: run "
                "the same command again"
            ) from error
        raise
