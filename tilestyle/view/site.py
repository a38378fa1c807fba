"""The page's files, and the page as a folder for any web server."""

import json
from pathlib import Path

from tilestyle.errors import UserError
from tilestyle.images.partial import partial_folder, publish
from tilestyle.view.view import View

PAGE = Path(__file__).parent / "page"
LIBRARY = "openseadragon.min.js"
"""Not in the repository: `make viewer` gets it, and wheels have it."""
FILES = {
    "index.html": "text/html; charset=utf-8",
    "view.css": "text/css; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    LIBRARY: "text/javascript; charset=utf-8",
    "openseadragon.LICENSE.txt": "text/plain; charset=utf-8",
}
"""Files of the page, and their media types."""


def check_library() -> None:
    """Make sure that the page's library is there.

    Raises:
        UserError: It is not.
    """
    if not (PAGE / LIBRARY).is_file():
        raise UserError(
            f"{LIBRARY} is missing: run `make viewer` in the source tree (needs npm), or install "
            "a wheel that was built after it"
        )


def description(view: View) -> bytes:
    """The text of view.json, which tells the page's script what there is."""
    return json.dumps(view.description()).encode()


def write_site(view: View, folder: Path) -> None:
    """Write the page with all its tiles; any web server can serve it, nothing has to run there.

    Args:
        view: What to show.
        folder: A new or empty folder; it appears when it is complete.

    Raises:
        UserError: The folder holds something, or cannot be written.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"{folder}: is not empty; give a new folder")
    folder = folder.resolve()  # "." has no name
    with partial_folder(folder) as partial:
        site = partial / "site"
        site.mkdir()
        for name in FILES:
            (site / name).write_bytes((PAGE / name).read_bytes())
        (site / "view.json").write_bytes(description(view))
        for name, jpeg in view.styles.items():
            (site / name).write_bytes(jpeg)
        for name, picture in view.pictures.items():
            picture.save(site / f"{name}.dzi")
        publish(site, folder)
