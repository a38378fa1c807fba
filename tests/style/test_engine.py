"""The engine: one patch, a few steps, and what its neighbours rely on."""

from collections.abc import Collection
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tilestyle.admm.grid import make_grid
from tilestyle.admm.sharing import means, merge
from tilestyle.style.engine import Moments, Optimizer, PatchLoss, Problem, Solution, solve
from tilestyle.style.losses import gram
from tilestyle.style.network import Features
from tilestyle.style.objective import Objective, Region, Weights, style_key
from tilestyle.style.scattering import Scattering

STYLE = {"first.0": 1.0, "second.0": 1.0, "first.1": 1.0}
OPTIMIZERS: list[Optimizer] = ["adam", "lbfgs"]


class Counting(Scattering):
    """Counts how often features are asked for, without those of the content."""

    def __init__(self) -> None:
        super().__init__(octaves=2, orientations=4)
        self.asked = 0

    def features(self, image: Tensor, names: Collection[str]) -> Features:
        self.asked += torch.is_grad_enabled()
        return super().features(image, names)


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def stripes(height: int, width: int) -> Tensor:
    wave = 0.5 + 0.4 * torch.sin(torch.arange(width) * 1.3)
    return wave * torch.tensor([1.0, 0.6, 0.3])[:, None, None] * torch.ones(height, 1)


def objective(
    alpha: float = 0.05, beta: float = 1.0, network: Scattering | None = None
) -> Objective:
    network = network or Counting()
    weights = Weights({"first.1": 1.0}, STYLE, alpha, beta)
    with torch.no_grad():
        found = network.features(stripes(64, 64), weights.layers)
    return Objective(network, weights, [Region({j: gram(f) for j, f in found.items()})])


def own_grams(goal: Objective, image: Tensor) -> dict[str, Tensor]:
    return goal.grams(goal.style_features(image))


def alone(goal: Objective, content: Tensor, start: Tensor) -> Problem:
    """The problem of a patch that is the whole image."""
    return Problem(content, own_grams(goal, start), start, None)


def value(goal: Objective, content: Tensor, x: Tensor) -> float:
    """The objective f of the whole image."""
    with torch.no_grad():
        features = goal.features(x)
        content_term = goal.content_term(features, goal.content_features(content))
        style_term = goal.style_term(goal.grams(features))
    return float(goal.weights.alpha * content_term + goal.weights.beta * style_term)


@pytest.fixture
def content() -> Tensor:
    return 0.3 + 0.4 * noise(48, 40)


def run(
    goal: Objective,
    problem: Problem,
    start: Tensor,
    steps: int = 10,
    optimizer: Optimizer = "adam",
    moments: Moments | None = None,
) -> Solution:
    return solve(goal, problem, start, steps, optimizer=optimizer, rate=0.02, moments=moments)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_objective_goes_down(optimizer: Optimizer, content: Tensor) -> None:
    goal = objective()
    problem = alone(goal, content, content)
    values = [value(goal, content, content)]
    for steps in (4, 16):
        found = run(goal, problem, content, steps, optimizer)
        values.append(value(goal, content, found.z))
    assert values[1] < 0.9 * values[0]
    assert values[2] < 0.9 * values[1]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_pixels_stay_in_range_and_start_is_kept(optimizer: Optimizer) -> None:
    start = noise(48, 40).round()
    before = start.clone()
    goal = objective()
    found = run(goal, alone(goal, start, start), start, 8, optimizer)
    assert torch.equal(start, before)
    assert not start.requires_grad
    assert found.z.min() >= 0
    assert found.z.max() <= 1
    assert not torch.equal(found.z, start)
    assert not found.z.requires_grad
    assert found.z.dtype == torch.float32


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_first_terms_are_those_of_the_start(optimizer: Optimizer, content: Tensor) -> None:
    goal, start = objective(), noise(48, 40, 3)
    found = run(goal, alone(goal, content, start), start, 2, optimizer)
    features = goal.features(start)
    expected = goal.content_term(features, goal.content_features(content))
    assert found.content == pytest.approx(float(expected))
    assert found.variation == 0  # its weight is


@pytest.mark.parametrize("contrast", [0.4, 5.0])
def test_adam_goes_on_as_if_it_had_not_stopped(contrast: float) -> None:
    """Also where pixels reach the end of their range."""
    content = (0.5 + contrast * (noise(48, 40) - 0.5)).clamp(0, 1)
    goal = objective()
    at_once = run(goal, alone(goal, content, content), content, 7)
    first = run(goal, alone(goal, content, content), content, 3)
    second = run(goal, alone(goal, content, first.z), first.z, 4, moments=first.moments)
    assert torch.equal(second.z, at_once.z)
    assert at_once.moments is not None
    assert second.moments is not None
    assert second.moments.steps == at_once.moments.steps == 7
    assert torch.equal(second.moments.first, at_once.moments.first)
    assert torch.equal(second.moments.second, at_once.moments.second)


def test_moments_are_read_and_not_changed(content: Tensor) -> None:
    goal = objective()
    moments = run(goal, alone(goal, content, content), content, 2).moments
    assert moments is not None
    first, second = moments.first.clone(), moments.second.clone()
    fresh, warm = (
        run(goal, alone(goal, content, content), content, 2, "adam", m) for m in (None, moments)
    )
    assert torch.equal(moments.first, first)
    assert torch.equal(moments.second, second)
    assert moments.steps == 2
    assert not torch.equal(fresh.z, warm.z)


def test_lbfgs_keeps_no_moments(content: Tensor) -> None:
    goal = objective()
    assert run(goal, alone(goal, content, content), content, 3, "lbfgs").moments is None


