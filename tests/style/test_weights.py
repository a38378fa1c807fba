"""`tilestyle weights`: downloads from a server on this machine, and what is refused."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from click.testing import CliRunner

from tests.vgg_files import STATES, State, caffe_state, small_state
from tilestyle.cli import cli
from tilestyle.errors import UserError
from tilestyle.style import weights
from tilestyle.style.vgg import VARIANTS
from tilestyle.style.weights import PUBLISHED, cached, check, pull

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SMALL, CAFFE = "vgg19-small", "vgg19-caffe"


def saved(state: State) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


class Handler(BaseHTTPRequestHandler):
    """Serves /right, and what goes wrong under the other names."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        body = self.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.files["/right"])))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture(params=[SMALL, CAFFE])
def name(request: pytest.FixtureRequest) -> str:
    """A network whose hash is published, and one whose hash is not."""
    return str(request.param)


@pytest.fixture
def server(name: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of test weights, which count as the published ones."""
    right = saved(STATES[name]())
    other = {key: tensor + 1 for key, tensor in small_state().items()}
    files = {
        "/right": right,
        "/cut": right[: len(right) // 2],
        "/nothing": b"",
        "/page": b"<html>moved</html>".ljust(len(right)),
        "/other": saved(other if name == SMALL else small_state()),
    }
    if PUBLISHED[name].sha256:
        digest = hashlib.sha256(right).hexdigest()
        known = replace(PUBLISHED[name], size=len(right), sha256=digest)
        monkeypatch.setattr(weights, "PUBLISHED", {**PUBLISHED, name: known})
    handler = type("Files", (Handler,), {"files": files})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_a_pulled_file_is_checked_and_kept_where_torch_keeps_it(
    name: str, server: str, cache: Path
) -> None:
    digest = pull(name, f"{server}/right")
    path = cache / PUBLISHED[name].file
    assert path == cached(name)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest() == check(name, path)
    records = [] if PUBLISHED[name].sha256 else [f"{path.name}.sha256"]
    assert sorted(p.name for p in cache.iterdir()) == [path.name, *records]


def test_what_is_there_and_right_is_not_pulled_again(name: str, server: str) -> None:
    first = pull(name, f"{server}/right")
    assert pull(name, f"{server}/gone") == first


def test_a_damaged_file_is_replaced(name: str, server: str) -> None:
    digest = pull(name, f"{server}/right")
    whole = cached(name).read_bytes()
    cached(name).write_bytes(whole[:-100])
    with pytest.raises(UserError, match=f"again with `tilestyle weights pull {name}`|truncated"):
        check(name, cached(name))
    assert pull(name, f"{server}/right") == digest
    assert cached(name).read_bytes() == whole


@pytest.mark.parametrize("page", ["gone", "cut", "nothing", "page", "other"])
def test_a_bad_download_leaves_nothing(name: str, server: str, cache: Path, page: str) -> None:
    with pytest.raises(UserError) as caught:
        pull(name, f"{server}/{page}")
    message = str(caught.value)
    assert message.startswith(f"{server}/{page}: ")
    assert "\n" not in message
    assert str(cache) not in message
    assert "404" in message if page == "gone" else "is not kept" in message
    assert list(cache.iterdir()) == []


def test_a_bad_download_leaves_what_was_there(name: str, server: str) -> None:
    cached(name).parent.mkdir(parents=True)
    cached(name).write_bytes(b"old")
    with pytest.raises(UserError):
        pull(name, f"{server}/other")
    assert cached(name).read_bytes() == b"old"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x", "nonsense", "file:///no/such.pth", "ftp://127.0.0.1:9/x"]
)
def test_no_server_is_one_line(url: str, cache: Path) -> None:
    with pytest.raises(UserError, match="cannot be downloaded") as caught:
        pull(SMALL, url)
    assert str(caught.value).startswith(f"{url}: ")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", [CAFFE], indirect=True)
def test_an_unpublished_hash_is_recorded_and_held_against_later_files(
    name: str, server: str
) -> None:
    digest = pull(name, f"{server}/right")
    cached(name).unlink()
    changed = caffe_state()
    changed["conv1_1.bias"] = changed["conv1_1.bias"] + 1
    cached(name).write_bytes(saved(changed))
    with pytest.raises(UserError, match=f"that of {name} is {digest}"):
        check(name, cached(name))


def test_another_networks_file_is_named(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(saved(small_state()))
    with pytest.raises(UserError, match=rf"{path}: not the weights of {CAFFE}: conv1_1\.weight"):
        check(CAFFE, path)


def test_the_published_facts_fit_together() -> None:
    assert PUBLISHED.keys() == VARIANTS.keys()
    for published in PUBLISHED.values():
        assert published.url.startswith("https://")
        assert published.sha256 is None or len(bytes.fromhex(published.sha256)) == 32
    torchvision = PUBLISHED["vgg19"]
    # torch hub's names end in the first digits of the hash
    assert torchvision.file == f"vgg19-{str(torchvision.sha256)[:8]}.pth"
    parameters = 143_667_240  # as torchvision says; the rest are names and offsets
    assert 0 < torchvision.size - 4 * parameters < 10_000  # type: ignore[operator]


@pytest.mark.skipif(
    not DATA.is_dir(), reason="no folder shared/data beside the repository, with trained weights"
)
def test_the_published_small_network_is_the_one_at_hand(cache: Path) -> None:
    path = DATA / "weights" / PUBLISHED[SMALL].file
    assert check(SMALL, path) == PUBLISHED[SMALL].sha256


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["weights", *arguments], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_the_commands(name: str, server: str) -> None:
    assert run("path", name).strip() == str(cached(name))
    assert f"{name:12}" in run("list")
    assert "not here" in run("list")
    pulled = run("pull", name, "--url", f"{server}/right")
    assert run("check", name) == pulled == run("check", name, str(cached(name)))
    assert hashlib.sha256(cached(name).read_bytes()).hexdigest() in pulled
    assert "as it should be" in pulled
    assert str(cached(name)) in run("list")
    with pytest.raises(UserError, match=r"vgg16: no such weights; there are vgg19, "):
        run("path", "vgg16")
