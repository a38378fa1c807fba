"""The two losses, and that those of patches add up to the image's."""

import pytest
import torch
from torch import Tensor, nn

from tilestyle.admm.grid import Grid, make_grid
from tilestyle.admm.sharing import means, merge
from tilestyle.style.losses import cell_weights, content_loss, gram, style_loss, variation
from tilestyle.style.network import Features, Layer, Network
from tilestyle.style.objective import Objective, Parts, Region, Weights, style_key
from tilestyle.style.scattering import Scattering
from tilestyle.style.vgg import VARIANTS, VGG

SHAPES = [(1, 4, 4), (3, 17, 5), (27, 32, 48), (144, 20, 20)]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain_gram(features: Tensor) -> Tensor:
    flat = features.flatten(1)
    return flat @ flat.T / flat.shape[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_gram_is_the_plain_formula(shape: tuple[int, int, int]) -> None:
    features = noise(*shape)
    found = gram(features)
    torch.testing.assert_close(found, plain_gram(features), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found, found.T, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_of_gram_is_that_of_the_plain_formula(shape: tuple[int, int, int]) -> None:
    """Against any gradient from above, also one that is not symmetric."""
    upstream = noise(shape[0], shape[0], seed=1)
    gradients: list[Tensor] = []
    for formula in (gram, plain_gram):
        features = noise(*shape).requires_grad_(True)
        gradients += torch.autograd.grad((formula(features) * upstream).sum(), features)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_gradient_of_gram_by_differences() -> None:
    features, direction = noise(4, 6, 6), noise(4, 6, 6, seed=2)
    target = gram(noise(4, 6, 6, seed=3))

    def loss(x: Tensor) -> Tensor:
        return (gram(x) - target).square().sum()

    variable = features.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss(variable), variable)
    step = 1e-2
    slope = (loss(features + step * direction) - loss(features - step * direction)) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), slope, rtol=1e-2, atol=0)


def test_gram_of_bfloat16_is_summed_in_float32() -> None:
    features = noise(8, 30, 30).to(torch.bfloat16)
    variable = features.clone().requires_grad_(True)
    found = gram(variable)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, plain_gram(features.float()), atol=1e-5, rtol=1e-5)
    (gradient,) = torch.autograd.grad(found.sum(), variable)
    assert gradient.dtype == torch.bfloat16


@pytest.mark.parametrize("shape", [*SHAPES, (48, 129, 65)])
def test_equal_weights_are_no_weights(shape: tuple[int, int, int]) -> None:
    features = noise(*shape)
    assert torch.equal(gram(features, torch.ones(shape[1:])), gram(features))


def test_weights_count_positions() -> None:
    features = noise(5, 1, 4)
    weights = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    repeated = features[:, :, [1, 2, 2, 3, 3, 3]]
    torch.testing.assert_close(gram(features, weights), plain_gram(repeated))
    torch.testing.assert_close(gram(features, 7 * weights), plain_gram(repeated))


def test_cell_weights_are_means_over_cells() -> None:
    window = torch.rand(12, 20)
    expected = window.reshape(3, 4, 5, 4).mean(dim=(1, 3))
    torch.testing.assert_close(cell_weights(window, 4, 3, 5), expected)
    assert torch.equal(cell_weights(window, 1, 12, 20), window)


def test_content_loss() -> None:
    features = noise(3, 8, 8)
    assert content_loss(features, features) == 0
    torch.testing.assert_close(content_loss(features + 0.5, features), torch.tensor(0.25))


@pytest.fixture
def styles() -> dict[str, Tensor]:
    return {"a": gram(noise(4, 9, 9)), "b": 100 * gram(noise(6, 9, 9))}


def test_style_loss_is_relative(styles: dict[str, Tensor]) -> None:
    """A layer without features has loss 1, whatever its size."""
    for style in styles.values():
        assert style_loss(style, style) == 0
        torch.testing.assert_close(style_loss(torch.zeros_like(style), style), torch.tensor(1.0))


