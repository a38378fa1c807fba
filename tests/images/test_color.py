"""ICC conversion of numpy bands."""

from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from tilestyle.errors import UserError
from tilestyle.images import srgb_profile
from tilestyle.images.color import pick_profile, to_srgb

Array = NDArray[Any]

GREY = imagecodecs.cms_profile("gray", gamma=1.8)
P3 = pyvips.Image.profile_load("p3")
CMYK = pyvips.Image.profile_load("cmyk")


def noise(dtype: str, channels: int) -> Array:
    top = np.iinfo(dtype).max
    rng = np.random.default_rng(5)
    return rng.integers(0, top, (40, 50, channels), dtype=dtype, endpoint=True)


def by_little_cms(band: Array, profile: bytes, space: str) -> Array:
    found = imagecodecs.cms_transform(
        band[..., 0] if space == "gray" else band,
        profile,
        srgb_profile(),
        colorspace=space,
        outcolorspace="rgb",
        intent=imagecodecs.CMS.INTENT.RELATIVE_COLORIMETRIC,
        flags=imagecodecs.CMS.FLAGS.BLACKPOINTCOMPENSATION,
    )
    return np.asarray(found).reshape(*band.shape[:2], 3)


def test_the_srgb_profile_is_one() -> None:
    profile = srgb_profile()
    assert profile[16:20] == b"RGB "
    assert profile[36:40] == b"acsp"
    imagecodecs.cms_profile_validate(profile)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    ("profile", "space", "channels"), [(P3, "rgb", 3), (CMYK, "cmyk", 4), (GREY, "gray", 1)]
)
def test_another_implementation_agrees(
    dtype: str, profile: bytes, space: str, channels: int
) -> None:
    band = noise(dtype, channels)
    found = to_srgb(band, profile, name="a.tif")
    assert found.dtype == band.dtype
    assert found.shape == (40, 50, 3)
    expected = by_little_cms(band, profile, space)
    assert np.abs(found.astype(int) - expected).max() <= np.iinfo(dtype).max / 100
    assert np.abs(found.astype(int) - expected).mean() <= np.iinfo(dtype).max / 500


def test_a_colour_outside_srgb_is_clipped_and_white_stays() -> None:
    band = np.array([[[0, 255, 0], [255, 255, 255], [0, 0, 0]]], np.uint8)
    found = to_srgb(band, P3, name="a.tif")
    np.testing.assert_array_equal(found, band)


@pytest.mark.parametrize("profile", [None, srgb_profile()])
@pytest.mark.parametrize("channels", [1, 3])
def test_identity_returns_the_same_object(profile: bytes | None, channels: int) -> None:
    band = noise("uint8", channels)
    assert to_srgb(band, profile, name="a.tif") is band


def test_a_band_that_is_not_contiguous() -> None:
    band = noise("uint16", 4)
    view = np.flip(band, 1)[..., :3]
    found = to_srgb(view, P3, name="a.tif")
    np.testing.assert_array_equal(found, to_srgb(view.copy(), P3, name="a.tif"))


@pytest.mark.parametrize(
    ("profile", "channels"), [(CMYK, 3), (CMYK, 1), (P3, 4), (P3, 1), (srgb_profile(), 4)]
)
def test_a_profile_of_another_colour_space(profile: bytes, channels: int) -> None:
    with pytest.raises(UserError, match=r"^ICC_MISMATCH: a\.tif: .* profile is one for (RGB|CMYK)"):
        to_srgb(noise("uint8", channels), profile, name="a.tif")


@pytest.mark.parametrize("profile", [b"", b"x" * 300, P3[:150], CMYK[:5000]])
def test_a_damaged_profile(profile: bytes) -> None:
    channels = 4 if profile[16:20] == b"CMYK" else 3
    with pytest.raises(UserError, match=r"^ICC_INVALID: a\.tif: ") as caught:
        to_srgb(noise("uint8", channels), profile, name="a.tif")
    assert "\n" not in str(caught.value)


def test_the_profile_of_the_file_comes_first() -> None:
    assert pick_profile(P3, srgb_profile(), 3) == P3
    assert pick_profile(None, P3, 3) == P3
    assert pick_profile(None, P3, 4) is None
    assert pick_profile(None, None, 3) is None
