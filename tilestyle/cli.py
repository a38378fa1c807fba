"""The command line: one thin command for each stage."""

import contextlib
import logging
import math
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console

from tilestyle import __version__
from tilestyle.cli_options import (
    PathArgument,
    RootArgument,
    as_overrides,
    cluster_option,
    content_argument,
    output_option,
    set_option,
    size_option,
    styles_argument,
    with_config,
    with_dpi,
    with_input,
    with_regions,
    workers_option,
    workspace_option,
)
from tilestyle.cli_weights import weights as weights_command
from tilestyle.errors import UserError

console = Console(highlight=False, soft_wrap=True)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 2 something to mend, said in one line; 75 stopped before the end "
    "with nothing to mend: the same command goes on.",
)
@click.version_option(__version__)
def cli() -> None:
    """Style transfer for images of any size."""


@cli.command()
@content_argument
@styles_argument
@output_option
@click.option(
    "--workspace", "-w", type=RootArgument(), help="Or s3://BUCKET/PREFIX; OUTPUT's, .tilestyle."
)
@with_dpi
@with_input
@with_config
@with_regions
def run(content: Path, styles: tuple[Path, ...], output: Path, workspace: Any, config: Any) -> None:
    """Stylise CONTENT in the manner of STYLE; run it again and it goes on where it stopped."""
    _run(content, styles, output, workspace, config)


@cli.command()
@click.option("--output", "-o", default="out/demo.tif", type=PathArgument, show_default=True)
@size_option
@click.option("--style", default="strokes", show_default=True, help="A sample style.")
@with_config
def demo(output: Path, size: str, style: str, config: Any) -> None:
    """Make a sample content and style by code and stylise them, end to end."""
    from tilestyle.images.samples import sample

    width, height = _parse_size(size)
    output.parent.mkdir(parents=True, exist_ok=True)
    images = sample("content", width, height), sample(style, width, height)
    _run(images[0], [images[1]], output, None, config)


@cli.command()
@content_argument
@click.argument("styles", nargs=-1, type=PathArgument, metavar="[STYLE...]")
@click.option("--workspace", "-w", type=RootArgument(), help="Folder or s3://BUCKET/PREFIX.")
@click.option("--output", "-o", type=PathArgument, help="Without styles: the zarr array to write.")
@with_input
@with_config
def ingest(
    content: Path,
    styles: tuple[Path, ...],
    workspace: Any,
    output: Path | None,
    config: Any,
) -> None:
    """Read the images into a new workspace, or CONTENT alone into a zarr array."""
    if output and not styles and not workspace:
        _ingest_alone(content, output, config)
    elif workspace and styles and not output:
        _ingest(content, styles, workspace, config)
    else:
        raise UserError("ingest: give CONTENT STYLE... --workspace W, or CONTENT -o OUT.zarr")


def _ingest(content: Path, styles: tuple[Path, ...], workspace: Any, config: Any) -> None:
    from tilestyle import pipeline, stages
    from tilestyle.cluster.fitting import fit_patches
    from tilestyle.report.progress import showing
    from tilestyle.store.lock import hold
    from tilestyle.store.workspace import Workspace, log_of

    images = pipeline.all_images(content, styles, config)
    record = pipeline.plan(images, fit_patches(config, workspace))
    with hold(workspace), showing(console, log_of(workspace)) as tell:
        store = pipeline.resume(workspace, record) or Workspace.create(workspace, record)
        if not store.finished("ingest"):
            stages.ingest(store, pipeline.open_images(images, config.input), tell)


def _ingest_alone(content: Path, output: Path, config: Any) -> None:
    from tilestyle.images import open_source
    from tilestyle.images.zarr_writer import write_zarr

    source = open_source(content, config.input)
    write_zarr(output, source)
    dpi = f", {source.dpi:.0f} dpi" if source.dpi else ""
    size = f"{source.width} x {source.height} px"
    console.print(f"[bold]{output}[/]: {size}, {source.dtype}{dpi}, from {source.name}")


def _stage(name: str, text: str) -> None:
    """Add the command of a stage that runs on a cluster with the workspace's own config."""

    @cli.command(name, help=text)
    @workspace_option
    @cluster_option
    @workers_option
    def command(workspace: Any, cluster: str | None, workers: int | None) -> None:
        from tilestyle.cluster.connect import connect
        from tilestyle.levels import stylize
        from tilestyle.report.progress import showing
        from tilestyle.stages import pyramid
        from tilestyle.store.lock import hold
        from tilestyle.store.workspace import STAGES, Workspace, log_of

        Workspace.open(workspace)  # says so where there is none
        with hold(workspace):
            store = Workspace.open(workspace)  # as the driver before has left it
            if store.finished(name):
                return
            before = STAGES[STAGES.index(name) - 1]
            if not store.finished(before):
                raise UserError(f"{workspace}: {before} comes before {name}; run it first")
            where = _cluster_of(store, cluster, workers)
            with showing(console, log_of(workspace)) as tell, connect(where) as connected:
                {"pyramid": pyramid, "stylize": stylize}[name](store, connected, tell)


