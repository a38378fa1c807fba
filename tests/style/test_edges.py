"""The edge mask."""

import pytest
import torch

from tests.style.test_exact import smooth
from tilestyle.style.edges import (
    context,
    edge_energy,
    edge_mask,
    gradients,
    histogram,
    quantile,
)


def test_gradients_of_a_ramp() -> None:
    ramp = torch.linspace(0, 0.99, 100).expand(3, 40, 100)
    right, down = gradients(ramp)
    torch.testing.assert_close(right[:, 1:-1], torch.full((40, 98), 0.01))
    torch.testing.assert_close(down, torch.zeros(40, 100), atol=1e-6, rtol=0)


@pytest.mark.parametrize("width", [1, 5, 9])
def test_the_mask_of_a_step_has_its_width(width: int) -> None:
    image = torch.zeros(3, 30, 80)
    image[:, :, 40:] = 1
    energy = edge_energy(image, width)
    mask = edge_mask(energy, 0.02)
    assert float(mask[15].sum()) == pytest.approx(width + 1, abs=0.5)
    assert mask[:, :30].max() == 0
    assert mask[:, 39:41].min() > 0.6


@pytest.mark.parametrize("share", [0.05, 0.15, 0.5])
def test_edges_are_a_share_of_the_picture(share: float) -> None:
    energy = edge_energy(smooth(150, 160, 4) ** 3, 3)
    threshold = quantile(histogram(energy).numpy(), share)
    assert float((energy > threshold).float().mean()) == pytest.approx(share, abs=0.02)
    assert float(edge_mask(energy, threshold).mean()) == pytest.approx(share, abs=0.05)


def test_contrast_does_not_show() -> None:
    image = smooth(60, 70, 4)
    masks = []
    for contrast in (1.0, 0.5):
        energy = edge_energy(contrast * image, 3)
        masks.append(edge_mask(energy, quantile(histogram(energy).numpy(), 0.2)))
    assert float((masks[0] - masks[1]).abs().max()) < 0.05


def test_a_flat_picture_has_no_edges() -> None:
    energy = edge_energy(torch.full((3, 40, 40), 0.5) + 0.001 * smooth(40, 40, 3), 5)
    threshold = quantile(histogram(energy).numpy(), 0.15)
    assert edge_mask(energy, threshold).max() == 0


@pytest.mark.parametrize("width", [1, 3, 31])
def test_a_box_that_reaches_far_enough_sees_what_the_picture_has(width: int) -> None:
    image, reach = smooth(90, 100, 1), context(width)
    whole = edge_energy(image, width)
    part = edge_energy(image[:, 20 - reach : 60 + reach, 30 - reach : 70 + reach], width)
    inside = part[reach:-reach, reach:-reach]
    torch.testing.assert_close(inside, whole[20:60, 30:70], rtol=1e-4, atol=1e-8)
