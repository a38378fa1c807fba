"""Edges, masks and several styles through the whole pipeline."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.cluster.conftest import images, small_config
from tilestyle import pipeline, stages
from tilestyle.admm.grid import Box
from tilestyle.cluster.level import Level
from tilestyle.errors import UserError
from tilestyle.images.samples import sample
from tilestyle.levels import level_ref
from tilestyle.store.workspace import Workspace
from tilestyle.style.edges import gradients

HEIGHT, WIDTH = 200, 300
Solve = Callable[..., Workspace]


@pytest.fixture
def solve(tmp_path: Path) -> Solve:
    """Run the pipeline with one or two styles."""

    def call(name: str, *overrides: str, styles: int = 2) -> Workspace:
        content, strokes = images()
        chosen = [strokes, sample("mosaic", 160, 140)][:styles]
        output = tmp_path / f"{name}.tif"
        summary = pipeline.run(content, chosen, output, small_config(*overrides))
        return Workspace.open(summary.workspace)

    return call


def pixels(workspace: Workspace) -> NDArray[np.float32]:
    return np.asarray(stages.result_array(workspace)[:], dtype=np.float32)


def save(mask: NDArray[np.bool_], path: Path, size: tuple[int, int] | None = None) -> Path:
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    if size:
        picture = picture.resize(size)
    picture.save(path)
    return path


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """White on the left half."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, : WIDTH // 2] = True
    return save(mask, tmp_path / "left.png")


def test_a_mask_gives_each_half_its_style(solve: Solve, left: Path) -> None:
    """Far from the border the half of a style is nearer to what that style alone gives."""
    both = pixels(solve("both", f"style.masks=[{left}]"))
    swapped = pixels(solve("blend"))
    strokes = pixels(solve("strokes", styles=1))
    assert np.abs(both - swapped).mean() > 0.01
    near = slice(0, 100)
    assert np.abs(both - strokes)[:, :, near].mean() < np.abs(swapped - strokes)[:, :, near].mean()


@pytest.mark.parametrize("mode", ["admm", "exact"])
def test_workers_do_not_show(solve: Solve, left: Path, mode: str) -> None:
    edges = ("edges.weight=0.2", "edges.strength=0.1")
    options = (f"style.masks=[{left}]", *edges, f"solver.mode={mode}")
    one = pixels(solve("one", *options))
    several = pixels(solve("several", *options, "cluster.workers=3"))
    assert np.array_equal(one, several)


