"""Regions with styles of their own: patches and tiles give the gradient of the whole image."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.style.test_engine import noise
from tests.style.test_exact import smooth
from tilestyle.admm.grid import Box, Grid, make_grid
from tilestyle.admm.sharing import means, merge
from tilestyle.style.engine import PatchLoss, Problem
from tilestyle.style.exact import context, gradient
from tilestyle.style.losses import gram
from tilestyle.style.objective import Objective, Region, Weights, style_key
from tilestyle.style.scattering import Scattering

STYLE = {"first.0": 1.0, "second.0": 2.0, "first.1": 1.0}
SHAPE = HEIGHT, WIDTH = 224, 320


def objective(moments: float = 0.0, tv: float = 0.0) -> Objective:
    """Two regions, each with its own style and weight."""
    network = Scattering(octaves=2, orientations=4).requires_grad_(False)
    weights = Weights({"first.1": 1.0}, STYLE, 0.7, 1.3, moments, tv)
    regions = []
    for seed, weight in ((9, 1.0), (8, 0.4)):
        features = network.features(smooth(120, 140, seed), weights.layers)
        styles = {j: gram(f, means=bool(moments)) for j, f in features.items()}
        regions.append(Region(styles, weight))
    return Objective(network, weights, regions)


@pytest.fixture
def guides() -> Tensor:
    """Soft masks that leave a part to no region."""
    ramp = torch.linspace(0, 1, WIDTH).expand(HEIGHT, WIDTH)
    first = (ramp * 3 - 1).clamp(0, 1)
    second = (1 - first) * (torch.arange(HEIGHT) > 40).float()[:, None]
    return torch.stack([first, second])


def whole_gradient(goal: Objective, x: Tensor, content: Tensor, guides: Tensor) -> Tensor:
    """Of pixels * f by autograd, from the definition: region by region, position by position."""
    x = x.clone().requires_grad_(True)
    features = goal.features(x)
    style = torch.zeros(())
    for guide, region in zip(guides, goal.regions, strict=True):
        for j, weight in STYLE.items():
            stride = goal.network.layers[j].stride
            cells = torch.nn.functional.avg_pool2d(guide[None], stride, ceil_mode=True)[0]
            cells = cells[: features[j].shape[1], : features[j].shape[2]]
            maps = features[j] * cells.sqrt()
            found = torch.einsum("ayx,byx->ab", maps, maps) / cells.sum()
            target = region.styles[j]
            error = (found - target).square().sum() / target.square().sum()
            style = style + region.weight * weight * cells.mean() * error / sum(STYLE.values())
    term = goal.content_term(features, goal.content_features(content))
    f = goal.weights.alpha * term + goal.weights.beta * style
    (result,) = torch.autograd.grad(x[0].numel() * f, x)
    return result


def measured(goal: Objective, x: Tensor, content: Tensor, guides: Tensor) -> dict[str, object]:
    """The first pass, on tiles."""
    grid = make_grid(*SHAPE, 128, 0, 0, 32).widened(96)
    parts = []
    for tile in grid:
        box = (slice(None), *tile.box.index())
        window = torch.from_numpy(grid.window(tile))
        parts.append(goal.parts(x[box], content[box], window, guides[box]))
    return merge(parts)  # type: ignore[return-value]


def test_tiles_give_the_gradient_of_the_whole_image(guides: Tensor) -> None:
    goal, x, content = objective(), smooth(*SHAPE, 1), smooth(*SHAPE, 2)
    expected = whole_gradient(goal, x, content, guides)
    parts = measured(goal, x, content, guides)
    reach = math.ceil(context(goal.network.layers, goal.weights.layers) / 32) * 32
    for tile in make_grid(*SHAPE, 128, 0, 0, 32).widened(reach):
        box = (slice(None), *tile.box.index())
        found = gradient(goal, x[box], content[box], parts, x[0].numel(), guides[box])  # type: ignore[arg-type]
        core = (slice(None), *tile.core.index())
        error = found[:, *tile.core.index(tile.box)] - expected[core]
        assert float(error.abs().max() / expected.abs().max()) < 1e-5


@pytest.mark.parametrize(("moments", "tv"), [(0.0, 0.0), (0.5, 0.0), (0.0, 2.0), (0.5, 2.0)])
def test_a_patch_begins_with_the_gradient_of_the_whole_image(
    guides: Tensor, moments: float, tv: float
) -> None:
    """The patch's loss and the exact tile agree, whatever is in f."""
    goal, x, content = objective(moments, tv), smooth(*SHAPE, 1), smooth(*SHAPE, 2)
    parts = measured(goal, x, content, guides)
    mean = {k: torch.from_numpy(m) for k, m in means(parts).items()}  # type: ignore[arg-type]
    grid: Grid = make_grid(*SHAPE, 128, 0, 0, 32).widened(96)
    for tile in list(grid)[:4]:
        box = (slice(None), *tile.box.index())
        problem = Problem(content[box], mean, x[box], None, guides[box])
        start = x[box].clone().requires_grad_(True)
        found = PatchLoss(goal, problem).gradient(start)
        expected = gradient(goal, x[box], content[box], parts, x[0].numel(), guides[box])  # type: ignore[arg-type]
        inside = (slice(None), *tile.core.index(tile.box))
        error = (found - expected)[inside].abs().max()
        assert float(error / expected[inside].abs().max()) < 1e-4


