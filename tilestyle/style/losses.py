"""The two losses of Eq. (1), window-weighted, so that those of patches add up to the image's."""

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

Grams = Mapping[str, Tensor]


def cell_weights(window: Tensor, stride: int, rows: int, columns: int) -> Tensor:
    """A (height, width) window averaged over the cells of a feature map, (rows, columns).

    A cell has `stride` x `stride` pixels, fewer at the end of an image that leaves a rest.
    """
    cells = F.avg_pool2d(window[None], stride, ceil_mode=True, count_include_pad=False)[0]
    return cells[:rows, :columns]


class _Correlation(torch.autograd.Function):
    """F^T F of (positions, channels) features; one product back instead of autograd's two."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor) -> Tensor:
        ctx.save_for_backward(flat)
        return flat.T @ flat

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        flat: Tensor = ctx.saved_tensors[0]
        return flat @ (gradient + gradient.T)


def gram(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Correlations CF of features, weighted by position.

    Args:
        features: (channels, rows, columns), any floating type.
        weights: (rows, columns) float32, not negative, not all zero; None: all alike, and only
            then with a gradient.

    Returns:
        (channels, channels) float32: sum_p w_p F_p F_p^T / sum_p w_p.
    """
    flat = features.float().permute(1, 2, 0).flatten(0, 1)
    if weights is None:
        return cast(Tensor, _Correlation.apply(flat)) / len(flat)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return (flat * weights.flatten()[:, None]).T @ flat / weights.sum()


def content_loss(features: Tensor, reference: Tensor) -> Tensor:
    """||F(X) - F(C)||^2 per feature: a float32 scalar."""
    return (features.float() - reference.float()).square().mean()


def style_loss(grams: Grams, targets: Grams, styles: Grams, layers: Mapping[str, float]) -> Tensor:
    """sum_j w_j ||CF_j - T_j||^2 / ||CF_j(S)||^2, a float32 scalar.

    Args:
        grams: Correlations of the image.
        targets: What they are to become.
        styles: Correlations of the style: the measure that makes layers comparable.
        layers: Weight w_j of each layer; they are taken relative to their sum.
    """
    terms = [
        weight * (grams[j] - targets[j]).square().sum() / styles[j].square().sum()
        for j, weight in layers.items()
    ]
    return torch.stack(terms).sum() / sum(layers.values())


def style_slopes(grams: Grams, styles: Grams, layers: Mapping[str, float]) -> dict[str, Tensor]:
    """Derivative of `style_loss` with targets CF_j(S) by each correlation: by layer, like CF_j."""
    total = sum(layers.values())
    return {
        j: 2 * weight / total * (grams[j] - styles[j]) / styles[j].square().sum()
        for j, weight in layers.items()
    }
