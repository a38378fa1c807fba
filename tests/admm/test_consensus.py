"""Lines 2 and 3 of Algorithm 1 against brute force on whole images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tilestyle.admm.consensus import Array, residuals, u_update, x_update
from tilestyle.admm.grid import Grid, Patch, make_grid

SIZES = [(64, 64), (70, 45), (33, 100), (20, 90), (96, 17)]


def make(height: int, width: int) -> Grid:
    return make_grid(height, width, 32, 8, 10, 4)


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def cut(image: Array, patch: Patch) -> Array:
    return image[(slice(None), *patch.box.index())]


def parts(grid: Grid, block: Patch, z: list[Array]) -> list[tuple[Patch, Array]]:
    found = []
    for patch in grid.covering(block):
        common = patch.box & block.core
        found.append((patch, z[patch.index][(slice(None), *common.index(patch.box))]))
    return found


def consensus(grid: Grid, z: list[Array]) -> Array:
    x = np.full((len(z[0]), grid.rows.length, grid.columns.length), np.nan, np.float32)
    for block in grid:
        core = (slice(None), *block.core.index())
        x[core] = x_update(grid, block, parts(grid, block, z))
    return x


def sums(grid: Grid, z: list[Array]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of w_i z_i and of w_i, over the whole image in float64."""
    total = np.zeros((len(z[0]), grid.rows.length, grid.columns.length))
    weight = np.zeros(total.shape[1:])
    for patch in grid:
        window = grid.window(patch).astype(np.float64)
        cut_total = total[(slice(None), *patch.box.index())]
        cut_total += window * z[patch.index]
        weight[patch.box.index()] += window
    return total, weight


def disagreeing(grid: Grid, channels: int = 3) -> list[Array]:
    return [noise(channels, p.box.height, p.box.width, seed=p.index) for p in grid]


@pytest.mark.parametrize("size", SIZES)
def test_patches_that_agree_give_their_image_back(size: tuple[int, int]) -> None:
    grid, image = make(*size), noise(3, *size)
    found = consensus(grid, [cut(image, patch) for patch in grid])
    np.testing.assert_allclose(found, image, atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [3, 6])
def test_consensus_is_the_weighted_average(size: tuple[int, int], channels: int) -> None:
    grid = make(*size)
    z = disagreeing(grid, channels)
    total, weight = sums(grid, z)
    np.testing.assert_allclose(consensus(grid, z), total / weight, atol=1e-6)


def balanced_duals(grid: Grid) -> list[NDArray[np.float64]]:
    """Random u_i with sum_i w_i u_i = 0 at every pixel."""
    raw = [u - np.float32(0.5) for u in disagreeing(grid)]
    total, weight = sums(grid, raw)
    mean = total / weight
    return [u - mean[(slice(None), *p.box.index())] for u, p in zip(raw, grid, strict=True)]


def test_consensus_minimises_the_augmented_term() -> None:
    """The normal equations of sum_i w_i ||z_i - R_i X + u_i||^2, solved as one system."""
    grid = make(44, 40)
    assert len(grid) > 1
    z, u = disagreeing(grid), balanced_duals(grid)
    pixels = np.arange(44 * 40).reshape(44, 40)
    rows, values = [], []
    for patch in grid:
        root = np.sqrt(grid.window(patch).astype(np.float64))
        restriction = np.zeros((root.size, pixels.size))
        restriction[np.arange(root.size), pixels[patch.box.index()].ravel()] = root.ravel()
        rows.append(restriction)
        values.append((root * (z[patch.index] + u[patch.index])).reshape(3, -1).T)
    rows_of_all, values_of_all = np.concatenate(rows), np.concatenate(values)
    normal, right = rows_of_all.T @ rows_of_all, rows_of_all.T @ values_of_all
    expected = np.linalg.solve(normal, right).T.reshape(3, 44, 40)
    np.testing.assert_allclose(consensus(grid, z), expected, atol=2e-6)


