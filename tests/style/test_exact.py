"""The gradient of the whole image, tile by tile."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tilestyle.admm.grid import make_grid
from tilestyle.admm.sharing import merge
from tilestyle.style.exact import context, gradient
from tilestyle.style.losses import gram
from tilestyle.style.network import Network
from tilestyle.style.objective import Objective, Region, Weights
from tilestyle.style.scattering import Scattering
from tilestyle.style.vgg import VARIANTS, VGG

ALIGN = 32
SHAPE = (416, 715)
"""No core of 128 or 192 px divides it, and no cell of more than a pixel its width."""


def smooth(height: int, width: int, seed: int) -> Tensor:
    noise = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    return nn.functional.avg_pool2d(noise, 3, 1, 1)[0]


def vgg(padding: str) -> VGG:
    """A quarter of VGG-19's width, down to relu4_2, with weights that keep the size of features."""
    torch.manual_seed(0)
    variant = replace(VARIANTS["vgg19"], widths=(8, 16, 32, 64, 64), last=10)
    network = VGG(variant, padding)  # type: ignore[arg-type]
    for layer in network.convolutions:
        assert isinstance(layer, nn.Conv2d)
        nn.init.kaiming_normal_(layer.weight)
    return network.requires_grad_(False)


STYLES = {
    "vgg": {"relu1_1": 1.0, "relu2_1": 2.0, "relu3_1": 1.0, "relu4_1": 0.5},
    "scattering": {"first.0": 1.0, "second.0": 2.0, "first.1": 1.0, "second.2": 0.5},
}


@pytest.fixture(params=["scattering", "zeros", "reflect"])
def objective(request: pytest.FixtureRequest) -> Objective:
    network: Network
    if request.param == "scattering":
        network = Scattering(octaves=3, orientations=4).requires_grad_(False)
        style, content = STYLES["scattering"], {"first.2": 1.0, "first.1": 0.3}
    else:
        network, style, content = vgg(request.param), STYLES["vgg"], {"relu4_2": 1.0}
    weights = Weights(content, style, alpha=0.7, beta=1.3)
    features = network.features(smooth(200, 240, 9), weights.layers)
    return Objective(network, weights, [Region({j: gram(f) for j, f in features.items()})])


def whole_gradient(objective: Objective, x: Tensor, content: Tensor) -> Tensor:
    """Of pixels * f, by autograd on the whole image: nothing of tiles in it."""
    x = x.clone().requires_grad_(True)
    features = objective.features(x)
    grams = objective.grams(features)
    term = objective.content_term(features, objective.content_features(content))
    style = objective.style_term(grams)
    f = objective.weights.alpha * term + objective.weights.beta * style
    (found,) = torch.autograd.grad(x[0].numel() * f, x)
    return found


def tiled_gradient(
    objective: Objective, x: Tensor, content: Tensor, core: int, reach: int
) -> Tensor:
    """The two passes, on tiles that reach so far around their cores."""
    cores = make_grid(*SHAPE, core, 0, 0, ALIGN)
    margin = max(objective.network.layers[name].margin for name in objective.weights.layers)
    wide = cores.widened(math.ceil(margin / ALIGN) * ALIGN)
    parts = []
    for tile in wide:
        box = (slice(None), *tile.box.index())
        window = torch.from_numpy(wide.window(tile))
        parts.append(objective.parts(x[box], content[box], window))
    measured = merge(parts)
    found = torch.zeros_like(x)
    for tile in cores.widened(reach):
        box = (slice(None), *tile.box.index())
        part = gradient(objective, x[box], content[box], measured, x[0].numel())
        found[:, *tile.core.index()] = part[:, *tile.core.index(tile.box)]
    return found


@pytest.mark.parametrize("core", [128, 192])
def test_tiles_give_the_gradient_of_the_whole_image(objective: Objective, core: int) -> None:
    x, content = smooth(*SHAPE, 1), smooth(*SHAPE, 2)
    expected = whole_gradient(objective, x, content)
    reach = context(objective.network.layers, objective.weights.layers)
    found = tiled_gradient(objective, x, content, core, math.ceil(reach / ALIGN) * ALIGN)
    assert float((found - expected).norm() / expected.norm()) < 1e-5
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


def test_a_tile_that_reaches_less_far_is_not_exact(objective: Objective) -> None:
    x, content = smooth(*SHAPE, 1), smooth(*SHAPE, 2)
    expected = whole_gradient(objective, x, content)
    found = tiled_gradient(objective, x, content, 128, ALIGN)
    assert float((found - expected).norm() / expected.norm()) > 1e-4


def test_context_is_what_the_deepest_layer_needs() -> None:
    layers = VGG(VARIANTS["vgg19"]).layers
    # relu5_1 sees 70 px around its cell of 16 px; the pixel may lie at the cell's far end
    assert context(layers, {"relu1_1", "relu5_1"}) == 2 * layers["relu5_1"].margin + 15
    assert context(layers, {"relu1_1"}) == 2
