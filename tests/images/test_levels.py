"""Levels by halves: sizes, the kernel, and windows that agree with the whole."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tilestyle.admm.grid import Box
from tilestyle.images.levels import half_shapes, halve, halved

SIDE = st.integers(1, 10**6)
IMAGE = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: npst.arrays(st.sampled_from([np.uint8, np.uint16]), (3, *shape))
)


@given(SIDE, SIDE, st.integers(1, 4096))
def test_sizes_are_halves_rounded_up_until_one_is_small(
    height: int, width: int, largest: int
) -> None:
    shapes = half_shapes((height, width), largest)
    for level, shape in enumerate(shapes):
        assert shape == (-(-height // 2**level), -(-width // 2**level))
    assert max(shapes[-1]) <= largest
    assert all(max(shape) > largest for shape in shapes[:-1])


@given(IMAGE)
def test_the_kernel_is_the_mean_of_four_rounded_half_up(image: np.ndarray) -> None:
    half = halve(image)
    _, height, width = image.shape
    assert half.shape == (3, -(-height // 2), -(-width // 2))
    assert half.dtype == image.dtype
    for y in range(half.shape[1]):
        for x in range(half.shape[2]):
            rows, columns = (
                (2 * n, min(2 * n + 1, size - 1)) for n, size in ((y, height), (x, width))
            )
            four = image[:, rows][:, :, columns].astype(int)
            assert (half[:, y, x] == (four.sum(axis=(1, 2)) + 2) // 4).all()


@given(IMAGE, st.data())
def test_a_window_is_that_of_the_whole(image: np.ndarray, data: st.DataObject) -> None:
    whole = halve(image)
    y0, y1 = sorted(data.draw(st.tuples(*[st.integers(0, whole.shape[1])] * 2)))
    x0, x1 = sorted(data.draw(st.tuples(*[st.integers(0, whole.shape[2])] * 2)))
    read = halved(lambda box: image[(slice(None), *box.index())], image.shape[1:])
    np.testing.assert_array_equal(read(Box(y0, y1, x0, x1)), whole[:, y0:y1, x0:x1])
