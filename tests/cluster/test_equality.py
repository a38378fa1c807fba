"""The result's bytes do not depend on who computes, nor on interruptions."""

import hashlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dask import delayed
from numpy.typing import NDArray
from PIL import Image

from tests.cluster.conftest import Interrupt, Run, images, small_config
from tilestyle import pipeline, stages
from tilestyle.admm.algorithm import iteration
from tilestyle.admm.grid import Box, Patch
from tilestyle.admm.sharing import merge
from tilestyle.cluster import tasks
from tilestyle.cluster.connect import connect
from tilestyle.cluster.level import Level, LevelRef
from tilestyle.config import Config
from tilestyle.errors import UserError
from tilestyle.levels import level_ref, stylize
from tilestyle.report.events import Event, IterationDone, PatchDone
from tilestyle.store.pyramid import expand
from tilestyle.store.workspace import Workspace, read_pixels
from tilestyle.style.build import build_network, weigh
from tilestyle.style.engine import Moments, Problem, solve
from tilestyle.style.losses import gram
from tilestyle.style.objective import Objective, Region

FINEST = 0


@dataclass(frozen=True)
class SerialPieces:
    """The same tasks as plain calls, in order, in this process."""

    ref: LevelRef
    t: int

    def measure(self, patch: Patch) -> Any:
        return tasks.measure_patch(self.ref, self.t, patch.index)

    def merge(self, parts: list[Any]) -> Any:
        return merge(parts)

    def z_update(self, patch: Patch, mean: Any) -> Any:
        return tasks.z_update(self.ref, self.t, patch.index, mean)

    def x_update(self, block: Patch, z: list[Any]) -> Any:
        return tasks.x_block(self.ref, self.t, block.index, z)

    def residuals(self, x: list[Any]) -> Any:
        return merge(x)


def test_many_patches_on_dask_are_those_of_one_process(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_dask = run("dask")
    level = Level(level_ref(Workspace.open(tmp_path / "dask.tilestyle"), FINEST))
    assert len(level.grid) == 6

    def serially(ref: LevelRef, t: int, grid: Any) -> list[Any]:
        mean, z, residual = iteration(grid, SerialPieces(ref, t))
        return [delayed(value, traverse=False) for value in (mean, residual, *z)]

    monkeypatch.setattr("tilestyle.levels.iteration_graph", serially)
    assert np.array_equal(run("serial"), by_dask)


def whole_image_solve(workspace: Workspace, config: Config) -> NDArray[np.float32]:
    """Gatys' engine on the whole image, level by level, with nothing of patches in it."""
    torch.set_num_threads(1)
    network = build_network(config.network)
    record = workspace.record
    x: NDArray[np.float32] | None = None
    for level in reversed(range(len(record["shapes"]))):
        height, width = record["shapes"][level]
        content = torch.from_numpy(whole(workspace, f"content/{level}"))
        style = torch.from_numpy(whole(workspace, f"style/0/{record['style_levels'][level][0]}"))
        weights = weigh(config, network, [content.shape[1:], style.shape[1:]])
        features = network.features(style, weights.layers)
        objective = Objective(network, weights, [Region({k: gram(f) for k, f in features.items()})])
        x = content.numpy() if x is None else expanded(x, height, width)
        steps = config.solver.iterations(level, len(record["shapes"])) * config.solver.inner_steps
        start = torch.from_numpy(x)
        mean = objective.grams(objective.style_features(start))
        zero = torch.zeros_like(start)
        problem = Problem(content, mean, centre=start, penalty=None)
        solution = solve(
            objective,
            problem,
            start,
            steps,
            optimizer="adam",
            rate=config.solver.rate,
            moments=Moments(zero, zero, 0),
        )
        x = solution.z.numpy()
    assert x is not None
    return x


def expanded(coarse: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    def read(box: Box) -> NDArray[np.float32]:
        return coarse[(slice(None), *box.index())]

    return expand(read, (coarse.shape[1], coarse.shape[2]), Box(0, height, 0, width))


def whole(workspace: Workspace, path: str) -> NDArray[np.float32]:
    array = workspace.array(path)
    return read_pixels(array, Box(0, array.shape[1], 0, array.shape[2]))


def test_one_patch_is_the_whole_image_solve_bit_for_bit(run: Run, tmp_path: Path) -> None:
    tiled = run("one", "patch.core=null")
    workspace = Workspace.open(tmp_path / "one.tilestyle")
    assert np.array_equal(tiled, whole_image_solve(workspace, small_config("patch.core=null")))


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0, 0.1])
def test_any_number_of_workers_gives_the_same_bytes(run: Run, tmp_path: Path, rho: float) -> None:
    def digest(kind: str, workers: int) -> str:
        name = f"{kind}{workers}"
        run(name, f"cluster.kind={kind}", f"cluster.workers={workers}", f"solver.rho={rho}")
        return hashlib.sha256((tmp_path / f"{name}.tif").read_bytes()).hexdigest()

    clusters = [("threads", 1), ("threads", 3), ("local", 1), ("local", 2), ("local", 3)]
    assert len({digest(*cluster) for cluster in clusters}) == 1


