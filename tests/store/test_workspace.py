"""The workspace: what it refuses, how it commits, and that arrays give back what they took."""

import json
import shutil
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from tilestyle.admm.grid import Box, Grid, make_grid
from tilestyle.errors import UserError
from tilestyle.store.location import Root
from tilestyle.store.workspace import (
    FORMAT,
    PATCH_CHUNK,
    Workspace,
    check_space,
    exists,
    read_box,
    read_pixels,
    sizes,
)

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "print.tilestyle"


@pytest.fixture
def workspace(root: Path) -> Workspace:
    return Workspace.create(root, {"shapes": [[300, 400]]})


def line(error: pytest.ExceptionInfo[UserError], path: Path) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message


def test_create_commits_a_record(root: Path) -> None:
    assert not exists(root)
    workspace = Workspace.create(root, {"dpi": 300.0})
    assert exists(root)
    record = Workspace.open(root).record
    assert record == workspace.record
    assert record["format"] == FORMAT
    assert record["dpi"] == 300
    assert record["stages"] == record["history"] == []


def test_two_runs_have_two_names(tmp_path: Path) -> None:
    first, second = (Workspace.create(tmp_path / name, {}) for name in "ab")
    assert first.record["run"] != second.record["run"]


def test_create_in_an_empty_folder(root: Path) -> None:
    root.mkdir()
    assert Workspace.create(root, {}).record["format"] == FORMAT


def test_create_leaves_a_foreign_folder_alone(root: Path) -> None:
    (root / "photos").mkdir(parents=True)
    (root / "photos" / "a.jpg").write_bytes(b"precious")
    with pytest.raises(UserError) as caught:
        Workspace.create(root, {})
    assert "--workspace" in line(caught, root)
    assert [p.relative_to(root) for p in root.rglob("*.*")] == [Path("photos/a.jpg")]
    assert (root / "photos" / "a.jpg").read_bytes() == b"precious"


def test_create_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    root = tmp_path / "file" / "workspace"
    with pytest.raises(UserError) as caught:
        Workspace.create(root, {})
    assert "cannot make the workspace" in line(caught, root)


def test_create_in_place_of_a_file(root: Path) -> None:
    root.write_text("precious")
    with pytest.raises(UserError) as caught:
        Workspace.create(root, {})
    line(caught, root)
    assert root.read_text() == "precious"


def test_open_needs_a_workspace(root: Path) -> None:
    for make in (lambda: None, root.mkdir, lambda: zarr.open_group(str(root), mode="w")):
        make()
        with pytest.raises(UserError) as caught:
            Workspace.open(root)
        assert "no workspace" in line(caught, root)


def test_open_refuses_another_format(workspace: Workspace, root: Path) -> None:
    workspace.commit(format=FORMAT + 1)
    with pytest.raises(UserError) as caught:
        Workspace.open(root)
    assert "another version" in line(caught, root)


