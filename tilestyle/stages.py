"""The stages around the levels. Each goes on from what the workspace's record says is done."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from tilestyle.cluster.connect import Cluster
from tilestyle.cluster.graph import pyramid_graph
from tilestyle.config import Color, Output
from tilestyle.errors import UserError
from tilestyle.export import SOFTWARE, Plan, Result, result_array
from tilestyle.images import (
    Source,
    output_format,
    write_deepzoom,
    write_ome_zarr,
    write_tiff,
)
from tilestyle.images.bands import band_rows
from tilestyle.images.color import Pixels
from tilestyle.report.events import Advanced, Listener, StageFinished, StageStarted
from tilestyle.store.location import absolute
from tilestyle.store.workspace import IMAGE_CHUNK, Workspace, sizes
from tilestyle.style.edges import LUMA

__all__ = ["export", "ingest", "pyramid", "result_array"]


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
        content = images["content"]
        _ingest_alpha(workspace, content)
        workspace.save_metadata(content.metadata)
    except UserError:
        workspace.remove()
        raise
    workspace.finish("ingest")
    tell(StageFinished("ingest", time.perf_counter() - start))


def luminance(band: Pixels) -> Pixels:
    """The luma of RGB pixels of an integer type, (1, rows, columns), of the same type."""
    luma = np.tensordot(np.asarray(LUMA), band, axes=1)
    return np.rint(luma).astype(band.dtype)[None]


def _ingest_alpha(workspace: Workspace, content: Source) -> None:
    """Keep the opacity of the content; it is not stylised, and comes back in the output."""
    if content.alpha is None:
        return
    array = workspace.create_alpha((content.height, content.width), content.dtype)
    y = 0
    for band in content.alpha(IMAGE_CHUNK):
        array[:, y : y + band.shape[1]] = band
        y += band.shape[1]


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


def export(
    workspace: Workspace, output: Path, config: Output, color: Color, tell: Listener
) -> None:
    """Write the result in the format that the output's name tells.

    Args:
        workspace: A finished run.
        output: NAME.tif, NAME.ome.zarr or NAME.dzi.
        config: How to write it.
        color: Whose colours it has.
        tell: Is told how it goes.
    """
    start = time.perf_counter()
    plan = Plan(workspace.record, output, config)
    result = Result(workspace, plan.rendering, color)
    height, width = plan.shape
    metadata = workspace.metadata
    memory = int(config.memory * 2**30)
    tell(StageStarted("export", height * width))

    def bands() -> Iterator[Pixels]:
        rows = band_rows(width, plan.dtype, most=IMAGE_CHUNK, memory=memory)
        for band in result.bands(rows):
            yield band
            tell(Advanced(band.shape[1] * width))

    kind = output_format(output)
    if kind == "ome-zarr":
        write_ome_zarr(
            output,
            result.read,
            shape=plan.shape,
            dtype=plan.dtype,
            dpi=plan.resolution(metadata).dpi or 300.0,
            software=SOFTWARE,
            advanced=lambda pixels: tell(Advanced(pixels)),
            memory=memory,
        )
    elif kind == "deepzoom":
        write_deepzoom(output, bands(), width=width, height=height)
    else:
        write_tiff(output, bands(), plan.layout, plan.tags(metadata))
    tell(StageFinished("export", time.perf_counter() - start))
