"""Records of finished tasks: a task that runs again returns what it has returned before.

A worker that dies takes the results of its finished tasks with it, and a driver that dies takes
all of them. Their chunks are in the workspace; what they returned is kept there, too, one small
key for each task, written after its chunks. So a second run of a finished task reads one key:

    done/<level>/<iteration>/<function>-<index>-<token>

The token is a hash of the function, its arguments and the tasks that it depends on: a task finds
the record of exactly the same task, in the same run, and of no other.
"""

import inspect
import io
import pickle
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import Any

from dask.base import tokenize

from tilestyle.cluster.level import LevelRef
from tilestyle.store.location import as_root, open_store, read_key, write_key
from tilestyle.store.workspace import DONE

_INDEX = ("patch", "block", "tile", "index")
_NUMPY = {"_reconstruct", "_frombuffer", "scalar", "ndarray", "dtype"}


@dataclass(frozen=True)
class Place:
    """What a task is, as a person and its key name it.

    Attributes:
        scope: Its level, or the image whose pyramid it builds.
        step: Its iteration, from 0; begin, before the first; or the level of that image.
        function: Its name.
        index: Of its patch; empty where it has none.
        token: Hash of all that it depends on.
    """

    scope: str
    step: str
    function: str
    index: str
    token: str

    @property
    def key(self) -> str:
        """Its name among Dask's keys, and below `DONE`."""
        return f"{self.scope}/{self.step}/{self.function}-{self.index}-{self.token}"

    @classmethod
    def parse(cls, key: str) -> "Place | None":
        """The place that has this key; None for the key of another task."""
        found = re.fullmatch(r"(.+)/([^/]+)/(\w+)-(\d*)-(\w+)", key)
        return cls(*found.groups()) if found else None


def locate(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[str, Place] | None:
    """The workspace and the place of a call; None where it needs no record.

    The functions of `cluster.tasks` tell by the names of their parameters: `ref`, t and an index
    of a level, or `root`, image and level. Others only combine what tasks have returned.
    """
    given = inspect.signature(function).bind(*args).arguments
    token = tokenize(function, *args)
    ref = given.get("ref")
    if isinstance(ref, LevelRef) and ref.record:
        index = next((str(given[name]) for name in _INDEX if name in given), "")
        step = str(given.get("t", "begin"))
        return ref.root, Place(str(ref.level), step, function.__name__, index, token)
    if "root" in given:
        image, level = given["image"], given["level"]
        return given["root"], Place(image, str(level), function.__name__, "", token)
    return None


def recorded(root: str, key: str, function: Callable[..., Any], *args: Any) -> Any:
    """What the function returns, now or when it was called before."""
    store, path = open_store(as_root(root)), f"{DONE}/{key}"
    kept = read_key(store, path)
    if kept is not None and (value := _decode(kept)) is not None:
        return value
    value = function(*args)
    write_key(store, path, _encode(value))
    return value


def _encode(value: Any) -> bytes:
    body = pickle.dumps(value, protocol=5)
    return zlib.crc32(body).to_bytes(4, "big") + body


def _decode(data: bytes) -> Any:
    """The value; None where the bytes are not all there, as after a loss of power."""
    body = data[4:]
    if data[:4] != zlib.crc32(body).to_bytes(4, "big"):
        return None
    return _Unpickler(io.BytesIO(body)).load()


class _Unpickler(pickle.Unpickler):
    """Loads numbers, numpy's arrays and this package's dataclasses: a record is data, not code."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse all that tasks do not return."""
        if module.partition(".")[0] == "numpy" and name in _NUMPY:
            return super().find_class(module, name)
        if module.startswith("tilestyle.") and name.isidentifier():
            found = super().find_class(module, name)
            if isinstance(found, type) and is_dataclass(found):
                return found
        raise pickle.UnpicklingError(f"a record of a task holds {module}.{name}")
