"""Fig. 4: two styles merge in one picture."""

from pathlib import Path

from tests.benchmarks.figures_edges import STEPS
from tests.benchmarks.figures_page import Section, table
from tests.benchmarks.figures_plates import write_plate
from tests.benchmarks.figures_runs import Place, Run, networks, solve
from tests.benchmarks.figures_scores import style_by_octave

WIDTH, HEIGHT = 768, 512


def regions(place: Place, plates: Path) -> Section:
    """Each region is nearer to its own style than to the other, at every octave."""
    section = Section("figure-4", "Fig. 4: two styles merge in one picture")
    rows = []
    for kind in place.kinds:
        for name, network in networks():
            run = _run(place, kind, network, name)
            for region in (0, 1):
                own, other = _losses(run, region)
                cells = [f"{a:.3f} / {b:.3f}" for a, b in zip(own, other, strict=True)]
                rows.append((f"{kind}, {name}", ("upper", "lower")[region], *cells))
                for o, (a, b) in enumerate(zip(own, other, strict=True)):
                    where = f"{kind}, {name}, {('upper', 'lower')[region]} region, octave {o}"
                    section.expect(a < b, f"the other style is nearer ({where}: {a:.3f}, {b:.3f})")
            if kind == "sample":
                _plate(plates / f"figure-4-{name}.png", run)
    octaves = max(len(row) for row in rows) - 2
    columns = ("images, network", "region", *(f"octave {o}" for o in range(octaves)))
    section.text = [
        "Style loss inside each region, to its own style / to the other, by octave, finest first: "
        "the scattering's layers of the octave, whatever network made the picture.",
        table(columns, rows),
        *(
            f"![{name}: two styles in one picture](figures/figure-4-{name}.png)"
            for name, _ in networks()
        ),
    ]
    return section


def _run(place: Place, kind: str, network: tuple[str, ...], name: str) -> Run:
    width, height = place.pixels(WIDTH), place.pixels(HEIGHT)
    styles = [place.style(kind, width, height, which) for which in (0, 1)]
    masks = f"style.masks=[{place.mask(width, height)}]"
    content = place.content(kind, width, height)
    return solve(place, f"regions-{kind}-{name}", content, styles, *network, *STEPS, masks)


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
