"""The gradient of the whole image's f on one tile: the second of two passes.

f depends on a pixel through the correlations of the whole image, and through the features around
the pixel. The first pass measures `Objective.parts` on all tiles; their means give f and its slope
in every correlation. Here these slopes are propagated back to the pixels of one tile. Inside a
tile no feature needs to know of another tile, so that the tile's gradient is the image's wherever
the tile reaches far enough: see `context`.
"""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from tilestyle.style.losses import content_loss, gram, style_slopes
from tilestyle.style.network import Layer
from tilestyle.style.objective import Objective, content_key

Measured = Mapping[str, tuple[NDArray[Any], float]]


def context(layers: Mapping[str, Layer], names: Collection[str]) -> int:
    """Pixels around a tile's core that its gradient depends on.

    A pixel counts in cells whose nearest pixel is up to `margin` away; these have `stride` pixels,
    and their features in turn depend on pixels up to `margin` beyond.
    """
    return max(2 * layers[name].margin + layers[name].stride - 1 for name in names)


def gradient(
    objective: Objective, image: Tensor, content: Tensor, measured: Measured, pixels: int
) -> Tensor:
    """Derivative of pixels * f(X) by the pixels of a tile.

    The factor makes the size of a pixel's gradient that of `engine.solve`, whatever the image's.

    Args:
        objective: The level's objective.
        image: X on the tile and its context, (3, height, width).
        content: C on the same box.
        measured: Means of `Objective.parts` over the whole image, each with its number of cells.
        pixels: Of the whole image.

    Returns:
        (3, height, width) float32; right where the box reaches `context` farther, or ends with
        the image.
    """
    weights = objective.weights
    z = image.detach().requires_grad_(True)
    features = objective.features(z)
    reference = objective.content_features(content)
    grams = {j: image.new_tensor(measured[j][0]) for j in weights.style}
    slopes = style_slopes(grams, objective.styles, weights.style)
    terms = []
    for j, slope in slopes.items():
        share = features[j][0].numel() / measured[j][1]
        terms.append(weights.beta * share * (slope * gram(features[j])).sum())
    for k, weight in weights.content.items():
        share = features[k][0].numel() / measured[content_key(k)][1]
        share *= weights.alpha * weight / sum(weights.content.values())
        terms.append(share * content_loss(features[k], reference[k]) / objective.power(k))
    (found,) = torch.autograd.grad(pixels * torch.stack(terms).sum(), z)
    return found
