"""f(X) of one level: a network, what it is to match and where, and how much each part counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilestyle.style.losses import (
    FLAT,
    Grams,
    cell_weights,
    content_loss,
    gram,
    style_loss,
    variation,
)
from tilestyle.style.network import Features, Network

Parts = dict[str, tuple[NDArray[np.float32], float]]
"""By name: a mean over the cells of a patch, and its weight in cells; see `admm.sharing`."""

VARIATION = "variation"
"""Name of the total variation among `Objective.parts`."""


@dataclass(frozen=True)
class Value:
    """f(X) of a whole image.

    Attributes:
        content: The content term.
        style: The style term.
        total: Everything together, weighted.
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
        moments: Weight of means and standard deviations in it; see `losses.style_loss`.
        tv: Weight of the total variation.
        edges: Weight of each layer of the edge term.
        strength: Weight of the edge term; 0: there is none.
    """

    content: Mapping[str, float]
    style: Mapping[str, float]
    alpha: float
    beta: float
    moments: float = 0.0
    tv: float = 0.0
    edges: Mapping[str, float] = field(default_factory=dict)
    strength: float = 0.0

    @property
    def layers(self) -> set[str]:
        """All layers that count."""
        return {*self.style, *self.of_content}

    @property
    def of_content(self) -> set[str]:
        """Layers whose features the content gives."""
        return {*self.content, *(self.edges if self.strength else ())}


@dataclass(frozen=True)
class Region:
    """A part of the image with a style term of its own: Eq. (2), and Fig. 4 with several styles.

    Attributes:
        styles: CF(S) for every layer that counts, (channels, channels) float32, as
            `Objective.gram` makes them.
        weight: w of Eq. (2), beside the region's share of the image.
    """

    styles: Grams
    weight: float = 1.0


@dataclass(frozen=True)
class Objective:
    """f(X) = alpha * content + beta * style + strength * edges + tv * total variation.

    The style term is sum_r w_r a_r sum_j w_j ||CF_j(M_r X) - CF_j(S_r)||^2 / ||CF_j(S_r)||^2 over
    regions r with masks M_r, whose shares of the image are a_r: a pixel counts alike wherever it
    is. Masks are given as guides, (regions, height, width), 0 to 1, on the same box as the image;
    without guides there is one region, everywhere. The edge term is a content term of other layers
    under a mask E, (height, width), of the content's edges.

    Attributes:
        network: The fixed feature network.
        weights: Layers and weights.
        regions: At least one.
    """

    network: Network
    weights: Weights
    regions: Sequence[Region]

    def content_features(self, image: Tensor) -> Features:
        """F_k(C), without gradient; (3, height, width) in."""
        with torch.no_grad():
            return self.network.features(image, self.weights.of_content)

    def style_features(self, image: Tensor) -> Features:
        """F_j(X) for the style layers, without gradient."""
        with torch.no_grad():
            return self.network.features(image, set(self.weights.style))

    def features(self, image: Tensor) -> Features:
        """All features that count, with gradient."""
        return self.network.features(image, self.weights.layers)

    def cells(self, layer: str, maps: Tensor, guides: Tensor | None) -> list[Tensor | None]:
        """The weight of each position of a layer's maps in each region; None: all alike."""
        if guides is None:
            return [None]
        stride = self.network.layers[layer].stride
        return [cell_weights(guide, stride, *maps.shape[1:]) for guide in guides]

    def gram(self, maps: Tensor, cells: Tensor | None = None) -> Tensor:
        """Correlations as the style term takes them."""
        return gram(maps, cells, means=bool(self.weights.moments))

    def grams(self, features: Features, guides: Tensor | None = None) -> dict[str, Tensor]:
        """CF_j(M_r X) of all regions and style layers, by `style_key`."""
        return {
            style_key(r, j): self.gram(features[j], cells)
            for j in self.weights.style
            for r, cells in enumerate(self.cells(j, features[j], guides))
        }

    def shares(self, features: Features, guides: Tensor | None = None) -> dict[str, Tensor]:
        """Part of the positions that each region has, by `style_key`."""
        return {
            style_key(r, j): maps.new_ones(()) if cells is None else cells.mean()
            for j, maps in features.items()
            if j in self.weights.style
            for r, cells in enumerate(self.cells(j, maps, guides))
        }

    def content_term(self, features: Features, reference: Features) -> Tensor:
        """sum_k w_k mean (F_k(X) - F_k(C))^2 / mean F_k(S)^2, w_k relative to their sum."""
        terms = []
        for k, weight in self.weights.content.items():
            terms.append(weight * content_loss(features[k], reference[k]) / self.power(k))
        if not terms:
            return torch.zeros(())
        return torch.stack(terms).sum() / sum(self.weights.content.values())

    def edge_term(self, features: Features, reference: Features, edges: Tensor) -> Tensor:
        """sum_k w_k mean E (F_k(X) - F_k(C))^2 / mean F_k(S)^2, w_k relative to their sum."""
        layers, terms = self.weights.edges, []
        for k, weight in layers.items():
            error = _errors(features[k], reference[k])
            cells = cell_weights(edges, self.network.layers[k].stride, *error.shape)
            terms.append(weight * (cells * error).mean() / self.power(k))
        return torch.stack(terms).sum() / sum(layers.values())

    def style_term(
        self, grams: Grams, shares: Mapping[str, Tensor | float] | None = None
    ) -> Tensor:
        """The style term of correlations by `style_key`, w_j relative to their sum.

        Args:
            grams: Correlations of the image.
            shares: Of the regions; None: of one that is everywhere.
        """
        layers, terms = self.weights.style, []
        for r, region in enumerate(self.regions):
            for j, weight in layers.items():
                key = style_key(r, j)
                loss = style_loss(grams[key], region.styles[j], self.weights.moments)
                share = 1.0 if shares is None else shares[key]
                terms.append(region.weight * weight * share * loss)
        return torch.stack(terms).sum() / sum(layers.values())

    def measure(self, features: Features, window: Tensor, guides: Tensor | None = None) -> Parts:
        """Window-weighted correlations of a patch.

        Args:
            features: Of the patch; style layers count.
            window: (height, width); windows of a grid sum to 1, so that the weighted means over
                all patches are those of the whole image, up to what patches do not see beyond
                their borders.
            guides: On the same box.

        Returns:
            By `style_key`: correlations, and their weight in cells; by `cells_key`: 1, and the
            window in cells.
        """
        found: Parts = {}
        with torch.no_grad():
            for j in self.weights.style:
                maps = features[j]
                whole = cell_weights(window, self.network.layers[j].stride, *maps.shape[1:])
                for r, cells in enumerate(self.cells(j, maps, guides)):
                    weights = whole if cells is None else whole * cells
                    measured = self.gram(maps, weights).cpu().numpy()
                    found[style_key(r, j)] = (measured, float(weights.sum()))
                found[cells_key(j)] = (np.ones((), np.float32), float(whole.sum()))
        return found

    def parts(
        self,
        image: Tensor,
        content: Tensor,
        window: Tensor,
        guides: Tensor | None = None,
        edges: Tensor | None = None,
    ) -> Parts:
        """What f is made of, measured under a window; the weighted means over a grid give f.

        Args:
            image: X on the patch, (3, height, width).
            content: C on the patch.
            window: See `measure`. Zero wherever the network sees beyond a border of the patch
                that is not the image's.
            guides: On the same box.
            edges: E on the same box, where there is an edge term.

        Returns:
            What `measure` does; for a content layer the scalar mean (F_k(X) - F_k(C))^2 /
            mean F_k(S)^2, under `content_key`, and under `edge_key` for one of the edge term; the
            mean of the variation, where it counts.
        """
        with torch.no_grad():
            features = self.features(image)
            reference = self.content_features(content)
            found = self.measure(features, window, guides)
            for k in self.weights.of_content:
                error = _errors(features[k], reference[k]) / self.power(k)
                stride = self.network.layers[k].stride
                weights = cell_weights(window, stride, *error.shape)
                if k in self.weights.content:
                    found[content_key(k)] = _mean(error, weights)
                if edges is not None and k in self.weights.edges:
                    cells = cell_weights(edges, stride, *error.shape)
                    found[edge_key(k)] = _mean(cells * error, weights)
            if self.weights.tv:
                found[VARIATION] = _mean(variation(image), window)
        return found

    def value(self, parts: Parts) -> Value:
        """f(X) and its two terms, from the means of `parts` over the whole image."""
        weights = self.weights
        content = _weighted(parts, weights.content, content_key)
        style = self.style_value(parts)
        total = weights.alpha * content + weights.beta * style
        if weights.strength:
            total += weights.strength * _weighted(parts, weights.edges, edge_key)
        if weights.tv:
            total += weights.tv * float(parts[VARIATION][0])
        return Value(content, style, total)

    def style_value(self, parts: Parts) -> float:
        """The style term of what `measure` finds, over the whole image."""
        shares, grams = self.measured_shares(parts), self.measured_grams(parts)
        return float(self.style_term(grams, shares))

    def measured_grams(self, parts: Parts) -> dict[str, Tensor]:
        """The correlations among `parts`, by `style_key`, on the device of the styles."""
        device = next(iter(self.regions[0].styles.values())).device
        return {
            key: torch.as_tensor(np.asarray(parts[key][0], np.float32), device=device)
            for key in self.style_layers
        }

    def measured_shares(self, parts: Parts) -> dict[str, float]:
        """Part of the cells that each region has, by `style_key`."""
        return {
            key: parts[key][1] / parts[cells_key(layer)][1]
            for key, layer in self.style_layers.items()
        }

    @property
    def style_layers(self) -> dict[str, str]:
        """The style layer of each `style_key`."""
        regions = range(len(self.regions))
        return {style_key(r, j): j for r in regions for j in self.weights.style}

    def power(self, layer: str) -> Tensor:
        """Mean square of the styles' features: the measure of a layer's content errors."""
        channels = self.network.layers[layer].channels
        powers = [region.styles[layer].diagonal()[:channels].mean() for region in self.regions]
        return torch.stack(powers).mean().clamp_min(FLAT)


def _errors(features: Tensor, reference: Tensor) -> Tensor:
    return (features.float() - reference.float()).square().mean(dim=0)


def _weighted(parts: Parts, layers: Mapping[str, float], key: Callable[[str], str]) -> float:
    weighted = [weight * float(parts[key(k)][0]) for k, weight in layers.items()]
    return sum(weighted) / sum(layers.values()) if layers else 0.0


def _mean(values: Tensor, weights: Tensor) -> tuple[NDArray[np.float32], float]:
    mean = (values * weights).sum() / weights.sum()
    return mean.cpu().numpy(), float(weights.sum())


def style_key(region: int, layer: str) -> str:
    """Name of the correlations of a region's layer among `Objective.parts`."""
    return f"style {region} {layer}"


def cells_key(layer: str) -> str:
    """Name of the number of a layer's cells among `Objective.parts`."""
    return f"cells {layer}"


def content_key(layer: str) -> str:
    """Name of a layer's content error among `Objective.parts`."""
    return f"content {layer}"


def edge_key(layer: str) -> str:
    """Name of a layer's part of the edge term among `Objective.parts`."""
    return f"edges {layer}"
