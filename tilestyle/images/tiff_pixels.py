"""The meaning of TIFF samples: from what the decoder returns to RGB."""

from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from tifffile import PHOTOMETRIC, TiffPage

from tilestyle.config import Input
from tilestyle.errors import refusal
from tilestyle.images.alpha import straight
from tilestyle.images.color import (
    Light,
    Pixels,
    check_lab_profile,
    lab_to_srgb,
    light_to_srgb,
    pick_with_remark,
    srgb_profile,
    to_srgb,
)
from tilestyle.images.tiff_samples import Samples

Stored: TypeAlias = NDArray[Any]
"""(rows, width, samples) as stored: bool, uint8, uint16, float16 or float32."""


class TiffPixels:
    """How the samples of one TIFF page become RGB and alpha.

    Args:
        page: A parsed page whose file is open.
        samples: What its samples are.
        options: How images are read.
        name: The file name, for messages.

    Attributes:
        clipped: Floating point samples outside 0..1 that were met so far.
        dtype: uint8 for up to 8 bits a sample, else uint16; of colours and alpha.
        profile: ICC profile that the RGB numbers are in.

    Raises:
        UserError: Profile or colour map do not do (ICC_INVALID, ICC_MISMATCH, CMYK_NO_PROFILE,
            TIFF_CORRUPT).
    """

    def __init__(self, page: TiffPage, samples: Samples, options: Input, *, name: str) -> None:
        self._samples, self._options, self._name = samples, options, name
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if samples.bits <= 8 else np.uint16)
        self._top = 1 if samples.is_float else 2**samples.bits - 1
        self._table = _table(page, samples, self.dtype, name)
        self._ramp = None if samples.bits in (8, 16) else _ramp(self._top, self.dtype)
        self._conversion = _source_profile(page, samples, options, name)
        self.profile = srgb_profile()
        is_rgb = samples.channels == 3 or samples.is_palette
        if options.working_space == "preserve" and is_rgb and self._conversion:
            self.profile, self._conversion = self._conversion, None
        self.clipped = 0

    def to_rgb(self, stored: Stored) -> Pixels:
        """Convert (rows, width, samples) as stored to contiguous (3, rows, width) RGB.

        Raises:
            UserError: A floating point sample is not finite (TIFF_SAMPLE), or a place is not in
                the colour map (TIFF_CORRUPT).
        """
        samples = self._samples
        color = stored[..., : samples.channels]
        alpha = stored[..., samples.alpha, None] if samples.premultiplied else None
        profile, name, intent = self._conversion, self._name, self._options.intent
        if samples.is_lab:
            pixels = lab_to_srgb(self._from_lab(color, alpha), self.dtype, intent=intent)
        elif samples.is_float:
            light = self._from_float(color, alpha)
            pixels = light_to_srgb(light, profile, name=name, intent=intent)
        else:
            integers = self._from_integer(color, alpha)
            pixels = to_srgb(integers, profile, name=name, intent=intent)
        planes = np.moveaxis(pixels, -1, 0)
        return np.ascontiguousarray(np.broadcast_to(planes, (3, *planes.shape[1:])))

    def to_alpha(self, stored: Stored) -> Pixels:
        """The opacity of (rows, width, samples) as stored: (1, rows, width), its top is opaque."""
        alpha = stored[..., self._samples.alpha]
        if self._samples.is_float:
            light = np.clip(np.nan_to_num(alpha.astype(np.float32)), 0, 1)
            alpha = np.rint(light * np.iinfo(self.dtype).max).astype(self.dtype)
        elif self._ramp is not None:
            alpha = self._ramp[alpha.astype(np.uint16)]
        return np.ascontiguousarray(alpha[None])

    def _from_integer(self, color: Stored, alpha: Stored | None) -> Pixels:
        if self._table is not None:
            places = color[..., 0].astype(np.uint16, copy=False)
            if places.size and places.max() >= len(self._table):
                problem = f"a pixel is of colour {places.max()}, the map has {len(self._table)}"
                raise refusal("TIFF_CORRUPT", self._name, problem, "export the image again")
            return self._table[places]
        if alpha is not None:
            color = self._straight(color, alpha)
        if self._ramp is not None:
            color = self._ramp[color.astype(np.uint16, copy=False)]
        return np.iinfo(self.dtype).max - color if self._samples.is_inverted else color

    def _straight(self, color: Stored, alpha: Stored) -> Stored:
        top = np.float32(self._top)
        light = straight(color / top, alpha / top)
        return cast(Stored, np.rint(light * top).astype(color.dtype))

    def _from_float(self, color: Stored, alpha: Stored | None) -> Light:
        light = self._finite(color.astype(np.float32))
        if alpha is not None:
            light = straight(light, self._finite(alpha.astype(np.float32)))
        self.clipped += int(np.count_nonzero((light < 0) | (light > 1)))
        np.clip(light, 0, 1, out=light)
        return np.subtract(1, light, out=light) if self._samples.is_inverted else light

    def _finite(self, light: Light) -> Light:
        bad = ~np.isfinite(light)
        count = int(np.count_nonzero(bad))
        if not count:
            return light
        if self._options.nan_to is None:
            problem = f"{count} samples of a part of it are NaN or infinite"
            raise refusal("TIFF_SAMPLE", self._name, problem, "give a value for them with --nan-to")
        light[bad] = self._options.nan_to
        return light

    def _from_lab(self, color: Stored, alpha: Stored | None) -> Light:
        lab = _lab(color, self._samples.photometric)
        if alpha is not None:
            lab /= np.maximum(alpha / np.float32(self._top), np.float32(1 / self._top))
        return lab


