"""What a worker holds of one level: arrays, grid, network and style targets, set up once."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from torch import Tensor

from tilestyle.admm.grid import Box, Grid, make_grid
from tilestyle.cluster.guides import Guides
from tilestyle.config import Config, Patch
from tilestyle.config import Network as NetworkConfig
from tilestyle.store.location import as_root
from tilestyle.store.workspace import Workspace, read_pixels
from tilestyle.style.build import build_network, pick_device, weigh
from tilestyle.style.color import recolored
from tilestyle.style.engine import HISTORY
from tilestyle.style.exact import context
from tilestyle.style.network import Network
from tilestyle.style.objective import Objective, Region, Weights

ALIGN = 32
"""Patch origins are multiples of the largest stride of any network's style layers."""


def kept(name: str) -> int:
    """Generations of an array that are kept: a task that runs again must find what it has read.

    A task that is late by an iteration writes what nobody reads: of the arrays whose generation t
    is read to make that of t + 1 there is one more.
    """
    return {"s": HISTORY + 2, "y": HISTORY + 2, "g": 3}.get(name, 2)


def patch_grid(shape: tuple[int, int], patch: Patch) -> Grid:
    """The patch grid of an image, by config; see `make_grid`."""
    return make_grid(*shape, patch.core, patch.overlap, patch.blend, ALIGN)


@dataclass(frozen=True)
class LevelRef:
    """Names a level for a worker anywhere; small, hashable, picklable.

    Attributes:
        root: The workspace.
        run: Its random name, so that a new workspace in an old place is not taken for the old.
        level: 0 is the finest.
        record: Whether its tasks keep records in the workspace: those of a run do.
    """

    root: str
    run: str
    level: int
    record: bool = False


class Level:
    """One level of one workspace, as a task sees it."""

    def __init__(self, ref: LevelRef) -> None:
        self.ref = ref
        self.workspace = Workspace(as_root(ref.root))
        self.record = record = self.workspace.record
        self.config = Config.model_validate(record["config"])
        shape = record["shapes"][ref.level]
        self.shape: tuple[int, int] = (shape[0], shape[1])
        self.grid = self.grid_of(self.shape)
        self.style_arrays = [
            self.workspace.array(f"style/{n}/{level}")
            for n, level in enumerate(record["style_levels"][ref.level])
        ]

    def grid_of(self, shape: tuple[int, int]) -> Grid:
        """The patch grid of an image at this level: content or style."""
        return patch_grid(shape, self.config.patch)

    @cached_property
    def network(self) -> Network:
        """The feature network, shared by all levels of this process."""
        return shared_network(self.config.network, self.record["weights"])

    @cached_property
    def device(self) -> torch.device:
        """Where this worker computes."""
        return pick_device(self.config.network.device)

    @cached_property
    def weights(self) -> Weights:
        """Layers that fit the smaller of content and styles at this level."""
        shapes = [self.shape, *(array.shape[1:] for array in self.style_arrays)]
        levels = len(self.record["shapes"])
        return weigh(self.config, self.network, shapes, self.ref.level, levels)

    @cached_property
    def guides(self) -> Guides:
        """The masks of the level's regions."""
        return Guides(self)

    def edges(self, box: Box) -> Tensor | None:
        """E on a box, (height, width), where there is an edge term."""
        return self.tensor(self.guides.edge(box)[0]) if self.weights.strength else None

    def guide(self, box: Box) -> Tensor | None:
        """The masks on a box; see `Guides.read`."""
        masks = self.guides.read(box)
        return None if masks is None else self.tensor(masks)

    def measuring(self, grid: Grid, layers: Iterable[str]) -> Grid:
        """The windows of a grid on boxes that hold all that these layers see of them."""
        reach = max(self.network.layers[name].margin for name in layers)
        return grid.widened(_aligned(reach + self.config.patch.blend // 2))

    def cores(self, core: int | None) -> Grid:
        """The level cut sharply into cores, on boxes that hold all that any layer sees of them."""
        reach = max(self.network.layers[name].margin for name in self.weights.layers)
        return make_grid(*self.shape, core, 0, 0, ALIGN).widened(_aligned(reach))

    @cached_property
    def tiles(self) -> Grid:
        """The cores of the grid on boxes that hold all that the gradient of a core depends on."""
        return self.grid.widened(_aligned(context(self.network.layers, self.weights.layers)))

    @cached_property
    def objective(self) -> Objective:
        """The level's objective; the style's targets have been measured before."""
        targets = [
            {name: self.tensor(gram) for name, gram in target.items()}
            for target in self.workspace.load_targets(self.ref.level)
        ]
        regions = [Region(targets[n], weight) for n, weight in self.guides.regions]
        return Objective(self.network, self.weights, regions)

    @cached_property
    def content(self) -> zarr.Array[Any]:
        """Pixels of the content."""
        return self.workspace.array(f"content/{self.ref.level}")

    def read_style(self, style: int, box: Box) -> NDArray[np.float32]:
        """Pixels of a style image, in the colours that count: see `Color.keep`."""
        pixels = read_pixels(self.style_arrays[style], box)
        maps = self.record.get("color_maps")
        return recolored(pixels, maps[style]) if maps else pixels

    def state(self, name: str, generation: int) -> zarr.Array[Any]:
        """An array of the level's state, by name; see `store.workspace`."""
        slot = generation % kept(name)
        return self.workspace.array(f"levels/{self.ref.level}/{name}/{slot}")

    def tensor(self, array: NDArray[np.float32]) -> Tensor:
        """On the worker's device."""
        return torch.from_numpy(array).to(self.device)


def _aligned(pixels: int) -> int:
    return -(-pixels // ALIGN) * ALIGN


@lru_cache(maxsize=2)
def shared_network(config: NetworkConfig, weights: str | None = None) -> Network:
    """The network of a config, built once in a process; see `build_network`.

    Args:
        config: Names a file of weights, or none.
        weights: Tells apart what has lain under that name.
    """
    return build_network(config)


@lru_cache(maxsize=4)
def _level(ref: LevelRef) -> Level:
    return Level(ref)


def open_level(ref: LevelRef) -> Level:
    """The level, from this process's cache; fixes the number of threads of the calling task.

    A result's last bits may depend on that number, so the config, not the machine, sets it.
    """
    level = _level(ref)
    if torch.get_num_threads() != level.config.cluster.threads:
        torch.set_num_threads(level.config.cluster.threads)
    return level


def patch_index(patch: int, box: Box, inside: Box) -> tuple[int, slice, slice, slice]:
    """Index of `inside` in a (patches, channels, ph, pw) array whose patch has `box`."""
    return (patch, slice(None), *inside.index(box))
