"""Fig. 4: two styles merge in one picture."""

from pathlib import Path

from tests.benchmarks.figures.edges import whole
from tests.benchmarks.figures.page import Section, table
from tests.benchmarks.figures.plates import write_plate
from tests.benchmarks.figures.runs import Place, Run, solve
from tests.benchmarks.figures.scores import style_by_octave

WIDTH, HEIGHT = 768, 512
REGIONS = ("upper", "lower")


def regions(place: Place) -> Section:
    """Each region is nearer to its own style than to the other, at every octave."""
    section = Section("figure-4", "Fig. 4: two styles merge in one picture")
    rows = []
    for kind in place.kinds:
        for name, network in place.networks():
            run = _run(place, kind, network, name)
            for region in (0, 1):
                own, other = _losses(run, region)
                cells = [f"{a:.3f} / {b:.3f}" for a, b in zip(own, other, strict=True)]
                rows.append((f"{kind}, {name}", REGIONS[region], *cells))
                far = [str(o) for o, (a, b) in enumerate(zip(own, other, strict=True)) if a >= b]
                where = f"{kind}, {name}, {REGIONS[region]} region, octave {' and '.join(far)}"
                section.expect(not far, f"the other style is nearer ({where})")
            _plate(place.plate("figure-4", name, kind), run)
    octaves = max(len(row) for row in rows) - 2
    columns = ("images, network", "region", *(f"octave {o}" for o in range(octaves)))
    section.text = [
        "Style loss inside each region, to its own style / to the other, by octave, finest first: "
        "the scattering's layers of the octave, whatever network made the picture.",
        table(columns, rows),
        "![two styles in one picture](figures/figure-4.png)",
    ]
    return section


def _run(place: Place, kind: str, network: tuple[str, ...], name: str) -> Run:
    width, height = place.pixels(WIDTH), place.pixels(HEIGHT)
    styles = [place.style(kind, width, height, which) for which in (0, 1)]
    masks = f"style.masks=[{place.mask(width, height)}]"
    content = place.content(kind, width, height)
    return solve(place, f"regions-{kind}-{name}", content, styles, *network, *whole(place), masks)


def _losses(run: Run, region: int) -> tuple[list[float], list[float]]:
    """By octave, inside a region: to its own style, and to the other."""
    mask = run.mask() if region == 0 else 1 - run.mask()
    own, other = (
        style_by_octave(run.result, run.style(which), mask) for which in (region, 1 - region)
    )
    return own, other


def _plate(path: Path, run: Run) -> None:
    styles = [("style of the upper region", run.style(0)), ("of the lower", run.style(1))]
    write_plate(path, [[("content", run.content), *styles, ("result", run.result)]], 320)