@pytest.mark.parametrize("steps", [1, 5])
def test_adam_evaluates_once_a_step(steps: int, content: Tensor) -> None:
    goal, network = objective(), Counting()
    run(replace(goal, network=network), alone(goal, content, content), content, steps)
    assert network.asked == steps


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_penalty_pulls_towards_the_centre(optimizer: Optimizer, content: Tensor) -> None:
    """Nothing but the penalty: z comes to the centre where it has weight, and stays elsewhere."""
    goal, centre = objective(alpha=0, beta=0), noise(48, 40, 5)
    penalty = torch.zeros(48, 40)
    penalty[:, :10] = 2
    problem = replace(alone(goal, content, content), centre=centre, penalty=penalty)
    found = run(goal, problem, content, 60, optimizer)
    assert (found.z - centre)[:, :, :10].abs().mean() < 0.02
    assert torch.equal(found.z[:, :, 10:], content[:, :, 10:])


def test_penalty_is_weighed_against_the_loss(content: Tensor) -> None:
    goal = objective()
    distances = []
    for rho in (0.0, 1.0, 100.0):
        problem = replace(alone(goal, content, content), penalty=torch.full((48, 40), rho))
        found = run(goal, problem, content, 20, "lbfgs")
        distances.append(float((found.z - content).norm()))
    assert distances[0] > distances[1] > distances[2] > 0


def test_penalty_is_the_proximal_term(content: Tensor) -> None:
    """Its gradient at the first step is 2 rho w (z - centre), read from Adam's first moment."""
    goal, centre = objective(alpha=0, beta=0), noise(48, 40, 5)
    penalty = noise(48, 40, 6)[0]
    problem = replace(alone(goal, content, content), centre=centre, penalty=penalty)
    torch.testing.assert_close(
        first_gradient(goal, problem, content), 2 * penalty * (content - centre)
    )


def first_gradient(goal: Objective, problem: Problem, start: Tensor) -> Tensor:
    moments = run(goal, problem, start, 1).moments
    assert moments is not None
    return moments.first / (1 - 0.9)


def test_alone_a_patch_aims_at_the_style(content: Tensor) -> None:
    goal = objective(alpha=0)
    start = content.clone().requires_grad_(True)
    style = goal.style_term(goal.grams(goal.features(start)))
    (expected,) = torch.autograd.grad(style * start[0].numel(), start)
    found = first_gradient(goal, alone(goal, content, content), content)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_shared_statistics_move_the_mean(content: Tensor) -> None:
    """A patch takes mean + CF_i - CF_i(start) for the image: if the mean matches, it may rest."""
    goal = objective(alpha=0)
    styles = {style_key(0, j): goal.regions[0].styles[j] for j in goal.weights.style}
    matched = replace(alone(goal, content, content), mean=styles)
    assert float(PatchLoss(goal, matched)(content)) == pytest.approx(0, abs=1e-9)
    unshared = first_gradient(goal, alone(goal, content, content), content).abs().max()
    assert first_gradient(goal, matched, content).abs().max() < 1e-4 * unshared
    other = own_grams(goal, noise(64, 64, 8))
    found = float(PatchLoss(goal, replace(matched, mean=other))(content)) / content[0].numel()
    assert found == pytest.approx(float(goal.style_term(other)), rel=1e-5)


def test_the_gradient_of_patches_is_the_images() -> None:
    """On every core, which the overlap keeps two margins from the patch's borders."""
    goal, grid = objective(alpha=0.3), make_grid(160, 192, 128, 32, 16, 32)
    assert 2 * max(goal.network.layers[j].margin for j in STYLE) + 2 <= grid.rows.overlap
    content, x = noise(160, 192, 1), noise(160, 192, 2)
    parts = []
    for patch in grid:
        window = torch.from_numpy(grid.window(patch))
        parts.append(goal.measure(goal.style_features(x[:, *patch.box.index()]), window))
    mean = {name: torch.from_numpy(m) for name, m in means(merge(parts)).items()}
    expected = first_gradient(goal, alone(goal, content, x), x)
    scale = expected.abs().max()
    assert len(grid) == 4
    for patch in grid:
        start = x[:, *patch.box.index()]
        problem = Problem(content[:, *patch.box.index()], mean, start, None)
        found = first_gradient(goal, problem, start)[:, *patch.core.index(patch.box)]
        assert (found - expected[:, *patch.core.index()]).abs().max() < 1e-4 * scale


def test_a_patch_on_its_own_has_another_gradient() -> None:
    """What sharing is for: without it the test above would not hold."""
    goal = objective(alpha=0.3)
    content, x = noise(160, 192, 1), noise(160, 192, 2) * torch.linspace(0.2, 1, 192)
    expected = first_gradient(goal, alone(goal, content, x), x)
    start = x[:, :128, :128]
    found = first_gradient(goal, alone(goal, content[:, :128, :128], start), start)
    assert (found - expected[:, :128, :128])[:, :96, :96].abs().max() > 0.05 * expected.abs().max()


def test_runs_are_deterministic(content: Tensor) -> None:
    goal = objective()
    for optimizer in OPTIMIZERS:
        first, second = (
            run(goal, alone(goal, content, content), content, 5, optimizer) for _ in range(2)
        )
        assert torch.equal(first.z, second.z)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_bfloat16_network_is_close(optimizer: Optimizer, content: Tensor) -> None:
    exact = objective()
    rough = objective(network=Scattering(2, 4).to(torch.bfloat16))
    start = value(exact, content, content)
    ends = []
    for goal in (exact, rough):
        found = run(goal, alone(goal, content, content), content, 15, optimizer)
        assert found.z.dtype == torch.float32
        ends.append(value(exact, content, found.z))
    assert abs(ends[1] - ends[0]) < 0.05 * (start - ends[0])
