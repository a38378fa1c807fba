"""Eq. (1) for one level: a network, what it is to match, and how much each part counts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilestyle.style.losses import Grams, cell_weights, content_loss, gram, style_loss
from tilestyle.style.network import Features, Network


@dataclass(frozen=True)
class Weights:
    """Which layers count, and how much.

    Attributes:
        content: Weight of each content layer.
        style: Weight of each style layer.
        alpha: Weight of the content term.
        beta: Weight of the style term.
    """

    content: Mapping[str, float]
    style: Mapping[str, float]
    alpha: float
    beta: float

    @property
    def layers(self) -> set[str]:
        """All layers that count."""
        return {*self.content, *self.style}


@dataclass(frozen=True)
class Objective:
    """f(X) = alpha * content term + beta * style term, both relative to the style's features.

    Attributes:
        network: The fixed feature network.
        weights: Layers and weights.
        styles: CF(S) for every layer that counts, (channels, channels) float32.
    """

    network: Network
    weights: Weights
    styles: Grams

    def content_features(self, image: Tensor) -> Features:
        """F_k(C), without gradient; (3, height, width) in."""
        with torch.no_grad():
            return self.network.features(image, set(self.weights.content))

    def style_features(self, image: Tensor) -> Features:
        """F_j(X) for the style layers, without gradient."""
        with torch.no_grad():
            return self.network.features(image, set(self.weights.style))

    def features(self, image: Tensor) -> Features:
        """All features that count, with gradient."""
        return self.network.features(image, self.weights.layers)

    def grams(self, features: Features) -> dict[str, Tensor]:
        """CF_j of all style layers, every position alike."""
        return {j: gram(features[j]) for j in self.weights.style}

    def content_term(self, features: Features, reference: Features) -> Tensor:
        """sum_k w_k mean (F_k(X) - F_k(C))^2 / mean F_k(S)^2, w_k relative to their sum."""
        terms = []
        for k, weight in self.weights.content.items():
            power = self.styles[k].diagonal().mean()
            terms.append(weight * content_loss(features[k], reference[k]) / power)
        if not terms:
            return torch.zeros(())
        return torch.stack(terms).sum() / sum(self.weights.content.values())

    def content_errors(
        self, features: Features, reference: Features, window: Tensor
    ) -> dict[str, tuple[NDArray[np.float32], float]]:
        """The content term in window-weighted parts, by layer; see `measure`."""
        found = {}
        for k in self.weights.content:
            error = (features[k].float() - reference[k].float()).square().mean(dim=0)
            weights = cell_weights(window, self.network.layers[k].stride, *error.shape)
            mean = (error * weights).sum() / weights.sum() / self.styles[k].diagonal().mean()
            found[k] = (mean.cpu().numpy(), float(weights.sum()))
        return found

    def style_term(self, grams: Grams, targets: Grams) -> Tensor:
        """See `losses.style_loss`."""
        return style_loss(grams, targets, self.styles, self.weights.style)


def measure(
    network: Network, features: Features, window: Tensor
) -> dict[str, tuple[NDArray[np.float32], float]]:
    """Window-weighted correlations of a patch, with the window's sum as their weight.

    Args:
        network: Whose features they are.
        features: Of the patch.
        window: (height, width) of the patch; windows of a grid sum to 1, so that the weighted
            mean over all patches is the correlation of the whole image, up to what the patches
            do not see beyond their borders.

    Returns:
        By layer: (channels, channels) float32 and a weight in cells; see `admm.sharing`.
    """
    found = {}
    for name, maps in features.items():
        weights = cell_weights(window, network.layers[name].stride, *maps.shape[1:])
        found[name] = (gram(maps, weights).cpu().numpy(), float(weights.sum()))
    return found
