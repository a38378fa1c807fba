"""Plots of the study: a dot for each variant and figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

FIGURES = {"objective": 1.0, "seam": 1.0, "detail": 1.0, "distance": 0.0}
"""What is drawn, and where the whole image is."""


def draw(title: str, points: Sequence[tuple[str, Any]], folder: Path) -> None:
    """One row of dots for each variant, in three panels, as an SVG."""
    mpl.rcParams["svg.hashsalt"] = title  # the same file from the same figures
    figure, panels = plt.subplots(
        1, len(FIGURES), sharey=True, figsize=(11, 0.26 * len(points) + 1), layout="constrained"
    )
    places = range(len(points))
    for panel, (name, whole) in zip(panels, FIGURES.items(), strict=True):
        panel.axvline(whole, color="grey", linewidth=0.8)
        panel.plot([getattr(row, name) for _, row in points], places, "o", markersize=4)
        panel.grid(axis="y", linewidth=0.3)
        panel.set_title(name, fontsize=9)
    panels[0].set_yticks(places, [label for label, _ in points], fontsize=7)
    panels[0].invert_yaxis()
    figure.suptitle(f"{title}: beside the whole image")
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{title.replace(' ', '-')}.svg", metadata={"Date": None})
    plt.close(figure)
