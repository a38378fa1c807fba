"""The stages around the levels. Each goes on from what the workspace's record says is done."""

import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
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
    output_format,
    write_deepzoom,
    write_ome_zarr,
    write_tiff,
)
from tilestyle.images.tiff_writer import Compression
from tilestyle.report.events import Advanced, Listener, StageFinished, StageStarted
from tilestyle.store.location import absolute
from tilestyle.store.workspace import IMAGE_CHUNK, Workspace, read_box, sizes
from tilestyle.style.edges import LUMA


def ingest(workspace: Workspace, images: Mapping[str, Source], tell: Listener) -> None:
    """Stream the images into the workspace, row band by row band; masks as luminance.

    Args:
        workspace: A new one; it is removed again if an image turns out to be damaged.
        images: By their place in the workspace.
        tell: Is told how it goes.
    """
    start = time.perf_counter()
    tell(StageStarted("ingest", sum(image.width * image.height for image in images.values())))
    try:
        for name, image in images.items():
            shape, mask = (image.height, image.width), "mask" in name
            channels = 1 if mask else 3
            array = workspace.create_image(f"{name}/0", shape, image.dtype, channels)
            y = 0
            for band in image.rows(IMAGE_CHUNK):
                array[:, y : y + band.shape[1]] = luminance(band) if mask else band
                y += band.shape[1]
                tell(Advanced(band.shape[1] * image.width))
    except UserError:
        workspace.remove()
        raise
    workspace.finish("ingest")
    tell(StageFinished("ingest", time.perf_counter() - start))


def luminance(band: NDArray[Any]) -> NDArray[Any]:
    """The luma of RGB pixels of an integer type, (1, rows, columns), of the same type."""
    luma = np.tensordot(np.asarray(LUMA), band, axes=1)
    return np.rint(luma).astype(band.dtype)[None]


def pyramid(workspace: Workspace, cluster: Cluster, tell: Listener) -> None:
    """Build the Gaussian pyramids of all images, each level from the one before."""
    images = workspace.record["ladders"]
    start = time.perf_counter()
    tell(StageStarted("pyramid", sum(sizes(shapes[1:]) for shapes in images.values())))
    for image, shapes in images.items():
        for level, shape in enumerate(shapes[1:], start=1):
            channels = 1 if "mask" in image else 3
            workspace.create_image(f"{image}/{level}", shape, np.uint16, channels)
            graph = pyramid_graph(absolute(workspace.root), image, level, shape)
            cluster.run(graph, lambda _, pixels: tell(Advanced(pixels)))
    workspace.finish("pyramid")
    tell(StageFinished("pyramid", time.perf_counter() - start))


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
            profile=b64decode(record["profile"]),
        )
    tell(StageFinished("export", time.perf_counter() - start))
