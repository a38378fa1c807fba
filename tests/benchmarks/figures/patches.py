"""Fig. 8: patches agree on one picture; with an edge term and with two regions, too."""

from pathlib import Path

from tests.benchmarks.figures.page import Section, table
from tests.benchmarks.figures.plates import crop, write_plate
from tests.benchmarks.figures.runs import Place, Run, solve
from tests.benchmarks.parity import DETAIL, SEAM
from tilestyle.config import KEPT_EDGES

WIDTH, HEIGHT, CORE, OVERLAP = 1536, 1024, 256, 64
STEPS, LEAST = 20, 6
OBJECTIVE = 1.01
"""Goal: at most."""


def cases(place: Place) -> dict[str, tuple[int, tuple[str, ...]]]:
    """By name: the number of styles, and the options of both runs."""
    masks = place.mask(place.pixels(WIDTH), place.pixels(HEIGHT))
    return {
        "one style": (1, ()),
        "with edges": (1, (f"edges.strength={KEPT_EDGES}",)),
        "with two regions": (2, (f"style.masks=[{masks}]",)),
    }


def patches(place: Place) -> Section:
    """Each case tiled, as ratios to the whole image."""
    section = Section("figure-8", "Fig. 8: patches agree on one picture")
    rows = []
    side, overlap = place.pixels(CORE), place.pixels(OVERLAP)
    cut = (f"patch.core={side}", f"patch.overlap={overlap}")
    for name, network in place.networks():
        for case, (styles, options) in cases(place).items():
            stem = f"patches-{name}-{case}"
            whole, tiled = (
                _run(place, f"{stem}-{kind}", styles, *network, *options, *more)
                for kind, more in (("whole", ("patch.core=null",)), ("tiled", cut))
            )
            rows.append((name, case, *_ratios(section, stem, tiled, whole)))
            if case == "with edges":
                _plate(place.plate("figure-8", name), whole, tiled)
    borders = place.pixels(WIDTH) // side + place.pixels(HEIGHT) // side - 2
    section.text = [
        f"{place.pixels(WIDTH)} x {place.pixels(HEIGHT)} px, patches of {side} px and {overlap} px "
        f"more on each side ({borders} borders) against the whole image: f(X), the difference "
        "across borders and the detail in overlaps (see [parity.md](parity.md)). "
        "Goals: at most 1.01; 1 +- 0.02; at least 0.97.",
        table(("network", "", "objective", "seam", "detail"), rows),
        "![whole image and patches](figures/figure-8.png)",
    ]
    return section


def _run(place: Place, stem: str, styles: int, *options: str) -> Run:
    width, height = place.pixels(WIDTH), place.pixels(HEIGHT)
    chosen = [place.style("sample", width, height, which) for which in range(styles)]
    steps = (f"solver.steps={place.steps(STEPS)}", f"solver.min_steps={place.steps(LEAST)}")
    content = place.content("sample", width, height)
    return solve(place, stem, content, chosen, *options, *steps)


def _ratios(section: Section, stem: str, tiled: Run, whole: Run) -> tuple[str, str, str]:
    ours, theirs = tiled.scores(tiled), whole.scores(tiled)
    objective = tiled.objective / whole.objective
    seam, detail = ours.seam / theirs.seam, ours.detail / theirs.detail
    which = stem.removeprefix("patches-")
    section.expect(objective <= OBJECTIVE, f"objective {objective:.4f} ({which})")
    section.expect(abs(seam - 1) <= SEAM, f"seam {seam:.3f} ({which})")
    section.expect(detail >= DETAIL, f"detail {detail:.3f} ({which})")
    return f"{objective:.4f}", f"{seam:.3f}", f"{detail:.3f}"


def _plate(path: Path, whole: Run, tiled: Run) -> None:
    """Both, and both at full size around the corner of four patches in the middle."""
    grid = tiled.level.grid
    y, x = (axis.core_span(axis.count // 2)[0] for axis in (grid.rows, grid.columns))
    named = (("whole image", whole.result), ("patches", tiled.result))
    corners = [(f"{name}, at a corner of patches", crop(p, y, x, 240)) for name, p in named]
    write_plate(path, [named, corners], 480)
