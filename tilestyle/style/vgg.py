"""VGG-19 (Simonyan & Zisserman 2015) up to relu5_4, in torchvision's layout, at any width."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tilestyle.errors import UserError
from tilestyle.style.network import Features, Layer, Preset

DEPTHS = (2, 2, 4, 4, 4)
"""Convolutions in each of the five blocks; a 2 x 2 pooling stands between two blocks."""
Padding = Literal["zeros", "reflect"]
Pooling = Literal["max", "average"]


@dataclass(frozen=True)
class Variant:
    """A published set of VGG-19 weights: its widths, its input and the names in its file.

    All were trained with max pooling, and all take the layers of Gatys et al. (2016): style
    relu1_1 to relu5_1, content relu4_2. Style layers count alike, since losses are relative.

    Attributes:
        widths: Channels of the five blocks.
        names: Name of a convolution in the file, from its number among torchvision's modules,
            its block and its place in it.
        last: Number of the last convolution that the file holds, counted from 1.
        padding: What the network was trained with.
        content_weight: alpha of Eq. (1).
        stem: Name of a 1 x 1 convolution that takes RGB in 0 to 1 and normalises it; None where
            that is left to `mean` and `std`.
        mean: Subtracted from RGB in 0 to 1.
        std: Divides what is left.
        bgr: Whether the first convolution in the file takes blue first.
    """

    widths: tuple[int, ...]
    names: str
    last: int
    padding: Padding
    content_weight: float = 0.05
    stem: str | None = None
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    bgr: bool = False


WIDTHS = (64, 128, 256, 512, 512)

VARIANTS: Mapping[str, Variant] = {
    # torchvision, VGG19_Weights.IMAGENET1K_V1: trained on RGB by ImageNet's mean and deviation
    "vgg19": Variant(
        WIDTHS,
        names="features.{module}",
        last=16,
        padding="zeros",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    # Simonyan & Zisserman's own weights as Gatys' PyTorch code and SPST have them: BGR, 0 to 255
    "vgg19-caffe": Variant(
        WIDTHS,
        names="conv{block}_{k}",
        last=16,
        padding="zeros",
        mean=(0.48501961, 0.45795686, 0.40760392),
        std=(1 / 255,) * 3,
        bgr=True,
    ),
    # Wang et al., Collaborative Distillation (CVPR 2020): a quarter of the channels
    "vgg19-small": Variant(
        (16, 32, 64, 128, 128),
        names="conv{block}{k}",
        last=13,
        padding="reflect",
        stem="conv0",
    ),
}


def _file_names(variant: Variant) -> list[tuple[str, str, int]]:
    """For each convolution: name of its relu, name in the weights file, channels."""
    names = []
    module = 0
    for block, depth in enumerate(DEPTHS, start=1):
        for k in range(1, depth + 1):
            in_file = variant.names.format(module=module, block=block, k=k)
            names.append((f"relu{block}_{k}", in_file, variant.widths[block - 1]))
            module += 2  # the convolution and its relu
        module += 1  # the pooling
    return names[: variant.last]


class VGG(nn.Module):
    """The convolutions of VGG-19 with their ReLUs as named layers, relu1_1 to relu5_4."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, variant: Variant, padding: Padding | None = None, pooling: Pooling = "max"
    ) -> None:
        super().__init__()
        self.pool: Callable[[Tensor, int], Tensor] = (
            F.max_pool2d if pooling == "max" else F.avg_pool2d
        )
        self.names = _file_names(variant)
        self.stem = nn.Conv2d(3, 3, 1) if variant.stem else None
        self.convolutions = nn.ModuleList()
        incoming = 3
        for _, _, channels in self.names:
            self.convolutions.append(
                nn.Conv2d(incoming, channels, 3, padding=1, padding_mode=padding or variant.padding)
            )
            incoming = channels
        self.register_buffer("mean", torch.tensor(variant.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(variant.std)[:, None, None])
        self.layers = self._geometry()
        style = {f"relu{block}_1": 1.0 for block in range(1, 6)}
        self.preset = Preset(
            style=style,
            content={"relu4_2": 1.0},
            edges={"relu1_1": 1.0, "relu2_1": 1.0},
            content_weight=variant.content_weight,
            strength=0.15,
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
                x = self.pool(x, 2)
            x = convolution(x).relu_()
            if relu in names:
                found[relu] = x[0]
            if len(found) == len(names):
                break
        return found


def load_vgg(
    name: str, path: Path, padding: Padding | None = None, pooling: Pooling = "max"
) -> VGG:
    """A VGG-19 with the weights of a file.

    Args:
        name: Key of `VARIANTS`.
        path: A file as `torch.save` writes it: a state dict, or a dict with one under "model".
        padding: Border of every convolution; None for what the weights were trained with.
        pooling: Between blocks; Gatys et al. (2016) prefer the average.

    Raises:
        UserError: The file cannot be read or does not hold the expected tensors.
    """
    variant = VARIANTS[name]
    vgg = VGG(variant, padding, pooling)
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
    if variant.bgr:
        state["convolutions.0.weight"] = state["convolutions.0.weight"].flip(1)
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
