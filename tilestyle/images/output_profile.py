"""Conversion of a result to the ICC profile of an output: RGB or CMYK."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import imagecodecs
import numpy as np

from tilestyle.errors import UserError
from tilestyle.images.color import LCMS_INTENTS, Intent, Pixels, srgb_profile

_SPACES = {b"RGB ": ("rgb", 3), b"CMYK": ("cmyk", 4)}


@dataclass(frozen=True)
class Conversion:
    """From one RGB profile to another profile, of RGB or CMYK.

    Attributes:
        source: ICC profile of what is converted.
        target: ICC profile of the result.
        intent: The rendering intent.
        black_point: Compensate the black point.
    """

    source: bytes
    target: bytes
    intent: Intent = "relative"
    black_point: bool = True

    @property
    def colors(self) -> int:
        """Samples of a result's pixel: 3 (RGB) or 4 (CMYK, 0 is no ink)."""
        return _SPACES[self.target[16:20]][1]

    def __call__(self, pixels: Pixels) -> Pixels:
        """Convert (3, height, width) uint16 to (colors, height, width) uint16."""
        flags = int(imagecodecs.CMS.FLAGS.HIGHRESPRECALC)
        if self.black_point:
            flags |= imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION
        found = imagecodecs.cms_transform(
            np.ascontiguousarray(np.moveaxis(pixels, 0, -1)),
            self.source,
            self.target,
            colorspace="rgb",
            outcolorspace=_SPACES[self.target[16:20]][0],
            outdtype="uint16",
            intent=LCMS_INTENTS[self.intent],
            flags=flags,
        )
        return cast(Pixels, np.ascontiguousarray(np.moveaxis(found, -1, 0)))


def load_profile(path: str, key: str) -> bytes:
    """Read an ICC profile that pixels can be converted to.

    Args:
        path: The file.
        key: The option that names it, for messages.

    Raises:
        UserError: There is no such file, or it is no such profile.
    """
    try:
        profile = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); give {key} a file") from error
    if profile[16:20] not in _SPACES:
        raise UserError(f"{path}: is no ICC profile of RGB or CMYK; give {key} another one")
    try:
        imagecodecs.cms_profile_validate(profile)
        # Little CMS is lazy: only a transform reads the tables that are needed.
        Conversion(srgb_profile(), profile)(np.zeros((3, 1, 1), np.uint16))
    except (imagecodecs.CmsError, ValueError) as error:
        problem = f"nothing can be converted to this ICC profile ({error})"
        raise UserError(f"{path}: {problem}; give {key} another one") from error
    return profile
