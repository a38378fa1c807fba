"""Outputs that get their name last, and what is said when the disk is full."""

import errno
from pathlib import Path

import pytest

from tilestyle.errors import UserError
from tilestyle.images.partial import partial_folder, publish


def fail(path: Path, error: OSError) -> None:
    with partial_folder(path) as folder:
        (folder / "half").touch()
        raise error


def test_a_full_disk_is_explained_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a: cannot be written \(no space\); free space"):
        fail(tmp_path / "a", OSError(errno.ENOSPC, "no space"))
    assert not list(tmp_path.iterdir())


def test_other_errors_are_passed_on_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        fail(tmp_path / "a", InterruptedError())
    assert not list(tmp_path.iterdir())


def test_publishing_replaces_all_of_a_folder(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with partial_folder(tmp_path / "a") as folder:
            (folder / "made").mkdir()
            (folder / "made" / name).touch()
            publish(folder / "made", tmp_path / "a")
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["new"]
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