def test_style_term_weighs_layers_relative_to_their_sum(styles: dict[str, Tensor]) -> None:
    nothing = {style_key(0, name): torch.zeros_like(style) for name, style in styles.items()}
    for layers in ({"a": 1.0, "b": 3.0}, {"a": 0.1}, {"b": 50.0}):
        goal = Objective(Scattering(), Weights({}, layers, 0, 1), [Region(styles)])
        torch.testing.assert_close(goal.style_term(nothing), torch.tensor(1.0))
    goal = Objective(Scattering(), Weights({}, {"a": 1.0, "b": 3.0}, 0, 1), [Region(styles)])
    half = {style_key(0, "a"): torch.zeros_like(styles["a"]), style_key(0, "b"): styles["b"]}
    torch.testing.assert_close(goal.style_term(half), torch.tensor(0.25))


def test_moments_are_those_of_the_features() -> None:
    """With the means among the correlations both errors are as computed by hand."""
    ours, theirs = noise(5, 12, 14), 2 * noise(5, 9, 8) + 1
    found = style_loss(gram(ours, means=True), gram(theirs, means=True), 0.5)
    flat = [maps.flatten(1) for maps in (ours, theirs)]
    pairs = [
        [gram(maps) for maps in (ours, theirs)],
        [maps.mean(dim=1) for maps in flat],
        [maps.std(dim=1, correction=0) for maps in flat],
    ]
    errors = [(a - b).square().sum() / b.square().sum() for a, b in pairs]
    torch.testing.assert_close(found, errors[0] + 0.5 * (errors[1] + errors[2]))


def test_the_gradient_of_weighted_correlations() -> None:
    maps = noise(3, 6, 5).double().requires_grad_(True)
    weights = torch.rand(6, 5, generator=torch.Generator().manual_seed(3))
    slope = torch.rand(3, 3, generator=torch.Generator().manual_seed(4))
    (found,) = torch.autograd.grad((slope * gram(maps, weights)).sum(), maps)
    plain = torch.einsum("ayx,byx,yx->ab", maps, maps, weights.double()) / weights.sum()
    (expected,) = torch.autograd.grad((slope * plain).sum(), maps)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_variation_of_a_step() -> None:
    image = torch.zeros(3, 4, 6)
    image[:, :, 3:] = 0.5
    expected = torch.zeros(4, 6)
    expected[:, 2] = 0.25
    torch.testing.assert_close(variation(image), expected)
    torch.testing.assert_close(variation(image.mT), expected.T)


def natural(height: int, width: int, seed: int = 0) -> Tensor:
    """Noise that is not alike everywhere."""
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))
    image *= torch.linspace(0.2, 1, width)
    image[:, height // 2 :] *= 0.5
    image[:, :, -7:] *= 0.3
    return image


class Fixed(VGG):
    """A narrow VGG whose random filters keep the size of what passes through them."""

    def __init__(self) -> None:
        super().__init__(VARIANTS["vgg19-small"])
        generator = torch.Generator().manual_seed(5)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = module.weight[0].numel()
                random = torch.randn(module.weight.shape, generator=generator)
                module.weight.data = random * (2 / fan_in) ** 0.5
                module.bias = None
        self.requires_grad_(False)


NETWORKS = {"scattering": Scattering, "vgg": Fixed}


def measure(network: Network, features: Features, window: Tensor) -> Parts:
    """What `Objective.measure` finds of these features as style layers, by layer."""
    goal = Objective(network, Weights({}, dict.fromkeys(features, 1.0), 0, 1), ())
    found = goal.measure(features, window)
    return {name: found[style_key(0, name)] for name in features}


def seen(layers: dict[str, Layer], grid: Grid) -> list[str]:
    """Layers that see nothing beyond a patch where its window has weight."""
    context = grid.rows.overlap - grid.rows.blend // 2
    return [name for name, layer in layers.items() if layer.margin <= context]


def merged_error(network: Network, grid: Grid) -> dict[str, float]:
    """Distance of the merged correlations of all patches from those of the image, relative."""
    image = natural(grid.rows.length, grid.columns.length)
    names = seen(dict(network.layers), grid)
    parts = []
    for patch in grid:
        features = network.features(image[(slice(None), *patch.box.index())], names)
        parts.append(measure(network, features, torch.from_numpy(grid.window(patch))))
    merged = means(merge(parts))
    errors = {}
    for name, maps in network.features(image, names).items():
        whole = gram(maps)
        errors[name] = float((torch.from_numpy(merged[name]) - whole).norm() / whole.norm())
    return errors


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(256, 256), (160, 352)])
def test_grams_of_patches_merge_to_the_images(name: str, size: tuple[int, int]) -> None:
    grid = make_grid(*size, 128, 32, 16, 32)
    errors = merged_error(NETWORKS[name](), grid)
    assert len(grid) > 2
    assert len(errors) >= 5
    assert max(errors.values()) < 1e-5


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(255, 257), (250, 300)])
def test_grams_of_patches_merge_for_any_size(name: str, size: tuple[int, int]) -> None:
    errors = merged_error(NETWORKS[name](), make_grid(*size, 128, 32, 16, 32))
    assert max(errors.values()) < 1e-5


