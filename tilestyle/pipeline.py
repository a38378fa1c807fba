"""The main job, on one screen: images in, each level from coarse to fine, a file out."""

import logging
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
from tilestyle.config import Config, Input, Output
from tilestyle.errors import UserError, refusal
from tilestyle.export import Plan
from tilestyle.images import Source, open_source
from tilestyle.images.fingerprint import content_hash
from tilestyle.images.formats import check_replaceable, output_format, without_suffix
from tilestyle.levels import layout, stylize
from tilestyle.report.events import Listener, silent
from tilestyle.store.location import Root
from tilestyle.store.lock import hold
from tilestyle.store.pyramid import Shape, level_shapes
from tilestyle.store.workspace import Workspace, check_space, exists, sizes
from tilestyle.style.build import weigh, weights_file

logger = logging.getLogger("tilestyle.images")


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
        styles: One or more; without masks, the weighted mean of their statistics is the style.
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
    images = all_images(content, styles, config)
    record = plan(images, config)
    check_layout(record, output, config.output)
    with hold(root):
        store = resume(root, record)
        if store is None or not store.finished("stylize"):
            with connect(config.cluster) as cluster:
                if store is None:
                    store = Workspace.create(root, record)
                if not store.finished("ingest"):
                    stages.ingest(store, open_images(images, config.input), tell)
                if not store.finished("pyramid"):
                    stages.pyramid(store, cluster, tell)
                stylize(store, cluster, tell)
        stages.export(store, output, config.output, config.color, tell)
    return summarize(store, output, time.perf_counter() - start)


def default_workspace(output: Path) -> Path:
    """Beside the output: print.tif keeps its state in print.tilestyle."""
    name = without_suffix(output).name
    return output.with_name(f"{name}.tilestyle")


Images = dict[str, Path | Source]
"""All images of a run, by their place in the workspace; the content is the first."""


def all_images(content: Path | Source, styles: Sequence[Path | Source], config: Config) -> Images:
    """The images given, and those that the config names.

    Raises:
        UserError: The numbers of styles, masks and weights do not fit.
    """
    options = config.style
    if not styles:
        raise UserError("no style: give at least one style image")
    if len(options.masks) not in (0, len(styles) - 1, len(styles)):
        raise UserError(
            f"style.masks: {len(options.masks)} masks for {len(styles)} styles; give one for each, "
            "or one fewer: the last style is then used everywhere else"
        )
    if len(styles) == 1 and options.masks:
        logger.warning("one style with a mask: the rest of the content stays as it is")
    if options.weights and (options.masks or len(options.weights) != len(styles)):
        raise UserError("style.weights: give one for each style, and no masks")
    if options.weights and not any(options.weights):
        raise UserError("style.weights: at least one must not be zero")
    if len(options.own_masks) > len(styles):
        raise UserError(f"style.own_masks: more masks than styles ({len(styles)})")
    images: Images = {"content": content}
    images |= {f"style/{n}": style for n, style in enumerate(styles)}
    images |= {f"mask/{n}": Path(mask) for n, mask in enumerate(options.masks)}
    own = enumerate(options.own_masks)
    images |= {f"style_mask/{n}": Path(mask) for n, mask in own if mask}
    if config.edges.mask:
        images["edge_mask"] = Path(config.edges.mask)
    if config.solver.start not in ("content", "noise"):
        images["start"] = Path(config.solver.start)
    return images


def open_images(images: Images, options: Input) -> dict[str, Source]:
    """Open what is not open already; the page is the content's."""
    of_others = options.model_copy(update={"page": None})
    return {
        name: open_source(image, options if name == "content" else of_others)
        if isinstance(image, Path)
        else image
        for name, image in images.items()
    }


