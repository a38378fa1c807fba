"""Fig. 8: patches agree on one picture; with an edge term and with two regions, too."""

from pathlib import Path

from tests.benchmarks.figures.page import Section, numbers, table
from tests.benchmarks.figures.plates import crop, write_plate
from tests.benchmarks.figures.runs import WHAT, Place, Run, solve
from tests.benchmarks.parity import DETAIL, GOALS, SEAM

WIDTH, HEIGHT, CORE, OVERLAP = 1536, 1024, 512, 64
STEPS, LEAST = 16, 5


def cases(place: Place) -> dict[str, tuple[int, tuple[str, ...]]]:
    """By name: the number of styles, and the options of both runs."""
    masks = place.mask(place.pixels(WIDTH), place.pixels(HEIGHT))
    return {
        "one style": (1, ()),
        "with edges": (1, ("edges.strength=preset",)),
        "with two regions": (2, (f"style.masks=[{masks}]",)),
    }


def patches(place: Place) -> Section:
    """Each case tiled, as ratios to the whole image."""
    section = Section("figure-8", "Fig. 8: patches agree on one picture")
    side, overlap = place.pixels(CORE), place.pixels(OVERLAP)
    goal, rows = GOALS[str(side)], []
    cut = (f"patch.core={side}", f"patch.overlap={overlap}")
    for kind in place.kinds:
        for case, (styles, options) in cases(place).items():
            whole, tiled = (
                _run(place, kind, f"patches-{kind}-{case}-{name}", styles, *options, *more)
                for name, more in (("whole", ("patch.core=null",)), ("tiled", cut))
            )
            objective = tiled.objective / whole.objective
            ours, theirs = tiled.scores(tiled), whole.scores(tiled)
            seam, detail = ours.seam / theirs.seam, ours.detail / theirs.detail
            rows.append((WHAT[kind], case, *numbers((objective, seam, detail))))
            section.expect(objective <= goal, f"objective {objective:.4f} ({kind}, {case})")
            section.expect(abs(seam - 1) <= SEAM, f"seam {seam:.4f} ({kind}, {case})")
            section.expect(detail >= DETAIL, f"detail {detail:.4f} ({kind}, {case})")
            if case == "with edges":
                _plate(place.plate("figure-8", kind), whole, tiled)
    borders = -(-place.pixels(WIDTH) // side) + -(-place.pixels(HEIGHT) // side) - 2
    section.text = [
        f"{place.pixels(WIDTH)} x {place.pixels(HEIGHT)} px, patches of {side} px and {overlap} px "
        f"more on each side ({borders} borders) against the whole image: f(X), the difference "
        "across borders and the detail in overlaps (see [parity.md](parity.md)). "
        f"Goals: at most {goal}; 1 +- {SEAM}; at least {DETAIL}.",
        table(("made from", "", "objective", "seam", "detail"), rows),
        "![whole image and patches](figures/figure-8.png)",
    ]
    return section


def _run(place: Place, kind: str, stem: str, styles: int, *options: str) -> Run:
    width, height = place.pixels(WIDTH), place.pixels(HEIGHT)
    chosen = [place.style(kind, width, height, which) for which in range(styles)]
    steps = (f"solver.steps={place.steps(STEPS)}", f"solver.min_steps={place.steps(LEAST)}")
    content = place.content(kind, width, height)
    return solve(place, stem, content, chosen, *place.kinds[kind], *options, *steps)


def _plate(path: Path, whole: Run, tiled: Run) -> None:
    """Both, and both at full size around the corner of four patches in the middle."""
    grid = tiled.level.grid
    y, x = (axis.core_span(axis.count // 2)[0] for axis in (grid.rows, grid.columns))
    named = (("whole image", whole.result), ("patches", tiled.result))
    corners = [(f"{name}, at a corner of patches", crop(p, y, x, 240)) for name, p in named]
    write_plate(path, [named, corners], 480)
