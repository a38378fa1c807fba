"""The objective, measured by windows, is that of the whole image; ratios compare like with like."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from tests.cluster.conftest import images, small_config
from tilestyle import pipeline, stages
from tilestyle.admm.grid import Box
from tilestyle.cluster import scoring
from tilestyle.cluster.connect import Cluster, connect
from tilestyle.cluster.level import Level
from tilestyle.errors import UserError
from tilestyle.levels import level_ref
from tilestyle.report.compare import check, print_scores, score
from tilestyle.report.scores import score_image
from tilestyle.store.workspace import Workspace, read_pixels


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return solved(tmp_path_factory.mktemp("run") / "a.tif")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with connect(small_config().cluster) as connected:
        yield connected


def solved(output: Path, *overrides: str) -> Workspace:
    content, style = images()
    summary = pipeline.run(content, [style], output, small_config("solver.steps=2", *overrides))
    return Workspace.open(summary.workspace)


@pytest.mark.parametrize("core", [1024, 128])
def test_cores_do_not_show_in_the_objective(
    workspace: Workspace, cluster: Cluster, core: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    level = Level(level_ref(workspace, 0))
    x = np.asarray(stages.result_array(workspace)[:])
    objective = level.objective
    whole = level.tensor(read_pixels(level.content, Box(0, *level.shape[:1], 0, level.shape[1])))
    with torch.no_grad():
        features = objective.features(torch.from_numpy(x))
        content = objective.content_term(features, objective.content_features(whole))
        style = objective.style_term(objective.grams(features))
    expected = objective.weights.alpha * float(content) + objective.weights.beta * float(style)
    monkeypatch.setattr(scoring, "CORE", core)
    found = score(cluster, workspace)
    assert found.objective == pytest.approx(expected, rel=1e-5)
    scores = score_image(x, level.grid)
    assert (found.seam, found.detail) == (scores.seam, scores.detail)
    assert workspace.record["quality"] == pytest.approx(asdict(found))


def test_a_run_against_itself_has_ratios_of_one(workspace: Workspace, cluster: Cluster) -> None:
    console = Console(record=True, width=120)
    check(workspace, workspace)
    print_scores(console, cluster, workspace, workspace)
    ratio = next(line for line in console.export_text().splitlines() if "ratio" in line)
    assert [float(word) for word in ratio.split()[1:]] == [1, 1, 1]


def test_runs_that_cannot_be_compared(workspace: Workspace, tmp_path: Path) -> None:
    other = solved(tmp_path / "b.tif", "loss.alpha=0.5")
    with pytest.raises(UserError, match=r"b\.tilestyle: loss is not that of"):
        check(workspace, other)


def test_an_unfinished_run_has_no_scores(tmp_path: Path) -> None:
    content, style = images()
    config = small_config()
    record = pipeline.plan(pipeline.all_images(content, [style], config), config)
    begun = Workspace.create(tmp_path / "c.tilestyle", record)
    with pytest.raises(UserError, match="not finished"):
        check(begun, None)
