"""Conversion of pixels to sRGB through ICC profiles."""

import functools
from typing import Any, TypeAlias, cast

import imagecodecs
import numpy as np
import pyvips
from numpy.typing import NDArray

from tilestyle.errors import UserError

Pixels: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""Samples of dtype uint8 (0..255) or uint16 (0..65535)."""

# Results kept by libvips would hold whole bands, and the old pixels of overwritten files.
pyvips.cache_set_max(0)

_SPACES = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
_LCMS_NAMES = {1: "gray", 3: "rgb", 4: "cmyk"}
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


def to_srgb(band: Pixels, profile: bytes | None, *, name: str) -> Pixels:
    """Convert device pixels to sRGB: relative colorimetric, black point compensated.

    Args:
        band: (rows, width, channels), uint8 or uint16; 1 channel is grey, 3 are RGB, 4 are CMYK.
        profile: The ICC profile of the pixels, None for none.
        name: The name of the file, for messages.

    Returns:
        (rows, width, 3) of the same dtype; `band` itself if there is no profile or if it is
        `srgb_profile()`.

    Raises:
        UserError: The profile does not parse (ICC_INVALID) or is one for another colour space
            than that of the pixels (ICC_MISMATCH).
    """
    if profile is None:
        return band
    rows, width, channels = band.shape
    check_profile(profile, channels, name=name)
    if _is_identity(profile, channels):
        return band
    kind = "uchar" if band.dtype == np.uint8 else "ushort"
    data = np.ascontiguousarray(band).data
    image = pyvips.Image.new_from_memory(data, width, rows, channels, kind)
    return cast(Pixels, transform(image, profile, name=name).numpy())


def transform(image: Any, profile: bytes, *, name: str) -> Any:
    """Convert a lazy pyvips image of device pixels to sRGB of the same depth.

    Args:
        image: A pyvips.Image of 1, 3 or 4 bands, uchar or ushort.
        profile: The ICC profile of its pixels.
        name: The name of the file, for messages.

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
        "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=depth
    )


def pick_profile(embedded: bytes | None, assumed: bytes | None, channels: int) -> bytes | None:
    """The profile of an image: its own, else the assumed one if that is for such channels."""
    if embedded:
        return embedded
    return assumed if assumed and _space(assumed) == _SPACES[channels] else None


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
        code, text = problem
        raise UserError(
            f"{code}: {name}: {text}; convert the image to sRGB, or remove or replace its profile"
        )


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