def test_moments_and_variation_change_the_gradient(guides: Tensor) -> None:
    x, content = smooth(*SHAPE, 1), smooth(*SHAPE, 2)
    found = []
    for moments, tv in [(0.0, 0.0), (0.5, 0.0), (0.0, 2.0)]:
        goal = objective(moments, tv)
        parts = measured(goal, x, content, guides)
        found.append(gradient(goal, x, content, parts, x[0].numel(), guides))  # type: ignore[arg-type]
    assert float((found[1] - found[0]).norm() / found[0].norm()) > 0.1
    assert float((found[2] - found[0]).norm() / found[0].norm()) > 0.01


@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_region_in_a_patchs_corner_moves_no_more_than_the_corner(seen: int) -> None:
    """With `seen` pixels of the region a step is finite and bounded by those of other patches."""
    goal, size = objective(), 128
    start, content = noise(size, size, 1), noise(size, size, 2)
    whole = torch.stack([torch.ones(size, size), torch.zeros(size, size)])
    corner = whole.clone()
    corner[0, :seen, :seen], corner[1, :seen, :seen] = 0, 1

    def first(guides: Tensor) -> Tensor:
        features = goal.features(start)
        mean = {style_key(r, j): 2 * goal.regions[r].styles[j] for r in range(2) for j in STYLE}
        assert features
        problem = Problem(content, mean, start, None, guides)
        return PatchLoss(goal, problem).gradient(start.clone().requires_grad_(True))

    alone, cornered = first(whole), first(corner)
    assert torch.isfinite(cornered).all()
    assert float(cornered.abs().max()) < 3 * float(alone.abs().max())
    far = (slice(None), slice(64, None), slice(64, None))
    torch.testing.assert_close(cornered[far], alone[far], rtol=0.02, atol=1e-4)


def test_a_region_without_pixels_counts_nothing(guides: Tensor) -> None:
    goal, x, content = objective(), smooth(*SHAPE, 1), smooth(*SHAPE, 2)
    nothing = guides.clone()
    nothing[1] = 0
    value = goal.value(measured(goal, x, content, nothing))  # type: ignore[arg-type]
    single = replace(goal, regions=goal.regions[:1])
    other = single.value(measured(single, x, content, nothing[:1]))  # type: ignore[arg-type]
    assert value.style == pytest.approx(other.style, rel=1e-6)
    assert value.style > 0


def test_one_guide_of_ones_is_no_guide() -> None:
    goal, x, content = objective(tv=1), smooth(*SHAPE, 1), smooth(*SHAPE, 2)
    single = replace(goal, regions=goal.regions[:1])
    ones = torch.ones(1, HEIGHT, WIDTH)
    window, box = torch.ones(SHAPE), Box(0, HEIGHT, 0, WIDTH)
    assert box.height == HEIGHT
    values = [single.value(single.parts(x, content, window, guide)) for guide in (ones, None)]
    assert values[0].total == pytest.approx(values[1].total, rel=1e-5)
