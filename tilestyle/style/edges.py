"""Where a picture has edges: the mask E of Eq. (2), from each level's own gradients.

A level shows structure of its own size, so that edges are looked for in pixels of the level.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in ITU-R BT.601's luma."""


def context(width: int) -> int:
    """Pixels around a box that its edge mask depends on."""
    return 2 + width // 2


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


def edge_mask(image: Tensor, rms: float, threshold: float, width: int) -> Tensor:
    """E: 1 on edges, 0 off them, with a soft rim.

    Args:
        image: (3, height, width), 0 to 1; right where it reaches `context` farther than what is
            looked at, or ends with the picture.
        rms: Root of the mean squared length of the gradients, of the whole picture.
        threshold: Gradients of `threshold` * rms begin to be edges; those of twice that are.
        width: Of the mask along a sharp edge, in pixels.

    Returns:
        (height, width) float32, 0 to 1.
    """
    length = gradients(image).square().sum(dim=0).sqrt()
    strong = (length / max(threshold * rms, 1e-6) - 1).clamp(0, 1)
    reach = width // 2
    wide = F.max_pool2d(strong[None], 2 * reach + 1, stride=1, padding=reach)
    rim = F.pad(wide[None], (1, 1, 1, 1), mode="replicate")[0]
    return F.avg_pool2d(rim, 3, stride=1)[0]
