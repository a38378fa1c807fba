"""Soft proof: what a picture will look like in print, and how much of it the inks cannot show."""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from tilestyle.config import Input, Output
from tilestyle.errors import UserError
from tilestyle.export import SOFTWARE
from tilestyle.images import Source, Tags, open_source, plan_layout, srgb_profile, write_tiff
from tilestyle.images.color import Intent, Pixels
from tilestyle.images.metadata import Resolution
from tilestyle.images.output_profile import load_profile
from tilestyle.images.partial import partial_file, sync

_ROWS = 256
_DEPTH = 16
_DPI = 300.0


@dataclass(frozen=True)
class Press:
    """How a picture is printed, and looked at.

    Attributes:
        profile: The ICC file of the press, RGB or CMYK.
        intent: Of the conversion to it.
        black_point: Compensate the black point of that conversion.
        paper: Show the paper's own white and the ink's own black.
        tolerance: CIEDE2000 from which on a colour counts as out of gamut.
    """

    profile: Path
    intent: Intent = "relative"
    black_point: bool = True
    paper: bool = False
    tolerance: float = 3.0


def proof(picture: Path, output: Path, press: Press) -> float:
    """Write a preview in sRGB, 8 bits, and count what is out of gamut; streams any size.

    Args:
        picture: The file that is to be printed; its alpha is not looked at.
        output: NAME.tif or NAME.png.
        press: Where it is printed.

    Returns:
        The percentage of pixels whose colour, converted to the press and back relative to the
        paper's white and without compensation, differs by more than the tolerance.

    Raises:
        UserError: A file does not do, or the output cannot be written.
    """
    if output.suffix.lower() not in (".tif", ".tiff", ".png"):
        raise UserError(f"{output}: let the name of a preview end in .tif or .png")
    load_profile(str(press.profile), "--profile")
    # its own colours, also those that sRGB does not have
    source = open_source(picture, Input(working_space="preserve"))
    counted = _Counted(source, press)
    if output.suffix.lower() == ".png":
        _write_png(output, counted)
    else:
        _write_tiff(output, counted)
    return 100 * counted.beyond / (source.width * source.height)


class _Counted:
    """The preview, band by band; counts on the way."""

    def __init__(self, source: Source, press: Press) -> None:
        self.source, self._press = source, press
        self.beyond = 0

    def bands(self) -> Iterator[Pixels]:
        """(3, rows, width) uint8 sRGB bands."""
        self.beyond = 0
        for band in self.source.rows(_ROWS):
            preview, beyond = _proofed(band, self.source.profile, self._press)
            self.beyond += beyond
            yield preview


def _proofed(band: Pixels, profile: bytes, press: Press) -> tuple[Pixels, int]:
    """A band as printed, and how many of its pixels are out of gamut."""
    name = str(press.profile)
    lab = _to_lab(band, profile)
    matched = {"intent": "relative", "black_point_compensation": False}
    nearest = lab.icc_export(output_profile=name, depth=_DEPTH, **matched)
    nearest = nearest.icc_import(input_profile=name, **matched)
    beyond = lab.dE00(nearest) > press.tolerance
    printed = lab.icc_export(
        output_profile=name,
        depth=_DEPTH,
        intent=press.intent,
        black_point_compensation=press.black_point,
    )
    shown = {
        "intent": "absolute" if press.paper else "relative",
        "black_point_compensation": not press.paper,
    }
    seen = printed.icc_import(input_profile=name, **shown)
    seen = seen.icc_export(output_profile="srgb", depth=8, **shown)
    preview = np.ascontiguousarray(np.moveaxis(seen.numpy(), -1, 0))
    return preview, int(np.count_nonzero(beyond.numpy()))


def _to_lab(band: Pixels, profile: bytes) -> Any:
    """A lazy pyvips image of L*a*b* (D50)."""
    pixels = np.ascontiguousarray(np.moveaxis(band, 0, -1))
    interpretation = "srgb" if band.dtype == np.uint8 else "rgb16"
    image = pyvips.Image.new_from_array(pixels).copy(interpretation=interpretation)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image.icc_import(embedded=True, intent="relative", black_point_compensation=False)


def _write_tiff(output: Path, counted: _Counted) -> None:
    source = counted.source
    layout = plan_layout((source.height, source.width), Output(), dtype=np.dtype(np.uint8))
    resolution = source.metadata.resolution or Resolution.of_dpi(source.dpi or _DPI)
    write_tiff(output, counted.bands(), layout, Tags(srgb_profile(), resolution, SOFTWARE))


def _write_png(output: Path, counted: _Counted) -> None:
    """By way of a TIFF, which can be written band by band."""
    with partial_file(output) as partial:
        between = partial.with_name(f"{partial.name}.tif")
        try:
            _write_tiff(between, counted)
            _convert(between, partial)
            sync(partial)
        finally:
            between.unlink(missing_ok=True)


def _convert(tiff: Path, png: Path) -> None:
    """Write a PNG; what libvips says of a full disk is raised as the system would say it."""
    image = pyvips.Image.new_from_file(str(tiff), access="sequential")
    try:
        image.pngsave(str(png))
    except pyvips.Error as error:
        raise OSError(errno.ENOSPC, " ".join(str(error).split())) from error
