"""The scattering network: its filters, and the geometry that the patch grid relies on."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate

from tilestyle.style.network import Layer, usable
from tilestyle.style.scattering import SIZE, Scattering, block_diagonal, gabor_bank

LAYERS = Scattering().layers
Support = tuple[int, int, int, int]


@pytest.fixture(scope="module")
def network() -> Scattering:
    return Scattering()


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("orientations", [1, 4, 6, 8])
def test_filters_have_zero_mean_and_unit_norm(orientations: int) -> None:
    bank = gabor_bank(orientations)
    assert bank.shape == (2 * orientations, 1, SIZE, SIZE)
    assert bank.dtype == torch.float32
    torch.testing.assert_close(bank.sum(dim=(1, 2, 3)), torch.zeros(len(bank)), atol=1e-6, rtol=0)
    torch.testing.assert_close(bank.square().sum(dim=(1, 2, 3)), torch.ones(len(bank)))


def test_filters_are_quadrature_pairs() -> None:
    even, odd = gabor_bank(6).chunk(2)
    torch.testing.assert_close(even.flip(2, 3), even)
    torch.testing.assert_close(odd.flip(2, 3), -odd)
    turned = gabor_bank(4)
    torch.testing.assert_close(turned[2], turned[0].transpose(1, 2))
    torch.testing.assert_close(turned[6], turned[4].transpose(1, 2))


@pytest.mark.parametrize("orientations", [1, 4, 6])
def test_filters_are_turned_waves_under_an_oval(orientations: int) -> None:
    bank = gabor_bank(orientations)[:, 0].double()
    y, x = torch.meshgrid(torch.arange(-3, 4), torch.arange(-3, 4), indexing="ij")
    place = torch.complex(x.double(), y.double())
    for k in range(orientations):
        turned = place * torch.exp(torch.tensor(-1j * torch.pi * k / orientations))
        oval = torch.exp(-(turned.real**2 + (0.6 * turned.imag) ** 2) / (2 * 1.6**2))
        wave = oval * torch.exp(2j * torch.pi * turned.real / 3.5)
        for found, part in ((bank[k], wave.real), (bank[k + orientations], wave.imag)):
            centred = part - part.mean()
            torch.testing.assert_close(found, centred / centred.norm(), atol=1e-6, rtol=0)


def test_filters_are_tuned_to_their_orientation() -> None:
    bank = gabor_bank(2)
    stripes = torch.sin(2 * torch.pi * torch.arange(32) / 3.5).expand(1, 1, 32, 32)
    along, across = conv2d(stripes, bank).square().mean(dim=(0, 2, 3))[:2]
    assert along > 20 * across


def test_block_diagonal_is_a_grouped_convolution() -> None:
    bank, image = gabor_bank(3), noise(20, 24)[None]
    grouped = conv2d(image, bank.repeat(3, 1, 1, 1), groups=3)
    dense = conv2d(image, block_diagonal(bank, 3))
    torch.testing.assert_close(dense, grouped, atol=1e-5, rtol=1e-5)


def cell(layer: Layer) -> tuple[int, int]:
    """Index of a feature that sees no border, and the side of an image that is large enough."""
    index = layer.margin // layer.stride + 1
    return index, (2 * index + 1) * layer.stride


def support(network: Scattering, name: str, index: int, side: int) -> Support:
    """First and last row and column of the image that a feature depends on."""
    image = noise(side, side, seed=3).requires_grad_(True)
    feature = network.features(image, [name])[name][:, index, index]
    mix = torch.rand(len(feature), generator=torch.Generator().manual_seed(4)) - 0.5
    (gradient,) = torch.autograd.grad((mix * feature).sum(), image)
    ys, xs = gradient.abs().sum(dim=0).nonzero(as_tuple=True)
    return int(ys.min()), int(ys.max()), int(xs.min()), int(xs.max())


@pytest.mark.parametrize("name", LAYERS)
def test_margin_is_exact(network: Scattering, name: str) -> None:
    layer = network.layers[name]
    index, side = cell(layer)
    start, stop = index * layer.stride, (index + 1) * layer.stride
    y0, y1, x0, x1 = support(network, name, index, side)
    assert y0 == x0 == start - layer.margin
    assert y1 == x1
    assert y1 < stop + layer.margin


@pytest.mark.parametrize("name", LAYERS)
def test_channels_and_strides_are_as_declared(network: Scattering, name: str) -> None:
    layer = network.layers[name]
    rows, columns = 4, 5
    image = noise(rows * layer.stride, columns * layer.stride)
    assert network.features(image, [name])[name].shape == (layer.channels, rows, columns)


@pytest.mark.parametrize(
    ("height", "width"), [(32, 32), (33, 47), (67, 129), (143, 131), (255, 90)]
)
def test_usable_layers_have_maps_of_four_by_four(
    network: Scattering, height: int, width: int
) -> None:
    names = usable(network.layers, height, width)
    for name, maps in network.features(noise(height, width), names).items():
        for rows, length in zip(maps.shape[1:], (height, width), strict=True):
            assert rows >= 4
            assert abs(rows - length / network.layers[name].stride) < 1


@pytest.mark.parametrize(("octaves", "orientations"), [(1, 4), (3, 2)])
def test_size_of_the_network_can_be_chosen(octaves: int, orientations: int) -> None:
    small = Scattering(octaves, orientations)
    assert len(small.layers) == 2 * octaves
    found = small.features(noise(64, 64), small.layers)
    assert {name: len(maps) for name, maps in found.items()} == {
        name: layer.channels for name, layer in small.layers.items()
    }


def test_only_what_is_asked_is_returned(network: Scattering) -> None:
    image = noise(64, 64)
    alone = network.features(image, ["second.1"])
    assert list(alone) == ["second.1"]
    among = network.features(image, ["first.0", "second.1", "first.2"])
    assert set(among) == {"first.0", "second.1", "first.2"}
    assert torch.equal(alone["second.1"], among["second.1"])


def test_features_are_deterministic(network: Scattering) -> None:
    image = noise(96, 130)
    first, second = (n.features(image, n.layers) for n in (network, Scattering()))
    assert all(torch.equal(first[name], second[name]) for name in network.layers)


def test_an_aligned_crop_has_the_features_of_the_whole(network: Scattering) -> None:
    """Origins on multiples of the stride, and a margin: what makes patches exact."""
    image = noise(224, 256)
    y, x, side = 32, 64, 160
    names = [n for n, layer in network.layers.items() if 2 * layer.margin + layer.stride < side]
    whole = network.features(image, names)
    crop = network.features(image[:, y : y + side, x : x + side], names)
    assert len(names) >= 6
    for name in names:
        stride, margin = network.layers[name].stride, network.layers[name].margin
        inner = slice(-(-margin // stride), (side - margin) // stride)
        found = crop[name][:, inner, inner]
        top, left = y // stride, x // stride
        expected = whole[name][:, top:, left:][:, inner, inner]
        assert found.numel()
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_grey_has_no_chroma(network: Scattering) -> None:
    grey = noise(64, 64)[:1].expand(3, -1, -1)
    first = network.features(grey, ["first.1"])["first.1"]
    *_, luminance, red_green, blue_yellow = first
    torch.testing.assert_close(luminance.mean(), grey.mean(), atol=0.02, rtol=0)
    assert red_green.abs().max() < 1e-5
    assert blue_yellow.abs().max() < 1e-5


def test_a_flat_image_has_no_waves(network: Scattering) -> None:
    found = network.features(torch.full((3, 128, 128), 0.7), network.layers)
    for name, maps in found.items():
        waves = maps[:-3] if name.startswith("first") else maps
        assert waves.abs().max() < 1e-4


def test_gradients_stay_finite(network: Scattering) -> None:
    flat = torch.full((3, 64, 64), 0.5, requires_grad=True)
    found = network.features(flat, ["first.0", "second.0", "second.1"])
    loss = torch.stack([maps.square().sum() for maps in found.values()]).sum()
    (gradient,) = torch.autograd.grad(loss, flat)
    assert torch.isfinite(gradient).all()


def test_bfloat16_is_close_on_a_smooth_image(network: Scattering) -> None:
    image = interpolate(noise(32, 32)[None], size=(128, 128), mode="bicubic")[0].clamp(0, 1)
    exact = network.features(image, network.layers)
    rough = Scattering().to(torch.bfloat16).features(image, network.layers)
    for name, maps in exact.items():
        assert rough[name].dtype == torch.bfloat16
        assert (rough[name] - maps).norm() < 0.1 * maps.norm()
