"""Fig. 1, what the method does; Fig. 3, edges that are kept without weakening the style."""

from pathlib import Path

import numpy as np

from tests.benchmarks.figures.page import Section, numbers, table
from tests.benchmarks.figures.plates import crop, write_plate
from tests.benchmarks.figures.runs import CODE, WHAT, Place, Run, solve
from tests.benchmarks.figures.scores import edge_fidelity

WIDTH, HEIGHT = 768, 512
WHOLE = ("patch.core=null", "solver.steps=60", "solver.min_steps=30")
"""Options of a run on the whole image: as many steps in a small picture, edges need them."""
CLEARLY = 2 / 3
"""Goal: the part of what fidelity lacks of 1 without edges that is left with them, at most."""
HARM = 1.05
"""Goal: the style loss with edges over that without, at most."""


def run(place: Place, kind: str, strength: str) -> Run:
    """Content and style of a kind, with edges kept that much."""
    width, height = place.pixels(WIDTH), place.pixels(HEIGHT)
    content, style = place.content(kind, width, height), place.style(kind, width, height)
    options = (*place.kinds[kind], *WHOLE, f"edges.strength={strength}")
    return solve(place, f"edges-{kind}-{strength}", content, [style], *options)


def pair(place: Place) -> Section:
    """Fig. 1."""
    plain = run(place, CODE, "0")
    panels = [("content", plain.content), ("style", plain.style()), ("result", plain.result)]
    write_plate(place.plate("figure-1", CODE), [panels])
    section = Section("figure-1", "Fig. 1: content, style, result")
    gone = plain.style_term(plain.result) / plain.style_term(plain.content)
    fidelity = edge_fidelity(plain.content, plain.result)
    section.text = [
        f"The result's style loss is {gone:.4f} of the content's own, while the correlation of its "
        f"gradients with the content's at the strongest edges is {fidelity:.2f}.",
        "![content, style and result](figures/figure-1.png)",
    ]
    section.expect(gone < 0.1, "the result is hardly nearer to the style than the content is")
    return section


def edges(place: Place) -> Section:
    """Fig. 3."""
    section = Section("figure-3", "Fig. 3: edges are kept, the style is not weakened")
    rows = []
    for kind in place.kinds:
        plain, kept = (run(place, kind, strength) for strength in ("0", "preset"))
        before, after = (edge_fidelity(plain.content, r.result) for r in (plain, kept))
        harm = plain.style_term(kept.result) / plain.style_term(plain.result)
        strength = f"{kept.level.weights.strength:g}"
        rows.append((WHAT[kind], strength, *numbers((before, after, harm), ".3f")))
        section.expect(
            1 - after <= CLEARLY * (1 - before),
            f"fidelity rises by {after - before:.3f} alone ({kind})",
        )
        section.expect(harm <= HARM, f"the style loss is {harm:.3f} times as large ({kind})")
        _plate(place.plate("figure-3", kind), plain, kept)
    section.text = [
        "`--edges` against none. Fidelity is the correlation of "
        "the luma's gradients of result and content on the content's strongest edges (a tenth of "
        "the picture); style is the style loss over that without edges, on the whole picture. "
        f"Goals: a third of what fidelity lacks of 1 is gained; at most {HARM:g}.",
        table(("made from", "strength", "fidelity without", "with", "style"), rows),
        "![without and with edges](figures/figure-3.png)",
    ]
    return section


def _plate(path: Path, plain: Run, kept: Run) -> None:
    """Content, without and with edges; below, a part of each, enlarged."""
    named = {"content": plain.content, "without edges": plain.result, "with": kept.result}
    side = plain.level.shape[0] // 3
    y, x = _busiest(plain, side)
    row = list(named.items())
    parts = [(f"{name}, enlarged", crop(p, y + side // 2, x + side // 2, side)) for name, p in row]
    write_plate(path, [row, parts])


def _busiest(run: Run, side: int) -> tuple[int, int]:
    """The corner of the square of the content with most contrast, on a grid of half squares."""
    height, width = run.level.shape
    places = [
        (y, x)
        for y in range(0, height - side + 1, side // 2)
        for x in range(0, width - side + 1, side // 2)
    ]
    contrast = [np.diff(run.content[:, y : y + side, x : x + side]).std() for y, x in places]
    return places[int(np.argmax(contrast))]
