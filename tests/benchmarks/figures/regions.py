"""Fig. 4: two styles merge in one picture."""

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.figures.edges import HEIGHT, WHOLE, WIDTH
from tests.benchmarks.figures.page import Section, table
from tests.benchmarks.figures.plates import write_plate
from tests.benchmarks.figures.runs import WHAT, Array, Place, Run, solve
from tests.benchmarks.figures.scores import style_by_octave

REGIONS = ("upper", "lower")


def regions(place: Place) -> Section:
    """Each region is nearer to its own style than to the other, at every octave."""
    section = Section("figure-4", "Fig. 4: two styles merge in one picture")
    by_level: list[tuple[str, ...]] = []
    by_octave: list[tuple[str, ...]] = []
    for kind in place.kinds:
        run = _run(place, kind)
        for region, where in enumerate(REGIONS):
            levels = run.region_losses(region)
            octaves = _losses(run, run.result, region)
            before = _losses(run, run.content, region)
            by_octave.append((WHAT[kind], f"{where}, content", *_cells(before)))
            for rows, pairs, unit in ((by_level, levels, "level"), (by_octave, octaves, "octave")):
                rows.append((WHAT[kind], where, *_cells(pairs)))
                far = [str(n) for n, (own, other) in enumerate(pairs) if own >= other]
                which = f"{kind}, {where} region, {unit} {' and '.join(far)}"
                section.expect(not far, f"the other style is nearer ({which})")
        _plate(place.plate("figure-4", kind), run)
    section.text = [
        "Style loss inside each region, to its own style / to the other. First as the run has it: "
        "of its own network, at every level of the result's pyramid, finest first.",
        _table(by_level, "level"),
        "Then by octave, finest first, by one measure for all: the scattering's layers of the "
        "octave, whatever network made the picture; of the content as well.",
        _table(by_octave, "octave"),
        "![two styles in one picture](figures/figure-4.png)",
    ]
    return section


def _table(rows: list[tuple[str, ...]], unit: str) -> str:
    columns = (f"{unit} {n}" for n in range(max(map(len, rows)) - 2))
    return table(("made from", "region", *columns), rows)


def _run(place: Place, kind: str) -> Run:
    width, height = place.pixels(WIDTH), place.pixels(HEIGHT)
    styles = [place.style(kind, width, height, which) for which in (0, 1)]
    masks = f"style.masks=[{place.mask(width, height)}]"
    content = place.content(kind, width, height)
    return solve(place, f"regions-{kind}", content, styles, *place.kinds[kind], *WHOLE, masks)


def _losses(run: Run, image: Array, region: int) -> list[tuple[float, float]]:
    """By octave, inside a region: the style loss to its own style, and to the other."""
    mask = run.mask() if region == 0 else 1 - run.mask()
    own, other = (style_by_octave(image, run.style(which), mask) for which in (region, 1 - region))
    return list(zip(own, other, strict=True))


def _cells(pairs: Sequence[tuple[float, float]]) -> list[str]:
    return [f"{own:.3f} / {other:.3f}" for own, other in pairs]


def _plate(path: Path, run: Run) -> None:
    styles = [("style of the upper region", run.style(0)), ("of the lower", run.style(1))]
    write_plate(path, [[("content", run.content), *styles, ("result", run.result)]], 320)
