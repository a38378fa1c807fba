"""L-BFGS from inner products: the plain recursion, and torch's optimiser."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tilestyle.admm.lbfgs import direction, inner_products, length

Array = NDArray[np.float64]


def two_loops(s: list[Array], y: list[Array], g: Array) -> Array:
    """Nocedal & Wright (2006), algorithm 7.4, on the vectors themselves."""
    q, alphas = g.copy(), []
    for si, yi in zip(reversed(s), reversed(y), strict=True):
        alphas.append(si @ q / (si @ yi))
        q -= alphas[-1] * yi
    if s:
        q *= s[-1] @ y[-1] / (y[-1] @ y[-1])
    for si, yi, alpha in zip(s, y, reversed(alphas), strict=True):
        q += (alpha - yi @ q / (si @ yi)) * si
    return -q


def vectors(pairs: int, size: int = 60) -> tuple[list[Array], list[Array], Array]:
    rng = np.random.default_rng(pairs)
    hessian = np.diag(rng.uniform(0.5, 5, size))
    s = [rng.normal(size=size) for _ in range(pairs)]
    return s, [hessian @ si for si in s], rng.normal(size=size)


@pytest.mark.parametrize("pairs", [0, 1, 2, 7])
def test_direction_is_the_plain_recursion(pairs: int) -> None:
    s, y, g = vectors(pairs)
    basis = np.array([*s, *y, g])
    for factor in (1.0, 1e-6):
        coefficients = direction(factor * basis @ basis.T)
        np.testing.assert_allclose(coefficients @ basis, two_loops(s, y, g), rtol=1e-8)


def test_a_pair_without_curvature_is_left_out() -> None:
    s, y, g = vectors(3)
    y[1] = -y[1]
    basis = np.array([*s, *y, g])
    expected = two_loops([s[0], s[2]], [y[0], y[2]], g)
    np.testing.assert_allclose(direction(basis @ basis.T) @ basis, expected, rtol=1e-8)


def test_inner_products_of_tiles_add_up() -> None:
    images = np.random.default_rng(1).normal(size=(5, 3, 12, 20)).astype(np.float32)
    flat = images.reshape(5, -1).astype(np.float64)
    found = inner_products(images)
    np.testing.assert_allclose(found, flat @ flat.T / flat.shape[1], rtol=1e-12)
    halves = [inner_products(np.ascontiguousarray(images[..., k : k + 10])) for k in (0, 10)]
    np.testing.assert_allclose(np.mean(halves, axis=0), found, rtol=1e-12)
    assert length(np.eye(5)[2], found) == pytest.approx(np.sqrt(np.mean(images[2] ** 2)), rel=1e-6)


def test_steps_are_those_of_torch() -> None:
    """torch.optim.LBFGS without a line search, on a function that is no quadratic."""
    start = torch.linspace(-1, 1, 40, dtype=torch.float64)

    def slope(z: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(4 * (z - 0.3) ** 3 + torch.arange(1, 41) * z + z.roll(1))

    z = start.clone().requires_grad_(True)
    torch_steps = torch.optim.LBFGS([z], max_iter=1, history_size=5)

    def closure() -> torch.Tensor:
        z.grad = slope(z.detach())
        return torch.as_tensor(z.detach().norm())

    x = start.numpy().copy()
    s: list[Array] = []
    y: list[Array] = []
    g = slope(torch.from_numpy(x)).numpy()
    for t in range(8):
        torch_steps.step(closure)  # type: ignore[no-untyped-call]
        basis = np.array([*s[-5:], *y[-5:], g])
        towards = direction(basis @ basis.T) @ basis
        step = towards * (min(1.0, 1 / np.abs(g).sum()) if t == 0 else 1.0)
        x = x + step
        after = slope(torch.from_numpy(x)).numpy()
        s, y, g = [*s, step], [*y, after - g], after
        np.testing.assert_allclose(x, z.detach().numpy(), rtol=1e-9)