def plan(images: Images, config: Config) -> dict[str, Any]:
    """The record of a new workspace: config, inputs, levels, bytes; nothing is written.

    Args:
        images: See `all_images`.
        config: Every knob.

    Raises:
        UserError: An image or the config does not do, or weights are missing.
    """
    opened = open_images(images, config.input)
    content = opened["content"]
    shapes = level_shapes((content.height, content.width), config.pyramid.coarsest)
    coarsest = config.pyramid.coarsest // 2
    ladders = {
        name: level_shapes((image.height, image.width), coarsest) for name, image in opened.items()
    } | {"content": shapes}
    styles = [ladder for name, ladder in ladders.items() if name.startswith("style/")]
    style_levels = [
        [_style_level(level, shapes[0], ladder, config) for ladder in styles]
        for level in range(len(shapes))
    ]
    weights = None
    if not config.solver.idle:
        weights = _weights_hash(config)
        network = shared_network(config.network, weights)
        for level, (shape, chosen) in enumerate(zip(shapes, style_levels, strict=True)):
            seen = [shape, *(ladder[k] for ladder, k in zip(styles, chosen, strict=True))]
            weigh(config, network, seen, level, len(shapes))
    return {
        "config": config.model_dump(mode="json"),
        "identity": config.identity(),
        "inputs": [{"role": name, **_fingerprint(image)} for name, image in images.items()],
        "weights": weights,
        "shapes": [list(shape) for shape in shapes],
        "ladders": {name: [list(s) for s in ladder] for name, ladder in ladders.items()},
        "style_levels": style_levels,
        "dtype": content.dtype.name,
        "dpi": content.dpi,
        "alpha": content.alpha is not None,
        "profile": b64encode(content.profile).decode(),
        "bytes": _bytes(shapes, list(ladders.values()), config),
    }


def _bytes(shapes: list[Shape], ladders: list[list[Shape]], config: Config) -> int:
    """Space that a run takes at most, the output included: raw sizes, nothing compressed."""
    pixels = sum(map(sizes, ladders))
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


def _weights_hash(config: Config) -> str | None:
    """SHA-256 of the file that the network is made from, if it is trained."""
    return (
        None if config.network.name == "scattering" else content_hash(weights_file(config.network))
    )


def _fingerprint(image: Path | Source) -> dict[str, Any]:
    if isinstance(image, Path):
        return {"name": image.name, "sha256": content_hash(image)}
    return {"name": image.name, "size": [image.height, image.width]}


def _compare(workspace: Workspace, record: dict[str, Any]) -> None:
    """Refuse to go on with other images or another config."""
    old = workspace.record
    where = f"{workspace.root}: is the workspace of another run"
    advice = "choose another --workspace, or delete this one"
    if [image["role"] for image in old["inputs"]] != [i["role"] for i in record["inputs"]]:
        raise UserError(f"{where}: with another number of styles or masks; {advice}")
    for before, now in zip(old["inputs"], record["inputs"], strict=True):
        if before["name"] != now["name"]:
            raise UserError(f"{where}: it was made from {before['name']}, {advice}")
        if before != now:
            problem = f"the image was changed since the run in {workspace.root} began"
            raise refusal("INPUT_CHANGED", now["name"], problem, f"bring it back, {advice}")
    for section, values in record["identity"].items():
        for key, now in values.items():
            before = old["identity"].get(section, {}).get(key)
            if before != now:
                raise UserError(f"{where}: {section}.{key} was {before}, now {now}; {advice}")
    if old["weights"] != record["weights"]:
        raise UserError(f"{where}: the file of the network's weights was another; {advice}")


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


def check_layout(record: dict[str, Any], output: Path, options: Output) -> None:
    """Refuse options that the output's format or size does not allow, before hours are spent.

    Args:
        record: Of the run; see `plan`.
        output: The image to write.
        options: How it is written.

    Raises:
        UserError: A TIFF of this size and depth cannot be written so, or `output.icc` does not do.
    """
    chosen = Plan(record, output, options)
    if output_format(output) == "tiff":
        _ = chosen.layout
    elif options.icc:
        raise UserError(f"{output}: output.icc is for a TIFF; let the output end in .tif")


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
