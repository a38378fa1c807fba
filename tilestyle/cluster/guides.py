"""The masks of a level on any box: where which style counts, and where edges are."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from numpy.typing import NDArray

from tilestyle.admm.grid import Box
from tilestyle.store.pyramid import Shape
from tilestyle.store.sampling import nearest_level, positions, sample
from tilestyle.store.workspace import read_box, read_pixels

if TYPE_CHECKING:
    from tilestyle.cluster.level import Level

Mask = NDArray[np.float32]


class Overlay:
    """A mask or picture of any size, laid over a level of another image.

    Attributes:
        ladder: Shapes of its own pyramid.
        k: Its level that is read.
        array: That level.
    """

    def __init__(self, level: "Level", name: str, over: Sequence[Shape], number: int) -> None:
        """Lay image `name` of the workspace over level `number` of shapes `over`."""
        self.ladder = [(h, w) for h, w in level.record["ladders"][name]]
        self.k = nearest_level(self.ladder, over[number])
        self.array: zarr.Array[Any] = level.workspace.array(f"{name}/{self.k}")
        self._over, self._number = over, number

    def read(self, box: Box) -> Mask:
        """(channels, height, width) float32, 0 to 1, on a box of the level."""
        (height, width), (own_height, own_width) = self._over[0], self.ladder[0]
        y = positions(box.y0, box.y1, self._number, height, self.k, own_height)
        x = positions(box.x0, box.x1, self._number, width, self.k, own_width)
        return sample(lambda b: read_box(self.array, b), self.ladder[self.k], y, x)


class Guides:
    """The masks of all regions of a level; see `style.objective.Objective`."""

    def __init__(self, level: "Level") -> None:
        self._level = level
        config = level.config
        self.split = config.edges.weight is not None
        self.masks = len(config.style.masks)

    @property
    def regions(self) -> list[tuple[int, float]]:
        """Of each region the number of its target, and its weight."""
        targets = range(len(self._level.style_arrays) if self.masks else 1)
        weight = self._level.config.edges.weight
        if weight is None:
            return [(n, 1.0) for n in targets]
        return [(n, w) for n in targets for w in (weight, 1.0)]

    def read(self, box: Box) -> Mask | None:
        """(regions, height, width) float32; they sum to at most 1. None: one region, everywhere."""
        if not self.masks and not self.split:
            return None
        shares = self._shares(box) if self.masks else np.ones((1, box.height, box.width), "f4")
        if not self.split:
            return shares
        edges = self.edge(box)
        return np.concatenate([part for s in shares for part in (s * edges, s * (1 - edges))])

    def edge(self, box: Box) -> Mask:
        """E, (1, height, width)."""
        return self._edges(box)

    @cached_property
    def _edges(self) -> Callable[[Box], Mask]:
        if self._level.config.edges.mask:
            return self.over("edge_mask").read
        found = self._level.workspace.array(f"edges/{self._level.ref.level}")
        return lambda box: read_pixels(found, box)

    def _shares(self, box: Box) -> Mask:
        masks = np.concatenate([overlay.read(box) for overlay in self._overlays])
        total = masks.sum(axis=0)
        masks = masks / np.maximum(total, 1)
        if self.masks < len(self._level.style_arrays):
            rest = np.clip(1 - total, 0, 1)[None]
            masks = np.concatenate([masks, rest])
        return np.asarray(masks, np.float32)

    @cached_property
    def _overlays(self) -> list[Overlay]:
        return [self.over(f"mask/{n}") for n in range(self.masks)]

    def of_style(self, style: int, box: Box, number: int | None = None) -> Mask | None:
        """Where a style image shows the style, (1, height, width).

        Args:
            style: Which.
            box: Of the image, at one of its own levels.
            number: Of that level; None: at which the style is matched.
        """
        masks = self._level.config.style.own_masks
        if style >= len(masks) or masks[style] is None:
            return None
        record = self._level.record
        shapes = [(h, w) for h, w in record["ladders"][f"style/{style}"]]
        if number is None:
            number = record["style_levels"][self._level.ref.level][style]
        return Overlay(self._level, f"style_mask/{style}", shapes, number).read(box)

    def over(self, name: str) -> Overlay:
        """An image of the workspace, laid over the level."""
        shapes = [(h, w) for h, w in self._level.record["shapes"]]
        return Overlay(self._level, name, shapes, self._level.ref.level)
