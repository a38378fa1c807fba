"""Levels up and down: the same bytes whatever the windows, and the right ones."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tilestyle.admm.grid import Box
from tilestyle.store.pyramid import Read, Shape, coarser, expand, level_shapes, reduce

Array = NDArray[Any]

SIDES = st.integers(1, 70)
DTYPES = st.sampled_from(["uint8", "uint16"])


def pixels(shape: Shape, dtype: str, seed: int = 0) -> Array:
    """Noise with many values at both ends of the range."""
    top = np.iinfo(dtype).max
    noise = np.random.default_rng(seed).integers(-top // 2, 3 * top // 2, (3, *shape))
    return noise.clip(0, top).astype(dtype)


def floats(shape: Shape, seed: int = 0) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).random((3, *shape), dtype=np.float32)
    return (1.5 * noise - np.float32(0.25)).clip(0, 1)


def reader(image: Array) -> Read:
    """Reads what is asked, and nothing outside the image."""
    whole = Box(0, image.shape[1], 0, image.shape[2])

    def read(box: Box) -> Array:
        assert box & whole == box
        assert box.height > 0 < box.width
        return image[(slice(None), *box.index())]

    return read


@st.composite
def cuts(draw: st.DrawFn, length: int) -> list[int]:
    inner = draw(st.lists(st.integers(0, length), max_size=5))
    return sorted({0, *inner, length})


def tiles(data: st.DataObject, shape: Shape) -> Iterator[Box]:
    rows, columns = (data.draw(cuts(n)) for n in shape)
    for y0, y1 in pairwise(rows):
        for x0, x1 in pairwise(columns):
            yield Box(y0, y1, x0, x1)


def reduce_whole(image: Array) -> NDArray[np.uint16]:
    shape = (image.shape[1], image.shape[2])
    height, width = coarser(shape)
    return reduce(reader(image), shape, Box(0, height, 0, width))


def expand_whole(image: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    size = (image.shape[1], image.shape[2])
    return expand(reader(image), size, Box(0, shape[0], 0, shape[1]))


def mirrored(image: NDArray[np.float64], margin: int) -> NDArray[np.float64]:
    """Reflected about the middle of the border pixels."""
    for axis in (1, 2):
        n = image.shape[axis]
        period = max(2 * (n - 1), 1)
        index = np.arange(-margin, n + margin) % period
        image = np.take(image, np.minimum(index, period - index) if n > 1 else 0 * index, axis)
    return image


def reference(image: Array) -> NDArray[np.uint16]:
    """Whole image, in float64, one output pixel for every other input pixel, half rounded up."""
    padded = mirrored(image.astype(np.float64) * (65535 // np.iinfo(image.dtype).max), 2)
    _, height, width = image.shape
    total = np.zeros(image.shape)
    for dy, wy in enumerate((1, 4, 6, 4, 1)):
        for dx, wx in enumerate((1, 4, 6, 4, 1)):
            total += wy * wx * padded[:, dy : dy + height, dx : dx + width]
    return np.floor(total[:, ::2, ::2] / 256 + 0.5).astype(np.uint16)


@given(SIDES, SIDES, DTYPES)
def test_reduce_is_the_rounded_binomial(height: int, width: int, dtype: str) -> None:
    image = pixels((height, width), dtype, seed=height * width)
    found = reduce_whole(image)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, reference(image))


def test_the_border_is_numpys_reflection() -> None:
    image = pixels((9, 12), "uint16").astype(np.float64)
    np.testing.assert_array_equal(
        mirrored(image, 2), np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="reflect")
    )


@given(SIDES, SIDES, DTYPES, st.data())
def test_reduce_does_not_depend_on_windows(
    height: int, width: int, dtype: str, data: st.DataObject
) -> None:
    image = pixels((height, width), dtype)
    found = np.zeros((3, *coarser((height, width))), np.uint16)
    for box in tiles(data, found.shape[1:]):
        found[(slice(None), *box.index())] = reduce(reader(image), (height, width), box)
    assert found.tobytes() == reduce_whole(image).tobytes()


@given(SIDES, SIDES, st.integers(0, 65535))
def test_a_constant_image_stays_constant(height: int, width: int, value: int) -> None:
    deep = np.full((3, height, width), value, np.uint16)
    assert (reduce_whole(deep) == value).all()
    shallow = np.full((3, height, width), value % 256, np.uint8)
    assert (reduce_whole(shallow) == 257 * (value % 256)).all()


@given(SIDES, SIDES)
def test_bytes_are_spread_over_sixteen_bits(height: int, width: int) -> None:
    image = pixels((height, width), "uint8")
    spread = image.astype(np.uint16) * np.uint16(257)
    assert reduce_whole(image).tobytes() == reduce_whole(spread).tobytes()


@given(SIDES, SIDES, st.data())
def test_expand_does_not_depend_on_windows(height: int, width: int, data: st.DataObject) -> None:
    image = floats(coarser((height, width)), seed=height)
    found = np.full((3, height, width), np.nan, np.float32)
    for box in tiles(data, (height, width)):
        found[(slice(None), *box.index())] = expand(reader(image), coarser((height, width)), box)
    assert found.tobytes() == expand_whole(image, (height, width)).tobytes()


@given(SIDES, SIDES)
def test_expand_keeps_old_pixels_in_range(height: int, width: int) -> None:
    image = floats(coarser((height, width)))
    found = expand_whole(image, (height, width))
    assert found.dtype == np.float32
    assert found.shape == (3, height, width)
    assert found[:, ::2, ::2].tobytes() == image.tobytes()
    assert found.min() >= 0
    assert found.max() <= 1


@given(SIDES, SIDES, st.floats(0, 1, width=32))
def test_expand_of_a_constant_is_constant(height: int, width: int, value: float) -> None:
    image = np.full((3, *coarser((height, width))), value, np.float32)
    np.testing.assert_allclose(expand_whole(image, (height, width)), value, rtol=2e-7)


def test_expand_continues_a_cubic() -> None:
    """Interpolation by four points is exact for cubics, away from the border."""
    t = np.arange(12, dtype=np.float64)
    y, x = np.meshgrid(t, t, indexing="ij")

    def cubic(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 0.5 + ((y - 5) ** 3 - 2 * (x - 6) ** 3 + (y - 5) * (x - 6) ** 2) / 2000

    coarse = cubic(y, x)[None].astype(np.float32)
    found = expand_whole(coarse, (24, 24))[0, 2:-4, 2:-4]
    fine_y, fine_x = np.meshgrid(np.arange(24) / 2, np.arange(24) / 2, indexing="ij")
    np.testing.assert_allclose(found, cubic(fine_y, fine_x)[2:-4, 2:-4], atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_down_and_up_keeps_a_smooth_image(dtype: str) -> None:
    y, x = np.meshgrid(np.arange(41), np.arange(50), indexing="ij")
    smooth = 0.5 + 0.3 * np.sin(y / 15) * np.cos(x / 18)
    image = np.tile(smooth, (3, 1, 1)) * np.iinfo(dtype).max
    down = reduce_whole(np.rint(image).astype(dtype)).astype(np.float32) / np.float32(65535)
    found = expand_whole(down, (41, 50))[0]
    np.testing.assert_allclose(found[4:-4, 4:-4], smooth[4:-4, 4:-4], atol=0.004)


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(2, 600))
def test_level_shapes_halve_down_to_the_smallest(height: int, width: int, smallest: int) -> None:
    shapes = level_shapes((height, width), smallest)
    assert shapes[0] == (height, width)
    for (h, w), below in pairwise(shapes):
        assert below == (h // 2 + h % 2, w // 2 + w % 2)
        assert min(below) >= smallest
    assert min(coarser(shapes[-1])) < smallest


def test_level_shapes_of_an_odd_image() -> None:
    assert level_shapes((1001, 600), 128) == [(1001, 600), (501, 300), (251, 150)]
    assert level_shapes((1001, 600), 150) == [(1001, 600), (501, 300), (251, 150)]
    assert level_shapes((100, 100), 128) == [(100, 100)]
