"""Outputs that get their name only when they are complete."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tilestyle.errors import UserError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` to write into; what is still in it at the end is deleted.

    Args:
        path: The output; the folder is `<path>.partial`. What an interrupted run left there is
            deleted first.

    Raises:
        UserError: The folder cannot be made, or the disk is full.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); make sure that its folder exists and"
            " that you may write to it"
        ) from error
    try:
        yield partial
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); free space on the disk or write to"
            " another one"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def publish(partial: Path, path: Path) -> None:
    """Sync a file or folder and give it its name; an output of this name is replaced.

    A folder cannot be replaced in one step: for a moment, the old one is `<path>.replaced`.
    """
    for file in partial.rglob("*") if partial.is_dir() else [partial]:
        if file.is_file():
            _sync(file)
    old = path.with_name(f"{path.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    if path.is_dir():
        path.rename(old)
    partial.replace(path)
    shutil.rmtree(old, ignore_errors=True)


def _sync(file: Path) -> None:
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())
