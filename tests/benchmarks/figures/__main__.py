"""The report's figures, made again: plates, and the numbers that carry each claim.

    python -m tests.benchmarks.figures [--fast] [--no-data] [--only 3] [--keep FOLDER]

Plates are of images painted by code, by the network that is code alone. With photographs, paintings
and the small trained VGG in ../shared/data the numbers are of these, too; their plates stay in the
folder of the runs. Each figure's section is written into docs/results.md as soon as it is there.
With --keep, what is there already is not run again. Fails where a claim does not hold.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.figures.edges import edges, pair
from tests.benchmarks.figures.page import Section, update
from tests.benchmarks.figures.patches import patches
from tests.benchmarks.figures.regions import regions
from tests.benchmarks.figures.runs import Place
from tests.benchmarks.figures.scales import run_time, scales

DOCS = Path(__file__).resolve().parents[3] / "docs"
FIGURES: dict[str, Callable[[Place], Section]] = {
    "1": pair,
    "3": edges,
    "4": regions,
    "6": scales,
    "8": patches,
    "time": run_time,
}


def main() -> None:
    """Print each section as it is written, then what does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="pictures of half the side")
    parser.add_argument("--no-data", action="store_true", help="images and network of code alone")
    parser.add_argument("--only", nargs="*", default=list(FIGURES), choices=list(FIGURES))
    parser.add_argument("--keep", type=Path, help="keep results and workspaces here")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where results.md is")
    arguments = parser.parse_args()
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        runs = arguments.keep or Path(folder)
        place = Place(runs, arguments.docs / "figures", arguments.fast, not arguments.no_data)
        place.runs.mkdir(parents=True, exist_ok=True)
        for name in arguments.only:
            missed += _make(FIGURES[name], place, arguments.docs)
    print("\n" + ("; ".join(missed) if missed else "All claims hold."))
    sys.exit(bool(missed))


def _make(figure: Callable[[Place], Section], place: Place, docs: Path) -> list[str]:
    section = figure(place)
    flags = (" FAST=1" if place.fast else "") + ("" if place.data else " DATA=0")
    body = section.markdown(f"make figures{flags}")
    update(docs / "results.md", section.name, body)
    print(f"{body}\n", flush=True)
    return section.missed


if __name__ == "__main__":
    main()
