"""States of the names and shapes of published weights, with random numbers."""

import torch
from torch import Tensor

PLAN = [(1, 2), (2, 2), (3, 4), (4, 4), (5, 4)]
TORCHVISION = [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34]
RELUS = [f"relu{block}_{k}" for block, depth in PLAN for k in range(1, depth + 1)]
WIDTHS = [64, 64, 128, 128, *[256] * 4, *[512] * 8]
State = dict[str, Tensor]


def filters(outgoing: int, incoming: int, size: int, seed: int) -> Tensor:
    """Random filters that overlap in memory: a file of them is small whatever their shape."""
    strides = (5, 3, 2 * size, 1)
    shape = (outgoing, incoming, size, size)
    count = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(count, generator=generator) * (2 / (incoming * size**2)) ** 0.5
    return torch.as_strided(base, shape, strides)


def convolution(outgoing: int, incoming: int, size: int, seed: int, name: str) -> State:
    bias = 0.1 * torch.randn(outgoing, generator=torch.Generator().manual_seed(100 + seed))
    return {f"{name}.weight": filters(outgoing, incoming, size, seed), f"{name}.bias": bias}


def full_state() -> State:
    """Names and shapes of torchvision's vgg19."""
    state: State = {}
    for n, (module, width) in enumerate(zip(TORCHVISION, WIDTHS, strict=True)):
        incoming = WIDTHS[n - 1] if n else 3
        state |= convolution(width, incoming, 3, n, f"features.{module}")
    for module, (rows, columns) in {0: (4096, 25088), 3: (4096, 4096), 6: (1000, 4096)}.items():
        state[f"classifier.{module}.weight"] = torch.zeros(1, 1).expand(rows, columns)
        state[f"classifier.{module}.bias"] = torch.zeros(1).expand(rows)
    return state


def caffe_state() -> State:
    """Names and shapes of the file of Gatys' PyTorch code."""
    state: State = {}
    for n, (relu, width) in enumerate(zip(RELUS, WIDTHS, strict=True)):
        state |= convolution(width, WIDTHS[n - 1] if n else 3, 3, n, relu.replace("relu", "conv"))
    return state


def small_state() -> State:
    """Names and shapes of the distilled network, with an auxiliary layer."""
    widths = [16, 16, 32, 32, *[64] * 4, *[128] * 5]
    names = [f"conv{relu[4:].replace('_', '')}" for relu in RELUS]
    state = convolution(3, 3, 1, 50, "conv0")
    for n, (name, width) in enumerate(zip(names, widths, strict=False)):
        state |= convolution(width, widths[n - 1] if n else 3, 3, n, name)
    return state | convolution(64, 16, 1, 60, "conv11_aux")


STATES = {"vgg19": full_state, "vgg19-caffe": caffe_state, "vgg19-small": small_state}