def _source_profile(page: TiffPage, samples: Samples, options: Input, name: str) -> bytes | None:
    """The profile to convert from; None where the numbers are sRGB, or Lab."""
    embedded = page.iccprofile
    if samples.is_lab:
        if embedded and not options.ignore_profile:
            check_lab_profile(embedded, name=name)
        return None
    channels = 3 if samples.is_palette else samples.channels
    return pick_with_remark(embedded, channels, options, name=name)


def _table(page: TiffPage, samples: Samples, dtype: np.dtype[Any], name: str) -> Pixels | None:
    """The colours of a palette, (n, 3)."""
    if not samples.is_palette:
        return None
    colors = page.colormap
    if colors is None or np.ndim(colors) != 2 or np.shape(colors)[0] != 3:
        problem = "the colour map of the palette is missing or damaged"
        raise refusal("TIFF_CORRUPT", name, problem, "export the image again")
    # Colour maps are of 16 bits; some writers store 8 bits in the low byte.
    is_low = int(np.max(colors, initial=0)) < 256
    wide = colors.T.astype(np.uint32) * (257 if is_low else 1)
    return np.ascontiguousarray(wide >> (8 if dtype == np.uint8 else 0)).astype(dtype)


def _ramp(top: int, dtype: np.dtype[Any]) -> Pixels:
    """Values 0 to `top`, spread over the whole range of `dtype`."""
    return cast(Pixels, np.rint(np.linspace(0, np.iinfo(dtype).max, top + 1)).astype(dtype))


def _lab(stored: Stored, photometric: PHOTOMETRIC) -> Light:
    """L* in 0..100, a* and b* of either TIFF encoding, 8 or 16 bits."""
    unit = 1 if stored.dtype == np.uint8 else 256
    white = 255 * unit if unit > 1 and photometric == PHOTOMETRIC.ICCLAB else 256 * unit - 1
    lab = np.empty(stored.shape, np.float32)
    lab[..., 0] = stored[..., 0] * np.float32(100 / white)
    chroma = stored[..., 1:]
    if photometric == PHOTOMETRIC.CIELAB:
        signed: Stored = chroma.view(np.int8 if unit == 1 else np.int16)
        lab[..., 1:] = signed / np.float32(unit)
    else:
        lab[..., 1:] = chroma / np.float32(unit) - 128
    return lab
