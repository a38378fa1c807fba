"""Images of other sizes, laid over a level."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tilestyle.admm.grid import Box
from tilestyle.store.sampling import nearest_level, positions, sample


@given(st.integers(1, 400), st.integers(0, 6), st.data())
def test_an_image_of_the_same_size_lies_pixel_on_pixel(
    length: int, level: int, data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, length - 1))
    end = data.draw(st.integers(begin + 1, length))
    found = positions(begin, end, level, length, level, length)
    np.testing.assert_allclose(found, np.arange(begin, end), atol=1e-9)


@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.data(),
)
def test_a_box_is_part_of_the_whole(
    own: tuple[int, int], over: tuple[int, int], data: st.DataObject
) -> None:
    image = np.random.default_rng(1).integers(0, 256, (1, *own), np.uint8)

    def read(box: Box) -> NDArray[np.uint8]:
        assert Box(0, own[0], 0, own[1]) & box == box
        return image[(slice(None), *box.index())]

    y, x = (positions(0, n, 0, n, 0, m) for n, m in zip(over, own, strict=True))
    whole = sample(read, own, y, x)
    assert whole.shape == (1, *over)
    assert whole.min() >= image.min() / 255 - 1e-6
    assert whole.max() <= image.max() / 255 + 1e-6
    y0 = data.draw(st.integers(0, over[0] - 1))
    x0 = data.draw(st.integers(0, over[1] - 1))
    assert np.array_equal(sample(read, own, y[y0:], x[x0:]), whole[:, y0:, x0:])


def test_doubled_pixels_lie_between() -> None:
    image = np.array([[[0, 255]]], np.uint8)
    x = positions(0, 4, 0, 4, 0, 2)
    found = sample(lambda box: image[(slice(None), *box.index())], (1, 2), np.zeros(1), x)
    np.testing.assert_allclose(found[0, 0], [0, 0.25, 0.75, 1])


def test_the_level_that_is_read_is_not_too_coarse() -> None:
    ladder = [(800, 1000), (400, 500), (200, 250)]
    assert nearest_level(ladder, (400, 500)) == 1
    assert nearest_level(ladder, (401, 500)) == 0
    assert nearest_level(ladder, (10, 10)) == 2
    assert nearest_level(ladder, (2000, 2000)) == 0
