"""An image and its halves, made when somebody looks at them."""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from threading import Lock, Thread

import numpy as np

from tilestyle.admm.grid import Box
from tilestyle.images.color import Pixels
from tilestyle.images.levels import Read, Shape, cut, half_shapes, halved

KEPT = 3
"""Levels from this on are kept in memory: 1/64 of the pixels, 47 MB of a gigapixel."""
_BLOCK = 512
_PART = 128
_THREADS = min(4, os.cpu_count() or 1)


class Pyramid:
    """All levels of an image down to one pixel, as 8 bit; safe to read from several threads.

    Levels that are not given are made by `halve`. The first look at a whole image so reads all
    of the coarsest level given, once.

    Attributes:
        shapes: Height and width of every level, finest first.
    """

    def __init__(self, shape: Shape, given: Sequence[Read]) -> None:
        """Read levels that exist.

        Args:
            shape: Height and width of the image.
            given: Read the finest levels, one at least, uint8 or uint16.
        """
        self.shapes = half_shapes(shape, 1)
        self._given = given[: len(self.shapes)]
        self._kept: dict[tuple[int, Box], Pixels] = {}
        self._locks: dict[tuple[int, Box], Lock] = {}

    def read(self, level: int, box: Box) -> Pixels:
        """(3, height, width) uint8 pixels of a box of a level."""
        if level < len(self._given):
            return to_bytes(self._given[level](box))
        if level < KEPT:
            return self._halve(level, box)
        pixels = np.empty((3, box.height, box.width), np.uint8)
        for block in self._blocks(level):
            common = block & box
            if common.height > 0 < common.width:
                part = self._block(level, block)[(slice(None), *common.index(block))]
                pixels[(slice(None), *common.index(box))] = part
        return pixels

    def warm(self) -> None:
        """Begin to make, in the background, what the first look at the whole image needs."""
        level = max(KEPT, len(self._given))
        if level < len(self.shapes):
            for n in range(_THREADS):
                blocks = self._blocks(level)[n::_THREADS]
                Thread(target=self._make, args=(level, blocks), daemon=True).start()

    def _make(self, level: int, blocks: Sequence[Box]) -> None:
        with suppress(Exception):  # whoever asks for the pixels will meet it and say so
            for block in blocks:
                self._block(level, block)

    def _halve(self, level: int, box: Box) -> Pixels:
        return halved(partial(self.read, level - 1), self.shapes[level - 1])(box)

    def _blocks(self, level: int) -> list[Box]:
        height, width = self.shapes[level]
        return list(cut(Box(0, height, 0, width), _BLOCK))

    def _block(self, level: int, block: Box) -> Pixels:
        """A kept block; whoever comes first makes it, the others wait."""
        key = level, block
        with self._locks.setdefault(key, Lock()):
            if key not in self._kept:
                pixels = np.empty((3, block.height, block.width), np.uint8)
                for part in cut(block, _PART):
                    pixels[(slice(None), *part.index(block))] = self._halve(level, part)
                self._kept[key] = pixels
            return self._kept[key]


def to_bytes(pixels: Pixels) -> Pixels:
    """uint16 as uint8, rounded; uint8 as it is."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
