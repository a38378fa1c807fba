"""The content's colours: luma and chroma of pixels, sums, and the map between two statistics."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tilestyle.style.color import (
    ColorSums,
    add_sums,
    color_sums,
    luma,
    matching,
    moments,
    recolored,
    with_chroma_of,
)

unit = st.floats(0, 1, width=32)
images = arrays(np.float32, (3, 4, 5), elements=unit)


def picture(seed: int, mixing: Any, mean: Any, dtype: Any = np.uint16) -> NDArray[Any]:
    """Correlated colours, (3, 60, 50)."""
    noise = np.random.default_rng(seed).normal(size=(3, 60, 50))
    colors = np.einsum("ij,jyx->iyx", np.array(mixing), noise) + np.array(mean)[:, None, None]
    return np.asarray(np.rint(colors.clip(0, 1) * np.iinfo(dtype).max), dtype)


def floats(pixels: NDArray[Any]) -> NDArray[np.float32]:
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


CONTENT = picture(0, [[0.1, 0, 0], [0.05, 0.08, 0], [0, 0.02, 0.1]], [0.5, 0.4, 0.6])
STYLE = picture(1, [[0.03, 0.05, 0], [0.08, 0, 0.04], [0, 0.06, 0.02]], [0.6, 0.5, 0.3])


@given(images, images)
def test_luma_is_the_results_and_chroma_the_contents(content: Any, result: Any) -> None:
    found = with_chroma_of(content, result)
    assert found.dtype == np.float32
    assert 0 <= found.min() <= found.max() <= 1
    np.testing.assert_allclose(luma(found), luma(result), atol=1e-5)
    wanted, chroma = content - luma(content), found - luma(found)
    shifted = luma(result) + wanted
    fits = ((shifted >= 0) & (shifted <= 1)).all(axis=0)
    np.testing.assert_allclose(chroma[:, fits], wanted[:, fits], atol=1e-5)
    # where it does not fit, the chroma is shorter, in the same direction
    share = (chroma * wanted).sum(axis=0) / np.maximum((wanted**2).sum(axis=0), 1e-12)
    assert share.max() <= 1 + 1e-3
    np.testing.assert_allclose(chroma, share * wanted, atol=1e-4)


def test_chroma_shortened_no_more_than_it_must_be() -> None:
    content = np.array([1, 0, 0], np.float32)[:, None, None]
    result = np.full((3, 1, 1), 0.9, np.float32)
    red, green, blue = with_chroma_of(content, result)[:, 0, 0]
    assert red == pytest.approx(1)
    assert green == pytest.approx(blue)
    assert 0.85 < green < 0.9


@given(images, images, st.integers(0, 4), st.integers(0, 5))
def test_any_cut_gives_the_same_bytes(content: Any, result: Any, y: int, x: int) -> None:
    whole = with_chroma_of(content, result)
    for rows in (slice(0, y), slice(y, 4)):
        for columns in (slice(0, x), slice(x, 5)):
            box = (slice(None), rows, columns)
            if content[box].size:
                assert np.array_equal(with_chroma_of(content[box], result[box]), whole[box])


@given(st.data(), st.sampled_from([np.uint8, np.uint16]))
def test_sums_are_exact_however_the_image_is_cut(data: st.DataObject, dtype: Any) -> None:
    pixels = data.draw(arrays(dtype, (3, 6, 7)))
    cuts = sorted(data.draw(st.sets(st.integers(1, 5))))
    parts = [color_sums(part) for part in np.split(pixels, cuts, axis=1)]
    order = data.draw(st.permutations(parts))
    whole = color_sums(pixels)
    assert add_sums([add_sums(order[:1]), *order[1:]]) == whole
    flat = [[int(value) for value in channel.ravel()] for channel in pixels]
    assert whole.first == tuple(map(sum, flat))
    assert whole.second == tuple(
        sum(p * q for p, q in zip(a, b, strict=True)) for a in flat for b in flat
    )


def test_weights_are_numbers_of_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 2**16, (3, 4, 5), np.uint16)
    weights = np.random.default_rng(1).integers(0, 4, (4, 5), np.uint8)
    repeated = np.repeat(pixels.reshape(3, -1), weights.ravel(), axis=1)
    assert color_sums(pixels, weights) == color_sums(repeated[:, None])
    most = color_sums(
        np.full((3, 2**12, 2**11), 65535, np.uint16), np.full((2**12, 2**11), 255, np.uint8)
    )
    assert most.second == (2**23 * 255 * 65535**2,) * 9


def test_sums_of_images_larger_than_any_integer_type() -> None:
    white = 65535
    part = ColorSums(2**31, (2**31 * white,) * 3, (2**31 * white**2,) * 9, white)
    mean, spread = moments(add_sums([part] * 1000))
    assert np.array_equal(mean, [1, 1, 1])
    assert np.array_equal(spread, np.zeros((3, 3)))


def test_moments_are_those_of_numpy() -> None:
    mean, spread = moments(color_sums(CONTENT))
    flat = CONTENT.reshape(3, -1) / 65535
    np.testing.assert_allclose(mean, flat.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(spread, np.cov(flat, bias=True), rtol=1e-9)
    exact = Fraction(int(CONTENT[0].astype(np.int64).sum()), CONTENT[0].size * 65535)
    assert mean[0] == float(exact)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_matched_style_has_the_contents_mean_and_covariance(dtype: Any) -> None:
    style = (STYLE // 257).astype(dtype) if dtype == np.uint8 else STYLE
    colors = matching(color_sums(style), color_sums(CONTENT))
    flat = recolored(floats(style), colors).reshape(3, -1).astype(np.float64)
    mean, spread = moments(color_sums(CONTENT))
    np.testing.assert_allclose(flat.mean(axis=1), mean, atol=1e-5)
    np.testing.assert_allclose(np.cov(flat, bias=True), spread, atol=1e-6)
    before = floats(style).reshape(3, -1)
    assert np.abs(np.cov(before, bias=True) - spread).max() > 1e-3


def test_an_image_is_matched_to_itself_by_doing_nothing() -> None:
    colors = matching(color_sums(CONTENT), color_sums(CONTENT))
    np.testing.assert_allclose(colors, np.eye(3, 4), atol=1e-9)


def test_a_grey_style_is_not_stretched_to_noise() -> None:
    grey = np.repeat(STYLE[:1], 3, axis=0)
    colors = matching(color_sums(grey), color_sums(CONTENT))
    assert np.abs(colors).max() < 1000
    flat = recolored(floats(grey), colors).reshape(3, -1)
    assert np.linalg.matrix_rank(np.cov(flat), tol=1e-6) == 1
    _, spread = moments(color_sums(CONTENT))
    assert np.trace(np.cov(flat)) <= np.trace(spread) * 1.01


def test_a_style_of_one_colour_gets_the_contents_mean() -> None:
    flat = np.full((3, 4, 4), 200, np.uint8)
    found = recolored(floats(flat), matching(color_sums(flat), color_sums(CONTENT)))
    mean, _ = moments(color_sums(CONTENT))
    np.testing.assert_allclose(found[:, 0, 0], mean, atol=1e-4)
