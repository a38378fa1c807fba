"""How high the bands of an output are."""

from hypothesis import given
from hypothesis import strategies as st

from tilestyle.images.bands import band_rows


@given(
    width=st.integers(1, 300_000),
    dtype=st.sampled_from(["uint8", "uint16"]),
    memory=st.integers(1, 1 << 33),
)
def test_bands_fit_in_memory_and_more_memory_never_lowers_them(
    width: int, dtype: str, memory: int
) -> None:
    rows = band_rows(width, dtype, most=512, memory=memory)
    assert 1 <= rows <= 512
    size = 3 * width * (1 if dtype == "uint8" else 2)
    assert rows == 1 or rows * size <= memory // 2
    assert band_rows(width, dtype, most=512, memory=2 * memory) >= rows
