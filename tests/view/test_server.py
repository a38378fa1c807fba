"""The server and the command: what is answered, what is refused, what is said."""

import http.client
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray

from tests.view.conftest import CONTENT, HEIGHT, RESULT, WIDTH
from tilestyle.errors import UserError
from tilestyle.images import write_deepzoom
from tilestyle.images.levels import halve
from tilestyle.report.events import silent
from tilestyle.store.workspace import Workspace
from tilestyle.view import site
from tilestyle.view.server import Server
from tilestyle.view.site import check_library, write_site
from tilestyle.view.view import View, open_view

Array = NDArray[Any]


def get(server: Server, path: str, **headers: str) -> tuple[int, str | None, bytes]:
    """Status, media type and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()
    finally:
        connection.close()


def decoded(body: bytes) -> Array:
    return np.moveaxis(imagecodecs.jpeg8_decode(body), -1, 0)


def test_it_listens_on_loopback_alone(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert server.url.startswith("http://127.0.0.1:")


def test_a_description_of_the_workspace(server: Server) -> None:
    status, kind, body = get(server, "/view.json")
    told = json.loads(body)
    assert (status, kind) == (200, "application/json")
    assert told["title"] == "content.tif in the manner of style.tif"
    assert told["pictures"] == ["content", "result"]
    assert told["styles"] == ["style-0.jpeg"]
    # cores of 448 or 512 px at most, 64 px of overlap on either side
    for axis, length in (("rows", HEIGHT), ("columns", WIDTH)):
        assert len(told["grid"][axis]) == 2
        for border, first, last in told["grid"][axis]:
            assert 0 < first == border - 64
            assert last == border + 64 < length
    assert get(server, "/style-0.jpeg")[:2] == (200, "image/jpeg")


def test_tiles_are_those_of_the_pixels(server: Server) -> None:
    _, kind, body = get(server, "/result.dzi")
    assert kind == "application/xml"
    root = ET.fromstring(body)  # noqa: S314
    assert root.attrib == {"TileSize": "510", "Overlap": "1", "Format": "jpeg"}
    assert root[0].attrib == {"Width": str(WIDTH), "Height": str(HEIGHT)}
    for level, image in ((11, RESULT), (10, halve(RESULT)), (0, None)):
        status, kind, body = get(server, f"/result_files/{level}/0_0.jpeg")
        assert (status, kind) == (200, "image/jpeg")
        if image is not None:
            expected = image[:, :511, :511].astype(int)
            assert np.abs(decoded(body) - expected).mean() < 4
    edge = decoded(get(server, "/content_files/11/2_2.jpeg")[2])
    assert np.abs(edge - CONTENT[:, 1019:, 1019:].astype(int)).mean() < 4


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/other.dzi",
        "/result_files/11/3_0.jpeg",
        "/result_files/11/0_3.jpeg",
        "/result_files/12/0_0.jpeg",
        "/result_files/11/0_0.png",
        "/result_files/11/-1_0.jpeg",
        "/../pyproject.toml",
        "/%2e%2e/site.py",
        "//etc/passwd",
    ],
)
def test_nothing_else_is_served(server: Server, path: str) -> None:
    assert get(server, path)[0] == 404


def test_a_page_of_another_name_is_refused(server: Server) -> None:
    assert get(server, "/view.json", Host="evil.example")[0] == 403
    assert get(server, "/view.json", Host=f"localhost:{server.server_port}")[0] == 200


def test_a_taken_port(server: Server, view: View) -> None:
    with pytest.raises(UserError, match=f"--port {server.server_port}: cannot be used"):
        Server(view, server.server_port)


def save_zarr(folder: Path, axes: str, shape: tuple[int, ...], dtype: str = "uint8") -> Path:
    group = zarr.create_group(folder / "a.ome.zarr")
    group.create_array("0", data=np.full(shape, 7, dtype))
    multiscale = {"axes": [{"name": axis} for axis in axes], "datasets": [{"path": "0"}]}
    group.update_attributes({"ome": {"version": "0.5", "multiscales": [multiscale]}})
    return folder / "a.ome.zarr"


def empty_group(path: Path) -> Path:
    zarr.create_group(path)
    return path


def first_tile(path: Path, level: int) -> Array:
    with open_view(path, silent) as opened:
        (picture,) = opened.pictures.values()
        body = picture.tile(level, 0, 0)
        assert body
        return decoded(body)


def test_an_ome_zarr_a_deep_zoom_and_a_tiff(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    deep = save_zarr(tmp_path / "a", "cyx", (3, 40, 60), "uint16")
    assert first_tile(deep, 6).shape == (3, 40, 60)
    assert first_tile(deep, 6).max() == 0  # 7 of 65535
    grey = np.full((3, 40, 60), 99, np.uint8)
    write_deepzoom(tmp_path / "b.dzi", [grey], width=60, height=40)
    assert np.abs(first_tile(tmp_path / "b.dzi", 6).astype(int) - 99).max() <= 1
    tifffile.imwrite(tmp_path / "c.tif", np.moveaxis(grey, 0, -1), photometric="rgb")
    assert np.abs(first_tile(tmp_path / "c.tif", 6).astype(int) - 99).max() <= 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "no.tif", "no.tif: no such file"),
        (lambda folder: folder / "no.dzi", "no.dzi: cannot be read"),
        (lambda folder: folder, "neither a workspace nor an OME-Zarr"),
        (lambda folder: save_zarr(folder, "yx", (40, 60)), "it needs c, y, x"),
        (lambda folder: save_zarr(folder, "cyx", (4, 40, 60)), "it needs c, y, x"),
        (lambda folder: save_zarr(folder, "cyx", (3, 40, 60), "float32"), "it needs c, y, x"),
        (lambda folder: text(folder / "a.dzi", "<html>"), "is no deep zoom"),
        (lambda folder: text(folder / "a.dzi", '<Image Format="png">'), "a_files"),
        (lambda folder: text(folder / "a.tif", "not an image"), "a.tif"),
        (lambda folder: empty_group(folder / "g"), "no OME-Zarr image"),
    ],
)
def test_what_cannot_be_shown(tmp_path: Path, make: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught, open_view(make(tmp_path), silent):
        pass
    assert len(str(caught.value).splitlines()) == 1


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def test_a_run_that_is_not_finished(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "w", {"inputs": []})
    with (
        pytest.raises(UserError, match="stylize comes before view"),
        open_view(tmp_path / "w", silent),
    ):
        pass


def test_a_missing_library_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "PAGE", tmp_path)
    with pytest.raises(UserError, match="make viewer"):
        check_library()


@pytest.mark.usefixtures("library")
def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path, view: View) -> None:
    (tmp_path / "diary.txt").touch()
    with pytest.raises(UserError, match="is not empty"):
        write_site(view, tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["diary.txt"]


def test_the_folder_one_is_in(tmp_path: Path, view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "FILES", {})  # the library may be missing
    (tmp_path / "site").mkdir()
    monkeypatch.chdir(tmp_path / "site")
    write_site(view, Path())
    assert (tmp_path / "site" / "view.json").is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == ["site"]


@pytest.mark.usefixtures("library")
def test_the_command_says_where_and_ends_at_an_interrupt(workspace: Path) -> None:
    command = [sys.executable, "-m", "tilestyle", "view", str(workspace), "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "http://127.0.0.1:" in said
    assert (process.returncode, errors) == (0, "")
