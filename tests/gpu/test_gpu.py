"""On a GPU: the same picture as on CPU, within the precision of the network."""

from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray

from tilestyle import pipeline, stages
from tilestyle.config import load_config
from tilestyle.images.samples import sample
from tilestyle.report.events import Event, IterationDone, Listener, silent
from tilestyle.store.workspace import Workspace

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"),
]


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 0.01), ("bfloat16", 0.03)])
def test_the_picture_is_that_of_the_cpu(tmp_path: Path, precision: str, tolerance: float) -> None:
    results = []
    for device in ("cpu", "cuda"):
        config = load_config(
            None,
            [
                f"network.device={device}",
                f"network.precision={precision if device == 'cuda' else 'float32'}",
                "patch.core=256",
                "solver.steps=20",
                "cluster.kind=threads",
                "cluster.workers=1",
            ],
        )
        images = sample("content", 700, 500), sample("strokes", 500, 400)
        summary = pipeline.run(images[0], [images[1]], tmp_path / f"{device}.tif", config)
        results.append(np.asarray(stages.result_array(Workspace.open(summary.workspace))[:]))
    assert np.sqrt(np.mean((results[0] - results[1]) ** 2)) < tolerance


def picture(
    folder: Path, name: str, *overrides: str, tell: Listener = silent
) -> NDArray[np.float32]:
    """X of a run whose patches and network are alike in all tests."""
    config = load_config(overrides=["patch.core=256", "solver.steps=20", *overrides])
    images = sample("content", 700, 500), sample("strokes", 500, 400)
    summary = pipeline.run(images[0], [images[1]], folder / f"{name}.tif", config, tell=tell)
    return np.asarray(stages.result_array(Workspace.open(summary.workspace))[:], dtype=np.float32)


@pytest.fixture
def gpus() -> str:
    """The override for a cluster of all GPUs."""
    pytest.importorskip("dask_cuda", reason="dask-cuda is not installed: pip install '.[cuda]'")
    return "cluster.kind=cuda"


def test_all_gpus_of_a_machine_make_the_picture_of_the_cpu(tmp_path: Path, gpus: str) -> None:
    cpu = picture(tmp_path, "cpu", "network.device=cpu", "cluster.kind=local")
    gpu = picture(tmp_path, "gpu", gpus, "network.precision=bfloat16")
    assert np.sqrt(np.mean((cpu - gpu) ** 2)) < 0.03


def test_a_worker_that_dies_on_a_gpu_is_replaced(tmp_path: Path, gpus: str) -> None:
    killed: list[int] = []

    def kill_once(event: Event) -> None:
        if isinstance(event, IterationDone) and not killed:
            workers = [p for p in psutil.Process().children(recursive=True) if is_worker(p)]
            workers[0].kill()
            killed.append(workers[0].pid)

    assert np.allclose(
        picture(tmp_path, "killed", gpus, tell=kill_once),
        picture(tmp_path, "whole", gpus),
        atol=1e-3,
    )
    assert killed


def test_an_interrupted_run_goes_on_on_gpus(tmp_path: Path, gpus: str) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, IterationDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        picture(tmp_path, "stopped", gpus, tell=stop)
    assert np.allclose(
        picture(tmp_path, "stopped", gpus), picture(tmp_path, "whole", gpus), atol=1e-3
    )


def is_worker(process: psutil.Process) -> bool:
    """Whether a process has none of its own: a nanny's child."""
    return "spawn_main" in " ".join(process.cmdline()) and not process.children()
