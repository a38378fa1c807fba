"""The stages around the levels. Each goes on from what the workspace's record says is done."""

import os
import time
from base64 import b64decode
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tilestyle import __version__
from tilestyle.admm.grid import Box
from tilestyle.cluster.connect import Cluster
from tilestyle.cluster.graph import pyramid_graph
from tilestyle.config import Output
from tilestyle.errors import UserError
from tilestyle.images import (
    Source,
    Tags,
    output_format,
    plan_layout,
    write_deepzoom,
    write_ome_zarr,
    write_tiff,
)
from tilestyle.images.bands import band_rows
from tilestyle.images.levels import Read, cut
from tilestyle.images.metadata import Resolution
from tilestyle.images.render import dither, quantize
from tilestyle.report.events import Advanced, Listener, StageFinished, StageStarted
from tilestyle.store.workspace import IMAGE_CHUNK, Workspace, read_box, sizes

_DPI = 300.0
"""Of an image whose content tells no resolution."""
_READERS = min(8, os.cpu_count() or 1)


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
        workspace.save_metadata(images[0].metadata)
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
            cluster.run(graph, lambda _, pixels: tell(Advanced(pixels)))
    workspace.finish("pyramid")
    tell(StageFinished("pyramid", time.perf_counter() - start))


def result_array(workspace: Workspace) -> Any:
    """The finest level's X, (3, height, width) float32."""
    generation = workspace.record["progress"]["iteration"] % 2
    return workspace.array(f"levels/0/x/{generation}")


def _joined(read: Read, whole: Box, dtype: DTypeLike, pool: ThreadPoolExecutor) -> NDArray[Any]:
    """A band of pixels, read in squares: what is between float32 and pixels is small."""
    band = np.empty((3, whole.height, whole.width), dtype)

    def fill(part: Box) -> None:
        band[(slice(None), *part.index(whole))] = read(part)

    deque(pool.map(fill, cut(whole, IMAGE_CHUNK)), maxlen=0)
    return band


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
    dtype = output_dtype(record["dtype"], config)
    software = f"tilestyle {__version__}"
    memory = int(config.memory * 2**30)
    tell(StageStarted("export", height * width))

    def read(box: Box) -> NDArray[Any]:
        pixels = read_box(x, box)
        return quantize(pixels, dtype) if dtype == np.uint16 else dither(pixels, box)

    def bands() -> Iterator[NDArray[Any]]:
        rows = band_rows(width, dtype, most=IMAGE_CHUNK, memory=memory)
        with ThreadPoolExecutor(_READERS) as pool:
            for y in range(0, height, rows):
                whole = Box(y, min(y + rows, height), 0, width)
                yield _joined(read, whole, dtype, pool)
                tell(Advanced(whole.height * width))

    if kind == "ome-zarr":
        write_ome_zarr(
            output,
            read,
            shape=(height, width),
            dtype=dtype,
            dpi=_resolution(workspace, config).dpi or _DPI,
            software=software,
            advanced=lambda pixels: tell(Advanced(pixels)),
            memory=memory,
        )
    elif kind == "deepzoom":
        dtype = np.dtype(np.uint8)
        write_deepzoom(output, bands(), width=width, height=height)
    else:
        layout = plan_layout((height, width), config, dtype=dtype)
        tags = Tags(b64decode(record["profile"]), _resolution(workspace, config), software)
        write_tiff(output, bands(), layout, tags)
    tell(StageFinished("export", time.perf_counter() - start))


def output_dtype(content: str, config: Output) -> np.dtype[Any]:
    """The type of an output's samples; `content` names that of the content's."""
    deep = config.depth == "16" or (config.depth == "auto" and content == "uint16")
    return np.dtype(np.uint16 if deep else np.uint8)


def _resolution(workspace: Workspace, config: Output) -> Resolution:
    found = workspace.metadata.resolution
    if config.dpi or found is None:
        return Resolution.of_dpi(config.dpi or workspace.record["dpi"] or _DPI)
    return found
