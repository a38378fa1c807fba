"""The engine: Gatys' optimisation of one patch, a plain function on tensors."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from tilestyle.style.losses import Grams, variation
from tilestyle.style.objective import Objective

Optimizer = Literal["adam", "lbfgs"]
BETAS = (0.9, 0.99)
SETTLED = 1e-10
"""f below which only rounding is left of it, features agree to 1e-5: it is not chased."""
HISTORY = 10
"""Pairs of steps and gradient changes that L-BFGS keeps."""


@dataclass(frozen=True)
class Problem:
    """Line 1 of Algorithm 1 for one patch.

    Attributes:
        content: R_i C, (3, height, width) float32, 0 to 1.
        mean: Correlations of the whole iterate, mean_j CF_j, by `objective.style_key`: as the
            patch moves, it takes them for mean + CF_i(z) - CF_i(start), see `admm.sharing`.
        centre: R_i X - u_i, (3, height, width): where the proximal term pulls to.
        penalty: rho * w_i, (height, width), zero where no other patch has weight; None for no
            proximal term.
        guides: The masks of the regions on the patch, (regions, height, width); None for one
            region everywhere.
        edges: E on the patch, (height, width), where there is an edge term.
    """

    content: Tensor
    mean: Grams
    centre: Tensor
    penalty: Tensor | None
    guides: Tensor | None = None
    edges: Tensor | None = None


@dataclass(frozen=True)
class Moments:
    """State of Adam: means of the gradient and of its square, (3, height, width) each."""

    first: Tensor
    second: Tensor
    steps: int

    @property
    def pair(self) -> Tensor:
        """Both means in one, (6, height, width)."""
        return torch.cat([self.first, self.second])


@dataclass(frozen=True)
class Solution:
    """What a z-update leaves.

    Attributes:
        z: (3, height, width) float32, 0 to 1.
        moments: State of Adam after the last step; None for L-BFGS.
        content: Content term at the start.
        rest: What else f is made of at the start, weighted: edges and total variation.
    """

    z: Tensor
    moments: Moments | None
    content: float
    rest: float


def solve(
    objective: Objective,
    problem: Problem,
    start: Tensor,
    steps: int,
    *,
    optimizer: Optimizer,
    rate: float,
    moments: Moments | None = None,
) -> Solution:
    """Line 1 of Algorithm 1: z_i <- argmin_z f_i(z) + prox, approximately.

    f_i is f with the whole image's correlations as the patch moves them. The losses are means,
    multiplied by the number of pixels: the gradient of a pixel then does not depend on the size of
    the patch or the image, and is that of the whole image's objective at the first step, up to the
    patch's borders. A region counts by its share of the patch, so that one of which a corner alone
    is seen moves no more than that corner.

    Args:
        objective: The level's objective.
        problem: The patch's part of it.
        start: R_i X, the warm start.
        steps: Steps of Adam; of L-BFGS about as many evaluations, since a line search that has
            begun is brought to its end. At least 1.
        optimizer: "adam" keeps pixels in range after each step; "lbfgs" minimises f(clip(z)).
        rate: Step of Adam, in units of the pixel range; L-BFGS searches along a line instead.
        moments: State to go on from; None to start afresh. Ignored by L-BFGS.
    """
    z = start.detach().clone().requires_grad_(True)
    loss = PatchLoss(objective, problem)
    if optimizer == "adam":
        after: Moments | None = adam(z, loss.gradient, steps, rate, moments)
    else:
        _lbfgs(z, loss, steps)
        after = None
    return Solution(z.detach().clamp(0, 1), after, *loss.first)


class PatchLoss:
    """The patch's loss; what does not change between steps is computed once."""

    def __init__(self, objective: Objective, problem: Problem) -> None:
        self.objective = objective
        self.problem = problem
        self.reference = objective.content_features(problem.content)
        self.pixels = problem.content[0].numel()
        self.shares: Grams = {}
        self.others: Grams = {}
        self.first = (math.nan, math.nan)

    def __call__(self, z: Tensor) -> Tensor:
        """The loss of z; the first call fixes what the other patches add to the correlations."""
        objective, problem = self.objective, self.problem
        weights = objective.weights
        features = objective.features(z)
        grams = objective.grams(features, problem.guides)
        content = objective.content_term(features, self.reference)
        rest = weights.tv * variation(z).mean() if weights.tv else z.new_zeros(())
        if problem.edges is not None:
            edges = objective.edge_term(features, self.reference, problem.edges)
            rest = rest + weights.strength * edges
        if not self.shares:
            self.shares = objective.shares(features, problem.guides)
            self.others = {key: problem.mean[key] - g.detach() for key, g in grams.items()}
            self.first = (float(content.detach()), float(rest.detach()))
        whole = {key: g + self.others[key] for key, g in grams.items()}
        style = objective.style_term(whole, self.shares)
        total = self.pixels * (weights.alpha * content + weights.beta * style + rest)
        if problem.penalty is not None:
            total = total + (problem.penalty * (z - problem.centre).square()).sum()
        return total

    def gradient(self, z: Tensor) -> Tensor:
        """Derivative of the loss by z; zero where f is settled."""
        loss = self(z)
        if loss < SETTLED * self.pixels:
            return torch.zeros_like(z)
        (found,) = torch.autograd.grad(loss, z)
        return found


def adam(
    z: Tensor,
    gradient: Callable[[Tensor], Tensor],
    steps: int,
    rate: float,
    moments: Moments | None,
) -> Moments:
    """Steps of Adam (Kingma & Ba 2015) in place; z is kept in 0 to 1.

    Args:
        z: (3, height, width), requires a gradient where `gradient` needs it to.
        gradient: Of what is minimised, at z.
        steps: At least 1.
        rate: Step, in units of the pixel range.
        moments: State to go on from; None to start afresh.
    """
    optimizer = torch.optim.Adam([z], lr=rate, betas=BETAS)
    if moments is not None:
        optimizer.state[z] = {
            "step": torch.tensor(float(moments.steps)),
            "exp_avg": moments.first.clone(),
            "exp_avg_sq": moments.second.clone(),
        }
    for _ in range(steps):
        z.grad = gradient(z)
        optimizer.step()
        with torch.no_grad():
            z.clamp_(0, 1)
    state = optimizer.state[z]
    return Moments(state["exp_avg"], state["exp_avg_sq"], int(state["step"]))


def _lbfgs(z: Tensor, loss: Callable[[Tensor], Tensor], steps: int) -> None:
    lbfgs = torch.optim.LBFGS(
        [z], max_iter=steps, max_eval=steps, history_size=HISTORY, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        total = loss(z.clamp(0, 1))
        (z.grad,) = torch.autograd.grad(total, z)
        return total.detach()

    lbfgs.step(closure)  # type: ignore[no-untyped-call]
