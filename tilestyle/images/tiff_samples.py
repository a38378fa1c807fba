"""What the samples of a TIFF page are: how many, how deep, which of them are colour and alpha."""

from dataclasses import dataclass
from typing import Any

from tifffile import COMPRESSION, PHOTOMETRIC, SAMPLEFORMAT, TiffPage

from tilestyle.errors import UserError, refusal

_CHANNELS = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.YCBCR: 3,  # decoded to RGB together with the JPEG data
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.CIELAB: 3,
    PHOTOMETRIC.ICCLAB: 3,
}
_LAB = {PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB}
_FAX = {COMPRESSION.CCITTRLE, COMPRESSION.CCITTFAX3, COMPRESSION.CCITTFAX4}
_UINT_BITS, _FLOAT_BITS = {1, 2, 4, 8, 10, 12, 14, 16}, {16, 32}
_UNDEFINED = 4  # a sample format that means: as if there were none
_ASSOCIATED, _UNASSOCIATED = 1, 2
_BITS, _PHOTOMETRIC, _INK_SET, _INKS, _EXTRA, _FORMAT = 258, 262, 332, 334, 338, 339
_CMYK_INK_SET, _CMYK_INKS = 1, 4


@dataclass(frozen=True)
class Samples:
    """The samples of a page.

    Attributes:
        photometric: Their meaning.
        channels: Leading samples of a pixel that carry its colour: 1, 3 or 4.
        alpha: The sample that is its opacity; None if none is.
        premultiplied: The colours were multiplied by it.
        bits: Of one sample.
        is_float: They are floating point, black 0 and white 1; else unsigned integers.
        dropped: Extra samples that are neither.
    """

    photometric: PHOTOMETRIC
    channels: int
    alpha: int | None
    premultiplied: bool
    bits: int
    is_float: bool
    dropped: int

    @property
    def is_lab(self) -> bool:
        """Colours are CIE L*a*b*."""
        return self.photometric in _LAB

    @property
    def is_palette(self) -> bool:
        """Colours are in a table, samples are places in it."""
        return bool(self.photometric == PHOTOMETRIC.PALETTE)

    @property
    def is_inverted(self) -> bool:
        """Samples count from white."""
        return bool(self.photometric == PHOTOMETRIC.MINISWHITE)


def read_samples(page: TiffPage, *, name: str) -> Samples:
    """Read the tags that say what the samples are.

    Args:
        page: A parsed page.
        name: The name of the file, for messages.

    Raises:
        UserError: Colours or samples are not supported (TIFF_PHOTOMETRIC, TIFF_INKS,
            TIFF_SAMPLE, TIFF_LAYOUT), or the tags contradict each other (TIFF_CORRUPT).
    """
    photometric = _photometric(page, name)
    channels = _CHANNELS[photometric]
    is_float = _check_format(page, photometric, name)
    extras = page.samplesperpixel - channels
    if extras < 0:
        problem = f"{photometric.name} with {page.samplesperpixel} samples a pixel"
        raise refusal("TIFF_CORRUPT", name, problem, "export the image again")
    kinds = _values(page, _EXTRA)[:extras]
    alphas = [i for i, kind in enumerate(kinds) if kind in (_ASSOCIATED, _UNASSOCIATED)]
    return Samples(
        photometric=photometric,
        channels=channels,
        alpha=channels + alphas[0] if alphas else None,
        premultiplied=bool(alphas) and kinds[alphas[0]] == _ASSOCIATED,
        bits=page.bitspersample,
        is_float=is_float,
        dropped=extras - bool(alphas),
    )


def _photometric(page: TiffPage, name: str) -> PHOTOMETRIC:
    value = page.photometric if _PHOTOMETRIC in page.tags else _guess(page)
    is_jpeg = page.compression == COMPRESSION.JPEG
    if value not in _CHANNELS or (value == PHOTOMETRIC.YCBCR and not is_jpeg):
        label = getattr(value, "name", value)
        detail = " without JPEG" if value in _CHANNELS else ""
        problem = f"the colour space {label}{detail} is not supported"
        raise refusal("TIFF_PHOTOMETRIC", name, problem, "convert the image to RGB")
    if value == PHOTOMETRIC.YCBCR and page.planarconfig != 1:
        problem = "YCbCr in separate planes is not supported"
        raise refusal("TIFF_LAYOUT", name, problem, "convert the image to RGB")
    if value == PHOTOMETRIC.SEPARATED:
        _check_inks(page, name)
    return PHOTOMETRIC(value)


def _guess(page: TiffPage) -> PHOTOMETRIC:
    """What readers take a page for that does not tell."""
    if page.compression in _FAX:
        return PHOTOMETRIC.MINISWHITE
    return PHOTOMETRIC.RGB if page.samplesperpixel >= 3 else PHOTOMETRIC.MINISBLACK


def _check_inks(page: TiffPage, name: str) -> None:
    ink_set = page.tags.valueof(_INK_SET, _CMYK_INK_SET)
    inks = page.tags.valueof(_INKS, min(page.samplesperpixel, _CMYK_INKS))
    if inks != _CMYK_INKS or ink_set != _CMYK_INK_SET:
        problem = f"an image of {inks} inks" + (" other than CMYK" if inks == _CMYK_INKS else "")
        raise refusal("TIFF_INKS", name, f"{problem} is not supported", "convert it to CMYK or RGB")


def _check_format(page: TiffPage, photometric: PHOTOMETRIC, name: str) -> bool:
    """Whether samples are floating point, if they are of a kind that is read."""
    formats = set(_values(page, _FORMAT)[: page.samplesperpixel]) or {SAMPLEFORMAT.UINT}
    depths = set(_values(page, _BITS)[: page.samplesperpixel]) or {1}
    if len(formats) > 1 or len(depths) > 1:
        raise _unsupported_samples(f"{sorted(depths)} bits in formats {sorted(formats)}", name)
    (sample_format,), (bits,) = formats, depths
    is_uint = sample_format in (SAMPLEFORMAT.UINT, _UNDEFINED) and bits in _UINT_BITS
    is_float = sample_format == SAMPLEFORMAT.IEEEFP and bits in _FLOAT_BITS
    if not is_uint and not (is_float and _CHANNELS[photometric] != 4):
        label = getattr(sample_format, "name", sample_format)
        raise _unsupported_samples(f"{bits} bits in format {label}", name)
    if photometric in _LAB and (is_float or bits not in (8, 16)):
        raise _unsupported_samples(f"Lab in {bits} bits", name)
    if photometric == PHOTOMETRIC.PALETTE and is_float:
        raise _unsupported_samples("a palette in floating point", name)
    if page.compression in _FAX and (bits != 1 or page.samplesperpixel != 1):
        problem = f"fax compression of {page.samplesperpixel} samples of {bits} bits"
        raise refusal("TIFF_CORRUPT", name, problem, "export the image again")
    return is_float


def _unsupported_samples(what: str, name: str) -> UserError:
    remedy = "save the image with 8 or 16 bits a channel"
    return refusal("TIFF_SAMPLE", name, f"samples of {what} are not supported", remedy)


def _values(page: TiffPage, code: int) -> tuple[Any, ...]:
    value = page.tags.valueof(code)
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple | bytes) else (value,)
