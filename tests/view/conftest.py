"""A finished workspace whose pixels are known, and the page's library."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tests.conftest import missing
from tilestyle import pipeline, stages
from tilestyle.config import load_config
from tilestyle.report.events import silent
from tilestyle.store.workspace import Workspace
from tilestyle.view import site
from tilestyle.view.server import Server
from tilestyle.view.view import View, open_view

Array = NDArray[Any]

HEIGHT, WIDTH = 1100, 1300


def picture(color: tuple[int, int, int], seed: int) -> Array:
    """(3, height, width) uint8: fine grain, which only full resolution has, over a colour."""
    grain = np.random.default_rng(seed).integers(-60, 61, (HEIGHT, WIDTH))
    return (np.array(color)[:, None, None] + grain).astype(np.uint8)


CONTENT = picture((80, 160, 100), 1)
RESULT = picture((180, 90, 120), 2)


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Content and result are `CONTENT` and `RESULT`; the style is grey."""
    folder = tmp_path_factory.mktemp("view")
    for name, pixels in (("content", CONTENT), ("style", np.full((3, 300, 400), 128, np.uint8))):
        tifffile.imwrite(folder / f"{name}.tif", np.moveaxis(pixels, 0, -1), photometric="rgb")
    config = load_config(overrides=["cluster.kind=threads", "solver.steps=0"])
    pipeline.run(folder / "content.tif", [folder / "style.tif"], folder / "r.tif", config)
    result = stages.result_array(Workspace.open(folder / "r.tilestyle"))
    result[:] = RESULT.astype(np.float32) / 255
    return folder / "r.tilestyle"


@pytest.fixture(scope="session")
def view(workspace: Path) -> Iterator[View]:
    with open_view(workspace, silent) as opened:
        yield opened


@pytest.fixture(scope="session")
def library() -> None:
    """The page needs its library."""
    if not (site.PAGE / site.LIBRARY).is_file():
        missing("openseadragon (make viewer)")


@pytest.fixture
def server(view: View) -> Iterator[Server]:
    from threading import Thread

    with Server(view) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()
