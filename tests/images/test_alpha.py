"""Alpha: colours without it, and what lies where nothing is to be seen."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilestyle.images.alpha import Filler, straight

OPACITY = arrays(np.uint8, st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 9)))


def test_straight() -> None:
    color = np.array([[[0.2], [0.5], [0.0], [0.9]]], np.float32)
    alpha = np.array([[[0.4], [1.0], [0.0], [0.3]]], np.float32)
    np.testing.assert_allclose(straight(color, alpha), [[[0.5], [0.5], [0.0], [1.0]]])


@given(alpha=OPACITY, cut=st.integers(1, 9), data=st.data())
def test_filling_does_not_depend_on_bands_and_invents_nothing(
    alpha: np.ndarray, cut: int, data: st.DataObject
) -> None:
    alpha = alpha % 2
    band = data.draw(arrays(np.uint8, alpha.shape))
    fill = Filler()
    whole = fill(band, alpha)
    fill = Filler()
    parts = [
        fill(band[:, y : y + cut], alpha[:, y : y + cut]) for y in range(0, band.shape[1], cut)
    ]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
    np.testing.assert_array_equal(whole[alpha > 0], band[alpha > 0])
    assert set(whole[alpha == 0].tolist()) <= {255, *band[alpha > 0].tolist()}


def test_the_nearest_colour_of_the_row_then_the_row_above() -> None:
    band = np.array([[[0, 0, 0, 0], [0, 7, 0, 9], [0, 0, 0, 0]]], np.uint8)
    alpha = (band > 0).astype(np.uint8)
    found = Filler()(band, alpha)
    np.testing.assert_array_equal(found, [[[255] * 4, [7, 7, 7, 9], [7, 7, 7, 9]]])
