"""What a level starts from: with the content's own detail where f is lower with it."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.cluster.conftest import small_config
from tilestyle import pipeline
from tilestyle.admm.consensus import Array
from tilestyle.admm.grid import Box
from tilestyle.images import Source
from tilestyle.images.samples import sample
from tilestyle.store.pyramid import expand
from tilestyle.store.workspace import Workspace


def started(folder: Path, content: Path | Source, style: Path | Source) -> tuple[Array, Array]:
    """X of the finer of two levels, left as it starts; the coarser one's result, scaled up."""
    config = small_config("solver.steps=[2,0]", "solver.inner_steps=1", "pyramid.coarsest=60")
    summary = pipeline.run(content, [style], folder / "a.tif", config)
    workspace = Workspace.open(summary.workspace)
    fine, coarse = (np.asarray(workspace.array(f"levels/{n}/x/0")[:]) for n in (0, 1))
    shapes = [(x.shape[1], x.shape[2]) for x in (fine, coarse)]
    whole = Box(0, shapes[0][0], 0, shapes[0][1])
    return fine, expand(lambda b: coarse[(slice(None), *b.index())], shapes[1], whole)


def test_detail_that_the_style_lacks_is_left_out(tmp_path: Path) -> None:
    grain = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)
    noise, smooth = tmp_path / "noise.png", tmp_path / "smooth.png"
    Image.fromarray(grain).save(noise)
    Image.fromarray(grain).resize((8, 6)).resize((160, 120), Image.Resampling.BICUBIC).save(smooth)
    fine, coarse = started(tmp_path, noise, smooth)
    np.testing.assert_array_equal(fine, coarse)


def test_detail_that_the_style_has_is_kept(tmp_path: Path) -> None:
    painting = sample("strokes", 160, 120)
    fine, coarse = started(tmp_path, painting, painting)
    content = np.concatenate(list(painting.rows(64)), axis=1) / 255
    assert np.abs(fine - content).mean() < 0.01 < np.abs(coarse - content).mean()


@pytest.mark.parametrize("mode", ["admm", "exact"])
@pytest.mark.parametrize("core", ["null", "128"])
def test_a_painting_in_its_own_style_stays_itself(tmp_path: Path, mode: str, core: str) -> None:
    picture = sample("strokes", 240, 200)
    more = (f"solver.mode={mode}", f"patch.core={core}", "pyramid.coarsest=50")
    summary = pipeline.run(picture, [picture], tmp_path / "a.tif", small_config(*more))
    assert len(Workspace.open(summary.workspace).record["shapes"]) == 3
    assert summary.quality.objective < 1e-10
    result = tifffile.imread(tmp_path / "a.tif").astype(int)
    content = np.concatenate(list(picture.rows(64)), axis=1).astype(int)
    assert np.abs(np.moveaxis(result, -1, 0) - content).max() <= 1
