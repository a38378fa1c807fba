"""Variants of ADMM over patches against the whole image: a table for each network, and plots.

    python -m tests.benchmarks.study [--width 512] [--core 256] [--steps 12] [--plots docs/study]

Every variant solves the same level: the same content, style, network, start and number of inner
steps. The start is a whole-image solve of the next coarser level. Ratios are to the whole-image
solve of the level. Takes images and the trained network from ../shared/data where they are.
"""

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.benchmarks.images import DATA, photograph
from tests.benchmarks.plots import draw
from tests.benchmarks.variants import ALIGN, Problems, Trial, Variant
from tests.benchmarks.weights import random_vgg19
from tilestyle.admm.grid import Box, make_grid
from tilestyle.cluster.connect import WORKER_ENVIRONMENT
from tilestyle.config import Config, load_config
from tilestyle.images import open_source
from tilestyle.report.scores import score_image
from tilestyle.store.pyramid import coarser, expand, reduce
from tilestyle.style.build import build_network, weigh
from tilestyle.style.losses import gram
from tilestyle.style.network import Network
from tilestyle.style.objective import Objective, Region

Array = NDArray[np.float32]
SMALL_VGG = DATA / "weights" / "vgg19-small16x.pth"

FEW = 4
"""Questions that are asked of a slow network."""


def variants(base: Variant) -> dict[str, list[tuple[str, Variant]]]:
    """All variants, by question; the product's own is the first of each."""

    def ask(*answers: tuple[str, dict[str, Any]]) -> list[tuple[str, Variant]]:
        others = [(answer, replace(base, **changes)) for answer, changes in answers]
        return [("as the product", base), *others]

    admm = {"moments": "kept", "start": "z"}
    return {
        "statistics": ask(
            ("measured on the patches, borders and all", {"statistics": "patches"}),
            ("an iteration late", {"statistics": "delayed"}),
            ("each patch's own", {"statistics": "own"}),
        ),
        "Adam's moments": ask(
            ("kept by each patch", {"moments": "kept"}),
            ("afresh in every iteration", {"moments": "fresh"}),
        ),
        "warm start": ask(
            ("at the patch's own z", {"start": "z"}),
            ("at z, moments kept: patches on their own", admm),
        ),
        "T x K": ask(*((f"K = {k}", {"inner": k}) for k in (2, 4, 6))),
        "rho": ask(
            ("0.01 in the overlaps", {"rho": 0.01}),
            ("0.1 in the overlaps", {"rho": 0.1}),
            ("1 in the overlaps", {"rho": 1.0}),
            ("0.1 everywhere", {"rho": 0.1, "where": "everywhere"}),
            ("0.1, ramped", {"rho": 0.1, "schedule": "ramped"}),
            ("0.1, residual-balanced", {"rho": 0.1, "schedule": "balanced"}),
            ("0.1, patches on their own otherwise", {"rho": 0.1, **admm}),
            ("1, patches on their own otherwise", {"rho": 1.0, **admm}),
        ),
        "over-relaxation": ask(
            ("1.5", {"relaxation": 1.5}),
            ("1.5 with rho 0.1", {"relaxation": 1.5, "rho": 0.1}),
        ),
        "overlap": ask(("0 px", {"overlap": 0, "blend": 0}), ("32 px", {"overlap": 32})),
        "window": ask(
            ("hard cut", {"blend": 0}),
            ("blend over 2 px", {"blend": 2}),
            ("blend over 2 px, overlap 32", {"blend": 2, "overlap": 32}),
            ("blend over 16 px", {"blend": 16}),
            ("blend over the whole overlap", {"blend": 2 * base.overlap}),
            ("blend over 16 px, linear", {"blend": 16, "window": "linear"}),
        ),
        "grid": ask(("shifted by half a patch every other iteration", {"shift": True})),
        "context ring": ask(
            ("32 px, seen but not moved", {"ring": 32}),
            ("64 px, seen but not moved", {"ring": 64}),
        ),
        "size of patches": ask(
            ("core 128, overlap 32", {"core": 128, "overlap": 32}),
            ("core 128, overlap 0", {"core": 128, "overlap": 0, "blend": 0}),
        ),
    }


@dataclass(frozen=True)
class Task:
    """What is solved, small enough to be sent to another process."""

    network: tuple[str, ...]
    content: Path
    style: Path
    steps: int


@dataclass(frozen=True)
class Found:
    """What a variant leaves.

    Attributes:
        x: (3, height, width).
        objective: f(X).
        primal: The last primal residual; of the whole image nothing disagrees.
    """

    x: Array
    objective: float
    primal: float


@dataclass(frozen=True)
class Row:
    """A variant beside the whole image.

    Attributes:
        question: What was varied.
        answer: How.
        objective: Ratio of f(X).
        seam: Ratio of the seam scores.
        detail: Ratio of the detail scores.
        distance: RMS of the difference of both X, in units of the pixel range.
        primal: The last primal residual.
    """

    question: str
    answer: str
    objective: float
    seam: float
    detail: float
    distance: float
    primal: float


