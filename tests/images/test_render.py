"""From floating point to the pixels of a file."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tilestyle.admm.grid import Box
from tilestyle.images.render import Rendering, dither

EIGHT = np.dtype(np.uint8)


def test_whole_levels_stay_and_others_keep_their_mean() -> None:
    levels = np.arange(256, dtype=np.float32).reshape(1, 1, 256) / np.float32(255)
    rows = np.broadcast_to(levels, (3, 400, 256))
    box = Box(0, 400, 0, 256)
    expected = np.broadcast_to(np.arange(256), rows.shape)
    np.testing.assert_array_equal(dither(rows, box), expected)
    between = (rows * 255 + np.float32(0.3)) / np.float32(255)
    found = dither(between, box).astype(float)
    assert np.abs(found[..., :255].mean() - 127.3) < 0.02
    assert (found[0] == found[1]).all()  # grey stays grey
    np.testing.assert_array_equal(
        dither(np.array([[[-1, 2]]], np.float32), Box(0, 1, 0, 2)), [[[0, 255]]]
    )


@given(y=st.integers(0, 39), x=st.integers(0, 39), seed=st.integers(0, 9))
def test_boxes_fit_together(y: int, x: int, seed: int) -> None:
    image = np.random.default_rng(seed).random((3, 40, 40), np.float32)
    alpha = np.random.default_rng(seed).integers(0, 256, (1, 40, 40), np.uint8)
    for render in (Rendering(EIGHT), Rendering(EIGHT, alpha=True)):
        whole = render(image, alpha, Box(0, 40, 0, 40))
        part = render(image[:, y:, x:], alpha[:, y:, x:], Box(y, 40, x, 40))
        np.testing.assert_array_equal(part, whole[:, y:, x:])


def test_alpha_is_kept_or_lies_on_white() -> None:
    x = np.full((3, 1, 3), 0.2, np.float32)
    alpha = np.array([[[0, 51, 255]]], np.uint8)
    box = Box(0, 1, 0, 3)
    white = Rendering(np.dtype(np.uint16))(x, alpha, box)
    np.testing.assert_array_equal(white[0], [[65535, 55049, 13107]])
    kept = Rendering(np.dtype(np.uint16), alpha=True)(x, alpha, box)
    np.testing.assert_array_equal(kept[3], [[0, 13107, 65535]])
    np.testing.assert_array_equal(kept[:3], np.full((3, 1, 3), 13107))
