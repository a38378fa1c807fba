"""The losses of Eq. (1), weighted by position, so that those of patches add up to the image's."""

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

Grams = Mapping[str, Tensor]

FLAT = 1e-5
"""Least norm of a style's correlations that counts: of scattering, a contrast of a third of a step
of 8 bits. A style of one colour has none at all: without a bound no number would hold its loss."""


def cell_weights(window: Tensor, stride: int, rows: int, columns: int) -> Tensor:
    """A (height, width) window averaged over the cells of a feature map, (rows, columns).

    A cell has `stride` x `stride` pixels, fewer at the end of an image that leaves a rest.
    """
    cells = F.avg_pool2d(window[None], stride, ceil_mode=True, count_include_pad=False)[0]
    return cells[:rows, :columns]


class _Correlation(torch.autograd.Function):
    """F^T W F of (positions, channels) features; one product back instead of autograd's two."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, weights: Tensor | None) -> Tensor:
        weighted = flat if weights is None else flat * weights[:, None]
        ctx.save_for_backward(weighted)
        return weighted.T @ flat

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        weighted: Tensor = ctx.saved_tensors[0]
        return weighted @ (gradient + gradient.T), None


def gram(features: Tensor, weights: Tensor | None = None, *, means: bool = False) -> Tensor:
    """Correlations CF of features, weighted by position.

    Args:
        features: (channels, rows, columns), any floating type.
        weights: (rows, columns) float32, not negative; None: all alike.
        means: Add a feature that is 1 everywhere, the last: its correlations are the means.

    Returns:
        (channels, channels) float32: sum_p w_p F_p F_p^T / sum_p w_p; zero without any weight.
    """
    flat = features.float().permute(1, 2, 0).flatten(0, 1)
    if means:
        flat = torch.cat([flat, flat.new_ones(len(flat), 1)], dim=1)
    total = cast(
        Tensor,
        _Correlation.apply(flat, None if weights is None else weights.flatten()),  # type: ignore[no-untyped-call]
    )
    return total / (len(flat) if weights is None else weights.sum().clamp_min(1e-12))


def content_loss(features: Tensor, reference: Tensor) -> Tensor:
    """||F(X) - F(C)||^2 per feature: a float32 scalar."""
    return (features.float() - reference.float()).square().mean()


def style_loss(gram: Tensor, style: Tensor, moments: float = 0.0) -> Tensor:
    """||CF - CF(S)||^2 / ||CF(S)||^2 of one layer, a float32 scalar; see `FLAT`.

    Args:
        gram: Correlations of the image.
        style: Correlations of the style; their norm makes layers comparable.
        moments: Weight of the same of the means and of the standard deviations (Gonthier et al.
            2022, section 3.2); if not zero, both are of `gram` with `means`.
    """
    if not moments:
        return _relative(gram, style)
    terms = [_relative(gram[:-1, :-1], style[:-1, :-1])]
    pairs = zip(_moments(gram), _moments(style), strict=True)
    terms += [moments * _relative(ours, theirs) for ours, theirs in pairs]
    return torch.stack(terms).sum()


def _relative(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours - theirs).square().sum() / theirs.square().sum().clamp_min(FLAT**2)


def _moments(gram: Tensor) -> tuple[Tensor, Tensor]:
    mean = gram[-1, :-1]
    power = gram.diagonal()[:-1]
    # a feature that is constant has a variance of rounding errors, of either sign
    deviation = (power - mean.square()).clamp_min(1e-6 * power.mean().detach() + 1e-12).sqrt()
    return mean, deviation


def variation(image: Tensor) -> Tensor:
    """Squared differences to the pixels on the right and below, means over channels.

    Args:
        image: (3, height, width), 0 to 1.

    Returns:
        (height, width) float32; beyond the end nothing differs.
    """
    right = F.pad((image[:, :, 1:] - image[:, :, :-1]).square(), (0, 1))
    below = F.pad((image[:, 1:] - image[:, :-1]).square(), (0, 0, 0, 1))
    return (right + below).mean(dim=0)
