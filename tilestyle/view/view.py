"""What can be looked at: a workspace, a deep zoom, an OME-Zarr or any image file."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from tilestyle import stages
from tilestyle.admm.grid import Axis, Box, Grid
from tilestyle.cluster.level import patch_grid
from tilestyle.config import Config
from tilestyle.errors import UserError
from tilestyle.images import open_source, write_deepzoom
from tilestyle.images.color import Pixels
from tilestyle.images.deepzoom import TILE
from tilestyle.images.levels import half_shapes
from tilestyle.report.events import Advanced, Listener, StageFinished, StageStarted
from tilestyle.store.workspace import Workspace, exists, read_box
from tilestyle.view.pictures import DeepZoom, LazyZoom, Picture, encode
from tilestyle.view.pyramid import Pyramid, to_bytes

_STYLE_SIDE = 640


@dataclass(frozen=True)
class View:
    """All that a page shows.

    Attributes:
        title: Name of what is shown.
        pictures: One, or content and result, which lies over it; names as in URLs.
        styles: Style images, small, as JPEG, by their file name.
        grid: Patches of the result.
    """

    title: str
    pictures: Mapping[str, Picture]
    styles: Mapping[str, bytes] = field(default_factory=dict)
    grid: Grid | None = None

    def description(self) -> dict[str, Any]:
        """What the page's script is told."""
        return {
            "title": self.title,
            "pictures": list(self.pictures),
            "styles": list(self.styles),
            "grid": self.grid
            and {"rows": _borders(self.grid.rows), "columns": _borders(self.grid.columns)},
        }


def _borders(axis: Axis) -> list[tuple[int, int, int]]:
    """Of each border between cores: where it is, and where the patches' overlap begins and ends."""
    return [
        (axis.core_span(k)[0], axis.span(k)[0], axis.span(k - 1)[1]) for k in range(1, axis.count)
    ]


@contextmanager
def open_view(target: Path, tell: Listener) -> Iterator[View]:
    """Open what is to be looked at.

    Args:
        target: A workspace, NAME.dzi, NAME.ome.zarr or an image file. The file is first made a
            deep zoom in a temporary folder, which is deleted at the end.
        tell: Is told how that goes.

    Raises:
        UserError: There is no such thing, or the run is not finished.
    """
    if target.is_dir():
        yield _view_folder(target)
    elif target.suffix.lower() == ".dzi":
        yield View(target.name, {"image": DeepZoom(target)})
    else:
        with tempfile.TemporaryDirectory(prefix="tilestyle-") as folder:
            path = Path(folder) / "image.dzi"
            _convert(target, path, tell)
            yield View(target.name, {"image": DeepZoom(path)})


def _convert(image: Path, path: Path, tell: Listener) -> None:
    """Make an image file a deep zoom, through the decoders that all images pass."""
    source = open_source(image)
    tell(StageStarted("view", source.width * source.height))

    def bands() -> Iterator[Pixels]:
        for band in source.rows(TILE):
            yield to_bytes(band)
            tell(Advanced(band.shape[1] * source.width))

    write_deepzoom(path, bands(), width=source.width, height=source.height)
    tell(StageFinished("view", 0))


def _view_folder(folder: Path) -> View:
    if not (folder / "zarr.json").is_file():
        raise UserError(f"{folder}: is neither a workspace nor an OME-Zarr")
    if exists(folder):
        return _view_workspace(Workspace.open(folder))
    return View(folder.name, {"image": LazyZoom(_ome_pyramid(folder))})


def _view_workspace(workspace: Workspace) -> View:
    if not workspace.finished("stylize"):
        raise UserError(f"{workspace.root}: stylize comes before view; run it first")
    record = workspace.record
    shape = _pair(record["shapes"][0])
    x = stages.result_array(workspace)
    pyramids = {
        "content": _stored(workspace, "content", record["shapes"]),
        "result": Pyramid(shape, [lambda box: stages.quantize(read_box(x, box), "uint8")]),
    }
    styles = {
        f"{name.replace('/', '-')}.jpeg": _thumbnail(_stored(workspace, name, shapes))
        for name, shapes in record["ladders"].items()
        if name.startswith("style/")
    }
    grid = patch_grid(shape, Config.model_validate(record["config"]).patch)
    return View(workspace.title, {name: LazyZoom(p) for name, p in pyramids.items()}, styles, grid)


def _stored(workspace: Workspace, image: str, shapes: list[list[int]]) -> Pyramid:
    """The Gaussian pyramid of an input, as the workspace keeps it."""
    arrays = [workspace.array(f"{image}/{level}") for level in range(len(shapes))]
    return Pyramid(_pair(shapes[0]), [partial(read_box, array) for array in arrays])


def _thumbnail(pyramid: Pyramid) -> bytes:
    level = next(n for n, shape in enumerate(pyramid.shapes) if max(shape) <= _STYLE_SIDE)
    height, width = pyramid.shapes[level]
    return encode(pyramid.read(level, Box(0, height, 0, width)))


def _ome_pyramid(folder: Path) -> Pyramid:
    """The levels of an OME-Zarr image, as far as they are halves rounded up.

    Raises:
        UserError: It is none, or none of three channels of integers.
    """
    try:
        group = zarr.open_group(folder, mode="r")
        attributes: dict[str, Any] = group.attrs.asdict()
        multiscale = attributes["ome"]["multiscales"][0]
        axes = [axis["name"] for axis in multiscale["axes"]]
        arrays: list[Any] = [group[dataset["path"]] for dataset in multiscale["datasets"]]
        shape, dtype = arrays[0].shape, arrays[0].dtype
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{folder}: is no OME-Zarr image of version 0.5") from error
    if axes != ["c", "y", "x"] or shape[0] != 3 or dtype not in (np.uint8, np.uint16):
        raise UserError(
            f"{folder}: cannot be shown: it is {dtype} {shape} with axes {', '.join(axes)}; "
            "it needs c, y, x and three channels of 8 or 16 bit integers"
        )
    halves = [(3, *half) for half in half_shapes(shape[1:], 1)]
    same = takewhile(lambda pair: pair[0].shape == pair[1], zip(arrays, halves, strict=False))
    return Pyramid(_pair(shape[1:]), [partial(read_box, array) for array, _ in same])


def _pair(shape: Any) -> tuple[int, int]:
    height, width = shape
    return int(height), int(width)
