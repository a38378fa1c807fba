"""Conversion of pixels to sRGB through ICC profiles."""

import functools
import logging
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import imagecodecs
import numpy as np
import pyvips
from numpy.typing import NDArray

from tilestyle.config import Input
from tilestyle.errors import UserError, refusal

LOG = logging.getLogger(__name__)

Pixels: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""Samples of dtype uint8 (0..255) or uint16 (0..65535)."""

Light: TypeAlias = NDArray[np.floating[Any]]
"""Samples of floating point, 0 (black) to 1 where nothing else is said."""

# Results kept by libvips would hold whole bands, and the old pixels of overwritten files.
pyvips.cache_set_max(0)

Intent: TypeAlias = Literal["perceptual", "relative", "saturation", "absolute"]

_SPACES = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
_LCMS_NAMES = {1: "gray", 3: "rgb", 4: "cmyk"}
LCMS_INTENTS = {
    "perceptual": imagecodecs.CMS.INTENT.PERCEPTUAL,
    "relative": imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
    "saturation": imagecodecs.CMS.INTENT.SATURATION,
    "absolute": imagecodecs.CMS.INTENT.ABSOLUTE_COLORIMETRIC,
}
_INTERPRETATIONS = {
    (1, 8): "b-w",
    (1, 16): "grey16",
    (3, 8): "srgb",
    (3, 16): "rgb16",
    (4, 8): "cmyk",
    (4, 16): "cmyk",
}
_PROFILE_FIELD = "icc-profile-data"


@functools.cache
def srgb_profile() -> bytes:
    """The sRGB ICC profile that outputs carry."""
    return bytes(pyvips.Image.profile_load("srgb"))


def to_srgb(
    band: Pixels, profile: bytes | None, *, name: str, intent: Intent = "relative"
) -> Pixels:
    """Convert device pixels to sRGB, black point compensated.

    Args:
        band: (rows, width, channels), uint8 or uint16; 1 channel is grey, 3 are RGB, 4 are CMYK.
        profile: The ICC profile of the pixels, None for none.
        name: The name of the file, for messages.
        intent: The rendering intent.

    Returns:
        (rows, width, 3) of the same dtype; `band` itself if there is no profile or if it is
        `srgb_profile()`.

    Raises:
        UserError: The profile does not parse (ICC_INVALID) or is one for another colour space
            than that of the pixels (ICC_MISMATCH).
    """
    rows, width, channels = band.shape
    if profile is None:
        return band
    check_profile(profile, channels, name=name)
    if _is_identity(profile, channels):
        return band
    kind = "uchar" if band.dtype == np.uint8 else "ushort"
    data = np.ascontiguousarray(band).data
    image = pyvips.Image.new_from_memory(data, width, rows, channels, kind)
    return cast(Pixels, transform(image, profile, name=name, intent=intent).numpy())


def as_uint16(light: Light) -> Pixels:
    """Scale 0..1 to 0..65535, rounded."""
    return cast(Pixels, np.rint(light * np.float32(65535)).astype(np.uint16))


def light_to_srgb(
    light: Light, profile: bytes | None, *, name: str, intent: Intent = "relative"
) -> Pixels:
    """Convert device pixels of floating point to sRGB, black point compensated.

    Little CMS does it in floating point: 16 bits would cut the shadows of linear light to steps.

    Args:
        light: (rows, width, channels) float32 in 0..1; 1 channel is grey, 3 are RGB.
        profile: The ICC profile of the pixels, None for none.
        name: The name of the file, for messages.
        intent: The rendering intent.

    Returns:
        (rows, width, 3) uint16; if there is nothing to convert, with the channels of `light`.

    Raises:
        UserError: As `to_srgb`.
    """
    channels = light.shape[-1]
    if profile is None:
        return as_uint16(light)
    check_profile(profile, channels, name=name)
    if _is_identity(profile, channels):
        return as_uint16(light)
    found = imagecodecs.cms_transform(
        np.ascontiguousarray(light if channels == 3 else light[..., 0]),
        profile,
        srgb_profile(),
        colorspace=_LCMS_NAMES[channels],
        outcolorspace="rgb",
        outdtype="uint16",
        intent=LCMS_INTENTS[intent],
        flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION,
    )
    return cast(Pixels, found.reshape(*light.shape[:2], 3))


def lab_to_srgb(lab: Light, dtype: np.dtype[Any], *, intent: Intent = "relative") -> Pixels:
    """Convert CIE L*a*b* (D50) to sRGB.

    Args:
        lab: (rows, width, 3) float32: L* in 0..100, a* and b*.
        dtype: uint8 or uint16, of the result.
        intent: The rendering intent.

    Returns:
        (rows, width, 3) of `dtype`.
    """
    rows, width, _ = lab.shape
    data = np.ascontiguousarray(lab).data
    image = pyvips.Image.new_from_memory(data, width, rows, 3, "float").copy(interpretation="lab")
    found = image.icc_export(
        output_profile="srgb",
        intent=intent,
        black_point_compensation=True,
        depth=8 * dtype.itemsize,
    )
    return cast(Pixels, found.numpy())


def transform(image: Any, profile: bytes, *, name: str, intent: Intent = "relative") -> Any:
    """Convert a lazy pyvips image of device pixels to sRGB of the same depth.

    Args:
        image: A pyvips.Image of 1, 3 or 4 bands, uchar or ushort.
        profile: The ICC profile of its pixels.
        name: The name of the file, for messages.
        intent: The rendering intent.

    Returns:
        A pyvips.Image of the same size in sRGB: 3 bands (`image` itself, whatever its bands,
        if the profile is `srgb_profile()`).

    Raises:
        UserError: As `to_srgb`.
    """
    check_profile(profile, image.bands, name=name)
    if _is_identity(profile, image.bands):
        return image
    depth = 8 if image.format == "uchar" else 16
    tagged = image.copy(interpretation=_INTERPRETATIONS[image.bands, depth])
    tagged.set_type(pyvips.GValue.blob_type, _PROFILE_FIELD, profile)
    return tagged.icc_transform(
        "srgb", embedded=True, intent=intent, black_point_compensation=True, depth=depth
    )


def pick_profile(
    embedded: bytes | None, channels: int, options: Input, *, name: str
) -> bytes | None:
    """The profile that gives the numbers of an image their meaning; None: they are sRGB.

    Args:
        embedded: The profile in the file; None or empty for none.
        channels: 1 (grey), 3 (RGB) or 4 (CMYK).
        options: How images are read.
        name: The name of the file, for messages.

    Raises:
        UserError: The image is CMYK without a profile (CMYK_NO_PROFILE), or the profile does not
            do (ICC_INVALID, ICC_MISMATCH).
    """
    if embedded and not options.ignore_profile:
        check_profile(embedded, channels, name=name)
        return embedded
    if channels != 4:
        return None
    if options.cmyk_profile is None:
        problem = "a CMYK image without an ICC profile has no defined colours"
        raise refusal("CMYK_NO_PROFILE", name, problem, "name its profile with --cmyk-profile")
    profile = _named_profile(options.cmyk_profile)
    check_profile(profile, 4, name=options.cmyk_profile)
    return profile


def pick_with_remark(
    embedded: bytes | None, channels: int, options: Input, *, name: str
) -> bytes | None:
    """As `pick_profile`, of formats that print work comes in: missing profiles are spoken of."""
    profile = pick_profile(embedded, channels, options, name=name)
    if profile is None and channels == 3:
        LOG.warning("%s: has no ICC profile, its numbers are taken for sRGB", name)
    return profile


def _named_profile(name: str) -> bytes:
    if name == "cmyk":
        return bytes(pyvips.Image.profile_load(name))
    try:
        return Path(name).read_bytes()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise UserError(f"{name}: {reason}; give --cmyk-profile an ICC file, or cmyk") from error


def check_profile(profile: bytes, channels: int, *, name: str) -> None:
    """Refuse a profile that libvips would silently replace by one of its own.

    Args:
        profile: An ICC profile.
        channels: 1 (grey), 3 (RGB) or 4 (CMYK).
        name: The name of the file, for messages.

    Raises:
        UserError: ICC_INVALID or ICC_MISMATCH.
    """
    if problem := _problem(profile, channels):
        remedy = "replace its profile, or read its numbers as they are with --ignore-profile"
        raise refusal(problem[0], name, problem[1], remedy)


def check_lab_profile(profile: bytes, *, name: str) -> None:
    """Refuse a profile for other pixels than L*a*b*, which have their meaning without one.

    Raises:
        UserError: ICC_MISMATCH.
    """
    if _space(profile) != b"Lab ":
        problem = f"its ICC profile is one for {_text(_space(profile))}, its pixels are Lab"
        raise refusal("ICC_MISMATCH", name, problem, "ignore it with --ignore-profile")


def _is_identity(profile: bytes, channels: int) -> bool:
    return channels != 4 and profile == srgb_profile()


def _space(profile: bytes) -> bytes:
    return profile[16:20]


@functools.lru_cache(maxsize=16)
def _problem(profile: bytes, channels: int) -> tuple[str, str] | None:
    """What is wrong with a profile, as code and text; None if nothing is."""
    if _is_identity(profile, channels):
        return None
    try:
        imagecodecs.cms_profile_validate(profile)
    except (imagecodecs.CmsError, ValueError) as error:
        return "ICC_INVALID", f"its ICC profile of {len(profile)} bytes cannot be read ({error})"
    if _space(profile) != _SPACES[channels]:
        found, expected = (_text(space) for space in (_space(profile), _SPACES[channels]))
        return "ICC_MISMATCH", f"its ICC profile is one for {found}, its pixels are {expected}"
    try:
        # Little CMS is lazy: only making a transform reads the tables of the profile.
        imagecodecs.cms_transform(
            np.zeros((1, 1, channels), np.uint8),
            profile,
            srgb_profile(),
            colorspace=_LCMS_NAMES[channels],
            outcolorspace="rgb",
            outdtype="uint8",
        )
    except (imagecodecs.CmsError, ValueError) as error:
        return "ICC_INVALID", f"its ICC profile is damaged or unusable ({error})"
    return None


def _text(space: bytes) -> str:
    return space.decode("ascii", "replace").strip()
