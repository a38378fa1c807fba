"""Records of finished tasks: what comes back, and what is not taken for one."""

import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tilestyle.admm.grid import Box
from tilestyle.admm.sharing import merge
from tilestyle.cluster import tasks
from tilestyle.cluster.level import LevelRef
from tilestyle.cluster.records import locate, recorded
from tilestyle.report.scores import Profile
from tilestyle.store.location import open_store, read_key, write_key
from tilestyle.store.workspace import DONE

KEY = "0/3/z_update-5-0a1b"


class Once:
    """A task that fails when it is run a second time."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.calls = 0

    def __call__(self, *_: Any) -> Any:
        self.calls += 1
        assert self.calls == 1
        return self.value


@pytest.mark.parametrize(
    "value",
    [
        7,
        tasks.Receipt(3, 0.1),
        {"first.0": (np.linspace(0, 1, 7, dtype=np.float32), 0.3), "n": (np.float64(2) / 3, 1.0)},
        Profile(Box(0, 1, 2, 3), np.zeros((2, 1)), np.ones((2, 1))),
    ],
)
def test_a_second_run_returns_what_the_first_did(tmp_path: Path, value: Any) -> None:
    task = Once(value)
    first = recorded(str(tmp_path), KEY, task, 1, 2)
    again = recorded(str(tmp_path), KEY, task, 1, 2)
    assert pickle.dumps(again) == pickle.dumps(first) == pickle.dumps(value)


def kept(root: Path) -> bytes:
    data = read_key(open_store(root), f"{DONE}/{KEY}")
    assert data is not None
    return data


@pytest.mark.parametrize("length", [0, 3, 4, 20])
def test_half_a_record_is_none(tmp_path: Path, length: int) -> None:
    recorded(str(tmp_path), KEY, Once([1.5] * 9))
    whole = kept(tmp_path)
    write_key(open_store(tmp_path), f"{DONE}/{KEY}", whole[:length])
    assert recorded(str(tmp_path), KEY, Once([1.5] * 9)) == [1.5] * 9
    assert kept(tmp_path) == whole


class Hostile:
    def __reduce__(self) -> Any:
        return print, ("owned",)


@pytest.mark.parametrize("value", [Hostile(), Path("x"), tasks.x_block])
def test_a_record_is_data_and_not_code(
    tmp_path: Path, value: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    body = pickle.dumps(value)
    data = zlib.crc32(body).to_bytes(4, "big") + body
    write_key(open_store(tmp_path), f"{DONE}/{KEY}", data)
    with pytest.raises(pickle.UnpicklingError, match="a record of a task holds"):
        recorded(str(tmp_path), KEY, Once(1))
    assert capsys.readouterr().out == ""


REF = LevelRef("/w", "run", 2, record=True)


def test_a_task_finds_the_record_of_the_same_task_and_of_no_other() -> None:
    def key(*args: Any) -> str:
        found = locate(tasks.z_update, args)
        assert found is not None
        root, place = found
        assert root == "/w"
        assert (place.scope, place.function) == ("2", "z_update")
        return place.key

    same = key(REF, 3, 5, "mean-1")
    assert same == key(LevelRef("/w", "run", 2, record=True), 3, 5, "mean-1")
    assert same.startswith("2/3/z_update-5-")
    others = [
        key(LevelRef("/w", "another", 2, record=True), 3, 5, "mean-1"),
        key(REF, 4, 5, "mean-1"),
        key(REF, 3, 6, "mean-1"),
        key(REF, 3, 5, "mean-2"),
    ]
    assert len({same, *others}) == 5


def test_what_only_combines_or_is_no_run_keeps_no_record() -> None:
    assert locate(merge, ([],)) is None
    assert locate(tasks.measure_patch, (LevelRef("/w", "run", 2), 3, 5)) is None
    pyramid = locate(tasks.reduce_block, ("/w", "style/0", 1, Box(0, 1, 2, 3)))
    assert pyramid is not None
    assert pyramid[1].key.startswith("style/0/1/reduce_block--")
