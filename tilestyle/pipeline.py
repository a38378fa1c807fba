"""The main job, on one screen: images in, each level from coarse to fine, a file out."""

import math
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tilestyle import stages
from tilestyle.cluster.connect import connect
from tilestyle.cluster.fitting import fit_patches
from tilestyle.cluster.level import kept, patch_grid, shared_network
from tilestyle.cluster.scoring import Quality
from tilestyle.config import Config, Input
from tilestyle.errors import UserError, refusal
from tilestyle.images import Source, open_source
from tilestyle.images.fingerprint import content_hash
from tilestyle.images.formats import check_replaceable, output_format, without_suffix
from tilestyle.levels import layout, stylize
from tilestyle.report.events import Listener, silent
from tilestyle.store.location import Root
from tilestyle.store.lock import hold
from tilestyle.store.pyramid import Shape, level_shapes
from tilestyle.store.workspace import Workspace, check_space, exists, sizes
from tilestyle.style.build import weigh


@dataclass(frozen=True)
class Summary:
    """What a run leaves.

    Attributes:
        output: The finished image.
        workspace: Where the state lies; it may be deleted.
        height: Of the result, in pixels.
        width: Of the result, in pixels.
        levels: Pyramid levels.
        patches: Patches of the finest level.
        seconds: Time of this command; less than the whole where it went on from before.
        quality: Of the result, without a reference.
    """

    output: Path
    workspace: Root
    height: int
    width: int
    levels: int
    patches: int
    seconds: float
    quality: Quality


def run(
    content: Path | Source,
    styles: Sequence[Path | Source],
    output: Path,
    config: Config,
    *,
    workspace: Root | None = None,
    tell: Listener = silent,
) -> Summary:
    """Stylise `content`; run again with the same arguments, it goes on where it stopped.

    Args:
        content: An image file, or an open image.
        styles: One or more; of several, the mean of their statistics is the style.
        output: The image to write: .tif, .ome.zarr or .dzi.
        config: Every knob.
        workspace: Where the state is kept; None: beside the output, ending in .tilestyle.
        tell: Is told how it goes.

    Raises:
        UserError: Something that the caller can mend; nothing half-written is left as output.
        TryAgainError: Another run is at work in the workspace, or something can not be reached.
        KeyboardInterrupt: SIGINT or SIGTERM came; tasks that ran were let to their end.
    """
    start = time.perf_counter()
    check_output(output, config.input)
    root = workspace or default_workspace(output)
    config = fit_patches(config, root)
    record = plan([content, *styles], config)
    with hold(root):
        store = resume(root, record)
        if store is None or not store.finished("stylize"):
            with connect(config.cluster) as cluster:
                if store is None:
                    store = Workspace.create(root, record)
                if not store.finished("ingest"):
                    stages.ingest(store, open_images([content, *styles], config.input), tell)
                if not store.finished("pyramid"):
                    stages.pyramid(store, cluster, tell)
                stylize(store, cluster, tell)
        stages.export(store, output, config.output, tell)
    return summarize(store, output, time.perf_counter() - start)


def default_workspace(output: Path) -> Path:
    """Beside the output: print.tif keeps its state in print.tilestyle."""
    name = without_suffix(output).name
    return output.with_name(f"{name}.tilestyle")


def open_images(images: Sequence[Path | Source], options: Input) -> list[Source]:
    """Open what is not open already; the page is the content's, the first of them."""
    of_styles = options.model_copy(update={"page": None})
    return [
        open_source(image, of_styles if n else options) if isinstance(image, Path) else image
        for n, image in enumerate(images)
    ]


