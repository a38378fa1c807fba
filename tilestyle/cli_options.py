"""The options of the command line, and what they make of a config."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

PathArgument = click.Path(path_type=Path)


class RootArgument(click.ParamType[Any]):
    """A folder, or s3://BUCKET/PREFIX."""

    name = "workspace"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """As `tilestyle.store.location` has it."""
        from tilestyle.store.location import as_root

        return as_root(value)


PRESET = "preset"
"""`edges.strength` where none is given."""


class StrengthArgument(click.ParamType[Any]):
    """A number, or PRESET."""

    name = "strength"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Refuse the image that stands behind a bare `--edges`."""
        return value if value == PRESET else click.FLOAT.convert(value, param, ctx)


config_option = click.option("--config", "-c", type=PathArgument, help="YAML file; see configs/.")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="E.g. solver.steps=100."
)
weights_option = click.option("--weights", type=PathArgument, help="Of a trained network.")
cluster_option = click.option(
    "--cluster",
    metavar="KIND",
    help="local, threads, cuda, slurm, pbs, lsf, an address or a scheduler file.",
)
workers_option = click.option("--workers", type=int, help="How many to start, one a GPU or job.")
output_option = click.option(
    "--output",
    "-o",
    required=True,
    type=PathArgument,
    help="The image to write: .tif, .ome.zarr or .dzi (deep zoom).",
)
workspace_option = click.option(
    "--workspace", "-w", required=True, type=RootArgument(), help="Folder or s3://BUCKET/PREFIX."
)
size_option = click.option("--size", default="3072x2048", metavar="WxH", show_default=True)
content_argument = click.argument("content", type=PathArgument)
styles_argument = click.argument(
    "styles", nargs=-1, required=True, type=PathArgument, metavar="STYLE..."
)
dpi_option = click.option("--dpi", type=float, help="Dots per inch of the output.")
input_options = {
    "page": click.option("--page", type=int, help="Of a content with several, from 1."),
    "max_pixels": click.option("--max-pixels", type=int, help="Refuse larger images."),
    "intent": click.option("--intent", metavar="NAME", help="Rendering intent; relative."),
    "ignore_profile": click.option(
        "--ignore-profile", is_flag=True, default=None, help="As if files had no ICC profile."
    ),
    "cmyk_profile": click.option(
        "--cmyk-profile", metavar="FILE", help="Of CMYK images without one; or cmyk."
    ),
    "nan_to": click.option("--nan-to", type=float, help="Value for samples that are no numbers."),
    "working_space": click.option(
        "--working-space", metavar="srgb|preserve", help="preserve: the content's own RGB."
    ),
}

region_options = (
    click.option(
        "--edges",
        "strength",
        type=StrengthArgument(),
        is_flag=False,
        flag_value=PRESET,
        metavar="[STRENGTH]",
        help="Keep the content's edges. Without a number put it behind the images.",
    ),
    click.option("--edge-mask", metavar="FILE", help="White where edges are to be kept."),
    click.option(
        "--mask",
        "masks",
        multiple=True,
        metavar="FILE",
        help="White where a style is used: one for each, or for all but the last.",
    ),
    click.option(
        "--style-mask",
        "own_masks",
        multiple=True,
        metavar="FILE",
        help="White where a style image shows the style: one for each, in their order.",
    ),
)


def as_overrides(flags: Mapping[str, Any]) -> list[str]:
    """What `--set` would be given for flags, but for those that are None: JSON is YAML."""
    given = {key: value for key, value in flags.items() if value is not None}
    return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in given.items()]


def with_config(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that make up a config, and hand it over as `config`."""

    @workers_option
    @cluster_option
    @weights_option
    @set_option
    @config_option
    @functools.wraps(function)
    def command(
        config: Path | None,
        overrides: tuple[str, ...],
        weights: Path | None,
        cluster: str | None,
        workers: int | None,
        **rest: Any,
    ) -> Any:
        from tilestyle.config import load_config

        flags = {
            "network.weights": weights and str(weights.resolve()),
            "cluster.kind": cluster,
            "cluster.workers": workers,
        }
        given = as_overrides(flags)
        return function(config=load_config(config, [*overrides, *given]), **rest)

    return command


def with_input(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the config's section `input` to a command with a config."""

    @functools.wraps(function)
    def command(overrides: tuple[str, ...], **rest: Any) -> Any:
        given = as_overrides({f"input.{key}": rest.pop(key) for key in input_options})
        return function(overrides=(*overrides, *given), **rest)

    for option in reversed(input_options.values()):
        command = option(command)
    return command


def with_regions(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the short forms of edges and masks to a command with a config."""

    @functools.wraps(function)
    def command(
        config: Any,
        strength: float | str | None,
        edge_mask: str | None,
        masks: tuple[str, ...],
        own_masks: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        from tilestyle.config import load_config

        if strength is None and edge_mask and not config.edges.strength:
            strength = PRESET
        flags = {
            "edges.strength": strength,
            "edges.mask": edge_mask,
            "style.masks": masks or None,
            "style.own_masks": own_masks or None,
        }
        given = as_overrides(flags)
        base = config.model_dump(exclude_unset=True)
        return function(config=load_config(None, given, base=base), **rest)

    for option in reversed(region_options):
        command = option(command)
    return command


def with_dpi(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option of the output that is asked for most to a command with overrides."""

    @dpi_option
    @functools.wraps(function)
    def command(overrides: tuple[str, ...], dpi: float | None, **rest: Any) -> Any:
        given = () if dpi is None else (f"output.dpi={dpi}",)
        return function(overrides=(*overrides, *given), **rest)

    return command