def test_guides_of_two_masks_and_edges(solve: Solve, left: Path, tmp_path: Path) -> None:
    """Of any size, soft where they meet; what no mask covers belongs to no region."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[: HEIGHT // 2] = True
    small = save(mask, tmp_path / "top.png", size=(60, 40))
    workspace = solve("run", f"style.masks=[{left},{small}]", "edges.weight=0.3", "solver.steps=1")
    level = Level(level_ref(workspace, 0))
    box = Box(0, HEIGHT, 0, WIDTH)
    guides = level.guides.read(box)
    assert guides is not None
    assert guides.shape == (4, HEIGHT, WIDTH)
    assert [weight for _, weight in level.guides.regions] == [0.3, 1.0, 0.3, 1.0]
    first, second = guides[:2].sum(axis=0), guides[2:].sum(axis=0)
    np.testing.assert_allclose(first[:80, :140], 0.5, atol=1e-6)  # both masks
    np.testing.assert_allclose(first[120:, :140], 1, atol=1e-6)
    np.testing.assert_allclose(second[:80, 160:], 1, atol=1e-6)
    np.testing.assert_allclose((first + second)[120:, 160:], 0, atol=1e-6)
    edges = level.guides.edge(box)[0]
    np.testing.assert_allclose(guides[0], first * edges, atol=1e-6)
    assert abs(edges.mean() - 0.15) < 0.05
    part = Box(30, 101, 64, 199)
    inner = level.guides.read(part)
    assert inner is not None
    assert np.array_equal(inner, guides[(slice(None), *part.index())])


def test_edges_are_kept(solve: Solve) -> None:
    """Gradients at the content's edges are more like the content's."""
    options = ("solver.steps=20", "solver.min_steps=10")
    plain = solve("plain", *options, styles=1)
    kept = solve("kept", *options, "edges.strength=0.3", styles=1)
    level = Level(level_ref(kept, 0))
    edges = level.tensor(level.guides.edge(Box(0, HEIGHT, 0, WIDTH)))
    pictured = np.asarray(level.content[:], np.float32) / np.float32(255)
    content = gradients(level.tensor(pictured))

    def agreement(workspace: Workspace) -> float:
        found = gradients(level.tensor(pixels(workspace)))
        norms = [(edges * g.square()).sum().sqrt() for g in (content, found)]
        return float((edges * content * found).sum() / (norms[0] * norms[1]))

    assert agreement(kept) > agreement(plain) + 0.1


def test_an_edge_mask_replaces_the_detector(solve: Solve, left: Path) -> None:
    options = ("edges.strength=0.1", "solver.steps=2")
    found = solve("found", *options, styles=1)
    given = solve("given", *options, f"edges.mask={left}", styles=1)
    level = Level(level_ref(given, 0))
    expected = np.zeros((1, HEIGHT, WIDTH), np.float32)
    expected[:, :, : WIDTH // 2] = 1
    assert np.array_equal(level.guides.edge(Box(0, HEIGHT, 0, WIDTH)), expected)
    assert "edges" not in given.group
    assert not np.array_equal(pixels(found), pixels(given))


def test_a_mask_of_the_style_image(solve: Solve, tmp_path: Path) -> None:
    """The style is measured where the mask is white: as if the rest were cut off."""
    mask = np.zeros((140, 160), bool)
    mask[:, :80] = True
    own = save(mask, tmp_path / "own.png")
    masked = solve("masked", f"style.own_masks=[{own}]", "solver.steps=1", styles=1)
    plain = solve("plain", "solver.steps=1", styles=1)
    ours, theirs = (w.load_targets(0)[0]["first.0"] for w in (masked, plain))
    assert np.abs(ours - theirs).max() > 0.05 * np.abs(theirs).max()


def test_weights_of_blended_styles(solve: Solve) -> None:
    targets = {
        name: solve(name, *options, "solver.steps=1", styles=styles).load_targets(0)[0]["first.1"]
        for name, options, styles in (
            ("first", (), 1),
            ("zero", ("style.weights=[1,0]",), 2),
            ("third", ("style.weights=[2,1]",), 2),
            ("second", ("style.weights=[0,1]",), 2),
        )
    }
    np.testing.assert_allclose(targets["zero"], targets["first"], rtol=1e-6)
    mixed = (2 * targets["first"] + targets["second"]) / 3
    np.testing.assert_allclose(targets["third"], mixed, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "override",
    [
        "loss.moments=0.5",
        "edges.strength=0.1",
        "edges.weight=0.3",
        "loss.tv=5",
        "loss.alpha=[0.5,0.01]",
        "loss.beta=[1,0.2]",
        "solver.steps=[6,1]",
        "solver.start=noise",
    ],
)
def test_every_option_does_something(solve: Solve, override: str) -> None:
    plain, other = solve("plain", styles=1), solve("other", override, styles=1)
    assert np.abs(pixels(plain) - pixels(other)).mean() > 1e-3


def test_moments_bring_the_means_nearer(solve: Solve) -> None:
    def error(workspace: Workspace) -> float:
        level = Level(level_ref(workspace, 0))
        target = level.workspace.load_targets(0)[0]["first.0"][-1, :-1]
        found = level.network.features(level.tensor(pixels(workspace)), ["first.0"])["first.0"]
        return float(np.square(found.mean(dim=(1, 2)).numpy() - target).sum())

    weak, strong = (
        solve(f"m{w}", f"loss.moments={w}", "solver.steps=12", styles=1) for w in (1e-6, 10)
    )
    assert error(strong) < error(weak)


def test_total_variation_smooths(solve: Solve) -> None:
    rough, smooth = (pixels(solve(f"tv{w}", f"loss.tv={w}", styles=1)) for w in (0, 20))
    assert np.diff(smooth).std() < 0.9 * np.diff(rough).std()


def test_noise_depends_on_the_seed_alone(solve: Solve) -> None:
    """With steps that are next to nothing the start comes out, whatever the patches."""
    options = ("solver.start=noise", "solver.steps=[1,0]", "solver.rate=1e-7")
    one, other, reseeded = (
        pixels(solve(name, *options, *more, styles=1))
        for name, more in (("a", []), ("b", ["patch.core=256"]), ("c", ["solver.seed=1"]))
    )
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(one - reseeded).mean() > 0.05


def test_a_run_starts_from_an_image(solve: Solve, tmp_path: Path) -> None:
    """Of the coarsest level, here the only one; without any step of weight the image comes out."""
    picture = tmp_path / "start.png"
    Image.fromarray(np.full((50, 75, 3), (10, 120, 200), np.uint8)).save(picture)
    still = ("solver.steps=[1]", "solver.rate=1e-6", "pyramid.coarsest=200")
    workspace = solve("run", f"solver.start={picture}", *still)
    away = pixels(workspace) - np.array([10, 120, 200])[:, None, None] / 255
    assert np.abs(away).max() < 1e-4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["style.masks=[a.png,b.png,c.png]"], r"style\.masks: 3 masks for 2 styles"),
        (["style.masks=[missing.png]"], r"missing\.png: no such file"),
        (["style.weights=[1]"], r"style\.weights: give one for each"),
        (["style.weights=[0,0]"], r"style\.weights: at least one"),
        (["style.own_masks=[null,null,a.png]"], r"style\.own_masks: more masks than styles"),
        (["edges.weight=0.1", "edges.mask=nothing.tif"], r"nothing\.tif: no such file"),
        (["solver.start=nothing.tif"], r"nothing\.tif: no such file"),
        (["style.own_masks=[BLACK]"], r"black\.png: is black"),
    ],
)
def test_mistakes_are_one_line(
    solve: Solve, tmp_path: Path, overrides: list[str], message: str
) -> None:
    black = save(np.zeros((140, 160), bool), tmp_path / "black.png")
    with pytest.raises(UserError, match=message):
        solve("run", *(o.replace("BLACK", str(black)) for o in overrides))


def test_another_mask_is_another_run(solve: Solve, left: Path) -> None:
    solve("run", f"style.masks=[{left}]", "solver.steps=1")
    save(np.ones((HEIGHT, WIDTH), bool), left)
    with pytest.raises(UserError, match=r"left\.png"):
        solve("run", f"style.masks=[{left}]", "solver.steps=1")
    with pytest.raises(UserError, match="another number of styles or masks"):
        solve("run", "solver.steps=1")
