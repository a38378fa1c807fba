"""Eq. (1) for one level: a network, what it is to match, and how much each part counts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilestyle.style.losses import Grams, cell_weights, content_loss, gram, style_loss
from tilestyle.style.network import Features, Network

Parts = dict[str, tuple[NDArray[np.float32], float]]
"""By name: a mean over the cells of a patch, and its weight in cells; see `admm.sharing`."""


@dataclass(frozen=True)
class Value:
    """f(X) of a whole image.

    Attributes:
        content: The content term.
        style: The style term.
        total: alpha * content + beta * style.
    """

    content: float
    style: float
    total: float


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
            terms.append(weight * content_loss(features[k], reference[k]) / self.power(k))
        if not terms:
            return torch.zeros(())
        return torch.stack(terms).sum() / sum(self.weights.content.values())

    def parts(self, image: Tensor, content: Tensor, window: Tensor) -> Parts:
        """What f is made of, measured under a window; the weighted means over a grid give f.

        Args:
            image: X on the patch, (3, height, width).
            content: C on the patch.
            window: (height, width); windows of a grid sum to 1. Zero wherever the network sees
                beyond a border of the patch that is not the image's.

        Returns:
            By name: for a style layer its correlations, see `measure`; for a content layer the
            scalar mean (F_k(X) - F_k(C))^2 / mean F_k(S)^2, under `content_key`.
        """
        with torch.no_grad():
            features = self.features(image)
            reference = self.content_features(content)
            found = measure(self.network, {j: features[j] for j in self.weights.style}, window)
            for k in self.weights.content:
                error = (features[k].float() - reference[k].float()).square().mean(dim=0)
                weights = cell_weights(window, self.network.layers[k].stride, *error.shape)
                mean = (error * weights).sum() / weights.sum() / self.power(k)
                found[content_key(k)] = (mean.cpu().numpy(), float(weights.sum()))
        return found

    def value(self, means: Mapping[str, NDArray[np.float32]]) -> Value:
        """f(X) and its two terms, from the means of `parts` over the whole image."""
        device = next(iter(self.styles.values())).device
        grams = {j: torch.from_numpy(means[j]).to(device) for j in self.weights.style}
        layers = self.weights.content
        weighted = [weight * float(means[content_key(k)]) for k, weight in layers.items()]
        content = sum(weighted) / sum(layers.values()) if layers else 0.0
        style = float(self.style_term(grams, self.styles))
        return Value(content, style, self.weights.alpha * content + self.weights.beta * style)

    def power(self, layer: str) -> Tensor:
        """Mean square of the style's features: the measure of a layer's content errors."""
        return self.styles[layer].diagonal().mean()

    def style_term(self, grams: Grams, targets: Grams) -> Tensor:
        """See `losses.style_loss`."""
        return style_loss(grams, targets, self.styles, self.weights.style)


def content_key(layer: str) -> str:
    """Name of a layer's content error among `Objective.parts`."""
    return f"content {layer}"


def measure(network: Network, features: Features, window: Tensor) -> Parts:
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
