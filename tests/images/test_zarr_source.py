"""Zarr arrays and OME-Zarr images as inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from tilestyle.config import Input
from tilestyle.errors import UserError
from tilestyle.images import open_source

Array = NDArray[Any]


def picture(dtype: str) -> Array:
    """(3, 70, 90) over the range of `dtype`."""
    light = np.random.default_rng(2).random((3, 70, 90))
    if np.dtype(dtype).kind == "f":
        return light.astype(dtype)
    return (light * np.iinfo(dtype).max).astype(dtype)


def read(path: Path, options: Input | None = None) -> Array:
    source = open_source(path, options)
    bands = list(source.rows(16))
    assert {band.dtype for band in bands} == {source.dtype}
    whole = np.concatenate(bands, axis=1)
    assert whole.shape == (3, source.height, source.width)
    return whole


def write(path: Path, image: Array, **options: Any) -> None:
    array = zarr.create_array(str(path), shape=image.shape, dtype=image.dtype, **options)
    array[:] = image


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("last", [False, True], ids=["chw", "hwc"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
def test_plain_arrays(tmp_path: Path, version: Any, last: bool, dtype: str) -> None:
    image = picture(dtype)
    stored = np.moveaxis(image, 0, -1) if last else image
    chunks = (32, 40, 3) if last else (3, 32, 40)
    write(tmp_path / "a.zarr", stored, zarr_format=version, chunks=chunks)
    expected = image
    if image.dtype.kind == "f":
        expected = np.rint(np.clip(image.astype(np.float32), 0, 1) * 65535)
    np.testing.assert_array_equal(read(tmp_path / "a.zarr"), expected)


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr(tmp_path: Path, version: Any) -> None:
    image, path = picture("uint8"), tmp_path / "a.ome.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    axes = [{"name": name, "type": "space"} for name in "tczyx"]
    scales = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}]
    named: dict[str, Any] = {"multiscales": scales}
    group.attrs.update(named if version == 2 else {"ome": {"version": "0.5", **named}})
    for level, pixels in enumerate((image, image[:, ::2, ::2])):
        write(
            path / str(level), pixels[None, :, None], zarr_format=version, chunks=(1, 1, 1, 32, 32)
        )
    np.testing.assert_array_equal(read(path), image)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((4, 50, 60), np.uint8), r"shape \(4, 50, 60\) is no RGB image"),
        (np.zeros((50, 60), np.uint8), "is no RGB image"),
        (np.zeros((3, 50, 60), np.int16), "samples are int16"),
        (np.zeros((3, 0, 60), np.uint8), "size is 60 x 0"),
        (np.zeros((3, 3, 300_001), np.uint8), "a side may have 300000"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, image: Array, words: str) -> None:
    write(tmp_path / "a.zarr", image, chunks=tuple(max(1, min(n, 64)) for n in image.shape))
    with pytest.raises(UserError, match=words) as caught:
        open_source(tmp_path / "a.zarr")
    assert str(caught.value).startswith("a.zarr: ")


def test_a_stack_is_refused(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    group.attrs["ome"] = {
        "multiscales": [{"axes": [*"czyx"], "datasets": [{"path": "0"}]}],
    }
    write(tmp_path / "a.zarr/0", np.zeros((3, 5, 50, 60), np.uint8), chunks=(3, 1, 50, 60))
    with pytest.raises(UserError, match=r"a\.zarr: it has several planes"):
        open_source(tmp_path / "a.zarr")


def test_numbers_that_are_none(tmp_path: Path) -> None:
    image = picture("float32")
    image[1, 40, 3] = np.nan
    write(tmp_path / "a.zarr", image, chunks=(3, 32, 32))
    with pytest.raises(UserError, match=r"a\.zarr: 1 samples .* NaN"):
        read(tmp_path / "a.zarr")
    assert read(tmp_path / "a.zarr", Input(nan_to=1))[1, 40, 3] == 65535


def test_clipping_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = picture("float32")
    image[:, 40, 3] = -0.5, 1.5, 1
    write(tmp_path / "a.zarr", image, chunks=(3, 32, 32))
    assert read(tmp_path / "a.zarr")[:, 40, 3].tolist() == [0, 65535, 65535]
    assert "a.zarr: 2 samples outside 0 to 1 were clipped" in caplog.text


def test_the_other_byte_order(tmp_path: Path) -> None:
    image = picture("uint16")
    write(tmp_path / "a.zarr", image.astype(">u2"), zarr_format=2, chunks=(3, 32, 32))
    np.testing.assert_array_equal(read(tmp_path / "a.zarr"), image)


def test_a_damaged_chunk_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", picture("uint8"), chunks=(3, 32, 32))
    chunk = tmp_path / "a.zarr/c/0/1/1"
    chunk.write_bytes(chunk.read_bytes()[:50])
    with pytest.raises(UserError, match=r"a\.zarr: a chunk of rows 0 to \d+ cannot be read"):
        read(tmp_path / "a.zarr")


def test_metadata_that_are_none(tmp_path: Path) -> None:
    write(tmp_path / "a.zarr", picture("uint8"), chunks=(3, 32, 32))
    for text in ("{", "[]", '{"zarr_format": 3, "node_type": "group", "attributes": {"ome": 3}}'):
        (tmp_path / "a.zarr/zarr.json").write_text(text)
        with pytest.raises(UserError, match=r"a\.zarr: it cannot be opened as zarr"):
            open_source(tmp_path / "a.zarr")
