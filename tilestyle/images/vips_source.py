"""JPEG, PNG, WebP and the other formats of libvips, except TIFF."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from tilestyle.config import Input
from tilestyle.errors import UserError
from tilestyle.images.alpha import Filler
from tilestyle.images.bands import rebanded
from tilestyle.images.color import Pixels, pick_profile, srgb_profile, transform
from tilestyle.images.exif import exif_texts
from tilestyle.images.fingerprint import Stamp
from tilestyle.images.limits import check_size, check_whole
from tilestyle.images.metadata import Metadata, text_of

_MM_PER_INCH = 25.4
# What libvips reports, in pixels per mm, for files that tell no resolution.
_NO_RESOLUTION = (1.0, 2.834, 72 / _MM_PER_INCH)
# After each crop libvips empties its buffers of 8 or 16 lines, and a stream cannot go back to
# what was in them.
_BUFFER_ROWS = 128
# libvips reads drawings and tables of text, too.
_KNOWN = ("jpegload", "uhdrload", "pngload", "spngload", "webpload", "gifload", "heifload")
# Loaders that hand over lines as they read them, unless the image is interlaced.
_STREAMED = ("jpegload", "pngload", "spngload")
_INTEGERS = ("uchar", "ushort")
_COLORS = 3
_DESCRIPTION, _ARTIST, _COPYRIGHT = 270, 315, 33432


class VipsSource:
    """An image decoded by libvips, upright, in sRGB; where it is transparent, see `Filler`.

    Bands stream from the file, except where rows come out of order: an image that EXIF turns or
    flips upside down is decoded once to memory or, above 100 MB, to a temporary file; libvips
    also holds progressive JPEG, interlaced PNG, WebP, GIF and HEIF whole.

    Args:
        path: The file.
        options: How images are read.

    Raises:
        UserError: The file is not an image, too large, damaged, or its profile does not do
            (CMYK_NO_PROFILE, ICC_INVALID, ICC_MISMATCH).
    """

    def __init__(self, path: Path, options: Input) -> None:
        self.name = path.name
        self._path = path
        self._stamp = Stamp.of(path)
        self._options = options
        self.profile = srgb_profile()
        try:
            raw = self._load("sequential")
            self._check(raw)
            self._turn = raw.get("orientation") if raw.get_typeof("orientation") else 1
            image = self._upright()
        except pyvips.Error as error:
            raise self._unreadable(error) from error
        self.width: int = image.width
        self.height: int = image.height
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if image.format == "uchar" else np.uint16)
        self.alpha = self._opacity if image.bands > _COLORS else None
        self.dpi = _dpi(raw, "yres" if self._turn >= 5 else "xres")
        self.metadata = _metadata(raw)

    def rows(self, step: int) -> Iterator[Pixels]:
        """Bands of `step` rows; see `Source.rows`."""
        return rebanded(self._colors(step), step)

    def _colors(self, step: int) -> Iterator[Pixels]:
        fill = Filler()
        for band in self._chunks(step):
            color = band[:_COLORS]
            yield color if self.alpha is None else fill(color, band[_COLORS:])

    def _opacity(self, step: int) -> Iterator[Pixels]:
        return rebanded((band[_COLORS:] for band in self._chunks(step)), step)

    def _chunks(self, step: int) -> Iterator[Pixels]:
        """Bands that end where the buffers of libvips do, about `step` rows high, with alpha."""
        chunk = _BUFFER_ROWS * max(1, step // _BUFFER_ROWS)
        self._stamp.check()
        try:
            image = self._upright()
            for top in range(0, self.height, chunk):
                band = image.crop(0, top, self.width, min(chunk, self.height - top)).numpy()
                yield np.ascontiguousarray(np.moveaxis(band, -1, 0))
        except pyvips.Error as error:
            raise self._unreadable(error) from error
        self._stamp.check()

    def _check(self, image: Any) -> None:
        loader = image.get("vips-loader")
        if not loader.startswith(_KNOWN):
            raise self._unknown()
        check_size(image.width, image.height, self._options, name=self.name)
        if not loader.startswith(_STREAMED) or image.get_typeof("interlaced"):
            # libjpeg holds a progressive image as coefficients of two bytes.
            check_whole(2 * image.width * image.height * image.bands, name=self.name)

    def _load(self, access: str) -> Any:
        # A source, because a bare path could end in "[options]".
        source = pyvips.Source.new_from_file(os.fsencode(self._path))
        return pyvips.Image.new_from_source(source, "", access=access, fail_on="error")

    def _upright(self) -> Any:
        # Orientations 1 and 2 keep the order of the rows.
        image = self._load("sequential" if self._turn <= 2 else "random")
        return self._to_srgb(_spread(image.autorot()))

    def _to_srgb(self, image: Any) -> Any:
        embedded = None
        if image.get_typeof("icc-profile-data"):
            embedded = image.get("icc-profile-data")
        if not image.hasalpha():
            return self._converted(image, embedded)
        color = self._converted(image.extract_band(0, n=image.bands - 1), embedded)
        return color.bandjoin(image[image.bands - 1].cast(color.format))

    def _converted(self, image: Any, embedded: bytes | None) -> Any:
        if image.format in _INTEGERS and image.bands in (1, 3, 4):
            profile = pick_profile(embedded, image.bands, self._options, name=self.name)
            if profile and image.bands == 3 and self._options.working_space == "preserve":
                self.profile = profile
                return image
            if profile is not None:
                image = transform(image, profile, name=self.name, intent=self._options.intent)
        return image.colourspace("srgb" if image.format == "uchar" else "rgb16")

    def _unknown(self) -> UserError:
        return UserError(
            f"{self.name}: not an image in a known format; use TIFF, JPEG, PNG or WebP"
        )

    def _unreadable(self, error: pyvips.Error) -> UserError:
        if "not in a known format" in str(error):
            return self._unknown()
        reason = "; ".join(dict.fromkeys(str(error).split("\n")[1:])).strip(" ;")
        return UserError(
            f"{self.name}: the image is damaged or truncated"
            + (f" ({' '.join(reason.split())})" if reason else "")
            + "; copy or export it again"
        )


def _spread(image: Any) -> Any:
    """Samples of HEIF's 10 bits over the whole range of 16: libvips leaves the lower bits 0."""
    if image.format != "ushort" or not image.get("vips-loader").startswith("heif"):
        return image
    empty = 16 - image.get("bits-per-sample")
    return (image * (0xFFFF / (0xFFFF >> empty << empty))).rint().cast("ushort")


def _dpi(image: Any, field: str) -> float | None:
    density = float(image.get(field))
    told = image.get_typeof("resolution-unit") and density != 1.0
    return density * _MM_PER_INCH if told or density not in _NO_RESOLUTION else None


def _metadata(image: Any) -> Metadata:
    """What the blocks of a JPEG, PNG or WebP tell."""

    def blob(field: str) -> bytes:
        return bytes(image.get(field)) if image.get_typeof(field) else b""

    found = exif_texts(blob("exif-data"))
    description, artist, notice = (
        text_of(found.get(code, b"")) for code in (_DESCRIPTION, _ARTIST, _COPYRIGHT)
    )
    return Metadata(
        description=description,
        artist=artist,
        copyright=notice,
        xmp=blob("xmp-data"),
        iptc=blob("iptc-data"),
    )
