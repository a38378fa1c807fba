"""The gradient of the whole image's f on one tile: the second of two passes.

f depends on a pixel through the correlations of the whole image, and through the features around
the pixel. The first pass measures `Objective.parts` on all tiles; their means give f and its slope
in every correlation. Here these slopes are propagated back to the pixels of one tile. Inside a
tile no feature needs to know of another tile, so that the tile's gradient is the image's wherever
the tile reaches far enough: see `context`.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from tilestyle.style.engine import SETTLED
from tilestyle.style.losses import content_loss, variation
from tilestyle.style.network import Features, Layer
from tilestyle.style.objective import Objective, Parts, cells_key, content_key, edge_key


def context(layers: Mapping[str, Layer], names: Collection[str]) -> int:
    """Pixels around a tile's core that its gradient depends on.

    A pixel counts in cells whose nearest pixel is up to `margin` away; these have `stride` pixels,
    and their features in turn depend on pixels up to `margin` beyond.
    """
    return max(2 * layers[name].margin + layers[name].stride - 1 for name in names)


def gradient(
    objective: Objective,
    image: Tensor,
    content: Tensor,
    measured: Parts,
    pixels: int,
    guides: Tensor | None = None,
    edges: Tensor | None = None,
) -> Tensor:
    """Derivative of pixels * f(X) by the pixels of a tile.

    The factor makes the size of a pixel's gradient that of `engine.solve`, whatever the image's.

    Args:
        objective: The level's objective.
        image: X on the tile and its context, (3, height, width).
        content: C on the same box.
        measured: Means of `Objective.parts` over the whole image, each with its number of cells.
        pixels: Of the whole image.
        guides: Of the regions on the same box.
        edges: E on the same box, where there is an edge term.

    Returns:
        (3, height, width) float32; right where the box reaches `context` farther, or ends with
        the image.
    """
    if objective.value(measured).total < SETTLED:
        return torch.zeros_like(image)
    weights = objective.weights
    z = image.detach().requires_grad_(True)
    features = objective.features(z)
    reference = objective.content_features(content)
    slopes = _slopes(objective, measured)
    tiles, shares = objective.grams(features, guides), objective.shares(features, guides)
    whole = objective.measured_shares(measured)
    terms = [weights.tv * variation(z).sum() / pixels]
    for key, slope in slopes.items():
        layer = objective.style_layers[key]
        # of all that a region has in the image, the part that it has in the tile
        cells = features[layer][0].numel() / measured[cells_key(layer)][1]
        part = cells * shares[key] / max(whole[key], 1e-12)
        terms.append(weights.beta * part * (slope * tiles[key]).sum())
    for k, weight in weights.content.items():
        share = features[k][0].numel() / measured[content_key(k)][1]
        share *= weights.alpha * weight / sum(weights.content.values())
        terms.append(share * content_loss(features[k], reference[k]) / objective.power(k))
    if edges is not None:
        terms.append(
            weights.strength * _edge_share(objective, features, reference, measured, edges)
        )
    (found,) = torch.autograd.grad(pixels * torch.stack(terms).sum(), z)
    return found


def _edge_share(
    objective: Objective,
    features: Features,
    reference: Features,
    measured: Parts,
    edges: Tensor,
) -> Tensor:
    """What a tile adds to the edge term; its layers may differ in their parts of the cells."""
    weights = objective.weights
    total, terms = sum(weights.edges.values()), []
    for k, weight in weights.edges.items():
        alone = replace(objective, weights=replace(weights, edges={k: 1.0}))
        share = features[k][0].numel() / measured[edge_key(k)][1]
        terms.append(weight / total * share * alone.edge_term(features, reference, edges))
    return torch.stack(terms).sum()


def _slopes(objective: Objective, measured: Parts) -> Mapping[str, Tensor]:
    """Derivative of the image's style term by each of its correlations."""
    grams = {k: g.requires_grad_(True) for k, g in objective.measured_grams(measured).items()}
    style = objective.style_term(grams, objective.measured_shares(measured))
    return dict(zip(grams, torch.autograd.grad(style, list(grams.values())), strict=True))
