"""ICC conversion of numpy bands."""

from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from tilestyle.config import Input
from tilestyle.errors import UserError
from tilestyle.images import srgb_profile
from tilestyle.images.color import lab_to_srgb, light_to_srgb, pick_profile, to_srgb

Array = NDArray[Any]

GREY = imagecodecs.cms_profile("gray", gamma=1.8)
P3 = pyvips.Image.profile_load("p3")
CMYK = pyvips.Image.profile_load("cmyk")

D65 = [0.3127, 0.3290, 1.0]
PRIMARIES = [0.64, 0.33, 1.0, 0.30, 0.60, 1.0, 0.15, 0.06, 1.0]


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
    assumed = Input(cmyk_profile="cmyk")
    assert pick_profile(P3, 3, assumed, name="a.tif") == P3
    assert pick_profile(P3, 3, Input(ignore_profile=True), name="a.tif") is None
    assert pick_profile(None, 3, assumed, name="a.tif") is None
    assert pick_profile(b"", 4, assumed, name="a.tif") == CMYK
    with pytest.raises(UserError, match=r"^CMYK_NO_PROFILE: a\.tif: "):
        pick_profile(None, 4, Input(), name="a.tif")


def test_linear_light_keeps_its_shadows() -> None:
    srgb = {"whitepoint": D65, "primaries": PRIMARIES}
    linear = imagecodecs.cms_profile("rgb", gamma=1.0, **srgb)
    light = np.linspace(0, 0.01, 300, dtype=np.float32).reshape(1, 100, 3)
    light[..., 1:] = light[..., :1]
    found = light_to_srgb(light, linear, name="a.tif")[0, :, 0]
    assert found.dtype == np.uint16
    assert len(np.unique(found)) == 100


def test_lab() -> None:
    lab = np.array([[[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.2]]], np.float32)
    for dtype in (np.uint8, np.uint16):
        found = lab_to_srgb(lab, np.dtype(dtype))
        white = np.iinfo(dtype).max
        assert found.dtype == dtype
        np.testing.assert_allclose(found[0, :2] / white, [[1, 1, 1], [0, 0, 0]], atol=0.003)
        assert found[0, 2, 0] > 0.97 * white
        assert found[0, 2, 1:].max() < 0.12 * white
