"""A gigapixel through a laptop's memory: figures and goals, as Markdown tables.

    python -m tests.benchmarks.gigapixel [--sizes 4096 8192] [--folder FOLDER]

For each size a TIFF like a mosaic of grainy photographs is written, and taken through the
product's own stages, in a process of its own with its workers: ingest, pyramid, what a run of no
steps does at the finest level, and export. Then libvips makes the same kind of TIFF of it, with
the same levels, in a process of its own. Takes 7 times the raw bytes of the largest image on the
disk for a while: 23 GB by default. Fails where a goal is missed.
"""

import argparse
import contextlib
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pyvips
import tifffile
from numpy.typing import NDArray

from tests.benchmarks.memory import Sampler
from tilestyle import levels, pipeline, stages
from tilestyle.cluster.connect import connect
from tilestyle.config import load_config
from tilestyle.images.samples import sample
from tilestyle.report.events import silent
from tilestyle.store.workspace import Workspace

TILE = 512
PHOTO = 2048
"""Side of the photograph that the mosaic is cut from."""
GRAIN = 2.5
"""Standard deviation of the grain, of 255."""
MOST_BYTES = 2 << 30
MOST_GROWTH = 1.2
MOST_TIME = 1.5
"""Over that of libvips."""
START, LIBVIPS = "start", "libvips"
COMPARED = ("ingest", "pyramid", "export")

Work = Callable[[Path, Path, Connection], None]


@dataclass(frozen=True)
class Part:
    """What a part of the work took.

    Attributes:
        name: A stage's name, or libvips.
        seconds: Of the clock.
        cpu: Seconds of all processes together, in user and system mode.
        peak: Bytes of all processes together.
    """

    name: str
    seconds: float
    cpu: float
    peak: int


