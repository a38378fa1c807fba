"""Where a picture has edges: the mask E of Eq. (2), from each level's own gradients.

A level shows structure of its own size, so that edges are looked for in pixels of the level; they
are the part of it where gradients are strongest, whatever its contrast.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in ITU-R BT.601's luma."""

FLOOR = 1e-4
"""Energy below which nothing is an edge: a gradient of 1 % of the pixel range a pixel."""
FINENESS = 32
"""Bins of the histogram for a factor of 2."""
BINS = 14 * FINENESS
"""Up to 1.6: Scharr's derivatives have lengths up to 1.3."""


def context(width: int) -> int:
    """Pixels around a box that the energy in it depends on."""
    return 1 + width // 2


def gradients(image: Tensor) -> Tensor:
    """Scharr's derivatives of the luma, to the right and downward.

    Args:
        image: (3, height, width), 0 to 1.

    Returns:
        (2, height, width) float32, in units of the pixel range a pixel; the border is repeated.
    """
    luma = torch.einsum("c,cyx->yx", image.new_tensor(LUMA), image)
    smooth, slope = luma.new_tensor([3, 10, 3]) / 16, luma.new_tensor([-1, 0, 1]) / 2
    kernels = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])
    padded = F.pad(luma[None, None], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, kernels[:, None])[0]


def edge_energy(image: Tensor, width: int) -> Tensor:
    """Mean squared length of the gradients around each pixel.

    Args:
        image: (3, height, width), 0 to 1; right where it reaches `context` farther than what is
            looked at, or ends with the picture.
        width: Side of the square around a pixel, in pixels, odd.

    Returns:
        (height, width) float32, in squared units of the pixel range a pixel.
    """
    energy = gradients(image).square().sum(dim=0)
    reach = width // 2
    around = F.pad(energy[None, None], (reach,) * 4, mode="replicate")
    return F.avg_pool2d(around, width, stride=1)[0, 0]


def histogram(energy: Tensor) -> Tensor:
    """Pixels of each energy, in `BINS` logarithmic bins: int64."""
    bins = ((energy.clamp_min(FLOOR).log2() - math.log2(FLOOR)) * FINENESS).long()
    return torch.bincount(bins.flatten().clamp(0, BINS - 1), minlength=BINS)


def quantile(counts: NDArray[Any], share: float) -> float:
    """The energy that `share` of all pixels exceed, from their `histogram`; at least `FLOOR`."""
    above = np.cumsum(np.asarray(counts, np.float64)[::-1])[::-1]
    bins = np.flatnonzero(above >= share * above[0])
    return float(FLOOR * 2 ** (bins[-1] / FINENESS))


def edge_mask(energy: Tensor, threshold: float) -> Tensor:
    """E: 1 on edges, 0 off them, 1/2 at the threshold; (height, width) float32."""
    return (energy / threshold - 0.5).clamp(0, 1)