@pytest.mark.parametrize("rho", [0, 0.1])
def test_a_run_interrupted_after_any_iteration_goes_on_to_the_same_bytes(
    run: Run, rho: float
) -> None:
    options = (f"solver.rho={rho}",)
    undisturbed = run("undisturbed", *options)
    for after in range(1, 6):
        with pytest.raises(KeyboardInterrupt):
            run(f"after{after}", *options, tell=Interrupt(IterationDone, after))
        seen: list[Event] = []
        assert np.array_equal(run(f"after{after}", *options, tell=seen.append), undisturbed)
        assert sum(isinstance(event, IterationDone) for event in seen) == 5 - after


def test_a_run_interrupted_within_an_iteration_goes_on_to_the_same_bytes(run: Run) -> None:
    undisturbed = run("undisturbed")
    with pytest.raises(KeyboardInterrupt):
        run("within", tell=Interrupt(PatchDone, 6))
    assert np.array_equal(run("within"), undisturbed)


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = run("undisturbed")
    monkeypatch.chdir(tmp_path)
    config = small_config("cluster.kind=local", "cluster.workers=2")
    content, style = images()
    record = pipeline.plan(pipeline.all_images(content, [style], config), config)
    workspace = Workspace.create(Path("killed.tilestyle"), record)
    stages.ingest(workspace, {"content": content, "style/0": style}, lambda _: None)
    with connect(config.cluster) as cluster:
        cluster.client.run(os.chdir, "/")  # workers need not be where the driver is
        stages.pyramid(workspace, cluster, lambda _: None)
        victims = list(cluster.client.run(os.getpid).values())

        def kill(event: Event) -> None:
            if isinstance(event, PatchDone) and victims:
                os.kill(victims.pop(), signal.SIGKILL)
                victims.clear()

        stylize(workspace, cluster, kill)
    assert np.array_equal(np.asarray(stages.result_array(workspace)[:]), undisturbed)


def test_targets_of_deep_content_layers_do_not_depend_on_patches(run: Run, tmp_path: Path) -> None:
    """Where they reach farther than every style layer."""
    layers = ("loss.style_layers={first.0: 1}", "loss.content_layers={second.2: 1}")
    found = []
    for name, core in (("whole", "null"), ("tiled", "128")):
        run(name, *layers, f"patch.core={core}", "pyramid.coarsest=200", "solver.steps=1")
        workspace = Workspace.open(tmp_path / f"{name}.tilestyle")
        found.append(workspace.load_targets(FINEST)[0]["second.2"])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4, atol=1e-6 * np.abs(found[0]).max())


@pytest.mark.parametrize(("mode", "colour"), [("admm", (200, 180, 140)), ("exact", (0, 0, 0))])
def test_a_style_of_one_colour(mode: str, colour: tuple[int, int, int], tmp_path: Path) -> None:
    Image.new("RGB", (96, 96), colour).save(tmp_path / "style.png")
    config = small_config("solver.steps=3", "solver.min_steps=1", f"solver.mode={mode}")
    output = tmp_path / "r.tif"
    summary = pipeline.run(images()[0], [tmp_path / "style.png"], output, config)
    assert np.isfinite(summary.quality.objective)
    x = np.asarray(stages.result_array(Workspace.open(summary.workspace))[:])
    assert np.isfinite(x).all()
    assert np.ptp(x) > 0.1


def test_an_objective_that_is_no_number_ends_the_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: Objective, parts: Any) -> float:
        return float("nan")

    monkeypatch.setattr(Objective, "style_value", nothing)
    with pytest.raises(UserError, match=r"iteration 1: f is no finite number"):
        run("run")
