"""On a GPU: the same picture as on CPU, within the precision of the network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tilestyle import pipeline, stages
from tilestyle.config import load_config
from tilestyle.images.samples import sample
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
