"""A fixed wavelet-scattering network: painterly statistics without any trained weights.

A Gaussian pyramid of octaves; at each, quadrature pairs of Gabor filters on opponent colours (on
luminance alone at the finest: the eye sees no colour that fine), rectified in both signs, with the
low-pass colours; then the modulus of the luminance pairs, averaged 2 x 2 and filtered by the same
bank. A response r enters as (r, |r|), which is its two rectified halves turned by 45 degrees:
norms of features and of correlations are those of the halves, up to a factor.

Portilla & Simoncelli (2000) for the statistics, Bruna & Mallat (2013) for the second order, Zhang
& Mallat (2021) and Brochard, Zhang & Mallat (2022) for rectified wavelets.
"""

import math
from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tilestyle.style.network import Features, Layer, Preset

SIZE = 7
"""Side of a Gabor filter, in pixels of its octave."""
WAVELENGTH = 3.5
SIGMA = 1.6
ASPECT = 0.6
CHROMA_GAIN = 2.0
EPSILON = 1e-6
"""Under the square root of the modulus, so that its gradient stays finite."""

BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


def gabor_bank(orientations: int) -> Tensor:
    """Even and odd Gabor filters, zero mean, unit norm.

    Returns:
        (2 * orientations, 1, 7, 7): the even filters first, then the odd ones.
    """
    axis = torch.arange(SIZE, dtype=torch.float64) - SIZE // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    even, odd = [], []
    for k in range(orientations):
        angle = math.pi * k / orientations
        along = x * math.cos(angle) + y * math.sin(angle)
        across = -x * math.sin(angle) + y * math.cos(angle)
        envelope = torch.exp(-(along**2 + (ASPECT * across) ** 2) / (2 * SIGMA**2))
        phase = 2 * math.pi * along / WAVELENGTH
        even.append(envelope * torch.cos(phase))
        odd.append(envelope * torch.sin(phase))
    bank = torch.stack(even + odd)
    bank -= bank.mean(dim=(1, 2), keepdim=True)
    bank /= bank.square().sum(dim=(1, 2), keepdim=True).sqrt()
    return bank[:, None].float()


def block_diagonal(bank: Tensor, groups: int) -> Tensor:
    """The same filters for each of `groups` input channels, as one dense kernel.

    On CPU a dense convolution is several times faster than a grouped one with so few channels.
    """
    filters = len(bank)
    kernel = bank.new_zeros(groups * filters, groups, *bank.shape[2:])
    for g in range(groups):
        kernel[g * filters : (g + 1) * filters, g] = bank[:, 0]
    return kernel


class Scattering(nn.Module):
    """Octaves of rectified Gabor responses (`first.o`) and of their moduli (`second.o`)."""

    luminance: Tensor
    first: Tensor
    second: Tensor
    reduce: Tensor
    opponent: Tensor

    def __init__(self, octaves: int = 5, orientations: int = 6) -> None:
        super().__init__()
        self.octaves = octaves
        self.orientations = orientations
        bank = gabor_bank(orientations)
        binomial = torch.tensor(BINOMIAL) / 16
        opponent = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1.0, -1.0, 0.0], [0.5, 0.5, -1.0]])
        opponent[1:] *= CHROMA_GAIN / 2
        self.register_buffer("luminance", bank)
        self.register_buffer("first", block_diagonal(bank, 3))
        self.register_buffer("second", block_diagonal(bank, orientations))
        self.register_buffer(
            "reduce", block_diagonal(torch.outer(binomial, binomial)[None, None], 3)
        )
        self.register_buffer("opponent", opponent[:, :, None, None])
        self.layers = self._geometry()
        self.preset = Preset(
            style=dict.fromkeys(self.layers, 1.0),
            content={"first.2": 1.0},
            edges={"first.0": 1.0, "first.1": 1.0},
            content_weight=0.05,
            strength=0.03,
        )

    def _geometry(self) -> Mapping[str, Layer]:
        reach = SIZE // 2
        layers: dict[str, Layer] = {}
        for o in range(self.octaves):
            pyramid = 2 * (2**o - 1)
            channels = (12 if o else 4) * self.orientations + 3
            layers[f"first.{o}"] = Layer(channels, 2**o, pyramid + reach * 2**o)
            # a pair of first-order cells is averaged, then filtered at twice the stride
            margin = pyramid + reach * 2**o + reach * 2 ** (o + 1)
            layers[f"second.{o}"] = Layer(4 * self.orientations**2, 2 ** (o + 1), margin)
        return layers

    def features(self, image: Tensor, names: Collection[str]) -> Features:
        """See `Network.features`."""
        deepest = max(int(name.split(".")[1]) for name in names)
        image = image.to(self.opponent.dtype)
        octave = F.conv2d(_channels_last(image[None]), self.opponent)
        found: Features = {}
        for o in range(deepest + 1):
            wanted = {f"first.{o}", f"second.{o}"} & set(names)
            if wanted:
                self._responses(octave, o, wanted, found)
            if o < deepest:
                octave = F.conv2d(_reflect(octave, 2), self.reduce, stride=2)
        return found

    def _responses(self, octave: Tensor, o: int, wanted: set[str], found: Features) -> None:
        seen, bank = (octave, self.first) if o else (octave[:, :1], self.luminance)
        response = F.conv2d(_reflect(seen, SIZE // 2), bank)
        if f"first.{o}" in wanted:
            found[f"first.{o}"] = torch.cat([response, response.abs(), octave], 1)[0]
        if f"second.{o}" in wanted:
            even, odd = response[:, : 2 * self.orientations].chunk(2, dim=1)
            modulus = F.avg_pool2d((even**2 + odd**2 + EPSILON).sqrt(), 2)
            again = F.conv2d(_reflect(modulus, SIZE // 2), self.second)
            found[f"second.{o}"] = torch.cat([again, again.abs()], 1)[0]


def _reflect(x: Tensor, margin: int) -> Tensor:
    # the deepest maps of a small patch are too small to be reflected
    mode = "reflect" if min(x.shape[2:]) > margin else "replicate"
    return _channels_last(F.pad(x, (margin,) * 4, mode=mode))


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
