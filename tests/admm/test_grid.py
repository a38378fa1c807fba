"""The patch grid, for any length, core, overlap and blend."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tilestyle.admm.grid import Axis, Box, Grid, Patch, fit_core, make_grid
from tilestyle.errors import UserError

ALIGNS = (1, 2, 8, 32)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Align, largest core, overlap and blend that go together."""
    align = draw(st.sampled_from(ALIGNS))
    core = align * draw(st.integers(4, 16))
    overlap = align * draw(st.integers(1, core // align // 4))
    blend = 2 * draw(st.integers(1, overlap))
    return align, core, overlap, blend


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    align, core, overlap, blend = draw(layouts())
    height, width = (draw(st.integers(1, 5 * core)) for _ in range(2))
    return make_grid(height, width, core, overlap, blend, align)


@st.composite
def axes(draw: st.DrawFn) -> Axis:
    align, core, overlap, blend = draw(layouts())
    length = draw(st.integers(1, 20 * core))
    return make_grid(length, 1, core, overlap, blend, align).rows


def meets(a: Box, b: Box) -> bool:
    return a.y0 < b.y1 and b.y0 < a.y1 and a.x0 < b.x1 and b.x0 < a.x1


def add_windows(axis: Axis) -> NDArray[np.float64]:
    total = np.zeros(axis.length)
    for k in range(axis.count):
        total[slice(*axis.span(k))] += axis.window(k)
    return total


@given(grids())
def test_every_pixel_is_in_exactly_one_core(grid: Grid) -> None:
    owners = np.zeros((grid.rows.length, grid.columns.length), np.int64)
    for patch in grid:
        owners[patch.core.index()] += 1
    assert (owners == 1).all()


@given(grids())
def test_patches_hold_their_core_and_lie_inside_the_level(grid: Grid) -> None:
    for patch in grid:
        assert 0 <= patch.box.y0 <= patch.core.y0 < patch.core.y1 <= patch.box.y1
        assert 0 <= patch.box.x0 <= patch.core.x0 < patch.core.x1 <= patch.box.x1
        assert patch.box.y1 <= grid.rows.length
        assert patch.box.x1 <= grid.columns.length


@given(axes())
def test_patch_adds_the_overlap_on_each_inner_side(axis: Axis) -> None:
    for k in range(axis.count):
        (start, stop), (first, last) = axis.core_span(k), axis.span(k)
        assert start - first == (axis.overlap if k else 0)
        assert last - stop == (axis.overlap if k < axis.count - 1 else 0)


@given(axes(), st.data())
def test_only_neighbours_share_pixels(axis: Axis, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, axis.count - 1))
    for far in range(k + 2, axis.count):
        assert axis.span(far)[0] >= axis.span(k)[1]


@given(layouts(), st.data())
def test_origins_are_multiples_of_align(
    layout: tuple[int, int, int, int], data: st.DataObject
) -> None:
    align, core, overlap, blend = layout
    height, width = (data.draw(st.integers(1, 5 * core)) for _ in range(2))
    for patch in make_grid(height, width, core, overlap, blend, align):
        assert patch.box.y0 % align == patch.box.x0 % align == 0
        assert patch.core.y0 % align == patch.core.x0 % align == 0


@given(layouts(), st.data())
def test_no_core_is_larger_than_asked(
    layout: tuple[int, int, int, int], data: st.DataObject
) -> None:
    align, core, _, _ = layout
    length = data.draw(st.integers(1, 20 * core))
    axis = Axis(length, fit_core(length, core, align), 0, 0)
    spans = [axis.core_span(k) for k in range(axis.count)]
    assert max(stop - start for start, stop in spans) <= core
    assert axis.core % align == 0
    assert axis.core >= min(core // 2, length)


@pytest.mark.parametrize(("core", "align"), [(128, 32), (96, 32), (64, 32), (48, 8), (9, 1)])
def test_no_core_is_larger_at_any_length(core: int, align: int) -> None:
    for length in range(1, 12 * core):
        axis = Axis(length, fit_core(length, core, align), 0, 0)
        start, stop = axis.core_span(axis.count - 1)
        assert stop - start <= core, length


def test_no_core_is_larger_than_the_smallest_that_can_be_asked() -> None:
    for length in range(1, 200):
        grid = make_grid(length, length, 64, 0, 0, 32)
        assert max(patch.core.height for patch in grid) <= 64, length


@given(axes())
def test_last_core_is_at_least_half_a_core(axis: Axis) -> None:
    start, stop = axis.core_span(axis.count - 1)
    if axis.count > 1:
        assert 2 * (stop - start) >= axis.core
    for (_, end), (begin, _) in pairwise(map(axis.core_span, range(axis.count))):
        assert end == begin


@given(axes())
def test_windows_along_an_axis_sum_to_one(axis: Axis) -> None:
    assert np.abs(add_windows(axis) - 1).max() <= 1e-6


@given(grids())
def test_windows_are_weights_and_sum_to_one(grid: Grid) -> None:
    total = np.zeros((grid.rows.length, grid.columns.length))
    for patch in grid:
        window = grid.window(patch)
        assert window.dtype == np.float32
        assert window.shape == (patch.box.height, patch.box.width)
        assert window.min() >= 0
        assert window.max() <= 1
        total[patch.box.index()] += window
    assert np.abs(total - 1).max() <= 1e-6


@given(grids())
def test_weight_is_one_where_a_patch_is_alone(grid: Grid) -> None:
    shape = (grid.rows.length, grid.columns.length)
    holders, total = np.zeros(shape, np.int64), np.zeros(shape)
    for patch in grid:
        holders[patch.box.index()] += grid.window(patch) > 0
        total[patch.box.index()] += grid.window(patch)
    assert (total[holders == 1] == 1).all()


@given(axes())
def test_weights_vary_in_the_middle_of_a_band_alone(axis: Axis) -> None:
    varies = np.zeros(axis.length, bool)
    for k in range(axis.count):
        window = axis.window(k)
        varies[slice(*axis.span(k))] |= (window > 0) & (window < 1)
    expected = np.zeros(axis.length, bool)
    for k in range(1, axis.count):
        border = axis.core_span(k)[0]
        expected[border - axis.blend // 2 : border + axis.blend // 2] = True
    np.testing.assert_array_equal(varies, expected)


@given(axes())
def test_windows_of_neighbours_mirror_each_other(axis: Axis) -> None:
    for k in range(1, axis.count):
        falling = axis.window(k - 1)[-2 * axis.overlap :]
        rising = axis.window(k)[: 2 * axis.overlap]
        np.testing.assert_allclose(falling, rising[::-1], atol=1e-6)
        assert (np.diff(rising) >= 0).all()


@pytest.mark.parametrize("overlap", [0, 32])
def test_without_a_blend_each_pixel_is_its_owners(overlap: int) -> None:
    grid = make_grid(300, 300, 128, overlap, 0, 32)
    for patch in grid:
        expected = np.zeros((patch.box.height, patch.box.width), np.float32)
        expected[patch.core.index(patch.box)] = 1
        np.testing.assert_array_equal(grid.window(patch), expected)


@given(grids())
def test_covering_holds_the_patches_that_meet_the_core(grid: Grid) -> None:
    patches = list(grid)
    for block in patches:
        found = grid.covering(block)
        assert found == [patch for patch in patches if meets(patch.box, block.core)]
        assert block in found
        assert len(found) <= 9


def test_an_inner_block_is_covered_by_nine() -> None:
    grid = make_grid(640, 640, 128, 32, 16, 32)
    assert [patch.index for patch in grid.covering(grid[12])] == [6, 7, 8, 11, 12, 13, 16, 17, 18]


@given(grids())
def test_patches_are_numbered_row_by_row(grid: Grid) -> None:
    patches = list(grid)
    assert len(patches) == len(grid)
    assert [patch.index for patch in patches] == list(range(len(grid)))
    corners = [(patch.core.y0, patch.core.x0) for patch in patches]
    assert corners == sorted(corners)
    with pytest.raises(IndexError):
        grid[len(grid)]


@given(grids())
def test_patch_shape_is_that_of_the_largest(grid: Grid) -> None:
    heights, widths = ({getattr(p.box, side) for p in grid} for side in ("height", "width"))
    assert grid.patch_shape == (max(heights), max(widths))


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(ALIGNS))
def test_no_core_is_one_patch(height: int, width: int, align: int) -> None:
    grid = make_grid(height, width, None, 32, 16, align)
    whole = Box(0, height, 0, width)
    assert list(grid) == [Patch(0, whole, whole)]
    assert (grid.window(grid[0]) == 1).all()
    assert grid.covering(grid[0]) == [grid[0]]


@pytest.mark.parametrize(
    ("core", "overlap", "blend", "key"),
    [
        (100, 32, 16, "patch.core: 100"),
        (16, 0, 0, "patch.core: 16"),
        (128, 20, 16, "patch.overlap: 20"),
        (128, 64, 16, "patch.overlap: 64"),
        (96, 32, 16, "patch.overlap: 32"),
        (128, 32, 15, "patch.blend: 15"),
        (128, 32, 66, "patch.blend: 66"),
        (128, 0, 2, "patch.blend: 2"),
    ],
)
def test_impossible_layouts_name_the_key(core: int, overlap: int, blend: int, key: str) -> None:
    with pytest.raises(UserError) as caught:
        make_grid(500, 500, core, overlap, blend, 32)
    message = str(caught.value)
    assert key in message
    assert "\n" not in message


@pytest.mark.parametrize(("overlap", "blend"), [(32, 64), (32, 2), (32, 16)])
def test_widest_layouts_are_accepted(overlap: int, blend: int) -> None:
    grid = make_grid(500, 500, 128, overlap, blend, 32)
    assert grid.rows.overlap == overlap
    assert grid.rows.blend == blend


@given(
    st.integers(0, 50),
    st.integers(1, 50),
    st.integers(0, 50),
    st.integers(1, 50),
    st.integers(0, 90),
    st.integers(0, 90),
)
def test_box_index_is_relative_to_its_origin(
    y: int, height: int, x: int, width: int, up: int, left: int
) -> None:
    box = Box(up + y, up + y + height, left + x, left + x + width)
    image = np.arange(200 * 200).reshape(200, 200)
    origin = Box(up, 200, left, 200)
    np.testing.assert_array_equal(image[origin.index()][box.index(origin)], image[box.index()])
    assert box & origin == box
    assert (box.height, box.width) == (height, width)


@given(st.integers(100, 700), st.sampled_from([64, 128, 192]), st.sampled_from([0, 4, 32]))
def test_widened_patches_have_the_same_windows(length: int, core: int, blend: int) -> None:
    narrow = make_grid(length, 70, core, 0 if core == 64 else 32, 0 if core == 64 else blend, 32)
    wide = narrow.widened(160)
    total = np.zeros(length)
    for k in range(narrow.rows.count):
        start, stop = wide.rows.span(k)
        window = wide.rows.window(k)
        total[start:stop] += window
        first, last = narrow.rows.span(k)
        inside = slice(first - start, last - start)
        assert np.array_equal(window[inside], narrow.rows.window(k))
        assert not np.delete(window, np.r_[inside]).any()
        assert start % 32 == 0
    assert np.allclose(total, 1, atol=1e-6)