def test_one_patch_is_handed_on_bit_for_bit() -> None:
    grid = make_grid(37, 53, None, 8, 8, 4)
    image = noise(3, 37, 53) - np.float32(0.3)
    assert consensus(grid, [image]).tobytes() == image.tobytes()


def test_order_of_channels_and_parts_is_kept() -> None:
    grid = make(64, 64)
    constant = np.array([0.1, 0.5, 0.9], np.float32)[:, None, None]
    z = [np.broadcast_to(constant, (3, p.box.height, p.box.width)) for p in grid]
    np.testing.assert_allclose(consensus(grid, z), np.tile(constant, (1, 64, 64)), atol=1e-6)


def test_nothing_covers_a_block() -> None:
    grid = make(64, 64)
    with pytest.raises(ValueError, match="no patch covers block 0"):
        x_update(grid, grid[0], [])


def test_dual_adds_up_the_disagreement() -> None:
    u, z, x = (noise(3, 5, 6, seed=seed) for seed in range(3))
    kept = [a.copy() for a in (u, z, x)]
    np.testing.assert_allclose(u_update(u, z, x), u + (z - x), atol=1e-6)
    for a, b in zip((u, z, x), kept, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(u_update(np.zeros_like(u), z, z), np.zeros_like(u))


@pytest.mark.parametrize("size", SIZES)
def test_duals_of_an_update_have_weighted_zero_mean(size: tuple[int, int]) -> None:
    grid = make(*size)
    z = disagreeing(grid)
    x = consensus(grid, z)
    u = [u_update(np.zeros_like(zi), zi, cut(x, p)) for zi, p in zip(z, grid, strict=True)]
    total, _ = sums(grid, u)
    assert np.abs(total).max() < 1e-6


def all_residuals(
    grid: Grid, z: list[Array], x: Array, before: Array
) -> dict[str, tuple[float, float]]:
    """Of all blocks, added up as weighted means."""
    squares, counts = {"primal": 0.0, "dual": 0.0}, {"primal": 0.0, "dual": 0.0}
    for block in grid:
        core = (slice(None), *block.core.index())
        found = residuals(grid, block, x[core], before[core], parts(grid, block, z))
        assert set(found) == {"primal", "dual"}
        for name, (mean, count) in found.items():
            squares[name] += float(mean) * count
            counts[name] += count
    return {name: (squares[name], counts[name]) for name in squares}


@pytest.mark.parametrize("size", SIZES)
def test_residuals_against_brute_force(size: tuple[int, int]) -> None:
    grid = make(*size)
    z, x, before = disagreeing(grid), noise(3, *size, seed=90), noise(3, *size, seed=91)
    squares, count = 0.0, 0
    for patch in grid:
        window = grid.window(patch)
        shared = (window > 0) & (window < 1)
        error = z[patch.index].astype(np.float64) - cut(x, patch)
        squares += float((error**2 * shared).sum())
        count += 3 * int(shared.sum())
    change = x.astype(np.float64) - before
    found = all_residuals(grid, z, x, before)
    assert found["primal"] == pytest.approx((squares, count), rel=1e-6)
    assert found["dual"] == pytest.approx((float((change**2).sum()), change.size), rel=1e-6)


def test_residuals_vanish_when_all_agree() -> None:
    grid, image = make(70, 45), noise(3, 70, 45)
    found = all_residuals(grid, [cut(image, p) for p in grid], image, image)
    assert found["primal"][0] == found["dual"][0] == 0
    assert found["primal"][1] > 0


def test_primal_counts_only_pixels_that_are_averaged() -> None:
    grid, image = make(64, 64), noise(3, 64, 64)
    z = [cut(image, p).copy() for p in grid]
    for patch, zi in zip(grid, z, strict=True):
        window = grid.window(patch)
        zi[:, (window == 0) | (window == 1)] += 1
    assert all_residuals(grid, z, image, image)["primal"][0] == 0


def test_one_patch_has_no_primal_residual() -> None:
    grid, image = make_grid(20, 30, None, 8, 8, 4), noise(3, 20, 30)
    found = all_residuals(grid, [image + 1], image, image)
    assert found["primal"] == (0, 0)
