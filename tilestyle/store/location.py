"""Where a workspace lies: a folder, or a prefix of a bucket; and the store that zarr uses there."""

import errno
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from zarr.abc.store import Store
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore

from tilestyle.errors import UserError
from tilestyle.store.retry import Retrying

Root = Path | str
"""A folder, or s3://bucket/prefix."""
S3 = "s3://"
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS)
"""A file system without hard links says so: FAT, some network shares."""


def as_root(text: str | os.PathLike[str]) -> Root:
    """What a person has written, as a root.

    Raises:
        UserError: It is the address of something else than S3, or a bucket without a prefix.
    """
    address = os.fspath(text)
    scheme, separator, path = address.partition("://")
    if not separator:
        return Path(address)
    bucket, _, prefix = path.strip("/").partition("/")
    if f"{scheme}://" != S3 or not bucket or not prefix:
        raise UserError(f"{address}: a workspace is a folder, or s3://BUCKET/PREFIX")
    return f"{S3}{bucket}/{prefix}"


def absolute(root: Root) -> str:
    """The root as a worker may open it, wherever its working directory is."""
    return str(root.resolve()) if isinstance(root, Path) else root


def open_store(root: Root, read_only: bool = False) -> Store:
    """The store of a root; transient errors are tried again.

    Raises:
        UserError: S3 is asked for and s3fs is not installed.
    """
    return Retrying(_plain(root, read_only))


def _plain(root: Root, read_only: bool) -> Store:
    if isinstance(root, Path):
        return LocalStore(root, read_only=read_only)
    try:
        from tilestyle.store.s3 import open_s3
    except ImportError as error:
        raise UserError(f"{root}: S3 needs s3fs: pip install 'tilestyle[s3]'") from error
    return open_s3(root.removeprefix(S3), read_only)


def read_key(store: Store, key: str) -> bytes | None:
    """The bytes of a key, or None."""
    try:
        found = sync(store.get(key, default_buffer_prototype()))
    except FileNotFoundError:  # not even the folder is there
        return None
    return None if found is None else found.to_bytes()


def write_key(store: Store, key: str, value: bytes) -> None:
    """Give a key these bytes, all or none."""
    sync(store.set(key, _buffer(value)))


def create_key(root: Root, key: str, value: bytes) -> None:
    """Give a key these bytes unless it has some; of several who try, one succeeds."""
    try:
        sync(open_store(root).set_if_not_exists(key, _buffer(value)))
    except OSError as error:
        if not isinstance(root, Path) or error.errno not in _NO_LINKS:
            raise
        # others may see it empty for a moment, and take it for damaged
        with suppress(FileExistsError), (root / key).open("xb") as file:
            file.write(value)


def delete_key(store: Store, key: str) -> None:
    """Delete a key, if there is one."""
    sync(store.delete(key))


def delete_all(store: Store, prefix: str) -> None:
    """Delete all keys below a prefix."""
    sync(store.delete_dir(prefix))


def names(store: Store, prefix: str = "") -> list[str]:
    """What is directly below a prefix, sorted."""
    return sorted(name.strip("/") for name in sync(_collect(store.list_dir(prefix))))


def _buffer(value: bytes) -> Buffer:
    return default_buffer_prototype().buffer.from_bytes(value)


async def _collect(listed: AsyncIterator[str]) -> list[Any]:
    return [name async for name in listed]
