"""What a feature network is: named layers over an RGB image, with their exact geometry."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

Features = dict[str, Tensor]


@dataclass(frozen=True)
class Layer:
    """Geometry of one layer, in pixels of the input.

    Attributes:
        channels: Number of feature channels.
        stride: Feature (i, j) belongs to the cell of `stride` x `stride` pixels at
            (i * stride, j * stride).
        margin: A feature depends on no pixel farther than this outside its cell (exact: on
            at least one side some pixel at this distance counts).
    """

    channels: int
    stride: int
    margin: int


class Network(Protocol):
    """A fixed map from an image to named feature maps."""

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The layers in the order in which they are computed."""
        ...

    @property
    def preset(self) -> "Preset":
        """What the network is used with unless the config says otherwise."""
        ...

    def features(self, image: Tensor, names: Collection[str]) -> Features:
        """Features of the named layers.

        Args:
            image: (3, height, width) float32, sRGB-encoded, 0 to 1.
            names: Keys of `layers`; nothing beyond the deepest of them is computed.

        Returns:
            For each name a (channels, rows, columns) tensor, with about height / stride rows.
        """
        ...


@dataclass(frozen=True)
class Preset:
    """What a network is used with unless the config says otherwise.

    Attributes:
        style: Weight of each style layer.
        content: Weight of each content layer.
        edges: Weight of each layer of the edge term: the finest.
        content_weight: alpha of Eq. (1), with beta = 1 and relative losses (`style.losses`).
        strength: Weight of the edge term that keeps edges and costs the style little.
    """

    style: Mapping[str, float]
    content: Mapping[str, float]
    edges: Mapping[str, float]
    content_weight: float
    strength: float


def usable(layers: Mapping[str, Layer], height: int, width: int) -> list[str]:
    """Names of the layers whose maps of a (height, width) image are at least 4 x 4.

    A smaller map is all border: its statistics say nothing, and it cannot be padded by
    reflection.
    """
    return [name for name, layer in layers.items() if min(height, width) >= 4 * layer.stride]
