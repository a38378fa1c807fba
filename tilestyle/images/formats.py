"""The format of an output: its name tells it."""

from pathlib import Path
from typing import Literal, TypeAlias

from tilestyle.errors import UserError
from tilestyle.images.deepzoom import check_tiles
from tilestyle.images.ome_zarr import check_folder

Format: TypeAlias = Literal["tiff", "ome-zarr", "deepzoom"]

SUFFIXES: dict[str, Format] = {
    ".tif": "tiff",
    ".tiff": "tiff",
    ".ome.zarr": "ome-zarr",
    ".dzi": "deepzoom",
}


def output_format(path: Path) -> Format:
    """The format of an output.

    Raises:
        UserError: Its name does not end in one of `SUFFIXES`.
    """
    if suffix := _suffix(path):
        return SUFFIXES[suffix]
    raise UserError(f"{path}: let its name end in .tif, .ome.zarr or .dzi (deep zoom)")


def check_replaceable(path: Path) -> None:
    """Refuse to write an output in the place of something else.

    Raises:
        UserError: Its name tells no format, or it is taken by what is no output of that format.
    """
    kind = output_format(path)
    if kind == "ome-zarr":
        check_folder(path)
    elif path.is_dir():
        raise UserError(f"{path}: is a folder; give the name of a file")
    elif kind == "deepzoom":
        check_tiles(path)


def without_suffix(path: Path) -> Path:
    """The path without the suffix that tells its format, if it has one."""
    return path.with_name(path.name[: len(path.name) - len(_suffix(path))])


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return next((s for s in SUFFIXES if name.endswith(s) and name != s), "")
