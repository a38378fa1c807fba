"""The four stages. Each goes on from what the workspace's record says is done."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tilestyle import __version__
from tilestyle.admm.grid import Box
from tilestyle.admm.sharing import Statistics, means
from tilestyle.cluster.connect import Cluster
from tilestyle.cluster.graph import begin_graph, iteration_graph, pyramid_graph, style_graph
from tilestyle.cluster.level import Level, LevelRef
from tilestyle.cluster.tasks import Receipt
from tilestyle.config import Config, Output
from tilestyle.errors import UserError
from tilestyle.images import (
    Source,
    output_format,
    write_deepzoom,
    write_ome_zarr,
    write_tiff,
)
from tilestyle.images.tiff_writer import Compression
from tilestyle.report.events import (
    Advanced,
    IterationDone,
    LevelStarted,
    Listener,
    PatchDone,
    StageFinished,
    StageStarted,
)
from tilestyle.store.workspace import IMAGE_CHUNK, Workspace, read_box, sizes


def ingest(workspace: Workspace, images: Sequence[Source], tell: Listener) -> None:
    """Stream the content and the styles into the workspace, row band by row band.

    Args:
        workspace: A new one; it is removed again if an image turns out to be damaged.
        images: The content, then the styles.
        tell: Is told how it goes.
    """
    start = time.perf_counter()
    tell(StageStarted("ingest", sum(image.width * image.height for image in images)))
    try:
        for n, image in enumerate(images):
            path = f"style/{n - 1}/0" if n else "content/0"
            array = workspace.create_image(path, (image.height, image.width), image.dtype)
            y = 0
            for band in image.rows(IMAGE_CHUNK):
                array[:, y : y + band.shape[1]] = band
                y += band.shape[1]
                tell(Advanced(band.shape[1] * image.width))
    except UserError:
        workspace.remove()
        raise
    workspace.finish("ingest")
    tell(StageFinished("ingest", time.perf_counter() - start))


def pyramid(workspace: Workspace, cluster: Cluster, tell: Listener) -> None:
    """Build the Gaussian pyramids of content and styles, each level from the one before."""
    record = workspace.record
    images = {"content": record["shapes"]}
    images |= {f"style/{n}": shapes for n, shapes in enumerate(record["style_shapes"])}
    start = time.perf_counter()
    tell(StageStarted("pyramid", sum(sizes(shapes[1:]) for shapes in images.values())))
    for image, shapes in images.items():
        for level, shape in enumerate(shapes[1:], start=1):
            workspace.create_image(f"{image}/{level}", shape, np.uint16)
            graph = pyramid_graph(str(workspace.root.resolve()), image, level, shape)
            cluster.run(graph, lambda pixels: tell(Advanced(pixels)))
    workspace.finish("pyramid")
    tell(StageFinished("pyramid", time.perf_counter() - start))


def stylize(workspace: Workspace, cluster: Cluster, tell: Listener) -> None:
    """All levels, coarse to fine, from the last committed iteration on."""
    start = time.perf_counter()
    record = workspace.record
    config = Config.model_validate(record["config"])
    shapes = record["shapes"]
    progress = record.get("progress")
    tell(StageStarted("stylize", *_work(workspace, config)))
    # without steps there is nothing to hand down: the finest level is the content itself
    for level in reversed(range(len(shapes) if config.solver.steps else 1)):
        if progress and progress["level"] < level:
            continue
        if not progress or progress["level"] > level:
            _begin(workspace, cluster, level)
            progress = workspace.record["progress"]
        _iterate(workspace, cluster, level, progress["iteration"], tell)
        progress = workspace.record["progress"]
    _drop_state(workspace, level=0)
    workspace.finish("stylize")
    tell(StageFinished("stylize", time.perf_counter() - start))


def _work(workspace: Workspace, config: Config) -> tuple[float, float]:
    """All work of the stage, and what of it is done, in pixel iterations."""
    total = done = 0.0
    shapes = workspace.record["shapes"]
    for level, (height, width) in enumerate(shapes):
        iterations = config.solver.iterations(level, len(shapes))
        total += height * width * iterations
        done += height * width * workspace.iterations_done(level, iterations)
    return total, done


def level_ref(workspace: Workspace, level: int) -> LevelRef:
    """The name of a level for tasks."""
    return LevelRef(str(workspace.root.resolve()), workspace.record["run"], level)


def _begin(workspace: Workspace, cluster: Cluster, number: int) -> None:
    """Measure the style, create the level's state, scale the coarser level's X up; commit."""
    ref = level_ref(workspace, number)
    level = Level(ref)
    _create_state(workspace, level)
    grids = [level.grid_of((a.shape[1], a.shape[2])) for a in level.style_arrays]
    found: list[Statistics] = cluster.run(style_graph(ref, grids))
    # several styles: their mean, each counting alike whatever its size
    parts = [means(statistics) for statistics in found]
    workspace.save_target(
        number,
        {name: np.mean([part[name] for part in parts], axis=0) for name in parts[0]},
    )
    before = workspace.record.get("progress")
    cluster.run(begin_graph(ref, level.grid, before["iteration"] if before else -1))
    workspace.commit(progress={"level": number, "iteration": 0})
    if before:
        _drop_state(workspace, level=number + 1)


def _create_state(workspace: Workspace, level: Level) -> None:
    solver, grid = level.config.solver, level.grid
    folder = f"levels/{level.ref.level}"
    for generation in (0, 1):
        workspace.create_iterate(f"{folder}/x/{generation}", grid, 3)
        workspace.create_patches(f"{folder}/z/{generation}", grid, 3)
        if solver.optimizer == "adam":
            workspace.create_iterate(f"{folder}/moments/{generation}", grid, 6)
            workspace.create_patches(f"{folder}/z_moments/{generation}", grid, 6)
        if solver.rho:
            workspace.create_patches(f"{folder}/u/{generation}", grid, 3)


def _drop_state(workspace: Workspace, level: int) -> None:
    """Delete what a finished level no longer needs; X stays."""
    for name in ("z", "z_moments", "u", "moments"):
        workspace.drop(f"levels/{level}/{name}")


def _iterate(
    workspace: Workspace, cluster: Cluster, number: int, first: int, tell: Listener
) -> None:
    """Iterations of one level; each is one graph, then one commit."""
    level = Level(level_ref(workspace, number))
    shapes = workspace.record["shapes"]
    iterations = level.config.solver.iterations(number, len(shapes))
    tell(LevelStarted(number, len(shapes), *level.shape, len(level.grid), iterations))
    share = level.shape[0] * level.shape[1] / len(level.grid)

    def done(result: object) -> None:
        if isinstance(result, Receipt):
            tell(PatchDone(result.patch))
            tell(Advanced(share))

    for t in range(first, iterations):
        start = time.perf_counter()
        mean, residual, *receipts = cluster.run(iteration_graph(level.ref, t, level.grid), done)
        event = _summarize(level, t, mean, residual, receipts, time.perf_counter() - start)
        workspace.commit(
            progress={"level": number, "iteration": t + 1},
            history=[*workspace.record["history"], asdict(event)],
        )
        tell(event)


def _summarize(
    level: Level,
    t: int,
    mean: Statistics,
    residual: Statistics,
    receipts: list[Receipt],
    seconds: float,
) -> IterationDone:
    objective = level.objective
    grams = {name: level.tensor(m) for name, m in means(mean).items()}
    style = float(objective.style_term(grams, objective.styles))
    areas = [patch.core.height * patch.core.width for patch in level.grid]
    content = float(np.average([receipt.content for receipt in receipts], weights=areas))
    return IterationDone(
        level=level.ref.level,
        iteration=t + 1,
        objective=objective.weights.alpha * content + objective.weights.beta * style,
        content=content,
        style=style,
        primal=float(np.sqrt(residual["primal"][0])),
        dual=float(np.sqrt(residual["dual"][0])),
        seconds=seconds,
    )


def result_array(workspace: Workspace) -> Any:
    """The finest level's X, (3, height, width) float32."""
    generation = workspace.record["progress"]["iteration"] % 2
    return workspace.array(f"levels/0/x/{generation}")


