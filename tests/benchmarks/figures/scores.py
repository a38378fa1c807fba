"""What the report's claims are measured by; pure, of images in memory."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tilestyle.style.edges import edge_energy, edge_mask, gradients, histogram, quantile
from tilestyle.style.losses import cell_weights, gram, style_loss
from tilestyle.style.scattering import Scattering

Array = NDArray[np.float32]

SHARE = 0.1
"""Part of the content whose gradients are the strongest edges."""
OCTAVES = 8
"""Of the scattering that tells how styles differ at each: three more than the network's own."""
LEAST = 4
"""Rows and columns that a map has to have for its correlations to say something."""


def edge_fidelity(content: Array, result: Array) -> float:
    """How far a result's gradients are those of the content where the content's are strongest.

    Args:
        content: (3, height, width), 0 to 1.
        result: Likewise.

    Returns:
        The correlation of the luma's gradients under the mask of edges: 1 where they are the same
        up to a common factor, 0 where they have nothing to do with each other.
    """
    image = torch.from_numpy(content)
    energy = edge_energy(image, 3)
    edges = edge_mask(energy, quantile(histogram(energy).numpy(), SHARE))
    ours, theirs = gradients(torch.from_numpy(result)), gradients(image)
    norms = [(edges * g.square()).sum().sqrt() for g in (ours, theirs)]
    return float((edges * ours * theirs).sum() / (norms[0] * norms[1]).clamp_min(1e-12))


def style_by_octave(image: Array, style: Array, mask: Array | None = None) -> list[float]:
    """The style loss at every octave, finest first: that of the scattering's two layers of it.

    The same measure for results of any network. Octave k has strokes of about 3.5 * 2^k pixels.

    Args:
        image: (3, height, width), 0 to 1.
        style: (3, rows, columns), 0 to 1, at the scale at which the result was to match it.
        mask: (height, width), 1 in the part of the image that counts; None: all of it.

    Returns:
        As many octaves as have maps of at least 4 x 4 in both images.
    """
    network = Scattering(OCTAVES)
    side = min(*image.shape[1:], *style.shape[1:])
    octaves = [o for o in range(OCTAVES) if side // network.layers[f"second.{o}"].stride >= LEAST]
    names = [f"{order}.{o}" for o in octaves for order in ("first", "second")]
    cells = None if mask is None else torch.from_numpy(mask)
    ours, theirs = _grams(network, names, image, cells), _grams(network, names, style, None)
    losses = [float(style_loss(ours[name], theirs[name])) for name in names]
    return [(losses[2 * o] + losses[2 * o + 1]) / 2 for o in octaves]


def _grams(
    network: Scattering, names: Sequence[str], image: Array, mask: Tensor | None
) -> dict[str, Tensor]:
    with torch.no_grad():
        features = network.features(torch.from_numpy(image), names)
    found = {}
    for name, maps in features.items():
        stride = network.layers[name].stride
        cells = None if mask is None else cell_weights(mask, stride, *maps.shape[1:])
        found[name] = gram(maps, cells)
    return found


def first_below(values: Sequence[float], goal: float) -> int:
    """How many steps it takes to a value of at most `goal`.

    Args:
        values: f before each step, and after the last.
        goal: To be reached.

    Raises:
        StopIteration: It is not.
    """
    return next(n for n, value in enumerate(values) if value <= goal)
