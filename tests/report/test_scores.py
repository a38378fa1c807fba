"""Seams and detail, on images whose faults are known."""

import math
from pathlib import Path

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from tilestyle.admm.grid import Grid, make_grid
from tilestyle.report import scores
from tilestyle.report.scores import Scores, score_image

Image = NDArray[np.float32]
SIZE = (448, 640)


@pytest.fixture
def grid() -> Grid:
    return make_grid(*SIZE, 128, 32, 16, 32)


def blurred(image: Image, radius: int = 2) -> Image:
    """Means over squares, continued beyond the border."""
    side = 2 * radius + 1
    padded = np.pad(image, ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    rows = np.mean([padded[:, i : i + image.shape[1]] for i in range(side)], axis=0)
    both = np.mean([rows[:, :, i : i + image.shape[2]] for i in range(side)], axis=0)
    return np.asarray(both, np.float32)


@pytest.fixture
def image() -> Image:
    """Smooth noise, alike everywhere."""
    return blurred(np.random.default_rng(3).random((3, *SIZE), dtype=np.float32), 1)


def inner_borders(grid: Grid) -> tuple[list[int], list[int]]:
    rows, columns = (
        [axis.core_span(k)[0] for k in range(1, axis.count)] for axis in (grid.rows, grid.columns)
    )
    return rows, columns


def near_borders(grid: Grid, distance: int) -> NDArray[np.bool_]:
    """Pixels at most so far from an inner border of cores."""
    near = np.zeros(SIZE, bool)
    rows, columns = inner_borders(grid)
    for y in rows:
        near[y - distance : y + distance] = True
    for x in columns:
        near[:, x - distance : x + distance] = True
    return near


def with_steps(image: Image, grid: Grid, height: float) -> Image:
    """Neighbouring cores differ in brightness, like a chessboard."""
    stepped = image.copy()
    for patch in grid:
        j, i = divmod(patch.index, grid.columns.count)
        stepped[(slice(None), *patch.core.index())] += np.float32(height * ((i + j) % 2))
    return stepped


def brute_force(image: Image, grid: Grid) -> Scores:
    """Both scores from whole-image arrays."""
    detail = np.square(image - blurred(image)).sum(axis=0)
    seams, bands = [], []
    for axis, borders in enumerate(inner_borders(grid)):
        lines = np.abs(np.diff(image, axis=axis + 1, prepend=np.nan)).sum(axis=(0, 2 - axis))
        energy = detail.sum(axis=1 - axis)
        place = np.arange(len(lines))
        for border in borders:
            near = np.where(place < border, border - place, place - border + 1)
            beside = (np.abs(place - border) > 8) & (near <= 64) & (place > 0)
            seams.append(lines[border] / np.median(lines[beside]))
            bands.append(energy[near <= 32].mean() / energy[(near > 32) & (near <= 64)].mean())
    return Scores(float(np.mean(seams)), float(np.mean(bands)))


def test_scores_against_brute_force(image: Image, grid: Grid) -> None:
    uneven = image * np.linspace(0.3, 1, SIZE[1], dtype=np.float32) ** 2
    found, expected = score_image(uneven, grid), brute_force(uneven, grid)
    assert found.detail == pytest.approx(expected.detail, rel=1e-5)
    assert found.seam == pytest.approx(expected.seam, rel=1e-5)


def test_an_even_image_scores_one(image: Image, grid: Grid) -> None:
    found = score_image(image, grid)
    assert found.seam == pytest.approx(1, abs=0.03)
    assert found.detail == pytest.approx(1, abs=0.03)


def test_steps_at_the_borders_raise_the_seam_score(image: Image, grid: Grid) -> None:
    found = [score_image(with_steps(image, grid, height), grid).seam for height in (0.1, 0.3)]
    assert found[0] > 1.1
    assert found[1] > 2 * found[0] - 1


def test_steps_elsewhere_do_not(image: Image, grid: Grid) -> None:
    shifted = np.roll(with_steps(image, grid, 0.3), 20, axis=(1, 2))
    assert score_image(shifted, grid).seam < 1.03


def test_soft_borders_lower_the_seam_score(image: Image, grid: Grid) -> None:
    soft = np.where(near_borders(grid, 3), blurred(image), image)
    assert score_image(soft, grid).seam < 0.8


def test_soft_bands_lower_the_detail_score(image: Image, grid: Grid) -> None:
    soft = np.where(near_borders(grid, 32), blurred(image), image)
    softer = np.where(near_borders(grid, 32), blurred(image, 4), image)
    found = [score_image(x, grid).detail for x in (image, soft, softer)]
    assert found[0] > 1.3 * found[1] > 1.3 * found[2]


def test_detail_is_measured_in_the_whole_band(image: Image, grid: Grid) -> None:
    half = np.where(near_borders(grid, 16), blurred(image), image)
    whole = np.where(near_borders(grid, 32), blurred(image), image)
    assert score_image(whole, grid).detail < score_image(half, grid).detail < 0.95


@pytest.mark.parametrize("axis", [0, 1])
def test_seams_of_either_direction_count(axis: int, image: Image, grid: Grid) -> None:
    borders = inner_borders(grid)[axis]
    profile = np.searchsorted(borders, np.arange(SIZE[axis]), side="right") % 2
    stepped = image + np.float32(0.3) * (profile if axis else profile[:, None])
    assert score_image(stepped, grid).seam > 1.3


@pytest.mark.parametrize("factor", [0.01, 5.0])
def test_scores_do_not_depend_on_contrast(image: Image, grid: Grid, factor: float) -> None:
    plain = score_image(with_steps(image, grid, 0.2), grid)
    found = score_image(np.float32(factor) * with_steps(image, grid, 0.2), grid)
    assert found.seam == pytest.approx(plain.seam, rel=1e-4)
    assert found.detail == pytest.approx(plain.detail, rel=1e-4)


def in_blocks(image: Image, grid: Grid, block: int, monkeypatch: pytest.MonkeyPatch) -> Scores:
    with monkeypatch.context() as patch:
        patch.setattr(scores, "BLOCK", block)
        return score_image(image, grid)


@pytest.mark.parametrize("block", [37, 64, 500])
def test_streaming_does_not_show(
    block: int, image: Image, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, streamed = score_image(image, grid), in_blocks(image, grid, block, monkeypatch)
    assert streamed.seam == pytest.approx(whole.seam, rel=1e-6)
    assert streamed.detail == pytest.approx(whole.detail, rel=1e-6)


def test_streaming_does_not_show_in_float64(
    image: Image, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, streamed = score_image(image, grid), in_blocks(image, grid, 64, monkeypatch)
    assert streamed.seam == pytest.approx(whole.seam, rel=1e-9)
    assert streamed.detail == pytest.approx(whole.detail, rel=1e-9)


def test_zarr_is_read_alike(image: Image, grid: Grid, tmp_path: Path) -> None:
    array = zarr.create_array(
        str(tmp_path / "x"), shape=image.shape, chunks=(3, 100, 100), dtype=np.float32
    )
    array[:] = image
    assert score_image(array, grid) == score_image(image, grid)


def test_one_patch_has_no_scores(image: Image) -> None:
    found = score_image(image, make_grid(*SIZE, None, 32, 16, 32))
    assert math.isnan(found.seam)
    assert math.isnan(found.detail)


def test_a_row_of_patches_has_scores(image: Image) -> None:
    strip = make_grid(100, 640, 128, 32, 16, 32)
    found = score_image(image[:, :100], strip)
    assert strip.rows.count == 1
    assert found.seam == pytest.approx(1, abs=0.06)
    assert found.detail == pytest.approx(1, abs=0.06)
