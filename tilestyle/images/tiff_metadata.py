"""What the tags of a TIFF page tell of the picture."""

import logging
from fractions import Fraction
from typing import BinaryIO

from tifffile import TiffPage

from tilestyle.images.metadata import Metadata, Resolution, Unit, text_of

LOG = logging.getLogger(__name__)

_TEXTS = {"description": 270, "document": 269, "artist": 315, "copyright": 33432, "date": 306}
_XMP, _IPTC = 700, 33723
_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_UNITS: dict[int, Unit] = {1: "none", 2: "inch", 3: "cm"}
_MOST_BYTES = 16 << 20
_DATE_LENGTH = 19
# How descriptions begin and end that tell programs how a file is laid out: wrong of any other file.
_LAYOUTS = "ImageJ=", "SCIFIO=", '{"shape":', "shape=", "Aperio "
_LAYOUT_ENDS = "OME>", "</scn>"


def read_metadata(page: TiffPage, file: BinaryIO, *, swapped: bool, name: str) -> Metadata:
    """Read what goes along to the result; what is damaged is left out.

    Args:
        page: A parsed page.
        file: Its file, open.
        swapped: Stored rows are upright columns.
        name: The file name, for remarks.
    """
    texts = {field: text_of(_raw(page, file, code, name)) for field, code in _TEXTS.items()}
    if not _is_date(texts["date"]):
        texts["date"] = ""
    description = texts["description"]
    if description.startswith(_LAYOUTS) or description.rstrip().endswith(_LAYOUT_ENDS):
        texts["description"] = ""
    return Metadata(
        **texts,
        xmp=_raw(page, file, _XMP, name),
        iptc=_raw(page, file, _IPTC, name),
        resolution=_resolution(page, swapped),
    )


def _raw(page: TiffPage, file: BinaryIO, code: int, name: str) -> bytes:
    """The bytes of a tag as they are in the file: an IPTC record may be listed as integers."""
    tag = page.tags.get(code)
    if tag is None:
        return b""
    if tag.valuebytecount > _MOST_BYTES:
        LOG.warning("%s: its tag %d of %d bytes is left out", name, code, tag.valuebytecount)
        return b""
    file.seek(tag.valueoffset)
    return file.read(tag.valuebytecount)


def _is_date(text: str) -> bool:
    return len(text) == _DATE_LENGTH and text[16] == ":" and text.isascii()


def _resolution(page: TiffPage, swapped: bool) -> Resolution | None:
    x, y = (_rational(page, code) for code in (_X_RESOLUTION, _Y_RESOLUTION))
    unit = _UNITS.get(page.resolutionunit)
    if not x or not y or unit is None:
        return None
    return Resolution(y, x, unit) if swapped else Resolution(x, y, unit)


def _rational(page: TiffPage, code: int) -> Fraction | None:
    value = page.tags.valueof(code)
    if not isinstance(value, tuple) or len(value) != 2 or min(value) <= 0:
        return None
    return Fraction(*value)
