"""S3 as a zarr store. Credentials and endpoint are those of the AWS environment and config files.

Neither is ever written to a record or a log; botocore finds them in each process anew.
"""

import atexit
import errno
from collections.abc import AsyncIterator, Callable
from functools import cache, wraps
from typing import Any

import aiohttp
import s3fs
from botocore import exceptions
from botocore.parsers import ResponseParserError
from zarr.core.buffer import Buffer
from zarr.core.sync import sync
from zarr.storage import FsspecStore

_OPTIONS = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "retries": {"total_max_attempts": 1},  # `store.retry` does that
    # servers other than AWS may not know the checksums that newer clients add
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
_FOREIGN = (exceptions.BotoCoreError, aiohttp.ClientError, ResponseParserError)
"""What the libraries raise besides OSErrors."""
_UNREACHABLE = (
    exceptions.HTTPClientError,
    exceptions.ConnectionError,
    ResponseParserError,
    aiohttp.ClientError,
)


def open_s3(path: str, read_only: bool) -> "S3Store":
    """The store of bucket/prefix."""
    return S3Store(_files(), read_only=read_only, path=path)


@cache
def _files() -> Any:
    """The connection of this process."""
    files = s3fs.S3FileSystem(
        asynchronous=True,
        use_listings_cache=False,  # others write here, too
        skip_instance_cache=True,
        config_kwargs=_OPTIONS,
    )
    atexit.register(lambda: sync(_close(files)))
    return files


async def _close(files: Any) -> None:
    client = await files.set_session()
    await client.close()


def _as_os_errors(method: Callable[..., Any]) -> Any:
    """A method that raises OSErrors alone: which of them are transient is known."""

    @wraps(method)
    async def translated(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except _FOREIGN as error:
            raise _os_error(error) from error

    return translated


def _os_error(error: Exception) -> OSError:
    text = " ".join(str(error).split())
    if isinstance(error, _UNREACHABLE):
        return ConnectionError(errno.EHOSTUNREACH, text)
    return PermissionError(errno.EACCES, text)  # no credentials, or half of them


class S3Store(FsspecStore):
    """Objects below bucket/prefix: each is written whole or not at all."""

    get = _as_os_errors(FsspecStore.get)
    get_partial_values = _as_os_errors(FsspecStore.get_partial_values)
    exists = _as_os_errors(FsspecStore.exists)
    set = _as_os_errors(FsspecStore.set)
    delete = _as_os_errors(FsspecStore.delete)
    delete_dir = _as_os_errors(FsspecStore.delete_dir)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write with the condition If-None-Match: the server lets one of several writers win."""
        write = _as_os_errors(self.fs._pipe_file)
        try:
            await write(f"{self.path}/{key}", value.to_bytes(), mode="create")
        except FileExistsError:
            pass
        except OSError as error:  # a server that does not name the condition that failed
            if "PreconditionFailed" not in str(error.__cause__):
                raise

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """What is directly below a prefix."""
        try:
            async for name in super().list_dir(prefix):
                yield name
        except _FOREIGN as error:
            raise _os_error(error) from error
