"""VGG-19's shape with random weights, for what does not depend on what it has learned."""

from pathlib import Path

import torch
from torch import nn

from tilestyle.style.vgg import VARIANTS, VGG


def random_vgg19(folder: Path) -> Path:
    """A file of He-initialised weights under torchvision's names."""
    path = folder / "vgg19-random.pth"
    if not path.exists():
        torch.manual_seed(19)
        vgg = VGG(VARIANTS["vgg19"])
        state: dict[str, torch.Tensor] = {}
        for (_, name, _), layer in zip(vgg.names, vgg.convolutions, strict=True):
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight)
            state |= {f"{name}.{key}": value for key, value in layer.state_dict().items()}
        torch.save(state, path)
    return path
