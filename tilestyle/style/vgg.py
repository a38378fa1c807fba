"""VGG-19 (Simonyan & Zisserman 2015) up to relu5_4, in torchvision's layout, at any width."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tilestyle.errors import UserError
from tilestyle.style.network import Features, Layer, Preset

DEPTHS = (2, 2, 4, 4, 4)
"""Convolutions in each of the five blocks; a 2 x 2 max pooling stands between two blocks."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Padding = Literal["zeros", "reflect"]


@dataclass(frozen=True)
class Variant:
    """A published set of VGG-19 weights: its widths and the names in its file.

    Attributes:
        widths: Channels of the five blocks.
        stem: Name of a 1 x 1 convolution that takes RGB in 0 to 1; None where the input is
            normalised by ImageNet's mean and standard deviation instead.
        last: Number of the last convolution that the file holds, counted from 1.
        torchvision: Whether names count modules ("features.0") or blocks ("conv11").
        padding: What the network was trained with.
        content_weight: alpha of Eq. (1).
    """

    widths: tuple[int, ...]
    stem: str | None
    last: int
    torchvision: bool
    padding: Padding
    content_weight: float


VARIANTS: Mapping[str, Variant] = {
    "vgg19": Variant((64, 128, 256, 512, 512), None, 16, True, "zeros", 0.05),
    # Wang et al., Collaborative Distillation (CVPR 2020): a quarter of the channels
    "vgg19-small": Variant((16, 32, 64, 128, 128), "conv0", 13, False, "reflect", 0.05),
}


def _file_names(variant: Variant) -> list[tuple[str, str, int]]:
    """For each convolution: name of its relu, name in the weights file, channels."""
    names = []
    module = 0
    for block, depth in enumerate(DEPTHS, start=1):
        for k in range(1, depth + 1):
            in_file = f"features.{module}" if variant.torchvision else f"conv{block}{k}"
            names.append((f"relu{block}_{k}", in_file, variant.widths[block - 1]))
            module += 2  # the convolution and its relu
        module += 1  # the pooling
    return names[: variant.last]


class VGG(nn.Module):
    """The convolutions of VGG-19 with their ReLUs as named layers, relu1_1 to relu5_4."""

    mean: Tensor
    std: Tensor

    def __init__(self, variant: Variant, padding: Padding | None = None) -> None:
        super().__init__()
        self.names = _file_names(variant)
        self.stem = nn.Conv2d(3, 3, 1) if variant.stem else None
        self.convolutions = nn.ModuleList()
        incoming = 3
        for _, _, channels in self.names:
            self.convolutions.append(
                nn.Conv2d(incoming, channels, 3, padding=1, padding_mode=padding or variant.padding)
            )
            incoming = channels
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None])
        self.layers = self._geometry()
        style = {f"relu{block}_1": 1.0 for block in range(1, 6)}
        self.preset = Preset(
            style, {"relu4_2": 1.0}, {"relu1_1": 1.0, "relu2_1": 1.0}, variant.content_weight
        )

    def _geometry(self) -> Mapping[str, Layer]:
        layers: dict[str, Layer] = {}
        stride, margin = 1, 0
        for relu, _, channels in self.names:
            if relu.endswith("_1") and relu != "relu1_1":
                stride *= 2
            margin += stride
            layers[relu] = Layer(channels, stride, margin)
        return layers

    def features(self, image: Tensor, names: Collection[str]) -> Features:
        """See `Network.features`."""
        dtype = next(self.parameters()).dtype
        x = self.stem(image.to(dtype)) if self.stem else ((image - self.mean) / self.std).to(dtype)
        x = x[None].contiguous(memory_format=torch.channels_last)
        found: Features = {}
        for (relu, _, _), convolution in zip(self.names, self.convolutions, strict=True):
            if relu.endswith("_1") and relu != "relu1_1":
                x = F.max_pool2d(x, 2)
            x = convolution(x).relu_()
            if relu in names:
                found[relu] = x[0]
            if len(found) == len(names):
                break
        return found


def load_vgg(name: str, path: Path, padding: Padding | None = None) -> VGG:
    """A VGG-19 with the weights of a file.

    Args:
        name: Key of `VARIANTS`.
        path: A file as `torch.save` writes it: a state dict, or a dict with one under "model".
        padding: Border of every convolution; None for what the weights were trained with.

    Raises:
        UserError: The file cannot be read or does not hold the expected tensors.
    """
    variant = VARIANTS[name]
    vgg = VGG(variant, padding)
    stored = _read_state(path)
    wanted = {f"convolutions.{i}": in_file for i, (_, in_file, _) in enumerate(vgg.names)}
    if variant.stem:
        wanted["stem"] = variant.stem
    state = {"mean": vgg.mean, "std": vgg.std}
    for ours, theirs in wanted.items():
        for kind in ("weight", "bias"):
            tensor = stored.get(f"{theirs}.{kind}")
            shape = tuple(vgg.get_parameter(f"{ours}.{kind}").shape)
            if not isinstance(tensor, Tensor) or tuple(tensor.shape) != shape:
                found = tuple(tensor.shape) if isinstance(tensor, Tensor) else "nothing"
                raise UserError(
                    f"{path}: not the weights of {name}: {theirs}.{kind} should be {shape}, "
                    f"found {found}; give the right file with --weights"
                )
            state[f"{ours}.{kind}"] = tensor
    vgg.load_state_dict(state)
    return vgg


def _read_state(path: Path) -> Mapping[str, object]:
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such weights file; check --weights") from error
    except Exception as error:  # torch.load raises whatever unpickling and zip reading raise
        raise UserError(
            f"{path}: cannot be read as torch weights (truncated, or another format); "
            "get the file again and check its sha256"
        ) from error
    inner = stored.get("model", stored) if isinstance(stored, dict) else None
    if not isinstance(inner, dict):
        raise UserError(f"{path}: holds no state dict; give a file of weights with --weights")
    return inner
