"""What the tags of a TIFF page tell of the picture."""

import logging
from fractions import Fraction
from typing import BinaryIO

from tifffile import TiffPage

from tilestyle.images.metadata import Metadata, Resolution, Unit

LOG = logging.getLogger(__name__)

_TEXTS = {"description": 270, "document": 269, "artist": 315, "copyright": 33432, "date": 306}
_XMP, _IPTC = 700, 33723
_X_RESOLUTION, _Y_RESOLUTION = 282, 283
_UNITS: dict[int, Unit] = {1: "none", 2: "inch", 3: "cm"}
_MOST_BYTES = 16 << 20
_DATE_LENGTH = 19


def read_metadata(page: TiffPage, file: BinaryIO, *, swapped: bool, name: str) -> Metadata:
    """Read what goes along to the result; what is damaged is left out.

    Args:
        page: A parsed page.
        file: Its file, open.
        swapped: Stored rows are upright columns.
        name: The file name, for remarks.
    """
    texts = {field: _text(_raw(page, file, code, name)) for field, code in _TEXTS.items()}
    if len(texts["date"]) != _DATE_LENGTH or texts["date"][16] != ":":
        texts["date"] = ""
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


def _text(data: bytes) -> str:
    data = data.rstrip(b"\0 ")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


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