_stage("pyramid", "Build the Gaussian pyramids.")
_stage("stylize", "Run all levels, coarse to fine; goes on where it stopped.")


@cli.command()
@workspace_option
@output_option
@with_dpi
@set_option
def export(workspace: Any, output: Path, overrides: tuple[str, ...]) -> None:
    """Write the result of a workspace as a TIFF, an OME-Zarr or a deep zoom."""
    from tilestyle import pipeline, stages
    from tilestyle.config import Config, load_config
    from tilestyle.report.progress import showing
    from tilestyle.store.workspace import Workspace, log_of

    store = Workspace.open(workspace)
    kept = store.record["config"]
    pipeline.check_output(output, Config.model_validate(kept).input)
    if not store.finished("stylize"):
        raise UserError(f"{workspace}: stylize comes before export; run it first")
    config = load_config(None, overrides, base=kept)
    if config.identity() != Config.model_validate(kept).identity():
        raise UserError(
            f"{workspace}: only the section output, and color.keep to none or luminance, can be "
            "set at export; the rest has been decided when the workspace was made"
        )
    pipeline.check_layout(store.record, output, config.output)
    with showing(console, log_of(workspace)) as tell:
        stages.export(store, output, config.output, config.color, tell)


@cli.command()
@click.argument("workspace", type=RootArgument())
def status(workspace: Any) -> None:
    """Say where a run stands."""
    from tilestyle.report.status import print_status
    from tilestyle.store.workspace import Workspace

    print_status(console, Workspace.open(workspace))


@cli.command()
@click.argument("workspace", type=RootArgument())
@click.option(
    "--reference",
    "-r",
    type=RootArgument(),
    help="Workspace of the whole-image solve (configs/whole-image.yaml).",
)
@cluster_option
@workers_option
def score(workspace: Any, reference: Any, cluster: str | None, workers: int | None) -> None:
    """Score a finished run, alone or as ratios to a whole-image solve."""
    from tilestyle.cluster.connect import connect
    from tilestyle.report.compare import check, print_scores
    from tilestyle.store.workspace import Workspace

    store = Workspace.open(workspace)
    other = Workspace.open(reference) if reference else None
    check(store, other)
    with connect(_cluster_of(store, cluster, workers)) as connected:
        print_scores(console, connected, store, other)


@cli.command()
@click.argument("picture", type=PathArgument)
@click.option("--profile", required=True, type=PathArgument, help="ICC file of the press.")
@click.option("--output", "-o", required=True, type=PathArgument, help="Preview, .tif or .png.")
@click.option(
    "--intent",
    default="relative",
    show_default=True,
    type=click.Choice(["perceptual", "relative", "saturation", "absolute"]),
)
@click.option("--no-black-point", is_flag=True, help="Do not compensate the black point.")
@click.option("--paper", is_flag=True, help="Show the white of the paper, too.")
@click.option("--tolerance", default=3.0, show_default=True, help="CIEDE2000 in gamut.")
def proof(
    picture: Path,
    profile: Path,
    output: Path,
    intent: Any,
    no_black_point: bool,
    paper: bool,
    tolerance: float,
) -> None:
    """Show PICTURE as a press will print it, and say how much of it is out of gamut."""
    from tilestyle.proof import Press
    from tilestyle.proof import proof as make_proof

    press = Press(profile, intent, not no_black_point, paper, tolerance)
    percent = make_proof(picture, output, press)
    console.print(f"[bold]{output}[/]: {percent:.2f} % of the pixels are out of gamut")


@cli.command()
@click.argument("target", type=PathArgument, metavar="WORKSPACE|FILE")
@click.option("--port", default=0, help="Default: any free one.")
@click.option("--no-browser", is_flag=True, help="Only say the page's address.")
@click.option("--output", "-o", type=PathArgument, help="Write a folder for a web server instead.")
def view(target: Path, port: int, no_browser: bool, output: Path | None) -> None:
    """Look at a workspace, .dzi, .ome.zarr or image in a browser; Ctrl-C ends it."""
    import webbrowser

    from tilestyle.report.progress import showing
    from tilestyle.view.server import serve
    from tilestyle.view.site import check_library, write_site
    from tilestyle.view.view import open_view

    def started(url: str) -> None:
        console.print(f"{target}: {url} (Ctrl-C ends it)")
        if not no_browser:
            webbrowser.open(url)

    check_library()
    with contextlib.ExitStack() as stack:
        with showing(console) as tell:
            opened = stack.enter_context(open_view(target, tell))
        if output:
            write_site(opened, output)
            console.print(f"{output}: put it on any web server")
            return
        with contextlib.suppress(KeyboardInterrupt):
            serve(opened, port, started)


