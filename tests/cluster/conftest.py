"""A small run with several levels and patches, and what it leaves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tilestyle import pipeline, stages
from tilestyle.config import Config, load_config
from tilestyle.images import Source
from tilestyle.images.samples import sample
from tilestyle.report.events import Event, Listener, silent
from tilestyle.store.workspace import Workspace

SMALL = {
    "pyramid": {"coarsest": 100},
    "patch": {"core": 128, "overlap": 32, "blend": 16},
    "solver": {"steps": 6, "min_steps": 4, "inner_steps": 2, "decay": 0.5},
    "cluster": {"kind": "threads", "workers": 1},
}

Run = Callable[..., NDArray[np.float32]]


class Interrupt:
    """Interrupts a run after its n-th event of a kind."""

    def __init__(self, kind: type[Event], after: int) -> None:
        self.kind = kind
        self.left = after

    def __call__(self, event: Event) -> None:
        self.left -= isinstance(event, self.kind)
        if not self.left:
            raise KeyboardInterrupt


def images() -> tuple[Source, Source]:
    """A content of 3 x 2 patches at the finest of two levels, and a style."""
    return sample("content", 300, 200), sample("strokes", 160, 140)


def small_config(*overrides: str) -> Config:
    return load_config(None, overrides, base=SMALL)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the pipeline in a workspace by name; returns the result's X."""

    def call(name: str, *overrides: str, tell: Listener = silent) -> NDArray[np.float32]:
        content, style = images()
        output = tmp_path / f"{name}.tif"
        summary = pipeline.run(content, [style], output, small_config(*overrides), tell=tell)
        x = stages.result_array(Workspace.open(summary.workspace))
        return np.asarray(x[:], dtype=np.float32)

    return call
