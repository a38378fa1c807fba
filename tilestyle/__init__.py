"""Style transfer for images of any size: ADMM over overlapping patches, on Dask and zarr."""

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tilestyle.config import Config
    from tilestyle.pipeline import Summary
    from tilestyle.report.events import Listener

__version__ = version("tilestyle")
__all__ = ["__version__", "stylize"]

File = str | PathLike[str]


def stylize(
    content: File,
    styles: File | Sequence[File],
    output: File,
    *,
    config: "Config | File | None" = None,
    overrides: Iterable[str] = (),
    workspace: File | None = None,
    listener: "Listener | None" = None,
) -> "Summary":
    """Stylise an image of any size, as `tilestyle run` does.

    A script that calls this needs the usual `if __name__ == "__main__":`, since workers are
    processes that import it.

    Args:
        content: Image file.
        styles: One image file or several; of several, the mean of their statistics is the style.
        output: The image to write: .tif, .ome.zarr or .dzi.
        config: A `tilestyle.config.Config`, or a YAML file; None for the defaults.
        overrides: `section.key=value` each; only with a YAML file or the defaults.
        workspace: Where the state is kept, a folder or s3://BUCKET/PREFIX; None: beside the
            output, ending in .tilestyle. The same call goes on where an interrupted one stopped.
        listener: Is called with each `tilestyle.report.events` event.

    Returns:
        Where the result is, its size, its scores.

    Raises:
        tilestyle.errors.UserError: An image, the config or the workspace does not do; the
            message is one line that says what to mend.
        tilestyle.errors.TryAgainError: A UserError with nothing to mend: another run is at work in
            the workspace, or the cluster or the store cannot be reached.
        KeyboardInterrupt: SIGINT or SIGTERM came; what is done is kept.
    """
    from tilestyle.config import Config, load_config
    from tilestyle.pipeline import run
    from tilestyle.report.events import silent
    from tilestyle.store.location import as_root

    if not isinstance(config, Config):
        config = load_config(None if config is None else Path(config), overrides)
    several = [styles] if isinstance(styles, str | PathLike) else list(styles)
    return run(
        Path(content),
        [Path(style) for style in several],
        Path(output),
        config,
        workspace=None if workspace is None else as_root(workspace),
        tell=listener or silent,
    )