@cli.command()
@click.argument("kind", metavar="content|STYLE")
@size_option
@click.option("--seed", default=0, show_default=True)
@output_option
def sample(kind: str, size: str, seed: int, output: Path) -> None:
    """Paint a sample image by code: a content, or a style ("style" is strokes)."""
    from tilestyle.images import output_format
    from tilestyle.images.samples import sample as paint
    from tilestyle.images.samples import save
    from tilestyle.pipeline import check_output

    check_output(output)
    if output_format(output) != "tiff":
        raise UserError(f"{output}: a sample is a TIFF; let its name end in .tif")
    width, height = _parse_size(size)
    save(paint("strokes" if kind == "style" else kind, width, height, seed), output)


cli.add_command(weights_command)


@cli.group()
def cluster() -> None:
    """Prepare a cluster of several machines."""


@cluster.command()
@click.option("--output", "-o", required=True, type=PathArgument, help="A new folder.")
def cert(output: Path) -> None:
    """Make the certificates with which client, scheduler and workers trust each other."""
    from tilestyle.cluster.tls import SETTINGS, make_certificates

    make_certificates(output)
    console.print(
        f"[bold]{output}[/]: who holds these keys may run anything on the cluster as you; "
        f"Dask's settings for them are in {output / SETTINGS}; tilestyle takes them with "
        f"--set cluster.tls={output}"
    )


def _run(content: Any, styles: Sequence[Any], output: Path, workspace: Any, config: Any) -> None:
    """Run the pipeline on files or open images, show how it goes, and sum up."""
    from tilestyle.pipeline import default_workspace
    from tilestyle.pipeline import run as run_pipeline
    from tilestyle.report.progress import showing
    from tilestyle.store.workspace import log_of

    workspace = workspace or default_workspace(output)
    with showing(console, log_of(workspace)) as tell:
        summary = run_pipeline(content, styles, output, config, workspace=workspace, tell=tell)
    _print_summary(summary)


def _cluster_of(workspace: Any, kind: str | None, workers: int | None) -> Any:
    """The cluster of a workspace's config, or as the flags say."""
    from tilestyle.config import load_config

    given = as_overrides({"cluster.kind": kind, "cluster.workers": workers})
    return load_config(None, given, base=workspace.record["config"]).cluster


def _parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UserError(f"--size {text}: write it as WIDTHxHEIGHT in pixels, e.g. 3072x2048")
    return int(width), int(height)


def _print_summary(summary: Any) -> None:
    megapixels = summary.width * summary.height / 1e6
    console.print(
        f"[bold]{summary.output}[/]: {summary.width} x {summary.height} px "
        f"({megapixels:.1f} Mpx), {summary.levels} levels, {summary.patches} patches at the finest"
    )
    console.print(f"{summary.seconds:.0f} s, {megapixels / summary.seconds:.3f} Mpx/s")
    if not math.isnan(summary.quality.seam):
        console.print(
            f"across patch borders: seam {summary.quality.seam:.3f}, "
            f"detail {summary.quality.detail:.3f} (1: none to be seen)"
        )
    console.print(f"state kept in {summary.workspace}; delete it when you are content")


class _Remarks(logging.Handler):
    """Keeps each remark on an image once: files are opened more than once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.kept: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a remark."""
        self.kept[record.getMessage()] = None


@contextmanager
def _remarks() -> Iterator[None]:
    """Print the remarks on images at the end; a command that fails says why, and no more."""
    remarks, logger = _Remarks(), logging.getLogger("tilestyle.images")
    logger.addHandler(remarks)
    try:
        yield
        for remark in remarks.kept:
            click.echo(f"tilestyle: {remark}", err=True)
    finally:
        logger.removeHandler(remarks)


def main() -> NoReturn:
    """Run the command line; a user's mistake is one line and exit code 2."""
    signal.signal(signal.SIGTERM, _interrupt)
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # its findings become UserError
    try:
        with _remarks():
            cli.main(standalone_mode=False)
    except UserError as error:
        _fail(str(error), error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted; run the same command again to go on", 75)
    except OSError as error:
        _fail(f"{error.filename or 'tilestyle'}: {error.strerror or error}", 2)
    sys.exit(0)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"tilestyle: {message}", err=True)
    sys.exit(code)
