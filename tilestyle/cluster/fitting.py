"""The patch size that this machine's GPUs have room for, where the config gives none."""

import torch

from tilestyle.cluster.level import ALIGN, shared_network
from tilestyle.config import Config
from tilestyle.errors import UserError
from tilestyle.store.location import Root
from tilestyle.store.workspace import Workspace, exists
from tilestyle.style.build import pick_device, weigh

PROBE = 256
"""Side of the patch on which memory is measured: every layer of every network fits it."""
OVERHEAD = 2.0
"""Memory of a step over what its graph keeps: gradients on their way, and what convolutions take.
Measured on a CPU: 1.3 with scattering, 1.8 with VGG-19."""
RESERVE = 2**30
"""Bytes for the CUDA context of a worker and the network's weights."""
STATE = 4 * 3 * 8
"""Bytes a pixel of a patch's images, float32: X, content, gradient, moments, their successors."""
LARGEST = 2048
"""A core is a task and a chunk: larger ones only leave GPUs idle."""
STEP = 8 * ALIGN


def fit_patches(config: Config, root: Root) -> Config:
    """The config, with a core that fits the GPUs of `--cluster cuda` if it gives none itself.

    A workspace keeps the size it began with, however much is free now.

    Raises:
        UserError: Not even the smallest patch fits.
    """
    if config.cluster.kind != "cuda" or "core" in config.patch.model_fields_set:
        return config
    if exists(root):
        core = Workspace.open(root).record["config"]["patch"]["core"]
    else:
        core = largest_core(config, free_memory())
    return config.model_copy(update={"patch": config.patch.model_copy(update={"core": core})})


def largest_core(config: Config, free: int) -> int:
    """Side of the largest core, a multiple of 256, whose z-update takes at most `free` bytes."""
    pixel = bytes_per_pixel(config)
    for core in range(LARGEST, 0, -STEP):
        if pixel * (core + 2 * config.patch.overlap) ** 2 + RESERVE <= free:
            return core
    raise UserError(
        f"--cluster cuda: {free / 2**30:.1f} GiB are free on a GPU, too little for a patch of "
        f"{STEP} px; free some, or give a smaller patch.core"
    )


def free_memory() -> int:
    """Bytes that are free on each of the GPUs."""
    return min(
        torch.cuda.get_device_properties(gpu).total_memory - torch.cuda.device_memory_used(gpu)
        for gpu in range(torch.cuda.device_count())
    )


def bytes_per_pixel(config: Config) -> float:
    """Memory of a z-update, a pixel of its patch, by what one evaluation keeps for its gradient.

    The losses of one region are stood for by sums of squares: they, too, keep the features in
    float32. Masks of several regions come on top.
    """
    network = shared_network(config.network)
    layers = weigh(config, network, [(PROBE, PROBE)], 0, 1).layers
    image = torch.rand(3, PROBE, PROBE, device=pick_device(config.network.device))
    kept: dict[int, int] = {}
    alive = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor)  # else its place would be given to another
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for feature in network.features(image.requires_grad_(True), layers).values():
            feature.float().square().sum()
    return OVERHEAD * sum(kept.values()) / PROBE**2 + STATE
