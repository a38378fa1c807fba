"""Plates: pictures side by side with a line under each, and curves, as small PNG files."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

mpl.use("agg")
from matplotlib import pyplot as plt

Array = NDArray[np.float32]
Panel = tuple[str, Array]
"""What is said of a picture, and the picture: (3, height, width), 0 to 1."""

GAP, LINE = 8, 22
"""Pixels between pictures, and of the line under one."""
COLOURS = 128
"""Of a plate: it shows what is where, at a few hundred kilobytes."""


def picture(pixels: Array) -> Image.Image:
    """As PIL has it."""
    return Image.fromarray((pixels.clip(0, 1) * 255).round().astype(np.uint8).transpose(1, 2, 0))


def crop(pixels: Array, y: int, x: int, side: int) -> Array:
    """A square of `side` pixels around a place, moved into the picture."""
    top, left = (
        min(max(at - side // 2, 0), max(length - side, 0))
        for at, length in zip((y, x), pixels.shape[1:], strict=True)
    )
    return pixels[:, top : top + side, left : left + side]


def write_plate(path: Path, rows: Sequence[Sequence[Panel]], width: int = 400) -> None:
    """Rows of pictures, each brought to `width` pixels, with its line under it."""
    lines = [[(text, _fitted(pixels, width)) for text, pixels in row] for row in rows]
    heights = [max(image.height for _, image in line) + LINE for line in lines]
    across = max(len(line) for line in lines)
    size = (across * (width + GAP) + GAP, sum(heights) + GAP * (len(lines) + 1))
    plate, font = Image.new("RGB", size, "white"), ImageFont.load_default(13)
    draw, y = ImageDraw.Draw(plate), GAP
    for line, height in zip(lines, heights, strict=True):
        for n, (text, image) in enumerate(line):
            x = GAP + n * (width + GAP)
            plate.paste(image, (x, y))
            draw.text((x, y + image.height + 3), text, "black", font)
        y += height + GAP
    _save(plate, path)


def write_curves(path: Path, title: str, curves: Mapping[str, Sequence[float]], unit: str) -> None:
    """Style losses by octave on a logarithmic scale, a curve for each run."""
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for name, values in curves.items():
        axes.plot(range(len(values)), values, "o-", markersize=4, label=name)
    axes.set_yscale("log")
    axes.set_xticks(range(max(map(len, curves.values()))))
    axes.set_xlabel("octave, finest first")
    axes.set_ylabel(unit)
    axes.set_title(title, fontsize=10)
    axes.grid(linewidth=0.3)
    axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    _save(Image.open(buffer).convert("RGB"), path)


def _fitted(pixels: Array, width: int) -> Image.Image:
    image = picture(pixels)
    height = round(image.height * width / image.width)
    # enlarged pixels are shown as they are
    kind = Image.Resampling.NEAREST if width > image.width else Image.Resampling.LANCZOS
    return image.resize((width, height), kind)


def _save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    few = image.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG)
    few.save(path, optimize=True)
