"""Tiled against whole image: the figures of docs/parity.md, as a Markdown table.

    python -m tests.benchmarks.parity [--only tubingen] [--jobs 2] [--keep FOLDER]

Every row is a run, and its ratios are to the whole-image run of the same images, network, levels,
steps and start. Takes the photographs, paintings and the small trained VGG from ../shared/data
where they are, and sample images and the scattering network alone where they are not. With
--keep, what is there already is not run again. Fails where a goal is missed.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tests.benchmarks.images import DATA, Images, identity, photograph, sampled
from tests.benchmarks.runs import Figures, apart, solve
from tests.benchmarks.weights import random_vgg19
from tilestyle.cluster.connect import WORKER_ENVIRONMENT
from tilestyle.config import Config, load_config
from tilestyle.report.scores import combine
from tilestyle.style.engine import SETTLED

SMALL_VGG = DATA / "weights" / "vgg19-small16x.pth"
COLUMNS = (
    *("images", "network", "patches", "objective", "seam", "detail"),
    *("distance", "disagreement", "read", "written"),
)
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


@dataclass(frozen=True)
class Case:
    """Images and network of a comparison, and the runs to compare with the whole image's.

    Attributes:
        images: Content and style.
        network: Its name for a reader.
        options: Of all runs.
        runs: By name: further options of each run.
        objective: Goal of the objective ratio, by name of a run.
        borders: Whether there are enough of them for the scores of borders to mean something.
    """

    images: Images
    network: str
    options: tuple[str, ...]
    runs: Mapping[str, tuple[str, ...]]
    objective: Mapping[str, float]
    borders: bool = True

    @property
    def name(self) -> str:
        """For `--only` and the reader."""
        return f"{self.images.name}, {self.network}"

    def stem(self, run: str | None) -> str:
        """Of a run's files; None: the whole image."""
        words = f"{self.name}, {run or 'whole'}".replace(",", "").split()
        return "-".join(words)

    def config(self, run: str | None) -> Config:
        """Of one run; None: the whole image."""
        more = ("patch.core=null",) if run is None else self.runs[run]
        alone = ("cluster.kind=threads", "cluster.workers=1")
        return load_config(None, [*self.options, *more, *alone])


def cores(*sizes: int) -> dict[str, tuple[str, ...]]:
    """Runs with patches of these sizes."""
    return {str(size): (f"patch.core={size}",) for size in sizes}


SEAM = 0.02
"""Goal: how far the seam ratio is from 1 at most."""
DETAIL = 0.97
"""Goal: the least ratio of overlap detail."""
GOALS = {"512": 1.01, "384": 1.05, "768": 1.01, "256": 1.05, "exact 512": 1.001}
EXACT = {"exact 512": ("patch.core=512", "solver.mode=exact")}


def cases(folder: Path) -> Iterator[Case]:
    """All comparisons, the shorter ones first."""
    networks: dict[str, tuple[str, ...]] = {"scattering": ("network.name=scattering",)}
    if SMALL_VGG.is_file():
        small = ("network.name=vgg19-small", f"network.weights={SMALL_VGG}")
        networks["vgg19-small"] = small
    steps = ("solver.steps=30", "solver.min_steps=6")
    medium, large = photograph(folder, 1536), sampled(folder, 3072, 1024)
    for network, options in networks.items():
        for n, images in enumerate(medium):
            sizes = (512, 256) if n else (512, 256, 384, 768)
            yield Case(images, network, options + steps, cores(*sizes), GOALS)
    for images in identity(folder, 1024):
        for network, options in networks.items():
            yield Case(images, network, options + steps, cores(512), GOALS, borders=False)
    few = ("solver.steps=12", "solver.min_steps=4")
    for images in photograph(folder, 1024)[:1]:
        for network, options in networks.items():
            yield Case(images, network, (*options, *few), cores(512) | EXACT, GOALS, borders=False)
        weights = f"network.weights={random_vgg19(folder)}"
        shape = ("network.name=vgg19", weights, "solver.steps=8", "solver.min_steps=4")
        name = "VGG-19 with random weights"
        yield Case(images, name, shape, cores(512), {"512": 1.02}, borders=False)
    for images in large:
        for network, options in networks.items():
            yield Case(images, network, (*options, *few), cores(512, 256), GOALS)


def main() -> None:
    """Print the table, row by row, then what missed its goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--keep", type=Path, help="keep pictures and workspaces here")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", dest="overrides")
    arguments = parser.parse_args()
    print(HEADER, flush=True)
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        for row, misses in compare(_chosen(place, arguments), place, arguments.jobs):
            print(row, flush=True)
            missed += misses
    print("\n" + ("; ".join(missed) if missed else "All goals are met."))
    sys.exit(bool(missed))


def _chosen(folder: Path, arguments: argparse.Namespace) -> list[Case]:
    overrides = tuple(arguments.overrides)
    return [
        replace(case, options=case.options + overrides)
        for case in cases(folder)
        if arguments.only in case.name
    ]


def compare(cases: list[Case], folder: Path, jobs: int) -> Iterator[tuple[str, list[str]]]:
    """A row for each run, with the goals that it missed."""
    os.environ.update(WORKER_ENVIRONMENT)  # for the processes of the pool
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        futures = [
            pool.submit(solve, case.images, case.config(run), folder / case.stem(run))
            for case in cases
            for run in (None, *case.runs)
        ]
        results = iter(futures)
        for case in cases:
            whole = next(results).result()
            for run in case.runs:
                yield _row(case, run, next(results).result(), whole)


def _row(case: Case, run: str, tiled: Figures, whole: Figures) -> tuple[str, list[str]]:
    ours, theirs = (combine(figures.profiles, tiled.grid) for figures in (tiled, whole))
    # below SETTLED there is nothing but rounding, which has no ratio
    objective = max(tiled.objective, SETTLED) / max(whole.objective, SETTLED)
    seam, detail = ours.seam / theirs.seam, ours.detail / theirs.detail
    goals = {
        "objective": objective <= case.objective[run],
        "seam": abs(seam - 1) <= SEAM or not case.borders,
        "detail": detail >= DETAIL or not case.borders,
    }
    row = (
        f"| {case.images.name} | {case.network} | {run} | {objective:.4f} | {seam:.3f} "
        f"| {detail:.3f} | {apart(tiled, whole):.4f} | {tiled.disagreement:.4f} "
        f"| {tiled.read:.0f} | {tiled.written:.0f} |"
    )
    if case.images.content == case.images.style:
        row += f" PSNR {tiled.psnr:.1f} dB, whole {whole.psnr:.1f}; f {tiled.objective:.0e}"
    return row, [f"{case.name}, {run}: {goal}" for goal, met in goals.items() if not met]


if __name__ == "__main__":
    main()
