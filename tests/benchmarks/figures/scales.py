"""Figs. 6 and 7, large effects need the pyramid; and what it does to the run time."""

from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.figures.page import Section, numbers, table
from tests.benchmarks.figures.plates import write_curves, write_plate
from tests.benchmarks.figures.runs import Place, Run, solve
from tests.benchmarks.figures.scores import first_below, style_by_octave

WIDTH, HEIGHT = 1536, 1024
COARSEST = 128
"""Short side of the pyramid's coarsest level, in pixels."""
STEPS = (100, 50, 25, 15)
"""Of the pyramid's levels, coarsest first."""
REACH = 5
"""The first octave that the networks do not see by themselves."""
SIZES = ((384, 256), (768, 512), (1536, 1024))
CORE = 256
"""Of the patches whose time is taken, in pixels."""


def one_scale(shares: list[float], steps: list[int]) -> int:
    """Steps at full size that take as many pixels as the pyramid's.

    Args:
        shares: Pixels of each level over those of the finest.
        steps: Of each level.
    """
    return round(sum(share * n for share, n in zip(shares, steps, strict=True)))


def runs(place: Place, kind: str, network: tuple[str, ...], name: str) -> tuple[Run, Run]:
    """A large image at one scale, and with the pyramid, in equal work."""
    width, height = place.pixels(WIDTH), place.pixels(HEIGHT)
    steps = _steps(place)
    levels = len(steps)
    shares = [4.0 ** (level + 1 - levels) for level in range(levels)]
    once = one_scale(shares, steps)
    content, style = place.content(kind, width, height), place.style(kind, width, height)
    large, pyramid = (
        solve(
            place,
            f"scales-{kind}-{name}-{coarsest}",
            content,
            [style],
            *network,
            "patch.core=null",
            f"solver.steps={taken}",
            f"pyramid.coarsest={coarsest}",
        )
        for coarsest, taken in ((height, [once]), (COARSEST, steps))
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
        for name, network in place.networks():
            large, pyramid = runs(place, kind, network, name)
            losses = {
                label: style_by_octave(pixels, large.style())
                for label, pixels in (
                    ("content", large.content),
                    ("one scale", large.result),
                    ("pyramid", pyramid.result),
                )
            }
            rows += [(f"{kind}, {name}", k, *numbers(v, ".3f")) for k, v in losses.items()]
            where = f"{kind}, {name}"
            alone, helped = (np.mean(losses[k][REACH:]) for k in ("one scale", "pyramid"))
            section.expect(
                bool(helped < alone),
                f"from octave {REACH} on {alone:.3f} alone, {helped:.3f} with it ({where})",
            )
            _plate(place.plate("figure-6-7", name, kind), large, pyramid)
            write_curves(place.plate("octaves", name, kind), where, losses, "style loss")
    octaves = max(len(row) for row in rows) - 2
    columns = ("images, network", "", *(f"octave {o}" for o in range(octaves)))
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
        for name, network in place.networks():
            large, pyramid = runs(place, kind, network, name)
            rows.append((f"{kind}, {name}", *_race(large, pyramid)))
            section.expect(rows[-1][4] != "never", f"the pyramid takes longer ({kind}, {name})")
    columns = ("images, network", "f at one scale", "steps", "s", "pyramid: steps of the finest")
    sizes = _by_size(place)
    whole, cut = sizes[-1][2:]
    section.expect(cut <= whole, f"a step on patches takes {cut / whole:.2f} times as long")
    section.text = [
        "To the f that one scale has at its end, on the finest level's objective: steps and "
        "seconds, those of the coarser levels included.",
        table((*columns, "s"), rows),
        "Seconds for a megapixel and step, one level, one thread, scattering, whole image and "
        f"patches of {CORE} px with 64 px more on each side. The machine was shared.",
        table(
            ("size", "whole image", "patches"),
            [(f"{w} x {h}", *numbers(seconds, ".2f")) for w, h, *seconds in sizes],
        ),
    ]
    return section


def _race(large: Run, pyramid: Run) -> tuple[str, str, str, str, str]:
    goal, steps = large.objective, large.finest()
    finest = pyramid.finest()
    values = [*(step["objective"] for step in finest), pyramid.objective]
    taken = first_below(values, goal)
    start = [f"{goal:.5f}", str(len(steps)), f"{large.seconds:.0f}"]
    if taken is None:
        return start[0], start[1], start[2], "never", f"{pyramid.seconds:.0f}"
    seconds = pyramid.seconds - sum(step["seconds"] for step in finest[taken:])
    return start[0], start[1], start[2], str(taken), f"{seconds:.0f}"


def _by_size(place: Place) -> list[tuple[int, int, float, float]]:
    """Width, height, and seconds for a megapixel and step: on the whole image, on patches."""
    return [
        (*size, _pace(place, *size, "patch.core=null"), _pace(place, *size, f"patch.core={CORE}"))
        for size in SIZES[: -1 if place.fast else None]
    ]


def _pace(place: Place, width: int, height: int, core: str) -> float:
    content, style = place.content("sample", width, height), place.style("sample", *SIZES[0])
    options = ("solver.steps=[4]", f"pyramid.coarsest={height}", core)
    run = solve(place, f"time-{width}-{core}", content, [style], *options)
    return _typical(run.finest()) / (width * height / 1e6)


def _typical(steps: list[dict[str, Any]]) -> float:
    """Seconds of a step, the first left out: it sets up."""
    return float(np.median([step["seconds"] for step in steps[1:]]))
