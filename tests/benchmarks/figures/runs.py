"""The runs of the figures, and what is in their workspaces."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.images import DATA
from tests.benchmarks.parity import SMALL_VGG
from tilestyle import pipeline, stages
from tilestyle.admm.grid import Box
from tilestyle.cluster.level import Level
from tilestyle.config import load_config
from tilestyle.images import srgb_profile
from tilestyle.images.samples import sample, save
from tilestyle.levels import level_ref
from tilestyle.report.scores import Scores, score_image
from tilestyle.store.pyramid import reduce
from tilestyle.store.workspace import Workspace, read_pixels
from tilestyle.style.losses import style_loss
from tilestyle.style.objective import style_key

Array = NDArray[np.float32]

ALONE = ("cluster.kind=threads", "cluster.workers=1")
CODE, TRAINED = "code", "data"
"""What pictures are made from: images painted by code and the network that is code alone; a
photograph, paintings and a trained network."""
WHAT = {CODE: "code, scattering", TRAINED: "photograph, small VGG"}
"""The same, for a table."""
STYLES = {CODE: ("strokes", "mosaic"), TRAINED: ("starry_night", "the_scream")}


@dataclass(frozen=True)
class Place:
    """Where the figures' files lie, and how large their pictures are.

    Attributes:
        runs: Inputs, results and workspaces; what is there already is not run again.
        plates: Plates of what is made by code alone; others lie with the runs.
        fast: Whether all is half as large, and large pictures take fewer steps.
        data: Whether photographs, paintings and a trained network count, where they are.
    """

    runs: Path
    plates: Path
    fast: bool
    data: bool = True

    def plate(self, name: str, kind: str) -> Path:
        """The file of a plate, by what its pictures were made from."""
        return self.plates / f"{name}.png" if kind == CODE else self.runs / f"{name}-{kind}.png"

    def pixels(self, side: int) -> int:
        """A side of the full size, in pixels of this one."""
        return side // 2 if self.fast else side

    def steps(self, full: int) -> int:
        """Steps of a full run, as this one takes them."""
        return full * 6 // 10 if self.fast else full

    @property
    def kinds(self) -> dict[str, tuple[str, ...]]:
        """By what the pictures are made from: the options of the network."""
        found: dict[str, tuple[str, ...]] = {CODE: ("network.name=scattering",)}
        if self.data and SMALL_VGG.is_file():
            found[TRAINED] = ("network.name=vgg19-small", f"network.weights={SMALL_VGG}")
        return found

    def content(self, kind: str, width: int, height: int) -> Path:
        """The content at a size."""
        path = self.runs / f"content-{kind}-{width}x{height}.tif"
        if not path.exists():
            with _replacing(path) as new:
                if kind == CODE:
                    save(sample("content", width, height), new)
                else:
                    _fill(DATA / "content" / "tubingen.jpg", width, height, new)
        return path

    def style(self, kind: str, width: int, height: int, which: int = 0) -> Path:
        """One of two styles at a size."""
        name = STYLES[kind][which]
        path = self.runs / f"{name}-{width}x{height}.tif"
        if not path.exists():
            with _replacing(path) as new:
                if kind == CODE:
                    save(sample(name, width, height), new)
                else:
                    _fill(DATA / "style" / f"{name}.jpg", width, height, new)
        return path

    def mask(self, width: int, height: int) -> Path:
        """White above a wave across the picture, where the first of two styles is used."""
        path = self.runs / f"mask-{width}x{height}.png"
        x, y = np.arange(width)[None] / width, np.arange(height)[:, None] / height
        above = y < 0.5 + 0.12 * np.sin(2 * np.pi * x)
        with _replacing(path) as new:
            Image.fromarray((above * 255).astype(np.uint8)).save(new)
        return path


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A name to write to, so that another process sees the whole file or none."""
    new = path.with_name(f"{os.getpid()}-{path.name}")
    yield new
    new.replace(path)


