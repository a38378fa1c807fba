"""The meaning of TIFF samples: from what the decoder returns to sRGB."""

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC, TiffPage

from tilestyle.errors import UserError
from tilestyle.images.color import Pixels, check_profile, pick_profile, to_srgb

Samples: TypeAlias = NDArray[Any]
"""(rows, width, samples) as stored: bool, uint8, uint16, float16 or float32."""

_CHANNELS = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.YCBCR: 3,  # decoded to RGB together with the JPEG data
    PHOTOMETRIC.SEPARATED: 4,
}
_UINT, _FLOAT = 1, 3
_ASSOCIATED = 1


@dataclass(frozen=True)
class TiffPixels:
    """How the samples of one TIFF page become sRGB.

    Attributes:
        name: The file name, for messages.
        channels: Leading samples of a pixel that carry its colour: 1, 3 or 4.
        dtype: uint8 for up to 8 bits a sample, else uint16.
        top: Largest stored value; 1 for floating point.
        table: (top + 1,) or (top + 1, 3) colours by stored value, of `dtype`; None if the
            stored values are the colours.
        inverted: Stored floating point numbers count from white.
        premultiplied: The first extra sample is alpha, and the colours were multiplied by it.
        profile: ICC profile of the colours; None for sRGB.
    """

    name: str
    channels: int
    dtype: np.dtype[Any]
    top: int
    table: Pixels | None
    inverted: bool
    premultiplied: bool
    profile: bytes | None

    def to_srgb(self, samples: Samples) -> Pixels:
        """Convert (rows, width, samples) as stored to contiguous (3, rows, width) sRGB.

        Raises:
            UserError: Floating point samples are not finite (TIFF_SAMPLE).
        """
        color = samples[..., : self.channels]
        alpha = samples[..., self.channels, None] if self.premultiplied else None
        if samples.dtype.kind == "f":
            pixels = self._from_float(color, alpha)
        else:
            pixels = self._from_integer(color, alpha)
        pixels = to_srgb(pixels, self.profile, name=self.name)
        planes = np.moveaxis(pixels, -1, 0)
        return np.ascontiguousarray(np.broadcast_to(planes, (3, *planes.shape[1:])))

    def _from_integer(self, color: Samples, alpha: Samples | None) -> Pixels:
        if alpha is not None:
            # The largest product, 65535 * 65535 + 65535 / 2, still fits in 32 bits.
            divisor = np.maximum(alpha, 1).astype(np.uint32)
            straight = (color * np.uint32(self.top) + divisor // 2) // divisor
            color = np.minimum(straight, self.top).astype(self.dtype)
        if self.table is None:
            return color
        looked_up = self.table[color.astype(np.uint16, copy=False)]
        return looked_up[..., 0, :] if self.table.ndim == 2 else looked_up

    def _from_float(self, color: Samples, alpha: Samples | None) -> Pixels:
        light = color.astype(np.float32)
        if not np.isfinite(light).all():
            raise UserError(
                f"TIFF_SAMPLE: {self.name}: some samples are NaN or infinite; replace them"
            )
        if alpha is not None:
            opacity = alpha.astype(np.float32)
            light /= np.where(opacity > 0, opacity, 1)
        np.clip(light, 0, 1, out=light)
        if self.inverted:
            np.subtract(1, light, out=light)
        return np.rint(light * np.iinfo(self.dtype).max).astype(np.uint16)


def tiff_pixels(page: TiffPage, profile: bytes | None, *, name: str) -> TiffPixels:
    """Read the colour tags of a page.

    Args:
        page: A parsed page whose file is open.
        profile: ICC profile to assume where the file embeds none.
        name: The file name, for messages.

    Returns:
        The conversion of its samples.

    Raises:
        UserError: The page stores colours or samples that are not supported
            (TIFF_PHOTOMETRIC, TIFF_SAMPLE, TIFF_INKS), it is CMYK without a profile
            (CMYK_NO_PROFILE), or its tags contradict each other (TIFF_CORRUPT).
    """
    _check_samples(page, name)
    channels = _channels(page, name)
    bits = page.bitspersample
    is_float = page.sampleformat == _FLOAT
    dtype = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    top = 1 if is_float else 2**bits - 1
    is_palette = page.photometric == PHOTOMETRIC.PALETTE
    inverted = page.photometric == PHOTOMETRIC.MINISWHITE
    table = None
    if is_palette:
        table = _palette(page, dtype, name)
    elif not is_float and (inverted or bits not in (8, 16)):
        table = _ramp(top, dtype, inverted)
    chosen = pick_profile(page.iccprofile, profile, 3 if is_palette else channels)
    if chosen is not None:
        check_profile(chosen, 3 if is_palette else channels, name=name)
    elif channels == 4:
        raise UserError(
            f"CMYK_NO_PROFILE: {name}: a CMYK image without an ICC profile has no defined"
            " colours; embed the profile of its inks or convert it to RGB"
        )
    return TiffPixels(
        name=name,
        channels=channels,
        dtype=dtype,
        top=top,
        table=table,
        inverted=inverted,
        premultiplied=not is_palette
        and page.samplesperpixel > channels
        and page.extrasamples[:1] == (_ASSOCIATED,),
        profile=chosen,
    )


def _check_samples(page: TiffPage, name: str) -> None:
    bits, kind = page.bitspersample, page.sampleformat
    known = (kind == _UINT and bits in range(1, 17)) or (kind == _FLOAT and bits in (16, 32))
    if not known:
        raise UserError(
            f"TIFF_SAMPLE: {name}: samples of {bits} bits in format {kind} are not supported;"
            " save the image with 8 or 16 bits a channel"
        )


def _channels(page: TiffPage, name: str) -> int:
    photometric, inks = page.photometric, page.tags.valueof(334, 4)
    channels = _CHANNELS.get(photometric)
    coded = page.compression == COMPRESSION.JPEG and page.planarconfig == 1
    if channels is None or (photometric == PHOTOMETRIC.YCBCR and not coded):
        raise UserError(
            f"TIFF_PHOTOMETRIC: {name}: the colour space {_label(photometric)} is not supported;"
            " convert the image to RGB"
        )
    if photometric == PHOTOMETRIC.SEPARATED and inks != 4:
        raise UserError(
            f"TIFF_INKS: {name}: an image of {inks} inks is not supported; convert it to RGB"
        )
    if page.samplesperpixel < channels:
        raise UserError(
            f"TIFF_CORRUPT: {name}: {_label(photometric)} with {page.samplesperpixel} samples a"
            " pixel; export the image again"
        )
    return channels


def _palette(page: TiffPage, dtype: np.dtype[Any], name: str) -> Pixels:
    colors = page.colormap
    if colors is None or np.shape(colors) != (3, 2**page.bitspersample):
        raise UserError(
            f"TIFF_CORRUPT: {name}: the colour map of the palette is missing or has the wrong"
            " size; export the image again"
        )
    # Colour maps are of 16 bits; some writers store 8 bits in the low byte.
    is_low = int(colors.max()) < 256
    shift = 0 if is_low or dtype == np.uint16 else 8
    return np.ascontiguousarray((colors.T >> shift).astype(dtype))


def _ramp(top: int, dtype: np.dtype[Any], inverted: bool) -> Pixels:
    ramp = np.rint(np.linspace(0, np.iinfo(dtype).max, top + 1)).astype(dtype)
    return cast(Pixels, ramp[::-1].copy() if inverted else ramp)


def _label(photometric: Any) -> str:
    return str(getattr(photometric, "name", photometric))