def plan(images: Sequence[Path | Source], config: Config) -> dict[str, Any]:
    """The record of a new workspace: config, inputs, levels, bytes; nothing is written.

    Args:
        images: The content, then the styles.
        config: Every knob.

    Raises:
        UserError: An image or the config does not do, or weights are missing.
    """
    content, *styles = open_images(images, config.input)
    if not styles:
        raise UserError("no style: give at least one style image")
    shapes = level_shapes((content.height, content.width), config.pyramid.coarsest)
    ladders = [level_shapes((s.height, s.width), config.pyramid.coarsest // 2) for s in styles]
    style_levels = [
        [_style_level(level, shapes[0], ladder, config) for ladder in ladders]
        for level in range(len(shapes))
    ]
    network = shared_network(config.network)
    for shape, chosen in zip(shapes, style_levels, strict=True):
        seen = [shape, *(ladder[k] for ladder, k in zip(ladders, chosen, strict=True))]
        weigh(config.loss, network, seen)
    return {
        "config": config.model_dump(mode="json"),
        "identity": config.identity(),
        "inputs": [_fingerprint(image) for image in images],
        "shapes": [list(shape) for shape in shapes],
        "style_shapes": [[list(shape) for shape in ladder] for ladder in ladders],
        "style_levels": style_levels,
        "dtype": content.dtype.name,
        "dpi": content.dpi,
        "profile": b64encode(content.profile).decode(),
        "bytes": _bytes(shapes, ladders, config),
    }


def _bytes(shapes: list[Shape], ladders: list[list[Shape]], config: Config) -> int:
    """Space that a run takes at most, the output included: raw sizes, nothing compressed."""
    pixels = sum(map(sizes, (shapes, *ladders)))
    (height, width), grid = shapes[0], patch_grid(shapes[0], config.patch)
    images, patches = (
        sum(channels * kept(name) for name, channels in arrays.items())
        for arrays in layout(config.solver)
    )
    covered = len(grid) * grid.patch_shape[0] * grid.patch_shape[1]
    state = 4 * (images * height * width + patches * covered)  # float32
    return 6 * pixels + state + 6 * height * width


def resume(root: Root, record: dict[str, Any]) -> Workspace | None:
    """The workspace of the same run begun before; None where there is none, but space for one.

    Raises:
        UserError: The workspace is of another run, or there is no space.
    """
    if not exists(root):
        check_space(root, record["bytes"])
        return None
    workspace = Workspace.open(root)
    _compare(workspace, record)
    # who computes and how it is written may differ from run to run
    workspace.commit(config=record["config"])
    return workspace


def _style_level(
    level: int, content: tuple[int, int], ladder: Sequence[tuple[int, int]], config: Config
) -> int:
    """The level of a style whose size, relative to the content's, is nearest style.scale."""
    wanted = config.style.scale * min(content)
    nearest = level + round(math.log2(min(ladder[0]) / wanted))
    return min(max(nearest, 0), len(ladder) - 1)


def _fingerprint(image: Path | Source) -> dict[str, Any]:
    if isinstance(image, Path):
        return {"name": image.name, "sha256": content_hash(image)}
    return {"name": image.name, "size": [image.height, image.width]}


def _compare(workspace: Workspace, record: dict[str, Any]) -> None:
    """Refuse to go on with other images or another config."""
    old = workspace.record
    where = f"{workspace.root}: is the workspace of another run"
    advice = "choose another --workspace, or delete this one"
    for before, now in zip(old["inputs"], record["inputs"], strict=False):
        if before["name"] != now["name"]:
            raise UserError(f"{where}: it was made from {before['name']}, {advice}")
        if before != now:
            problem = f"the image was changed since the run in {workspace.root} began"
            raise refusal("INPUT_CHANGED", now["name"], problem, f"bring it back, {advice}")
    if len(old["inputs"]) != len(record["inputs"]):
        raise UserError(f"{where}: the number of styles differs; {advice}")
    for section, values in record["identity"].items():
        for key, now in values.items():
            before = old["identity"].get(section, {}).get(key)
            if before != now:
                raise UserError(f"{where}: {section}.{key} was {before}, now {now}; {advice}")


def check_output(output: Path, options: Input | None = None) -> None:
    """Refuse an output that cannot be written, before hours are spent.

    Args:
        output: The image to write.
        options: How the content is read; None for the defaults.

    Raises:
        UserError: Its name tells no format, something else has its name, its folder does not
            exist, or its format has no place for the content's own colours.
    """
    check_replaceable(output)
    if not output.resolve().parent.is_dir():
        raise UserError(f"{output}: its folder does not exist; make it first")
    preserved = options is not None and options.working_space == "preserve"
    if preserved and output_format(output) != "tiff":
        raise UserError(
            f"{output}: input.working_space: preserve keeps the content's own colours, which only "
            "a TIFF can name; let the output end in .tif"
        )


def summarize(workspace: Workspace, output: Path, seconds: float) -> Summary:
    """Say what there is."""
    record = workspace.record
    config = Config.model_validate(record["config"])
    grid = patch_grid(record["shapes"][0], config.patch)
    return Summary(
        output=output,
        workspace=workspace.root,
        height=record["shapes"][0][0],
        width=record["shapes"][0][1],
        levels=len(record["shapes"]),
        patches=len(grid),
        seconds=seconds,
        quality=Quality(**record["quality"]),
    )
