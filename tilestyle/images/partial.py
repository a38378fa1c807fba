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
def partial_file(path: Path) -> Iterator[Path]:
    """A file `<path>.partial` that takes the name `path` on success and vanishes on failure.

    Raises:
        UserError: There is a folder of this name, the file cannot be made, or the disk is full.
    """
    partial = path.with_name(f"{path.name}.partial")
    if path.is_dir():
        raise UserError(f"{path}: this is a folder; give the path of a file")
    with _explained(path):
        partial.write_bytes(b"")
    try:
        with _full_disk_explained(path):
            yield partial
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """An empty folder `<path>.partial` to write into; what is in it at the end is deleted.

    What an interrupted run left there is deleted first. `publish` gives its contents their names.

    Raises:
        UserError: The folder cannot be made, or the disk is full.
    """
    partial = path.with_name(f"{path.name}.partial")
    with _explained(path):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
    try:
        with _full_disk_explained(path):
            yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); make sure that the folder exists and"
            " that you may write to it"
        ) from error


@contextmanager
def _full_disk_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); free space on the disk or write to"
            " another one"
        ) from error


def publish(partial: Path, path: Path) -> None:
    """Sync a file or folder and give it its name; an output of this name is replaced.

    A folder cannot be replaced in one step: for a moment, the old one is `<path>.replaced`.
    """
    for file in partial.rglob("*") if partial.is_dir() else [partial]:
        if file.is_file():
            sync(file)
    old = path.with_name(f"{path.name}.replaced")
    shutil.rmtree(old, ignore_errors=True)
    if path.is_dir():
        path.rename(old)
    partial.replace(path)
    shutil.rmtree(old, ignore_errors=True)


def sync(file: Path) -> None:
    """Wait until a file is on the disk."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())