def write_mosaic(path: Path, side: int) -> None:
    """A square of photographs' pieces with grain, tiled, deflate: it packs 1.6 to 1."""
    photo = np.concatenate(list(sample("content", PHOTO, PHOTO).rows(TILE)), axis=1)
    random = np.random.default_rng(side)
    grain = np.rint(random.normal(0, GRAIN, (3, 2 * TILE, 2 * TILE))).astype(np.int16)
    across = -(-side // TILE)

    def tiles() -> Iterator[bytes]:
        for _ in range(across * across):
            tile = _piece(photo, random).astype(np.int16) + _piece(grain, random)
            pixels = np.ascontiguousarray(np.moveaxis(tile.clip(0, 255).astype(np.uint8), 0, -1))
            yield bytes(imagecodecs.deflate_encode(_differences(pixels), level=1))

    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(
            tiles(),
            shape=(side, side, 3),
            dtype=np.uint8,
            tile=(TILE, TILE),
            photometric="rgb",
            compression="adobe_deflate",
            predictor=True,
            resolution=(300, 300),
            metadata=None,
            maxworkers=1,
        )


def _piece(image: NDArray[Any], random: np.random.Generator) -> NDArray[Any]:
    y, x = random.integers(0, np.array(image.shape[1:]) - TILE, endpoint=True)
    return image[:, y : y + TILE, x : x + TILE][..., :: random.choice((-1, 1))]


def _differences(pixels: NDArray[np.uint8]) -> bytes:
    return bytes(imagecodecs.delta_encode(pixels, axis=-2).tobytes())


def ours(image: Path, folder: Path, told: Connection) -> None:
    """Child process: the stages of a run of no steps, each told by name when it is done."""
    style = folder / "style.tif"
    write_mosaic(style, TILE)
    config = load_config(
        None, ["solver.steps=0", "output.compression=deflate", "output.profile=archive"]
    )
    images = pipeline.all_images(image, [style], config)
    record = pipeline.plan(images, config)
    workspace = Workspace.create(folder / "workspace", record)
    with connect(config.cluster) as cluster:
        told.send(START)
        stages.ingest(workspace, pipeline.open_images(images, config.input), silent)
        told.send("ingest")
        stages.pyramid(workspace, cluster, silent)
        told.send("pyramid")
        levels.begin(workspace, cluster, 0)
        told.send("begin")
    stages.export(workspace, folder / "ours.tif", config.output, config.color, silent)
    told.send("export")


def libvips(image: Path, folder: Path, told: Connection) -> None:
    """Child process: the same TIFF by libvips alone."""
    told.send(START)
    pyvips.Image.new_from_file(str(image), access="sequential").tiffsave(
        str(folder / "libvips.tif"),
        compression="deflate",
        predictor="horizontal",
        tile=True,
        tile_width=TILE,
        tile_height=TILE,
        pyramid=True,
        subifd=True,
        bigtiff=True,
    )
    told.send(LIBVIPS)


def measure(work: Work, image: Path) -> list[Part]:
    """Run a child process on an image, and watch it and all that it starts."""
    context = multiprocessing.get_context("spawn")
    hears, tells = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(dir=image.parent) as folder:
        child = context.Process(target=work, args=(image, Path(folder), tells))
        child.start()
        tells.close()
        with Sampler(int(child.pid or 0)) as watched:
            parts = list(_parts(hears, watched))
        child.join()
    if child.exitcode:
        raise SystemExit(f"{work.__name__} failed: exit code {child.exitcode}")
    return parts


def _parts(hears: Connection, watched: Sampler) -> Iterator[Part]:
    before = 0.0
    with contextlib.suppress(EOFError):  # the child has ended
        while name := hears.recv():
            now = time.perf_counter()
            if name != START:
                yield Part(name, now - before, *watched.take())
            else:
                watched.take()
            before = now


def table(results: Mapping[int, Sequence[Part]]) -> Iterator[str]:
    """A Markdown table: a row a size and part."""
    yield "| side | part | s | MB/s | CPU s | peak MiB |"
    yield "|---|---|---|---|---|---|"
    for side, parts in results.items():
        for part in parts:
            rate = 3e-6 * side * side / part.seconds
            times = f"{part.seconds:.1f} | {rate:.0f} | {part.cpu:.1f}"
            yield f"| {side} | {part.name} | {times} | {part.peak >> 20} |"


def missed(results: Mapping[int, Sequence[Part]]) -> Iterator[str]:
    """The goals that are missed, each as a line."""
    peaks = [max(p.peak for p in parts if p.name != LIBVIPS) for parts in results.values()]
    if max(peaks) > MOST_BYTES:
        yield f"peak memory of {max(peaks) >> 20} MiB, the goal is {MOST_BYTES >> 20}"
    if max(peaks) > MOST_GROWTH * min(peaks):
        yield f"peak memory from {min(peaks) >> 20} to {max(peaks) >> 20} MiB is not flat"
    for side, parts in results.items():
        ratio = over_libvips({part.name: part.seconds for part in parts})
        if side == max(results) and ratio > MOST_TIME:
            yield f"{ratio:.2f} times the time of libvips, the goal is {MOST_TIME}"


def over_libvips(seconds: Mapping[str, float]) -> float:
    """Time of the stages that are compared, over that of libvips."""
    return sum(seconds[stage] for stage in COMPARED) / seconds[LIBVIPS]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 8192, 16384, 32768])
    parser.add_argument("--folder", type=Path, help="Where the images are made for a while.")
    options = parser.parse_args()
    results: dict[int, list[Part]] = {}
    for side in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            image = Path(folder) / "mosaic.tif"
            write_mosaic(image, side)
            results[side] = measure(ours, image) + measure(libvips, image)
        print(*table({side: results[side]}), sep="\n")
        wall, cpu = (
            over_libvips({part.name: getattr(part, of) for part in results[side]})
            for of in ("seconds", "cpu")
        )
        stages_named = " + ".join(COMPARED)
        print(f"{stages_named} over libvips: time {wall:.2f}, CPU {cpu:.2f}\n", flush=True)
    problems = list(missed(results))
    print(*(f"MISSED: {problem}" for problem in problems), sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
