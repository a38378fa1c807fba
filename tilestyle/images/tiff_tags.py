"""The tags of a TIFF that is written, besides those of its layout."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from tilestyle.images.metadata import Metadata, Resolution

_CMYK_INKS = 1
_ASCII, _BYTE, _SHORT, _UNDEFINED = 2, 1, 3, 7
_TEXTS = {"description": 270, "document": 269, "artist": 315, "copyright": 33432}
_XMP, _IPTC, _INK_SET, _ORIENTATION = 700, 33723, 332, 274
_UNITS = {"inch": "inch", "cm": "centimeter", "none": "none"}
_NOTHING = Metadata()

Tag: TypeAlias = tuple[int, int, int, Any, bool]
"""An extra tag as tifffile takes it: code, type, count, value, first page only."""


@dataclass(frozen=True)
class Tags:
    """What a TIFF says of its pixels and of itself.

    Attributes:
        profile: ICC profile of the colours.
        resolution: Pixels of an inch or centimetre.
        software: What wrote it, ASCII.
        metadata: Goes into the file as it is, but for its resolution.
    """

    profile: bytes
    resolution: Resolution
    software: str
    metadata: Metadata = _NOTHING

    def options(self, level: int, colors: int) -> dict[str, Any]:
        """Arguments of `tifffile.TiffWriter.write` for a page.

        Args:
            level: Of the pyramid; 0 is the image itself, which alone has metadata.
            colors: 3 (RGB) or 4 (CMYK).
        """
        resolution = self.resolution.halved(level)
        x, y = resolution.x, resolution.y
        ink_set = [(_INK_SET, _SHORT, 1, _CMYK_INKS, True)] if colors == 4 else []
        return {
            "software": False if level else self.software,
            "datetime": None if level else self.metadata.date or None,
            "iccprofile": self.profile,
            "extratags": ink_set if level else [*ink_set, *self._texts(), *self._blobs()],
            "resolution": ((x.numerator, x.denominator), (y.numerator, y.denominator)),
            "resolutionunit": _UNITS[resolution.unit],
        }

    def _texts(self) -> Iterator[Tag]:
        yield _ORIENTATION, _SHORT, 1, 1, True
        for name, code in _TEXTS.items():
            if text := getattr(self.metadata, name):
                # bytes, because text may be other than ASCII, as in many files
                data = text.encode() + b"\0"
                yield code, _ASCII, len(data), data, True

    def _blobs(self) -> Iterator[Tag]:
        if xmp := self.metadata.xmp:
            yield _XMP, _BYTE, len(xmp), xmp, True
        if iptc := self.metadata.iptc:
            yield _IPTC, _UNDEFINED, len(iptc), iptc, True
