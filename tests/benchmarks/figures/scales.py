"""Figs. 6 and 7, large effects need the pyramid; and what it does to the run time."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tests.benchmarks.figures.page import Section, numbers, table
from tests.benchmarks.figures.plates import write_curves, write_plate
from tests.benchmarks.figures.runs import CODE, WHAT, Place, Run, solve
from tests.benchmarks.figures.scores import first_below, style_by_octave
from tests.benchmarks.memory import Sampler

Size = tuple[int, int]
"""Width and height."""
Cost = tuple[float, float]
"""Seconds for a megapixel and step, and GiB at most."""

WIDTH, HEIGHT = 1536, 1024
COARSEST = 128
"""Short side of the pyramid's coarsest level, in pixels."""
STEPS = (60, 30, 15, 8)
"""Of the pyramid's levels, coarsest first."""
REACH = 5
"""The first octave that the networks do not see by themselves."""
SIZES = ((384, 256), (768, 512), (1536, 1024), (2304, 1536))
CORE = 256
"""Of the patches whose time is taken, in pixels."""


def one_scale(shares: list[float], steps: list[int]) -> int:
    """Steps at full size that take as many pixels as the pyramid's.

    Args:
        shares: Pixels of each level over those of the finest.
        steps: Of each level.
    """
    return round(sum(share * n for share, n in zip(shares, steps, strict=True)))


def runs(place: Place, kind: str) -> tuple[Run, Run]:
    """A large image at one scale, and with the pyramid, in equal work."""
    width, height = place.pixels(WIDTH), place.pixels(HEIGHT)
    steps = _steps(place)
    shares = [4.0 ** (n + 1 - len(steps)) for n in range(len(steps))]
    content, style = place.content(kind, width, height), place.style(kind, width, height)
    large, pyramid = (
        solve(
            place,
            f"scales-{kind}-{coarsest}",
            content,
            [style],
            *place.kinds[kind],
            "patch.core=null",
            f"solver.steps={taken}",
            f"pyramid.coarsest={coarsest}",
        )
        for coarsest, taken in ((height, [one_scale(shares, steps)]), (COARSEST, steps))
    )
    return large, pyramid


def _steps(place: Place) -> list[int]:
    """Of the pyramid's levels."""
    levels = 1 + int(np.log2(place.pixels(HEIGHT) // COARSEST))
    return [place.steps(n) for n in STEPS[:levels]]


def scales(place: Place) -> Section:
    """Figs. 6 and 7."""
    title = "Figs. 6 and 7: a large image alone gets small texture, with the pyramid large effects"
    section = Section("figure-6-7", title)
    rows = []
    for kind in place.kinds:
        large, pyramid = runs(place, kind)
        losses = {
            label: style_by_octave(pixels, large.style())
            for label, pixels in (
                ("content", large.content),
                ("one scale", large.result),
                ("pyramid", pyramid.result),
            )
        }
        rows += [(WHAT[kind], k, *numbers(v, ".3f")) for k, v in losses.items()]
        alone, helped = (np.mean(losses[k][REACH:]) for k in ("one scale", "pyramid"))
        section.expect(
            bool(helped < alone),
            f"from octave {REACH} on {alone:.3f} alone, {helped:.3f} with it ({kind})",
        )
        _plate(place.plate("figure-6-7", kind), large, pyramid)
        write_curves(place.plate("octaves", kind), WHAT[kind], losses, "style loss")
    octaves = max(len(row) for row in rows) - 2
    columns = ("made from", "", *(f"octave {o}" for o in range(octaves)))
    width, height = place.pixels(WIDTH), place.pixels(HEIGHT)
    steps = " + ".join(map(str, _steps(place)))
    section.text = [
        f"Style loss by octave, finest first, of {width} x {height} px solved at one scale "
        f"(`pyramid.coarsest={height}`) and with the pyramid ({steps} steps, coarsest "
        "level first); at one scale as many steps as are the same work in pixels.",
        table(columns, rows),
        "![one scale and the pyramid](figures/figure-6-7.png)",
        "![style loss by octave](figures/octaves.png)",
    ]
    return section


def _plate(path: Path, large: Run, pyramid: Run) -> None:
    pictures = [("one scale", large.result), ("pyramid", pyramid.result)]
    write_plate(path, [[("content", large.content), ("style", large.style())], pictures], 480)


def run_time(place: Place) -> Section:
    """Steps and seconds to the same f, and seconds by size."""
    section = Section("run-time", "Run time: warm starts need fewer steps, patches are cheaper")
    rows = []
    for kind in place.kinds:
        large, pyramid = runs(place, kind)
        # both get there: what comes before the last step is said of both, too
        goal = max(min(_values(run)) for run in (large, pyramid))
        ends = [_reached(run, goal) for run in (large, pyramid)]
        cells = [f"{steps} / {seconds:.0f}" for steps, seconds in ends]
        rows.append((WHAT[kind], f"{goal:.4f}", *cells))
        ratio = ends[1][1] / ends[0][1]
        section.expect(ratio < 1, f"the pyramid takes {ratio:.2f} times as long ({kind})")
    sizes = _by_size(SIZES[:-2] if place.fast else SIZES)
    (whole, most), (cut, least) = list(sizes.values())[-1]
    section.expect(cut <= whole, f"a step on patches takes {cut / whole:.2f} times as long")
    section.expect(least < most, "patches take as much memory")
    section.text = [
        "Steps of the finest level / seconds of all levels until f of the finest level is as small "
        "as both runs of Figs. 6 and 7 get it; two runs at a time on two cores.",
        table(("made from", "f", "one scale", "pyramid"), rows),
        "Seconds for a megapixel and step / GiB of the process at most: one level, one thread, "
        f"scattering, the whole image and patches of {CORE} px with 64 px more on each side.",
        table(
            ("size", "whole image", "patches"),
            [
                (f"{w} x {h}", *(f"{seconds:.2f} / {memory:.2f}" for seconds, memory in found))
                for (w, h), found in sizes.items()
            ],
        ),
    ]
    return section


def _values(run: Run) -> list[float]:
    """f of the finest level before each of its steps, and at the end."""
    return [*(step["objective"] for step in run.finest()), run.objective]


def _reached(run: Run, goal: float) -> tuple[int, float]:
    """Steps of the finest level until f is at most `goal`, and seconds of all levels until then."""
    taken = first_below(_values(run), goal)
    return taken, run.seconds - sum(step["seconds"] for step in run.finest()[taken:])


def _by_size(sizes: Sequence[Size]) -> dict[Size, list[Cost]]:
    """What the whole image and patches cost, each in a process that does nothing else."""
    found: dict[Size, list[Cost]] = {}
    for size in sizes:
        found[size] = []
        for core in ("null", str(CORE)):
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                found[size].append(alone.submit(_cost, size, core).result())
    return found


def _cost(size: Size, core: str) -> Cost:
    width, height = size
    options = ("solver.steps=[2]", f"pyramid.coarsest={height}", f"patch.core={core}")
    with TemporaryDirectory() as folder, Sampler(os.getpid()) as sampler:
        place = Place(Path(folder), Path(folder), fast=False, data=False)
        content, style = place.content(CODE, width, height), place.style(CODE, *SIZES[0])
        run = solve(place, "time", content, [style], *place.kinds[CODE], *options)
        _, peak = sampler.take()
    seconds = run.finest()[-1]["seconds"]  # the first step sets up
    return seconds / (width * height / 1e6), peak / 2**30