@pytest.mark.parametrize("name", NETWORKS)
def test_widened_patches_measure_every_layer_of_the_image(name: str) -> None:
    network = NETWORKS[name]()
    reach = max(layer.margin for layer in network.layers.values())
    grid = make_grid(300, 330, 128, 32, 4, 32).widened(-(-(reach + 2) // 32) * 32)
    errors = merged_error(network, grid)
    assert set(errors) == set(network.layers)
    assert max(errors.values()) < 1e-5


def test_one_patch_measures_the_plain_gram() -> None:
    network, grid = Scattering(), make_grid(90, 75, None, 32, 16, 32)
    features = network.features(natural(90, 75), ["first.0", "second.1"])
    window = torch.from_numpy(grid.window(grid[0]))
    for name, (found, weight) in measure(network, features, window).items():
        assert torch.equal(torch.from_numpy(found), gram(features[name]))
        assert weight == features[name][0].numel()


def objective(network: Network) -> Objective:
    weights = Weights({"first.1": 1.0}, {"first.0": 1.0, "second.0": 2.0}, alpha=0.5, beta=1)
    styles = {j: gram(f) for j, f in network.features(natural(96, 96, 7), weights.layers).items()}
    return Objective(network, weights, [Region(styles)])


def test_objective_vanishes_at_its_own_content_and_style() -> None:
    whole, image = objective(Scattering()), natural(96, 96, 7)
    features = whole.features(image)
    assert whole.content_term(features, whole.content_features(image)) == 0
    assert whole.style_term(whole.grams(features)) == 0
    assert set(features) == whole.weights.layers
    assert set(whole.content_features(image)) == {"first.1"}
    assert set(whole.style_features(image)) == {"first.0", "second.0"}


def test_content_term_is_relative_to_the_style() -> None:
    whole = objective(Scattering())
    features, reference = (whole.features(natural(64, 64, seed)) for seed in (1, 2))
    change = (features["first.1"] - reference["first.1"]).square().mean()
    power = whole.network.features(natural(96, 96, 7), ["first.1"])["first.1"].square().mean()
    torch.testing.assert_close(whole.content_term(features, reference), change / power)


def test_no_content_layers_is_no_content_term() -> None:
    whole = objective(Scattering())
    free = Objective(whole.network, Weights({}, whole.weights.style, 1, 1), whole.regions)
    assert free.content_term({}, {}) == 0


def test_parts_of_cores_merge_to_the_value() -> None:
    whole, cores = objective(Scattering()), make_grid(160, 256, 128, 0, 0, 32)
    grid = cores.widened(96)
    x, content = natural(160, 256, 1), natural(160, 256, 2)
    parts = []
    for patch in grid:
        box = (slice(None), *patch.box.index())
        parts.append(whole.parts(x[box], content[box], torch.from_numpy(grid.window(patch))))
    value = whole.value(merge(parts))
    features = whole.features(x)
    content_term = whole.content_term(features, whole.content_features(content))
    style_term = whole.style_term(whole.grams(features))
    assert value.content == pytest.approx(float(content_term), rel=1e-5)
    assert value.style == pytest.approx(float(style_term), rel=1e-5)
    weights = whole.weights
    assert value.total == weights.alpha * value.content + weights.beta * value.style
