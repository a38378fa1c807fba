"""What the figures of the report are measured and written by."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.figures.page import Section, replaced, table, update
from tests.benchmarks.figures.plates import crop, write_curves, write_plate
from tests.benchmarks.figures.scales import one_scale
from tests.benchmarks.figures.scores import edge_fidelity, first_below, style_by_octave
from tilestyle.images.samples import sample

Array = NDArray[np.float32]


def painted(name: str, width: int = 96, height: int = 80, seed: int = 0) -> Array:
    pixels = sample(name, width, height, seed).window(0, height, 0, width)
    return pixels.astype(np.float32) / np.float32(255)


def noise(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(0).random(shape, np.float32)


def test_fidelity_is_that_of_gradients_at_edges() -> None:
    content = painted("content")
    assert edge_fidelity(content, content) == pytest.approx(1, abs=1e-5)
    assert edge_fidelity(content, np.float32(0.3) * content + np.float32(0.2)) == pytest.approx(
        1, abs=1e-4
    )
    assert edge_fidelity(content, -content) == pytest.approx(-1, abs=1e-4)
    assert abs(edge_fidelity(content, noise(content.shape))) < 0.3
    assert edge_fidelity(content, np.zeros_like(content)) == 0
    half = edge_fidelity(content, content + noise(content.shape))
    assert 0.05 < half < 0.95


def test_the_octave_of_a_change_shows() -> None:
    """A picture is its own style; blurred it differs most in the finest octave."""
    style = painted("strokes")
    losses = style_by_octave(style, style)
    assert losses == pytest.approx([0] * 4, abs=1e-9)  # 80 px have 5 cells of 16
    blurred = np.asarray(
        [Image.fromarray(c).reduce(2).resize((96, 80), Image.Resampling.BILINEAR) for c in style]
    )
    changed = style_by_octave(blurred, style)
    assert changed[0] == max(changed)
    assert changed[3] < 0.2 * changed[0]


def test_a_region_is_measured_by_itself() -> None:
    """Far from the border of the mask the other half does not count."""
    left, right = painted("strokes"), painted("mosaic")
    mask = np.zeros((80, 96), np.float32)
    mask[:, :48] = 1
    both = np.where(mask[None] > 0, left, right)
    own, other = (style_by_octave(both, style, mask) for style in (left, right))
    assert all(a < b for a, b in zip(own[:3], other[:3], strict=True))
    assert style_by_octave(both, right, 1 - mask)[0] < style_by_octave(both, left, 1 - mask)[0]


def test_steps_to_a_value() -> None:
    assert first_below([3, 2, 1, 2], 2) == 1
    assert first_below([3, 2], 5) == 0
    with pytest.raises(StopIteration):
        first_below([3, 2], 1)


def test_one_scale_has_the_work_of_the_pyramid() -> None:
    assert one_scale([1 / 16, 1 / 4, 1], [160, 80, 40]) == 70


def test_a_section_says_what_does_not_hold() -> None:
    section = Section("figure-9", "Fig. 9", [table(("a", "b"), [("1", "2")])])
    section.expect(True, "never said")
    said = section.markdown("make figures")
    assert said == "### Fig. 9\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nHolds. `make figures`"
    section.expect(False, "it is worse")
    assert "Does not hold: it is worse. `make figures`" in section.markdown("make figures")


def test_a_section_is_written_in_its_place(tmp_path: Path) -> None:
    page = replaced(replaced("# Results\n", "a", "one"), "b", "two")
    assert replaced(page, "a", "three") == page.replace("one", "three")
    assert page.startswith("# Results\n\n<!-- a: made by make figures -->\none\n")
    path = tmp_path / "results.md"
    update(path, "a", "one")
    update(path, "a", "two")
    assert path.read_text().count("end of a") == 1
    assert "one" not in path.read_text()


def test_plates(tmp_path: Path) -> None:
    image = painted("content")
    assert crop(image, 0, 90, 40).shape == (3, 40, 40)
    assert np.array_equal(crop(image, 0, 90, 40), image[:, :40, 56:])
    write_plate(tmp_path / "new" / "plate.png", [[("a", image), ("b", image)], [("c", image)]], 50)
    assert Image.open(tmp_path / "new" / "plate.png").width == 3 * 8 + 2 * 50
    write_curves(tmp_path / "curves.png", "title", {"a": [1, 0.1]}, "loss")
    assert Image.open(tmp_path / "curves.png").width > 300