def _fill(source: Path, width: int, height: int, path: Path) -> None:
    """Write the middle of a picture at a size."""
    image = Image.open(source).convert("RGB")
    factor = max(width / image.width, height / image.height)
    wide, high = width / factor, height / factor
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    box = (left, top, left + wide, top + high)
    image.resize((width, height), Image.Resampling.LANCZOS, box=box).save(
        path, icc_profile=srgb_profile()
    )


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        workspace: Of it.
        history: Its iterations, as `report.events.IterationDone` has them.
    """

    workspace: Workspace
    history: list[dict[str, Any]] = field(repr=False)

    @cached_property
    def level(self) -> Level:
        """The finest."""
        return Level(level_ref(self.workspace, 0))

    @property
    def _box(self) -> Box:
        height, width = self.level.shape
        return Box(0, height, 0, width)

    @cached_property
    def result(self) -> Array:
        """(3, height, width), 0 to 1."""
        x = np.asarray(stages.result_array(self.workspace)[:], np.float32)
        return np.ascontiguousarray(x.clip(0, 1))

    @cached_property
    def content(self) -> Array:
        """Likewise."""
        return read_pixels(self.level.content, self._box)

    def style(self, which: int = 0) -> Array:
        """A style at the scale at which the finest level is to match it."""
        height, width = self.level.style_arrays[which].shape[1:]
        return self.level.read_style(which, Box(0, height, 0, width))

    def mask(self) -> Array:
        """(height, width): where the first of two styles is used."""
        guides = self.level.guides.read(self._box)
        assert guides is not None
        return np.ascontiguousarray(guides[0])

    def region_losses(self, region: int) -> list[tuple[float, float]]:
        """By level, finest first, in a region: the style loss to its own style, to the other.

        Of the run's network and its style layers, on the pyramid of the result.
        """
        losses, pixels = [], (self.result * 65535).round().astype(np.uint16)
        for number, shape in enumerate(self.workspace.record["shapes"]):
            if number:
                pixels = reduce(_reader(pixels), pixels.shape[1:], Box(0, shape[0], 0, shape[1]))
            level = Level(level_ref(self.workspace, number))
            objective = level.objective
            guides = level.guide(Box(0, shape[0], 0, shape[1]))
            image = torch.from_numpy(pixels.astype(np.float32) / 65535)
            grams = objective.grams(objective.style_features(image), guides)
            own, other = (
                np.mean(
                    [
                        float(style_loss(grams[style_key(region, j)], target.styles[j]))
                        for j in objective.weights.style
                    ]
                )
                for target in (objective.regions[region], objective.regions[1 - region])
            )
            losses.append((float(own), float(other)))
        return losses

    def style_term(self, image: Array) -> float:
        """The style term of a whole image, as this run of one style has it."""
        objective = self.level.objective
        features = objective.style_features(torch.from_numpy(image))
        return float(objective.style_term(objective.grams(features)))

    @property
    def objective(self) -> float:
        """f(X) of the finest level."""
        return float(self.workspace.record["quality"]["objective"])

    def scores(self, run: "Run") -> Scores:
        """Of the result at the borders of another run's patches."""
        return score_image(self.result, run.level.grid)

    @property
    def seconds(self) -> float:
        """Of all iterations of all levels."""
        return float(sum(step["seconds"] for step in self.history))

    def finest(self) -> list[dict[str, Any]]:
        """Iterations of the finest level."""
        return [step for step in self.history if step["level"] == 0]


def _reader(pixels: NDArray[np.uint16]) -> Callable[[Box], NDArray[np.uint16]]:
    return lambda box: pixels[:, box.y0 : box.y1, box.x0 : box.x1]


def solve(place: Place, name: str, content: Path, styles: list[Path], *options: str) -> Run:
    """Run, or take the workspace of an earlier run, which has to be of the same options."""
    config = load_config(None, [*options, *ALONE])
    output = place.runs / f"{name.replace(', ', '-').replace(' ', '-')}.tif"
    summary = pipeline.run(content, list(styles), output, config)
    workspace = Workspace.open(summary.workspace)
    return Run(workspace, workspace.record["history"])