def quantize(x: NDArray[np.float32], dtype: DTypeLike) -> NDArray[Any]:
    """Pixels from 0 to 1 as integers over the whole range of `dtype`; what is beyond is clipped."""
    scaled = np.clip(x, 0, 1)
    scaled *= np.iinfo(dtype).max
    return np.rint(scaled, out=scaled).astype(dtype)


def export(workspace: Workspace, output: Path, config: Output, tell: Listener) -> None:
    """Write the result in the format that the output's name tells; a deep zoom has 8 bits.

    Args:
        workspace: A finished run.
        output: NAME.tif, NAME.ome.zarr or NAME.dzi.
        config: How to write it.
        tell: Is told how it goes.
    """
    start = time.perf_counter()
    record = workspace.record
    x = result_array(workspace)
    height, width = x.shape[1:]
    kind = output_format(output)
    deep = config.depth == "16" or (config.depth == "auto" and record["dtype"] == "uint16")
    dtype = np.uint16 if deep and kind != "deepzoom" else np.uint8
    dpi = config.dpi or record["dpi"] or 300.0
    software = f"tilestyle {__version__}"
    tell(StageStarted("export", height * width))

    def read(box: Box) -> NDArray[Any]:
        return quantize(read_box(x, box), dtype)

    def bands() -> Iterator[NDArray[Any]]:
        for y in range(0, height, config.tile):
            band = read(Box(y, min(y + config.tile, height), 0, width))
            yield band
            tell(Advanced(band.shape[1] * width))

    if kind == "ome-zarr":
        write_ome_zarr(
            output,
            read,
            shape=(height, width),
            dtype=dtype,
            dpi=dpi,
            software=software,
            advanced=lambda pixels: tell(Advanced(pixels)),
        )
    elif kind == "deepzoom":
        write_deepzoom(output, bands(), width=width, height=height)
    else:
        automatic: Compression = "deflate" if deep else "lzw"
        write_tiff(
            output,
            bands(),
            width=width,
            height=height,
            dtype=dtype,
            dpi=dpi,
            compression=automatic if config.compression == "auto" else config.compression,
            tile=config.tile,
            software=software,
        )
    tell(StageFinished("export", time.perf_counter() - start))
