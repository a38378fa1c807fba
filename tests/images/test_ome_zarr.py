"""OME-Zarr: what its own tools read, and what is left when writing fails."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Event, Lock
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from tilestyle.admm.grid import Box
from tilestyle.errors import UserError
from tilestyle.images import ome_zarr, write_ome_zarr
from tilestyle.images.levels import halve

Array = NDArray[Any]
MEMORY = 1 << 30


def picture(dtype: str, height: int, width: int) -> Array:
    """(3, height, width) noise over the whole range."""
    top = np.iinfo(dtype).max
    return np.random.default_rng(5).integers(0, top, (3, height, width), dtype, endpoint=True)


def write(path: Path, image: Array, dpi: float = 300.0) -> list[int]:
    """Write; returns the pixels that were told, one number a shard."""
    told: list[int] = []

    def read(box: Box) -> Array:
        return image[(slice(None), *box.index())]

    shape = (image.shape[1], image.shape[2])
    write_ome_zarr(
        path,
        read,
        shape=shape,
        dtype=image.dtype,
        dpi=dpi,
        software="tilestyle test",
        advanced=told.append,
        memory=MEMORY,
    )
    return told


def levels(image: Array) -> Iterator[Array]:
    yield image
    while max(image.shape) > ome_zarr.CHUNK:
        image = halve(image)
        yield image


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("size", [(1, 1), (100, 513), (1301, 1025)])
def test_zarr_reads_every_level(tmp_path: Path, dtype: str, size: tuple[int, int]) -> None:
    image = picture(dtype, *size)
    path = tmp_path / "a b.ome.zarr"

    told = write(path, image)

    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert sum(told) == size[0] * size[1]
    group = zarr.open_group(path, mode="r")
    expected = list(levels(image))
    assert sorted(group.array_keys()) == [str(n) for n in range(len(expected))]
    for level, pixels in enumerate(expected):
        array = group[str(level)]
        assert isinstance(array, zarr.Array)
        assert array.chunks == (3, 512, 512)
        np.testing.assert_array_equal(array[:], pixels)


def test_metadata(tmp_path: Path) -> None:
    write(tmp_path / "print.ome.zarr", picture("uint16", 600, 40), dpi=254.0)
    document = json.loads((tmp_path / "print.ome.zarr" / "zarr.json").read_text())
    ome = document["attributes"]["ome"]
    (multiscale,) = ome["multiscales"]
    assert (ome["version"], multiscale["name"]) == ("0.5", "print")
    assert "(sum + 2) >> 2" in multiscale["metadata"]["description"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["c", "y", "x"]
    assert {axis.get("unit") for axis in multiscale["axes"]} == {None, "micrometer"}
    steps = [dataset["coordinateTransformations"] for dataset in multiscale["datasets"]]
    assert [scale["scale"] for scale, _ in steps] == [[1, 100, 100], [1, 200, 200]]
    # the first pixel of the half lies between the first two
    assert [shift["translation"] for _, shift in steps] == [[0, 0, 0], [0, 50, 50]]
    assert [channel["color"] for channel in ome["omero"]["channels"]] == [
        "FF0000",
        "00FF00",
        "0000FF",
    ]
    assert ome["omero"]["channels"][0]["window"] == {
        "min": 0,
        "max": 65535,
        "start": 0,
        "end": 65535,
    }
    assert document["attributes"]["tilestyle"]["dpi"] == 254


def test_the_models_of_ome_zarr_accept_it(tmp_path: Path) -> None:
    from ome_zarr_models.v05 import Image

    write(tmp_path / "a.ome.zarr", picture("uint8", 700, 900))
    image = Image.from_zarr(zarr.open_group(tmp_path / "a.ome.zarr", mode="r"))
    assert len(image.ome_attributes.multiscales[0].datasets) == 2
    assert [axis.name for axis in image.ome_attributes.multiscales[0].axes] == ["c", "y", "x"]


def test_the_reader_of_ome_zarr_gives_the_pixels(tmp_path: Path) -> None:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    image = picture("uint8", 700, 900)
    write(tmp_path / "a.ome.zarr", image)
    (node, *_) = Reader(parse_url(str(tmp_path / "a.ome.zarr")))()
    for read, expected in zip(node.data, levels(image), strict=True):
        np.testing.assert_array_equal(np.asarray(read), expected)
    assert list(node.metadata["channel_names"]) == ["R", "G", "B"]


def test_a_shard_is_written_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ome_zarr, "SHARD", 1024)
    monkeypatch.setattr(ome_zarr, "_BLOCK", 512)
    written: list[str] = []
    opened: list[str] = []
    store_set, store_get = LocalStore.set, LocalStore.get

    async def spy_set(self: LocalStore, key: str, value: Any) -> None:
        written.append(key)
        await store_set(self, key, value)

    async def spy_get(self: LocalStore, key: str, *rest: Any, **options: Any) -> Any:
        opened.append(key)
        return await store_get(self, key, *rest, **options)

    monkeypatch.setattr(LocalStore, "set", spy_set)
    monkeypatch.setattr(LocalStore, "get", spy_get)
    image = picture("uint8", 2100, 1500)
    write(tmp_path / "a.ome.zarr", image)
    shards = [key for key in written if "/c/" in key]
    assert len(shards) == len(set(shards)) == 3 * 2 + 2 + 1 + 1
    files = [p for p in (tmp_path / "a.ome.zarr").rglob("*") if "c" in p.parts and p.is_file()]
    assert len(files) == len(shards)
    first = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")["0"]
    np.testing.assert_array_equal(first[:], image)  # type: ignore[index]


def test_a_failure_leaves_nothing_and_an_older_output_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    image = picture("uint8", 40, 50)
    write(path, image)

    def broken(box: Box) -> Array:
        raise UserError("the source ends here")

    with pytest.raises(UserError, match="ends here"):
        write_ome_zarr(
            path,
            broken,
            shape=(600, 600),
            dtype="uint8",
            dpi=300,
            software="x",
            advanced=lambda _: None,
            memory=MEMORY,
        )
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["0"][:], image)  # type: ignore[index]


def test_an_interrupt_ends_all_threads_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ome_zarr, "SHARD", 512)
    reads: list[Box] = []
    interrupted = Event()

    def read(box: Box) -> Array:
        reads.append(box)
        if box.x0:
            interrupted.wait(60)
        return np.zeros((3, box.height, box.width), np.uint8)

    def interrupt(pixels: int) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_ome_zarr(
            tmp_path / "a.ome.zarr",
            read,
            shape=(512, 512 * 40),
            dtype="uint8",
            dpi=300,
            software="x",
            advanced=interrupt,
            memory=MEMORY,
        )
    assert len(reads) < 40
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("memory", "threads"), [(1, 1), (MEMORY, 4)])
def test_memory_bounds_the_shards_made_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int, threads: int
) -> None:
    monkeypatch.setattr(ome_zarr, "SHARD", 512)
    monkeypatch.setattr(ome_zarr, "_WORKERS", 4)
    meeting = Barrier(threads, timeout=60)
    lock, active, most = Lock(), 0, 0

    def read(box: Box) -> Array:
        nonlocal active, most
        with lock:
            active += 1
            most = max(most, active)
        meeting.wait()
        with lock:
            active -= 1
        return np.zeros((3, box.height, box.width), np.uint8)

    write_ome_zarr(
        tmp_path / "a.ome.zarr",
        read,
        shape=(512, 512 * 8),
        dtype="uint8",
        dpi=300,
        software="x",
        advanced=lambda _: None,
        memory=memory,
    )
    assert most == threads


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    for left in ("a.ome.zarr.partial/image/0", "a.ome.zarr.replaced/0"):
        (tmp_path / left).mkdir(parents=True)
    write(path, picture("uint8", 1100, 1100))
    image = picture("uint8", 40, 50)
    write(path, image)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    group = zarr.open_group(path, mode="r")
    assert list(group.array_keys()) == ["0"]
    np.testing.assert_array_equal(group["0"][:], image)  # type: ignore[index]


def test_something_else_is_not_replaced(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "group.ome.zarr")
    (tmp_path / "folder.ome.zarr").mkdir()
    (tmp_path / "file.ome.zarr").touch()
    before = sorted(tmp_path.rglob("*"))
    for name in ("group", "folder", "file"):
        with pytest.raises(UserError, match=rf"{name}.ome.zarr: exists and is no OME-Zarr"):
            write(tmp_path / f"{name}.ome.zarr", picture("uint8", 4, 4))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_missing_folder_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere/a.ome.zarr: cannot be written"):
        write(tmp_path / "nowhere" / "a.ome.zarr", picture("uint8", 4, 4))


def test_damage_on_the_way_to_the_disk_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = ome_zarr._write_shards

    def damage(array: Any, *arguments: Any) -> list[int]:
        checks = written(array, *arguments)
        shard = next(file for file in tmp_path.rglob("c/0/0/0"))
        content = bytearray(shard.read_bytes())
        content[10:40] = bytes(30)
        shard.write_bytes(content)
        return checks

    monkeypatch.setattr(ome_zarr, "_write_shards", damage)
    with pytest.raises(UserError, match=r"^ZARR_VERIFY: a\.ome\.zarr: "):
        write(tmp_path / "a.ome.zarr", picture("uint8", 100, 100))
    assert not list(tmp_path.iterdir())
