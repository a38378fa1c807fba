"""Tiled against whole image: the three ratios of docs/results.md, as a Markdown table.

    python -m tests.benchmarks.parity [--width 1024] [--core 512 256] [--set solver.rho=0.1 ...]

Takes the test images and the small trained VGG from ../shared/data where they are, and the sample
images and the scattering network alone where they are not. Each row is a tiled run and the
whole-image run of the same images, network, levels and steps, in one process.
"""

import argparse
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips

from tilestyle import pipeline
from tilestyle.cluster.level import Level
from tilestyle.config import Config, load_config
from tilestyle.images import Source, write_tiff
from tilestyle.images.samples import sample
from tilestyle.report.compare import Quality, assess
from tilestyle.stages import level_ref
from tilestyle.store.workspace import Workspace

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@dataclass(frozen=True)
class Case:
    """Images and network of a comparison."""

    name: str
    content: Path
    style: Path
    network: tuple[str, ...]


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=1024, help="of the content, in pixels")
    parser.add_argument("--core", type=int, nargs="+", default=[512, 256])
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", dest="overrides")
    parser.add_argument("--keep", type=Path, help="keep the pictures in this folder")
    arguments = parser.parse_args()
    print("| images, network | core | objective | seam | overlap detail |", flush=True)
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(Path(folder), arguments.width):
            if arguments.only in case.name:
                place = arguments.keep or Path(folder)
                for row in compare(case, arguments.core, arguments.overrides, place):
                    print(row, flush=True)


def cases(folder: Path, width: int) -> Iterable[Case]:
    """The images at hand, each with every network at hand."""
    pairs = [("samples", *samples(folder, width))]
    networks: dict[str, tuple[str, ...]] = {"scattering": ("network.name=scattering",)}
    if DATA.is_dir():
        content = shrink(DATA / "content" / "tubingen.jpg", folder / "tubingen.tif", width)
        pairs = [
            (f"tubingen, {style}", content, DATA / "style" / f"{style}.jpg")
            for style in ("starry_night", "the_scream")
        ]
        small = DATA / "weights" / "vgg19-small16x.pth"
        networks["vgg19-small"] = ("network.name=vgg19-small", f"network.weights={small}")
    for name, content, style in pairs:
        for network, options in networks.items():
            yield Case(f"{name}, {network}", content, style, options)


def samples(folder: Path, width: int) -> tuple[Path, Path]:
    """Sample images as files."""
    paths = folder / "content.tif", folder / "strokes.tif"
    for path in paths:
        save(sample(path.stem, width, width * 2 // 3), path)
    return paths


def shrink(source: Path, target: Path, width: int) -> Path:
    """A file's image at another width."""
    pixels = pyvips.Image.thumbnail(str(source), width, height=10**6)
    pixels.write_to_file(str(target))
    return target


def save(image: Source, path: Path) -> None:
    """Write an image as TIFF."""
    write_tiff(
        path,
        image.rows(512),
        width=image.width,
        height=image.height,
        dtype=np.dtype(np.uint8),
        dpi=300.0,
        compression="lzw",
        software="tilestyle",
    )


def compare(
    case: Case, cores: Iterable[int], overrides: Iterable[str], folder: Path
) -> Iterable[str]:
    """A row for each core: the ratios of a tiled run to the whole-image run."""
    options = [*case.network, *overrides]
    stem = case.name.replace(", ", "-")
    whole = solve(case, load_config(None, [*options, "patch.core=null"]), folder, f"{stem}-whole")
    for core in cores:
        config = load_config(None, [*options, f"patch.core={core}"])
        tiled = solve(case, config, folder, f"{stem}-{core}")
        grid = Level(level_ref(tiled, 0)).grid
        ratio: Quality = assess(tiled) / assess(whole, grid)
        yield (
            f"| {case.name} | {core} | {ratio.objective:.3f} | {ratio.seam:.3f} "
            f"| {ratio.detail:.3f} |"
        )


def solve(case: Case, config: Config, folder: Path, name: str) -> Workspace:
    """One run, afresh or from its workspace."""
    summary = pipeline.run(case.content, [case.style], folder / f"{name}.tif", config)
    return Workspace.open(summary.workspace)


if __name__ == "__main__":
    main()
