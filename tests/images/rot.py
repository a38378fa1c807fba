"""How much damage in the middle of compressed pixels is noticed: python -m tests.images.rot"""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.images.corpus import g4, picture
from tests.images.tiff_maker import (
    DEFLATE,
    JPEG,
    LZW,
    RGB,
    SHORT,
    WHITE_IS_ZERO,
    ZSTD,
    Page,
    make_page,
    make_tiff,
)
from tilestyle.errors import UserError
from tilestyle.images import open_source

FILES = 150


def color(compression: int) -> Page:
    """One strip of flat squares."""
    squares = np.kron(picture()[:48:3, :48:3], np.ones((16, 16, 1), np.uint8))
    return make_page(squares, photometric=RGB, compression=compression)


def fax() -> Page:
    """One strip of black and white squares, in G4."""
    squares = np.random.default_rng(0).random((16, 32)) > 0.5
    white = np.kron(squares, np.ones((8, 8))) > 0
    page = make_page(white[..., None].astype(np.uint8), photometric=WHITE_IS_ZERO, bits=1)
    page.set(259, SHORT, 4).segments = [g4(white)]
    return page


def outcomes(make: Callable[[], Page], size: int, path: Path) -> tuple[int, int]:
    """Files refused, and files read as other pixels, with `size` bytes overwritten."""
    path.write_bytes(make_tiff(make()))
    clean = read(path)
    refused = wrong = 0
    for seed in range(FILES):
        random = np.random.default_rng(seed)
        page = make()
        data = bytearray(page.segments[0])
        at = int(random.integers(len(data) // 4, len(data) - 8))
        data[at : at + size] = random.bytes(size)
        page.segments = [bytes(data)]
        path.write_bytes(make_tiff(page))
        try:
            wrong += bool((read(path) != clean).any())
        except UserError:
            refused += 1
    return refused, wrong


def read(path: Path) -> NDArray[np.unsignedinteger]:
    return np.concatenate(list(open_source(path).rows(512)), axis=1)


def main() -> None:
    logging.disable()
    kinds: dict[str, Callable[[], Page]] = {
        "deflate": lambda: color(DEFLATE),
        "G4": fax,
        "JPEG": lambda: color(JPEG),
        "LZW": lambda: color(LZW),
        "ZSTD": lambda: color(ZSTD),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, make in kinds.items():
            for size in (1, 16):
                refused, wrong = outcomes(make, size, Path(folder) / "a.tif")
                print(f"{name:8} {size:2} bytes: {refused} of {FILES} refused, {wrong} wrong")


if __name__ == "__main__":
    main()