@lru_cache(maxsize=1)
def level(task: Task) -> Problems:
    """The level that every variant solves; the coarser one is solved first."""
    torch.set_num_threads(1)
    config = load_config(None, task.network)
    network = build_network(config.network)
    fine = [_pixels(path) for path in (task.content, task.style)]
    coarse = [_halved(image) for image in fine]
    goal = _objective(network, config, *coarse)
    x = Trial(Problems(goal, coarse[0], coarse[0], task.steps), Variant(core=None)).run()
    start = _expanded(x, fine[0].shape[1:])
    return Problems(_objective(network, config, *fine), fine[0], start, task.steps)


def _objective(network: Network, config: Config, content: Array, style: Array) -> Objective:
    weights = weigh(config.loss, network, [content.shape[1:], style.shape[1:]])
    with torch.no_grad():
        features = network.features(torch.from_numpy(style), weights.layers)
    return Objective(
        network, weights, [Region({name: gram(maps) for name, maps in features.items()})]
    )


def solve(task: Task, variant: Variant) -> Found:
    """One variant."""
    problems = level(task)
    trial = Trial(problems, variant)
    x = trial.run()
    objective, window = problems.objective, torch.ones(problems.shape)
    parts = objective.parts(torch.from_numpy(x), torch.from_numpy(problems.content), window)
    value = objective.value(parts)
    return Found(x, value.total, trial.primal)


def _pixels(path: Path) -> Array:
    image = open_source(path)
    pixels = np.concatenate(list(image.rows(512)), axis=1)
    return pixels.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def _halved(image: Array) -> Array:
    deep = np.rint(image * 65535).astype(np.uint16)
    shape = (image.shape[1], image.shape[2])
    height, width = coarser(shape)
    box = Box(0, height, 0, width)
    halved = reduce(lambda b: deep[:, *b.index()], shape, box)
    return halved.astype(np.float32) / np.float32(65535)


def _expanded(image: Array, shape: tuple[int, ...]) -> Array:
    box = Box(0, shape[0], 0, shape[1])
    return expand(lambda b: image[:, *b.index()], (image.shape[1], image.shape[2]), box)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=512, help="of the content, in pixels")
    parser.add_argument("--core", type=int, default=256, help="of the patches, in pixels")
    parser.add_argument("--steps", type=int, default=12, help="inner steps of the level")
    parser.add_argument("--only", default="", help="part of a network's name")
    parser.add_argument("--jobs", type=int, default=2, help="variants at a time")
    parser.add_argument("--plots", type=Path, help="write plots into this folder")
    arguments = parser.parse_args()
    os.environ.update(WORKER_ENVIRONMENT)  # for the processes of the pool
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool,
    ):
        for name, options in networks(Path(folder)):
            if arguments.only not in name:
                continue
            images = photograph(Path(folder), arguments.width)[0]
            task = Task(options, images.content, images.style, arguments.steps)
            base = Variant(core=arguments.core)
            print(f"\n### {name}\n", flush=True)
            rows = list(_rows(pool, task, base, few="random" in name))
            if arguments.plots:
                points = [(f"{row.question}: {row.answer}", row) for row in rows]
                draw(name, points, arguments.plots)


def networks(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    """By name: the options of each network at hand."""
    yield "scattering", ("network.name=scattering",)
    if SMALL_VGG.is_file():
        yield "small VGG", ("network.name=vgg19-small", f"network.weights={SMALL_VGG}")
    weights = random_vgg19(folder)
    yield "VGG-19 with random weights", ("network.name=vgg19", f"network.weights={weights}")


def _rows(pool: ProcessPoolExecutor, task: Task, base: Variant, few: bool) -> Iterator[Row]:
    """Rows of a table, printed as they come; of a slow network the first questions alone."""
    asked = list(variants(base).items())[: FEW if few else None]
    futures = {v: pool.submit(solve, task, v) for _, answers in asked for _, v in answers}
    whole = pool.submit(solve, task, replace(base, core=None)).result()
    print("| question | answer | objective | seam | detail | distance | disagreement |")
    print("|---|---|---|---|---|---|---|")
    for question, answers in asked:
        for answer, variant in answers:
            row = _row(question, answer, variant, futures[variant].result(), whole)
            print(
                f"| {row.question} | {row.answer} | {row.objective:.3f} | {row.seam:.3f} "
                f"| {row.detail:.3f} | {row.distance:.4f} | {row.primal:.4f} |",
                flush=True,
            )
            yield row


def _row(question: str, answer: str, variant: Variant, found: Found, whole: Found) -> Row:
    # without an overlap there is no band to look at; the product's is looked at instead
    overlap = variant.overlap or Variant().overlap
    shape = (whole.x.shape[1], whole.x.shape[2])
    grid = make_grid(*shape, variant.core, 0, 0, ALIGN).widened(overlap)
    ours, theirs = (score_image(result.x, grid) for result in (found, whole))
    return Row(
        question,
        answer,
        found.objective / whole.objective,
        ours.seam / theirs.seam,
        ours.detail / theirs.detail,
        float(np.sqrt(np.mean(np.square(found.x - whole.x)))),
        found.primal,
    )


if __name__ == "__main__":
    main()
