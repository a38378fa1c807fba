"""The content's colours through the pipeline: any grid, any workers, 8 and 16 bits, all styles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from tests.cluster.conftest import small_config
from tilestyle import cli, pipeline, stages
from tilestyle.admm.grid import Box
from tilestyle.cluster.connect import connect
from tilestyle.cluster.graph import color_graph
from tilestyle.cluster.level import Level
from tilestyle.config import Cluster
from tilestyle.errors import UserError
from tilestyle.images import open_source
from tilestyle.images.samples import sample
from tilestyle.levels import level_ref
from tilestyle.report.events import Event, IterationDone, Listener, silent
from tilestyle.store.workspace import Workspace
from tilestyle.style.color import color_sums, luma, matching

STYLES = ("strokes", "woodcut")


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Run with two styles in a workspace by name; returns the workspace."""

    def call(name: str, *overrides: str, tell: Listener = silent) -> Workspace:
        content = sample("content", 200, 140)
        styles = [sample(kind, 150, 140) for kind in STYLES]
        config = small_config("solver.steps=2", "solver.min_steps=1", "solver.rate=0.1", *overrides)
        output = tmp_path / f"{name}.tif"
        return Workspace.open(pipeline.run(content, styles, output, config, tell=tell).workspace)

    return call


def result(workspace: Workspace) -> NDArray[np.float32]:
    return np.asarray(stages.result_array(workspace)[:])


def pixels(path: Path) -> NDArray[np.float64]:
    image = tifffile.imread(path)
    return np.moveaxis(image / np.iinfo(image.dtype).max, -1, 0)


def test_maps_do_not_depend_on_blocks_or_workers(run: Any, monkeypatch: Any) -> None:
    workspace = run("match", "color.keep=match", "solver.steps=0")
    maps = workspace.record["color_maps"]
    assert len(maps) == len(STYLES)
    assert maps[0] != maps[1]
    names = {None: "content", 0: "style/0", 1: "style/1"}
    shapes = {n: workspace.array(f"{name}/0").shape[1:] for n, name in names.items()}
    for block, workers in [(64, 1), (100, 3), (512, 2)]:
        monkeypatch.setattr("tilestyle.cluster.graph.BLOCK", block)
        with connect(Cluster(kind="threads", workers=workers)) as cluster:
            content, *styles = cluster.run(color_graph(level_ref(workspace, 0), shapes))
        assert [matching(style, content) for style in styles] == maps


def test_a_frame_that_is_masked_has_no_colours(run: Any, tmp_path: Path) -> None:
    """The map is that of the pixels under the mask."""
    mask = np.zeros((140, 150), np.uint8)
    mask[:, :60] = 255
    Image.fromarray(mask).save(tmp_path / "own.png")
    own = f"style.own_masks=[null,{tmp_path / 'own.png'}]"
    workspace = run("masked", "color.keep=match", "solver.steps=0", own)
    content, *styles = (
        np.asarray(workspace.array(name)[:]) for name in ("content/0", "style/0/0", "style/1/0")
    )
    shown = [color_sums(styles[0]), color_sums(styles[1][:, :, :60])]
    expected = [matching(sums, color_sums(content)) for sums in shown]
    np.testing.assert_allclose(workspace.record["color_maps"], expected, rtol=1e-9)


def test_every_style_is_matched_where_it_is_read(run: Any) -> None:
    workspace = run("match", "color.keep=match")
    level = Level(level_ref(workspace, 0))
    content = np.asarray(workspace.array("content/0")[:]).reshape(3, -1) / 255
    for n in range(len(STYLES)):
        array = workspace.array(f"style/{n}/0")
        level.style_arrays[n] = array
        found = level.read_style(n, Box(0, array.shape[1], 0, array.shape[2])).reshape(3, -1)
        np.testing.assert_allclose(found.mean(axis=1), content.mean(axis=1), atol=1e-5)
        np.testing.assert_allclose(np.cov(found), np.cov(content), rtol=1e-3, atol=1e-5)
    other = run("none")
    assert "color_maps" not in other.record
    target, plain = workspace.load_targets(0)[0], other.load_targets(0)[0]
    assert any(not np.allclose(target[j], plain[j], rtol=0.05) for j in plain)
    assert not np.array_equal(result(workspace), result(other))


@pytest.mark.parametrize("depth", ["8", "16"])
def test_luminance_keeps_the_contents_chroma(run: Any, tmp_path: Path, depth: str) -> None:
    options = (f"output.depth='{depth}'", "output.tile=64")
    workspace = run("kept", "color.keep=luminance", *options)
    plain = run("plain", *options)
    assert np.array_equal(result(workspace), result(plain))
    content = np.asarray(workspace.array("content/0")[:]) / 255
    kept, styled = pixels(tmp_path / "kept.tif"), pixels(tmp_path / "plain.tif")
    step = 1 / (2 ** int(depth) - 1)
    wanted = content - luma(content.astype(np.float32))
    shifted = luma(result(workspace)) + wanted
    fits = ((shifted >= 0) & (shifted <= 1)).all(axis=0)
    assert fits.mean() > 0.5
    np.testing.assert_allclose(
        (kept - luma(kept.astype(np.float32)))[:, fits], wanted[:, fits], atol=1.1 * step
    )
    np.testing.assert_allclose(
        luma(kept.astype(np.float32)), luma(result(workspace)), atol=1.1 * step
    )
    assert np.abs(styled - kept).max() > 0.1


def test_the_tile_of_the_file_does_not_show(run: Any, tmp_path: Path) -> None:
    run("kept", "color.keep=luminance", "output.tile=64")
    first = pixels(tmp_path / "kept.tif")
    run("kept", "color.keep=luminance", "output.tile=512")
    assert np.array_equal(pixels(tmp_path / "kept.tif"), first)


def test_luminance_is_chosen_after_the_run(run: Any, tmp_path: Path) -> None:
    workspace = run("late")
    plain = pixels(tmp_path / "late.tif")
    seen: list[Event] = []
    run("late", "color.keep=luminance", tell=seen.append)
    assert not any(isinstance(event, IterationDone) for event in seen)
    kept = pixels(tmp_path / "late.tif")
    assert not np.array_equal(kept, plain)
    with pytest.raises(UserError, match=r"color\.keep was none, now match"):
        run("late", "color.keep=match")
    export = ["export", "-w", str(workspace.root), "-o", str(tmp_path / "again.tif"), "--set"]
    cli.cli.main([*export, "color.keep=luminance"], standalone_mode=False)
    assert np.array_equal(pixels(tmp_path / "again.tif"), kept)
    with pytest.raises(UserError, match="can be set at export"):
        cli.cli.main([*export, "color.keep=match"], standalone_mode=False)


@pytest.mark.parametrize("keep", ["luminance", "match"])
def test_a_preserved_working_space_keeps_its_profile(tmp_path: Path, keep: str) -> None:
    import pyvips

    wide = bytes(pyvips.Image.profile_load("p3"))
    band = np.concatenate(list(sample("content", 160, 120).rows(120)), axis=1)
    for name in ("content", "style"):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, np.moveaxis(band, 0, -1), photometric="rgb", iccprofile=wide)
        band = band[:, ::-1]
    config = small_config("solver.steps=1", "input.working_space=preserve", f"color.keep={keep}")
    output = tmp_path / "r.tif"
    pipeline.run(tmp_path / "content.tif", [tmp_path / "style.tif"], output, config)
    assert open_source(output, config.input).profile == wide
