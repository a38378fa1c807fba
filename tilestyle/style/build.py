"""From config to network: names, weights files, device and precision."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import nn

from tilestyle.config import Config, at_level
from tilestyle.config import Network as NetworkConfig
from tilestyle.errors import UserError
from tilestyle.style.network import Network, usable
from tilestyle.style.objective import Weights
from tilestyle.style.scattering import Scattering
from tilestyle.style.vgg import load_vgg
from tilestyle.style.weights import cached


def pick_device(name: str) -> torch.device:
    """The device of a config: "auto" is a GPU where there is one.

    Raises:
        UserError: "cuda" without a GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("network.device: cuda, but torch finds no GPU; use auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def weights_file(config: NetworkConfig) -> Path:
    """Where a trained network's weights lie.

    Raises:
        UserError: They are not there; the message says the ways to go on.
    """
    place = cached(config.name)
    path = Path(config.weights).expanduser() if config.weights else place
    if not path.is_file():
        raise UserError(
            f"{path}: no weights for {config.name}. Get them with `tilestyle weights pull "
            f"{config.name}`, or give the file with --weights FILE, or put it at {place}, or go on "
            "without weights: --set network.name=scattering"
        )
    return path


def build_network(config: NetworkConfig) -> Network:
    """The network of a config, frozen, on its device and in its precision.

    Raises:
        UserError: Weights are missing, too many or not those of the network, or there is no such
            device.
    """
    device = pick_device(config.device)
    network: Network
    if config.name == "scattering":
        if config.weights:
            raise UserError(
                f"network.weights: {config.weights}: scattering has no weights; leave them out, or "
                "name the network that they are for: --set network.name=vgg19"
            )
        network = Scattering()
    else:
        network = load_vgg(config.name, weights_file(config), config.padding, config.pooling)
    if isinstance(network, nn.Module):
        network.requires_grad_(False).eval()
        network.to(device=device, dtype=getattr(torch, config.precision))
    return network


def weigh(
    config: Config,
    network: Network,
    shapes: Iterable[Sequence[int]],
    level: int = 0,
    levels: int = 1,
) -> Weights:
    """Layers and weights of a level for images of all these shapes, (height, width) each.

    Layers that are too deep for the smallest of them are left out.

    Raises:
        UserError: The config names a layer that the network does not have, or no style layer
            is left.
    """
    heights, widths = zip(*shapes, strict=True)
    height, width = min(heights), min(widths)
    preset, loss = network.preset, config.loss
    content = preset.content if loss.content_layers is None else loss.content_layers
    style = preset.style if loss.style_layers is None else loss.style_layers
    for key, layers in (("content_layers", content), ("style_layers", style)):
        for name in layers:
            if name not in network.layers:
                known = ", ".join(network.layers)
                raise UserError(f"loss.{key}: no layer {name}; the network has {known}")
    fit = usable(network.layers, height, width)
    kept = {name: weight for name, weight in style.items() if name in fit and weight}
    if not kept:
        raise UserError(
            f"loss.style_layers: no layer is left for an image or level of {width} x {height} px; "
            "take larger images, a larger pyramid.coarsest or shallower layers"
        )
    return Weights(
        content={name: weight for name, weight in content.items() if name in fit and weight},
        style=kept,
        alpha=preset.content_weight if loss.alpha is None else at_level(loss.alpha, level, levels),
        beta=at_level(loss.beta, level, levels),
        moments=loss.moments,
        tv=loss.tv,
        edges={name: weight for name, weight in preset.edges.items() if name in fit},
        strength=preset.strength if config.edges.strength == "preset" else config.edges.strength,
    )
