"""Published weights of VGG-19: where each comes from, where it is kept, and whether it is right."""

import hashlib
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch

from tilestyle.errors import UserError
from tilestyle.style.vgg import load_vgg

TIMEOUT = 60.0
"""Seconds without an answer after which a download is given up."""


@dataclass(frozen=True)
class Published:
    """A file of weights; docs/weights.md says where each fact is from.

    Attributes:
        file: Its name in the cache.
        url: Where it can be had.
        licence: Of the weights.
        size: Bytes; None where nobody has published them.
        sha256: In hexadecimal; None where nobody has published it.
    """

    file: str
    url: str
    licence: str
    size: int | None = None
    sha256: str | None = None


PUBLISHED: Mapping[str, Published] = {
    "vgg19": Published(
        "vgg19-dcbb9e9d.pth",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "BSD-3-Clause",
        574673361,
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
    "vgg19-caffe": Published(
        "vgg_conv.pth",
        "https://huggingface.co/fdan/neural_style_transfer_vgg/resolve/main/vgg_conv.pth",
        "CC BY 4.0",
    ),
    "vgg19-small": Published(
        "vgg19-small16x.pth",
        "https://raw.githubusercontent.com/MingSun-Tse/Collaborative-Distillation/"
        "75c1b81c1dbea11c96d3fb04e96f207dee16dcbb/trained_models/wct_se_16x_new/"
        "20191109-211322_E20.pth",
        "MIT",
        3862288,
        "9417c34d0d8d621bc6af78be745f1b8d30f5f210efa01e50655c60eb3770816b",
    ),
}


def cached(name: str) -> Path:
    """Where torch keeps, or would keep, the weights of a network; TORCH_HOME moves it."""
    return Path(torch.hub.get_dir()) / "checkpoints" / PUBLISHED[name].file


def expected(name: str) -> str | None:
    """The sha256 that a network's file must have: as published, or as `pull` has recorded it."""
    published = PUBLISHED[name].sha256
    record = _record(name)
    if published is None and record.is_file():
        return record.read_text(encoding="ascii").split()[0]
    return published


def check(name: str, path: Path) -> str:
    """The sha256 of a file of weights, if it is what it should be.

    Args:
        name: Key of `PUBLISHED`.
        path: The file.

    Raises:
        UserError: There is no such file, its size or hash is another, or it does not hold the
            tensors of the network.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; get it with `tilestyle weights pull {name}`")
    size, wanted = path.stat().st_size, PUBLISHED[name].size
    again = f"get the file again with `tilestyle weights pull {name}`"
    if wanted is not None and size != wanted:
        raise UserError(f"{path}: has {size} bytes, {name} has {wanted}; {again}")
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    known = expected(name)
    if known is not None and digest != known:
        raise UserError(f"{path}: its sha256 is {digest}, that of {name} is {known}; {again}")
    load_vgg(name, path)
    return digest


def pull(name: str, url: str | None = None) -> str:
    """Download weights into the cache, unless they are there; nothing unchecked gets the name.

    The sha256 of a file for which none is published is recorded beside it, so that a later check
    or download that differs is noticed.

    Args:
        name: Key of `PUBLISHED`.
        url: Of a copy, such as one within a cluster; None for the published one.

    Returns:
        The sha256 of the file.

    Raises:
        UserError: It cannot be had, or what came is not the file.
    """
    path, url = cached(name), url or PUBLISHED[name].url
    if path.is_file():
        with suppress(UserError):
            return _remembered(name, check(name, path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(".partial", f"{path.name}.", path.parent) as folder:
        fresh = Path(folder) / path.name
        _download(url, fresh)
        try:
            digest = check(name, fresh)
        except UserError as error:
            reason = str(error).removeprefix(f"{fresh}: ")
            raise UserError(f"{url}: what came from there is not kept: {reason}") from error
        fresh.replace(path)
    return _remembered(name, digest)


def _record(name: str) -> Path:
    """Where `pull` records a sha256, as the command sha256sum writes it."""
    path = cached(name)
    return path.with_name(f"{path.name}.sha256")


def _remembered(name: str, digest: str) -> str:
    if expected(name) is None:
        _record(name).write_text(f"{digest}  {cached(name).name}\n", encoding="ascii")
    return digest


def _download(url: str, path: Path) -> None:
    try:
        with _timeout():
            torch.hub.download_url_to_file(url, str(path), progress=sys.stderr.isatty())
    except (OSError, HTTPException, ValueError) as error:
        raise UserError(
            f"{url}: cannot be downloaded ({error}); try again, give another address with --url, "
            f"or download it elsewhere and name the file with --weights"
        ) from error


@contextmanager
def _timeout() -> Iterator[None]:
    # torch's downloader has no timeout of its own
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
