"""Zarr arrays, plain or those of OME-Zarr 0.4 and 0.5."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from tilestyle.config import Input
from tilestyle.errors import UserError
from tilestyle.images.bands import rebanded
from tilestyle.images.color import Pixels, as_uint16, srgb_profile
from tilestyle.images.limits import check_size, check_whole
from tilestyle.images.metadata import Metadata

LOG = logging.getLogger(__name__)

_PIECE = 1 << 22
_KINDS = {"uint8", "uint16", "float16", "float32", "float64"}


class ZarrSource:
    """A zarr array of RGB pixels, taken for sRGB: integers over their range, or 0 to 1.

    A plain array is (3, height, width) or (height, width, 3). Of an OME-Zarr image the finest
    level of the first multiscale is read; its axes other than c, y and x have to be of length 1.

    zarr stores no chunk that holds nothing but the fill value, so a chunk that is missing cannot
    be told from one that was never written.

    Args:
        path: The folder.
        options: How images are read.

    Raises:
        UserError: It is no such array.
    """

    alpha = None
    dpi = None
    metadata = Metadata()

    def __init__(self, path: Path, options: Input) -> None:
        self.name = path.name
        self._nan_to = options.nan_to
        self._clipped = 0
        self.profile = srgb_profile()
        try:
            node = zarr.open(str(path), mode="r")
            self._array, axes = _image(node)
            self._axes = self._find_axes(axes)
            self._check(options)
        except UserError:
            raise
        except Exception as error:  # hostile metadata raise anything
            raise self._refusal(f"it cannot be opened as zarr ({_one_line(error)})") from error
        self.height, self.width = (int(self._array.shape[axis]) for axis in self._axes[1:])
        self.dtype = np.dtype(np.uint8 if self._array.dtype == np.uint8 else np.uint16)

    def rows(self, step: int) -> Iterator[Pixels]:
        """Bands of `step` rows; see `Source.rows`."""
        return rebanded(self._pieces(), step)

    def _pieces(self) -> Iterator[Pixels]:
        chunk = self._array.chunks[self._axes[1]]
        high = chunk * max(1, _PIECE // (self.width * chunk))
        self._clipped = 0
        for top in range(0, self.height, high):
            window: list[int | slice] = [0] * self._array.ndim
            for axis in self._axes:
                window[axis] = slice(None)
            window[self._axes[1]] = slice(top, top + high)
            try:
                band = np.asarray(self._array[tuple(window)])
            except Exception as error:  # the codecs raise many types
                problem = f"a chunk of rows {top} to {top + high} cannot be read"
                raise self._refusal(f"{problem} ({_one_line(error)})") from error
            kept = sorted(self._axes)
            band = np.moveaxis(band, [kept.index(axis) for axis in self._axes], [0, 1, 2])
            pixels = band if band.dtype.kind == "u" else self._scaled(band)
            # Integers may be stored in the other byte order.
            yield np.ascontiguousarray(pixels.astype(self.dtype, copy=False))
        if self._clipped:
            LOG.warning("%s: %d samples outside 0 to 1 were clipped", self.name, self._clipped)

    def _scaled(self, band: Any) -> Pixels:
        light = band.astype(np.float32)
        bad = ~np.isfinite(light)
        if bad.any():
            if self._nan_to is None:
                count = np.count_nonzero(bad)
                problem = f"{count} samples of a part of it are NaN or infinite"
                raise UserError(f"{self.name}: {problem}; give a value for them with --nan-to")
            light[bad] = self._nan_to
        self._clipped += int(np.count_nonzero((light < 0) | (light > 1)))
        return as_uint16(np.clip(light, 0, 1))

    def _find_axes(self, axes: str | None) -> tuple[int, int, int]:
        """The places of c, y and x among the axes of the array."""
        shape = self._array.shape
        if axes is None:
            axes = "cyx" if len(shape) == 3 and shape[0] == 3 else "yxc"
        others = [n for n, name in enumerate(axes) if name not in "cyx"]
        if len(axes) != len(shape) or {*"cyx"} - {*axes} or shape[axes.index("c")] != 3:
            problem = f"an array of shape {shape} is no RGB image"
            raise self._refusal(problem, "give it the shape (3, height, width) or (h, w, 3)")
        if any(shape[n] != 1 for n in others):
            problem = f"it has several planes: axes {axes} of lengths {shape}"
            raise self._refusal(problem, "export one plane of it")
        return axes.index("c"), axes.index("y"), axes.index("x")

    def _check(self, options: Input) -> None:
        array = self._array
        height, width = (array.shape[axis] for axis in self._axes[1:])
        if min(height, width) < 1:
            raise self._refusal(f"its size is {width} x {height} pixels")
        check_size(width, height, options, name=self.name)
        if array.dtype.name not in _KINDS:
            problem = f"its samples are {array.dtype}"
            raise self._refusal(problem, "store uint8, uint16 or floating point of 0 to 1")
        row = int(np.prod([width if a == self._axes[2] else n for a, n in enumerate(array.chunks)]))
        check_whole(row * array.dtype.itemsize, name=self.name)

    def _refusal(self, problem: str, remedy: str = "write it again") -> UserError:
        return UserError(f"{self.name}: {problem}; {remedy}")


def _image(node: Any) -> tuple[Any, str | None]:
    """The array to read, and the names of its axes where it is OME-Zarr."""
    if isinstance(node, zarr.Array):
        return node, None
    attributes = node.attrs.asdict()
    scales = attributes.get("ome", attributes)["multiscales"][0]
    names = [axis if isinstance(axis, str) else axis["name"] for axis in scales["axes"]]
    return node[scales["datasets"][0]["path"]], "".join(name[:1].lower() for name in names)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