def test_open_refuses_a_broken_record(workspace: Workspace, root: Path) -> None:
    text = (root / "zarr.json").read_bytes()
    (root / "zarr.json").write_bytes(text[: len(text) // 2])
    with pytest.raises(UserError) as caught:
        Workspace.open(root)
    line(caught, root)


def test_open_refuses_a_zarr_array(root: Path) -> None:
    zarr.create_array(str(root), shape=(4,), chunks=(4,), dtype="float32")
    with pytest.raises(UserError) as caught:
        Workspace.open(root)
    line(caught, root)


def test_commit_changes_what_it_names(workspace: Workspace, root: Path) -> None:
    before = workspace.record
    workspace.commit(progress={"level": 2, "iteration": 7})
    after = Workspace.open(root).record
    assert after == before | {"progress": {"level": 2, "iteration": 7}}


def test_stages_finish_in_order(workspace: Workspace, root: Path) -> None:
    workspace.finish("ingest")
    workspace.finish("pyramid")
    again = Workspace.open(root)
    assert again.record["stages"] == ["ingest", "pyramid"]
    assert again.finished("ingest")
    assert not again.finished("stylize")


def test_record_is_a_copy(workspace: Workspace) -> None:
    workspace.record["format"] = "spoilt"
    assert workspace.record["format"] == FORMAT


def test_commit_replaces_the_file(workspace: Workspace, root: Path) -> None:
    before = (root / "zarr.json").read_bytes()
    with (root / "zarr.json").open("rb") as old:
        workspace.commit(history=[0] * 1000)
        assert old.read() == before
    assert (root / "zarr.json").read_bytes() != before
    assert sorted(p.name for p in root.iterdir()) == ["zarr.json"]


def test_a_commit_that_fails_changes_nothing(
    workspace: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (root / "zarr.json").read_bytes()

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="No space left"):
            workspace.commit(history=[0] * 1000)
    assert (root / "zarr.json").read_bytes() == before
    assert sorted(p.name for p in root.iterdir()) == ["zarr.json"]
    assert Workspace.open(root).record["history"] == []


def test_a_reader_never_sees_half_a_file(workspace: Workspace, root: Path) -> None:
    def commit() -> None:
        for t in range(50):
            workspace.commit(history=["x" * 50] * 2000, last=t)

    writer = threading.Thread(target=commit)
    writer.start()
    while writer.is_alive():
        assert json.loads((root / "zarr.json").read_text())["attributes"]["format"] == FORMAT
    writer.join()
    assert workspace.record["last"] == 49


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The attributes of every file that takes the place of a zarr.json."""
    seen: list[dict[str, Any]] = []
    replace = Path.replace

    def spy(self: Path, target: Path) -> Path:
        moved = replace(self, target)
        if moved.name == "zarr.json":
            seen.append(json.loads(moved.read_text())["attributes"])
        return moved

    monkeypatch.setattr(Path, "replace", spy)
    return seen


def test_a_commit_is_one_write(workspace: Workspace, versions: list[dict[str, Any]]) -> None:
    del versions[:]
    workspace.commit(progress={"level": 0, "iteration": 3}, history=["third"])
    assert versions == [workspace.record]


def test_a_record_appears_whole(root: Path, versions: list[dict[str, Any]]) -> None:
    record = Workspace.create(root, {"shapes": [[300, 400]], "config": {}}).record
    assert [version for version in versions if "format" in version] == [record]


def test_check_space_names_needed_and_free(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 3 * 2**30
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10 * free, 9 * free, free))
    check_space(root / "not" / "yet" / "there", free)
    with pytest.raises(UserError) as caught:
        check_space(root, free + 2**30)
    message = line(caught, root)
    assert "needs 4.0 GiB" in message
    assert "3.0 GiB are free" in message
    assert not root.exists()


def test_check_space_asks_where_the_workspace_will_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def usage(folder: Path) -> Usage:
        asked.append(Path(folder).resolve())
        return Usage(1, 1, 1)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    monkeypatch.chdir(tmp_path)
    check_space(Path("a/b"), 1)
    check_space(tmp_path / "c", 1)
    assert asked == [tmp_path.resolve()] * 2


@pytest.fixture
def grid() -> Grid:
    return make_grid(200, 333, 128, 32, 16, 32)


def noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def chunk_files(root: Root, path: str) -> list[str]:
    folder = Path(root) / path / "c"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_patches_give_back_whole_and_strip(workspace: Workspace, grid: Grid) -> None:
    array = workspace.create_patches("levels/0/z/0", grid, 3)
    values = [noise(3, p.box.height, p.box.width, seed=p.index) for p in grid]
    for patch, z in zip(grid, values, strict=True):
        array[(patch.index, slice(None), *patch.box.index(patch.box))] = z
    again = Workspace(workspace.root, mode="r").array("levels/0/z/0")
    assert again.dtype == np.float32
    for block in grid:
        for patch in grid.covering(block):
            strip = (slice(None), *(patch.box & block.core).index(patch.box))
            found = np.asarray(again[(patch.index, *strip)])
            assert found.tobytes() == values[patch.index][strip].tobytes()


def test_each_patch_is_one_file_of_small_pieces(workspace: Workspace, grid: Grid) -> None:
    array = workspace.create_patches("levels/0/z/0", grid, 3)
    padded = tuple(-(-n // PATCH_CHUNK) * PATCH_CHUNK for n in grid.patch_shape)
    assert array.shape == (len(grid), 3, *padded)
    assert array.chunks == (1, 3, PATCH_CHUNK, PATCH_CHUNK)
    for count, patch in enumerate(grid, start=1):
        z = noise(3, patch.box.height, patch.box.width)
        array[(patch.index, slice(None), *patch.box.index(patch.box))] = z
        assert len(chunk_files(workspace.root, "levels/0/z/0")) == count


def test_each_core_of_an_iterate_is_one_file(workspace: Workspace, grid: Grid) -> None:
    array = workspace.create_iterate("levels/0/x/0", grid, 6)
    image = noise(6, 200, 333)
    for count, patch in enumerate(grid, start=1):
        core = (slice(None), *patch.core.index())
        array[core] = image[core]
        assert len(chunk_files(workspace.root, "levels/0/x/0")) >= count
    assert np.asarray(array[:]).tobytes() == image.tobytes()
    for patch in grid:
        assert read_box(array, patch.box).tobytes() == image[:, *patch.box.index()].tobytes()


@pytest.mark.parametrize("length", [100, 200, 330, 333, 352, 420])
def test_no_chunk_has_two_owners(workspace: Workspace, length: int) -> None:
    """Tasks that write cores at the same time never write to the same file."""
    grid = make_grid(length, 64, 128, 32, 16, 32)
    height = workspace.create_iterate("levels/0/x/0", grid, 3).chunks[1]
    owners = [{y // height for y in range(p.core.y0, p.core.y1)} for p in grid]
    assert sum(map(len, owners)) == len(set().union(*owners))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_read_pixels_spans_zero_to_one(workspace: Workspace, dtype: str) -> None:
    top = np.iinfo(dtype).max
    image = np.random.default_rng(0).integers(0, top + 1, (3, 40, 50)).astype(dtype)
    image[:, 10, 20], image[:, 11, 20] = 0, top
    array = workspace.create_image("content/0", (40, 50), dtype)
    array[:] = image
    box = Box(10, 31, 20, 50)
    found = read_pixels(array, box)
    assert found.dtype == np.float32
    assert (found[:, 0, 0] == 0).all()
    assert (found[:, 1, 0] == 1).all()
    np.testing.assert_allclose(found, image[:, 10:31, 20:] / top, rtol=1e-6)
    assert read_box(array, box).tobytes() == image[:, 10:31, 20:].tobytes()


def test_targets_come_back(workspace: Workspace) -> None:
    grams = {"first.0": noise(4, 4), "relu1_1": noise(7, 7)}
    workspace.save_target(2, 1, grams)
    workspace.save_target(2, 0, {name: gram + 1 for name, gram in grams.items()})
    workspace.save_target(2, 0, grams)
    found, other = workspace.load_targets(2)
    assert set(other) == set(grams)
    assert set(found) == set(grams)
    for name, gram in grams.items():
        assert found[name].tobytes() == gram.tobytes()


def test_drop_deletes_and_forgives(workspace: Workspace, grid: Grid) -> None:
    workspace.create_iterate("levels/1/x/0", grid, 3)[:] = 1
    workspace.create_iterate("levels/1/u/0", grid, 3)
    workspace.drop("levels/1/u")
    workspace.drop("levels/1/u")
    assert not (Path(workspace.root) / "levels/1/u").exists()
    assert (np.asarray(workspace.array("levels/1/x/0")[:]) == 1).all()


def test_array_is_not_a_group(workspace: Workspace, grid: Grid) -> None:
    workspace.create_iterate("levels/1/x/0", grid, 3)
    for path in ("levels/1/x", "levels/7"):
        with pytest.raises(KeyError):
            workspace.array(path)


def test_sizes_counts_all_pixels() -> None:
    assert sizes([(10, 20), (5, 10)]) == 250
