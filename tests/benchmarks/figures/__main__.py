"""The report's figures, made again: plates, and the numbers that carry each claim.

    python -m tests.benchmarks.figures [--fast] [--no-data] [--only 3] [--keep FOLDER]

Plates are of images painted by code, by the network that is code alone. With a photograph,
paintings and the small trained VGG in ../shared/data the numbers are of these, too; their plates
stay in the folder of the runs. Each figure's section is written into docs/results.md as soon as it
is there. With --keep, what is there already is not run again. Says what does not hold.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.benchmarks.figures.edges import edges, pair
from tests.benchmarks.figures.page import Section, update
from tests.benchmarks.figures.patches import patches
from tests.benchmarks.figures.regions import regions
from tests.benchmarks.figures.runs import Place
from tests.benchmarks.figures.scales import run_time, scales
from tilestyle.cluster.connect import WORKER_ENVIRONMENT

DOCS = Path(__file__).resolve().parents[3] / "docs"
FIGURES: dict[str, Callable[[Place], Section]] = {
    "8": patches,
    "6": scales,
    "3": edges,
    "4": regions,
}
"""The longest first: two are made at a time."""
AFTER: dict[str, Callable[[Place], Section]] = {"1": pair, "time": run_time}
"""Made of the runs of the others; where times are taken, nothing else runs."""


def main() -> None:
    """Print each section as it is written, then what does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="pictures of half the side")
    parser.add_argument("--no-data", action="store_true", help="images and network of code alone")
    every = [*FIGURES, *AFTER]
    parser.add_argument("--only", nargs="*", default=every, choices=every)
    parser.add_argument("--keep", type=Path, help="keep results and workspaces here")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where results.md is")
    arguments = parser.parse_args()
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        runs = arguments.keep or Path(folder)
        place = Place(runs, arguments.docs / "figures", arguments.fast, not arguments.no_data)
        place.runs.mkdir(parents=True, exist_ok=True)
        for section in _made(place, arguments.only):
            body = section.markdown(f"make figures{_flags(place)}")
            update(arguments.docs / "results.md", section.name, body)
            print(f"{body}\n", flush=True)
            missed += section.missed
    print("\n" + ("; ".join(missed) if missed else "All claims hold."))


def _made(place: Place, names: list[str]) -> Iterator[Section]:
    os.environ.update(WORKER_ENVIRONMENT)  # for the processes of the pool
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        together = [pool.submit(make, place) for name, make in FIGURES.items() if name in names]
        yield from (future.result() for future in together)
        for name, make in AFTER.items():
            if name in names:
                yield pool.submit(make, place).result()


def _flags(place: Place) -> str:
    return (" FAST=1" if place.fast else "") + ("" if place.data else " DATA=0")


if __name__ == "__main__":
    main()
