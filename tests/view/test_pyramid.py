"""Levels made on demand are those of the whole image, and each pixel is read once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tilestyle.admm.grid import Box
from tilestyle.images.levels import half_shapes, halve
from tilestyle.view.pyramid import Pyramid, to_bytes

Array = NDArray[Any]

IMAGE = np.random.default_rng(4).integers(0, 256, (3, 517, 1290), np.uint8)


def reader(image: Array) -> Any:
    return lambda box: image[(slice(None), *box.index())]


def levels(image: Array) -> list[Array]:
    found = [image]
    while max(found[-1].shape[1:]) > 1:
        found.append(halve(found[-1]))
    return found


LEVELS = levels(IMAGE)


@settings(max_examples=60)
@given(st.data(), st.integers(1, 4))
def test_any_box_of_any_level(data: st.DataObject, given_levels: int) -> None:
    pyramid = Pyramid((517, 1290), [reader(level) for level in LEVELS[:given_levels]])
    assert pyramid.shapes == [level.shape[1:] for level in LEVELS]
    level = data.draw(st.integers(0, len(LEVELS) - 1))
    height, width = pyramid.shapes[level]
    y0, y1 = sorted(data.draw(st.tuples(*[st.integers(0, height)] * 2)))
    x0, x1 = sorted(data.draw(st.tuples(*[st.integers(0, width)] * 2)))
    found = pyramid.read(level, Box(y0, y1, x0, x1))
    np.testing.assert_array_equal(found, LEVELS[level][:, y0:y1, x0:x1])


def test_the_whole_image_is_read_once_whoever_asks() -> None:
    reads: Counter[Box] = Counter()
    shape = (5000, 9000)
    pixel = np.arange(3, dtype=np.uint8)[:, None, None]

    def read(box: Box) -> Array:
        reads[box] += 1
        assert max(box.height, box.width) <= 1024
        return np.broadcast_to(pixel, (3, box.height, box.width))

    pyramid = Pyramid(shape, [read])
    top = len(half_shapes(shape, 1)) - 1
    pyramid.warm()
    with ThreadPoolExecutor(4) as pool:
        tops = list(pool.map(lambda _: pyramid.read(top, Box(0, 1, 0, 1)), range(4)))
    assert all(np.array_equal(found, pixel) for found in tops)
    assert set(reads.values()) == {1}
    assert sum(box.height * box.width for box in reads) == 5000 * 9000


def test_a_failed_read_is_told_to_who_asks_and_tried_again() -> None:
    broken = [True]

    def read(box: Box) -> Array:
        if broken[0]:
            raise OSError("no such chunk")
        return np.zeros((3, box.height, box.width), np.uint8)

    pyramid = Pyramid((3000, 3000), [read])
    pyramid.warm()
    with pytest.raises(OSError, match="no such chunk"):
        pyramid.read(11, Box(0, 1, 0, 1))
    broken[0] = False
    assert pyramid.read(11, Box(0, 1, 0, 1)).shape == (3, 1, 1)


def test_sixteen_bits_become_eight_by_rounding() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256)
    found = to_bytes(values)
    np.testing.assert_array_equal(found, np.rint(values / 257))
    assert found.dtype == np.uint8
    eight = values.astype(np.uint8)
    assert to_bytes(eight) is eight
