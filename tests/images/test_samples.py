"""The sample images: the same pixels from every window, the same picture at every size."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tilestyle.errors import UserError
from tilestyle.images.samples import SAMPLES, SampleImage, sample
from tilestyle.images.samples.noise import fbm, gradient_noise, octaves_to_pixel
from tilestyle.images.samples.picture import View

NAMES = list(SAMPLES)
STYLES = [name for name in NAMES if name != "content"]
WIDTH, HEIGHT = 330, 290  # more than one tile each way


@functools.cache
def whole(name: str) -> NDArray[np.uint8]:
    return sample(name, WIDTH, HEIGHT).window(0, HEIGHT, 0, WIDTH)


def shrunk(name: str, height: int, by: int) -> NDArray[np.float64]:
    """The picture of `height` rows, averaged over squares of `by` pixels."""
    width = height * 3 // 2
    pixels = sample(name, width, height).window(0, height, 0, width)
    blocks = pixels.reshape(3, height // by, by, width // by, by)
    means: NDArray[np.float64] = blocks.mean(axis=(2, 4))
    return means


@pytest.mark.parametrize("name", NAMES)
def test_picture_has_name_size_and_type(name: str) -> None:
    image = sample(name, 40, 30)
    assert (image.name, image.width, image.height, image.dpi) == (name, 40, 30, 300.0)
    assert image.dtype == np.uint8
    bands = list(image.rows(7))
    assert [band.shape for band in bands] == [(3, 7, 40)] * 4 + [(3, 2, 40)]
    assert all(band.dtype == np.uint8 and band.flags.c_contiguous for band in bands)


@settings(max_examples=8, deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_window_equals_the_same_part_of_the_picture(data: st.DataObject, name: str) -> None:
    y0 = data.draw(st.integers(0, HEIGHT - 1))
    y1 = data.draw(st.integers(y0 + 1, HEIGHT))
    x0 = data.draw(st.integers(0, WIDTH - 1))
    x1 = data.draw(st.integers(x0 + 1, WIDTH))
    part = sample(name, WIDTH, HEIGHT).window(y0, y1, x0, x1)
    assert part.flags.c_contiguous
    np.testing.assert_array_equal(part, whole(name)[:, y0:y1, x0:x1])


@settings(max_examples=6, deadline=None)
@given(step=st.integers(1, 2 * HEIGHT), name=st.sampled_from(NAMES))
def test_bands_of_any_step_make_up_the_picture(step: int, name: str) -> None:
    bands = list(sample(name, WIDTH, HEIGHT).rows(step))
    assert all(band.shape[1] == step for band in bands[:-1])
    np.testing.assert_array_equal(np.concatenate(bands, axis=1), whole(name))


@pytest.mark.parametrize("name", NAMES)
def test_painter_leaves_no_seam_between_views(name: str) -> None:
    """The pixels come from places alone, so a view that is cut elsewhere shows the same."""

    def painted(y0: int, y1: int, x0: int, x1: int) -> NDArray[np.float32]:
        return SAMPLES[name](View(WIDTH, HEIGHT, y0, y1, x0, x1, 0))

    one = painted(60, 230, 40, 260)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    upper, lower = painted(60, 147, 40, 260), painted(147, 230, 40, 260)
    halves = np.concatenate([upper, lower], axis=1)
    assert np.mean(np.abs(one - halves).max(axis=0) > 1 / 255) < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_picture_is_the_same_every_time_and_another_with_another_seed(name: str) -> None:
    first, again = sample(name, 72, 48), sample(name, 72, 48)
    other = sample(name, 72, 48, seed=1)
    box = (0, 48, 0, 72)
    np.testing.assert_array_equal(first.window(*box), again.window(*box))
    assert np.mean(first.window(*box) != other.window(*box)) > 0.3


@pytest.mark.parametrize("name", NAMES)
def test_composition_is_the_same_at_every_size(name: str) -> None:
    small, large = shrunk(name, 128, 8), shrunk(name, 384, 24)
    alike = np.corrcoef(small.ravel(), large.ravel())[0, 1]
    assert alike > 0.9
    assert np.mean(np.abs(small - large)) < 14


@pytest.mark.parametrize("name", NAMES)
def test_a_large_picture_has_detail_down_to_the_pixel(name: str) -> None:
    """A window somewhere in a picture of nearly a gigapixel is not flat."""
    image = sample(name, 36_000, 24_000)
    part = image.window(20_480, 20_576, 12_800, 12_896).astype(np.float32)
    assert np.abs(np.diff(part, axis=2)).mean() > 0.3
    assert np.abs(np.diff(part, axis=1)).mean() > 0.3


def test_content_uses_the_tonal_range() -> None:
    low, high = np.percentile(whole("content").mean(axis=0), [0.5, 99.5])
    assert high - low > 0.7 * 255


@pytest.mark.parametrize("name", STYLES)
def test_styles_have_strong_colours(name: str) -> None:
    pixels = whole(name).astype(np.float64)
    saturation = (pixels.max(axis=0) - pixels.min(axis=0)) / np.maximum(pixels.max(axis=0), 1)
    assert np.percentile(saturation, 90) > 0.7


@pytest.mark.parametrize(("name", "meant"), [("stroke", "strokes"), ("mosaik", "mosaic")])
def test_unknown_name_suggests_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"{name!r}.*did you mean {meant!r}"):
        sample(name, 64, 64)


def test_name_like_no_other_lists_all() -> None:
    with pytest.raises(UserError, match=", ".join(NAMES)):
        sample("qqq", 64, 64)


@pytest.mark.parametrize(("width", "height"), [(15, 64), (64, 15), (0, 0)])
def test_tiny_pictures_are_refused(width: int, height: int) -> None:
    with pytest.raises(UserError, match="too small"):
        sample("content", width, height)


@pytest.mark.parametrize("size", [(16, 16), (160, 16), (16, 160)])
@pytest.mark.parametrize("name", NAMES)
def test_odd_shapes_can_be_painted(name: str, size: tuple[int, int]) -> None:
    width, height = size
    pixels = sample(name, width, height).window(0, height, 0, width)
    assert pixels.shape == (3, height, width)
    assert pixels.std() > 5


@pytest.mark.parametrize("box", [(0, 0, 0, 4), (0, 4, 4, 2), (-1, 4, 0, 4), (0, 4, 0, 41)])
def test_windows_must_lie_inside(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="window"):
        sample("mosaic", 40, 30).window(*box)


def test_bands_must_have_rows() -> None:
    image: SampleImage = sample("mosaic", 40, 30)
    with pytest.raises(ValueError, match="step"):
        next(image.rows(0))


def test_noise_is_centred_and_never_repeats() -> None:
    at = np.linspace(-40, 40, 600, dtype=np.float32)
    values = gradient_noise(at[None, :], at[:, None], 7)
    assert abs(float(values.mean())) < 0.05
    assert 0.7 < float(np.abs(values).max()) < 1.6
    far = gradient_noise(at[None, :] + np.float32(256), at[:, None], 7)
    assert abs(np.corrcoef(values.ravel(), far.ravel())[0, 1]) < 0.1
    assert not np.array_equal(values, gradient_noise(at[None, :], at[:, None], 8))


def test_octaves_end_at_the_pixel() -> None:
    assert octaves_to_pixel(1.0, 1 / 1024) == 10
    assert octaves_to_pixel(1.0, 1.0) == 1
    assert octaves_to_pixel(1.0, 1e-9, most=5) == 5
    ones = np.ones((1, 1), np.float32)
    assert fbm(ones, ones, 1, 3).shape == (1, 1)
