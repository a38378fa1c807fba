"""TIFFs that are damaged, dangerous or of a kind that is not read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
import pyvips

from tests.images.corpus import COLOR_MAP, HEIGHT, ICC_PROFILE, WIDTH, g4, picture
from tests.images.tiff_maker import (
    BLACK_IS_ZERO,
    CMYK,
    DEFLATE,
    JPEG,
    LONG,
    LZW,
    NONE,
    PACKBITS,
    PALETTE,
    RGB,
    SHORT,
    UNDEFINED,
    WEBP,
    WHITE_IS_ZERO,
    ZSTD,
    Page,
    make_page,
    make_tiff,
)


@dataclass(frozen=True)
class Damage:
    """A file, and the codes one of which it has to be refused with."""

    name: str
    data: bytes
    codes: tuple[str, ...]


def damages() -> Iterator[Damage]:
    """All files that have to be refused."""
    yield from _cut_files()
    yield from _rotten()
    yield from _sizes_and_offsets()
    yield from _circles()
    yield from _bombs()
    yield from _contradictions()
    yield from _unsupported()


CUT = ("TIFF_TRUNCATED", "TIFF_CORRUPT")


def _cut_files() -> Iterator[Damage]:
    for code, tile in product((NONE, LZW, DEFLATE), (None, (16, 16))):
        page = make_page(picture(), photometric=RGB, compression=code, tile=tile, rows=8)
        data = make_tiff(page)
        # Directories first, as other writers have it: then the pixels are what is cut off.
        for kept in (0.01, 0.2, 0.5, 0.8, 0.99):
            yield Damage(f"cut-{code}-{tile}-{kept}", data[: int(len(data) * kept)], CUT)
            turned = _directory_first(page)
            yield Damage(f"late-cut-{code}-{tile}-{kept}", turned[: int(len(turned) * kept)], CUT)


def _directory_first(page: Page) -> bytes:
    """The file with its segments behind its directory."""
    start = 4096
    offsets = np.cumsum([start, *map(len, page.segments)]).tolist()
    tiled = 322 in page.tags
    sizes = tuple(map(len, page.segments))
    tags = dict(page.tags)
    tags[324 if tiled else 273] = LONG, tuple(offsets[:-1])
    tags[325 if tiled else 279] = LONG, sizes
    return make_tiff(Page(tags, [])).ljust(start, b"\0") + b"".join(page.segments)


def _rotten() -> Iterator[Damage]:
    def rotten(name: str, page: Page, change: Callable[[bytearray], None]) -> Damage:
        data = bytearray(page.segments[-1])
        change(data)
        page.segments[-1] = bytes(data)
        return Damage(name, make_tiff(page), CUT)

    def zeros(data: bytearray) -> None:
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)

    def noise(data: bytearray) -> None:
        third = len(data) // 3
        data[third : 2 * third] = np.random.default_rng(5).bytes(third)

    def short(data: bytearray) -> None:
        del data[len(data) // 2 :]

    layouts: list[dict[str, Any]] = [{"rows": 20}, {"tile": (32, 32)}]
    for code, layout in product((LZW, DEFLATE, PACKBITS, ZSTD, JPEG, WEBP), layouts):
        # Only these have a checksum, or are checked by a second decoder.
        for change in (zeros, noise, short) if code in (DEFLATE, JPEG) else (short,):
            page = make_page(picture(), photometric=RGB, compression=code, **layout)
            yield rotten(f"{change.__name__}-{code}-{[*layout]}", page, change)
    squares = np.random.default_rng(0).random((16, 32)) > 0.5
    white = np.kron(squares, np.ones((8, 8))) > 0
    for change in (noise, short):
        page = make_page(white[..., None].astype(np.uint8), photometric=WHITE_IS_ZERO, bits=1)
        page.set(259, SHORT, 4).segments = [g4(white)]
        yield rotten(f"{change.__name__}-fax", page, change)


def _sizes_and_offsets() -> Iterator[Damage]:
    def page(**rest: Any) -> Page:
        return make_page(picture(), photometric=RGB, **{"rows": 16, **rest})

    def one(name: str, made: Page, *codes: str) -> Damage:
        return Damage(name, make_tiff(made), codes)

    yield one("no-width", page().drop(256), "TIFF_CORRUPT")
    yield one("no-height", page().drop(257), "TIFF_CORRUPT")
    yield one("no-width-value", page().set(256, LONG, 0), "TIFF_CORRUPT")
    yield one("too-wide", page().set(256, LONG, 300_001), "TIFF_TOO_BIG")
    yield one("too-high", page().set(257, LONG, 2**31), "TIFF_TOO_BIG")
    yield one(
        "too-many-pixels", page().set(256, LONG, 200_000).set(257, LONG, 200_000), "TIFF_TOO_BIG"
    )
    yield one("higher-than-its-strips", page().set(257, LONG, 5000), "TIFF_TRUNCATED")
    yield one("wider-than-its-strips", page().set(256, LONG, 5000), "TIFF_TRUNCATED")
    yield one("wider-than-lzw", page(compression=LZW).set(256, LONG, 62), "TIFF_CORRUPT")
    yield one("no-tile-height", page(tile=(16, 16)).set(323, LONG, 0), "TIFF_CORRUPT")
    for code, layout in ((279, {"rows": 16}), (325, {"tile": (16, 64)})):
        sizes = [len(segment) for segment in page(**layout).segments]
        yield one(f"empty-{code}", page(**layout).set(code, LONG, *sizes[:-1], 0), "TIFF_TRUNCATED")
        yield one(f"small-{code}", page(**layout).set(code, LONG, *sizes[:-1], 9), "TIFF_TRUNCATED")
        offsets = [8] * (len(sizes) - 1)
        far = page(**layout).set(code - (6 if code == 279 else 1), LONG, *offsets, 2**31)
        yield one(f"far-{code}", far, "TIFF_TRUNCATED")
    sparse = page().set(273, LONG, 0, 0, 0, 0).set(279, LONG, 0, 0, 0, 0)
    yield one("sparse", sparse, "TIFF_TRUNCATED")
    missing = page()
    missing.tags[273] = LONG, ()
    yield one("no-offsets", missing, "TIFF_TRUNCATED")
    yield one("several-strips-of-unknown-rows", page().drop(278), "TIFF_CORRUPT")
    for code in (258, ICC_PROFILE):
        data = bytearray(make_tiff(page().set(code, SHORT, 8, 8, 8)))
        at = data.index(code.to_bytes(2, "little") + b"\3\0\3\0\0\0")
        data[at + 8 : at + 12] = b"\xff\xff\xff\x7f"
        yield Damage(f"far-tag-{code}", bytes(data), ("TIFF_TRUNCATED",))
        data[at + 2] = 99
        yield Damage(f"odd-tag-{code}", bytes(data), ("TIFF_CORRUPT",))


def _circles() -> Iterator[Damage]:
    data = bytearray(make_tiff(make_page(picture(), photometric=RGB)))
    data[-4:] = data[4:8]
    yield Damage("itself", bytes(data), ("TIFF_CORRUPT",))
    page = make_page(picture(), photometric=RGB)
    data = bytearray(make_tiff(page, page))
    data[-4:] = data[4:8]
    yield Damage("two-pages", bytes(data), ("TIFF_CORRUPT",))
    data = bytearray(make_tiff(make_page(picture(), photometric=RGB).set(330, LONG, 7)))
    at = data.index(b"\x4a\x01\x04\0")
    data[at + 8 : at + 12] = data[4:8]
    yield Damage("a-part-of-itself", bytes(data), ("TIFF_CORRUPT",))
    data = bytearray(make_tiff(page))
    data[-4:] = (2**31).to_bytes(4, "little")
    yield Damage("link-to-nowhere", bytes(data), ("TIFF_TRUNCATED",))
    data[4:8] = (2**31).to_bytes(4, "little")
    yield Damage("first-link-to-nowhere", bytes(data), ("TIFF_TRUNCATED",))
    data[4:8] = bytes(4)
    yield Damage("no-link", bytes(data), ("TIFF_CORRUPT",))
    yield Damage("header-alone", b"II*\0\x08\0\0\0", ("TIFF_TRUNCATED",))
    yield Damage("big-header", b"II+\0\x04\0\0\0" + bytes(80), ("TIFF_CORRUPT",))


def _bombs() -> Iterator[Damage]:
    big = ("TIFF_CORRUPT", "TIFF_TOO_BIG")
    for code in (LZW, DEFLATE, PACKBITS, ZSTD, WEBP, JPEG, 4):
        page = make_page(picture(1, 1), photometric=BLACK_IS_ZERO, bits=1, compression=NONE)
        page.set(256, LONG, 250_000).set(257, LONG, 70_000).set(258, SHORT, 8).set(259, SHORT, code)
        if code == 4:
            page.set(258, SHORT, 1)
        page.set(278, LONG, 70_000)
        yield Damage(f"declared-{code}", make_tiff(page), big)
    one = make_page(
        np.zeros((512, 512, 1), np.uint8), photometric=BLACK_IS_ZERO, compression=DEFLATE
    )
    tiles = (250_000 // 512 + 1) * (70_000 // 512 + 1)
    one.set(256, LONG, 250_000).set(257, LONG, 70_000).set(322, LONG, 512).set(323, LONG, 512)
    one.set(324, LONG, *[8] * tiles).set(325, LONG, *[len(one.segments[0])] * tiles).drop(278)
    yield Damage("one-tile-for-all", make_tiff(one), big)
    for code, at in ((JPEG, b"\xff\xc0"), (WEBP, b"VP8L")):
        page = make_page(picture(), photometric=RGB, compression=code, rows=HEIGHT)
        data = bytearray(page.segments[0])
        if code == JPEG:
            data[data.index(at) + 5 : data.index(at) + 9] = b"\xff\xdc\xff\xdc"
        else:
            data[data.index(at) + 9 : data.index(at) + 13] = b"\xff\xff\xff\x0f"
        page.segments = [bytes(data)]
        yield Damage(f"inner-size-{code}", make_tiff(page), ("TIFF_CORRUPT",))


def _contradictions() -> Iterator[Damage]:
    def one(name: str, made: Page) -> Damage:
        return Damage(name, make_tiff(made), ("TIFF_CORRUPT",))

    def jpeg() -> Page:
        return make_page(picture(), photometric=RGB, compression=JPEG, rows=HEIGHT)

    yield one("jpeg-of-8-bits-as-16", jpeg().set(258, SHORT, 16, 16, 16))
    yield one("jpeg-of-8-bits-as-1", jpeg().drop(258))
    deep = jpeg()
    deep.segments = [bytes(imagecodecs.jpeg_encode(picture(12), bitspersample=12))]
    yield one("jpeg-of-12-bits-as-8", deep)
    grey = jpeg().set(258, SHORT, 8).set(262, SHORT, BLACK_IS_ZERO).set(277, SHORT, 1)
    yield one("jpeg-in-colour-as-grey", grey)
    # As many bytes as 32 rows of RGB.
    four = make_page(picture(8, 4)[:24], photometric=RGB, compression=WEBP)
    yield one("webp-with-alpha-as-rgb", four.set(258, SHORT, 8, 8, 8).set(277, SHORT, 3))
    lossy = make_page(picture(8, 4)[:24], photometric=RGB, compression=WEBP)
    lossy.segments = [bytes(imagecodecs.webp_encode(picture(8, 4)[:24], level=90, lossless=False))]
    yield one("lossy-webp-with-alpha-as-rgb", lossy.set(258, SHORT, 8, 8, 8).set(277, SHORT, 3))


def _unsupported() -> Iterator[Damage]:
    def page(**rest: Any) -> Page:
        return make_page(picture(), photometric=RGB, **{"rows": 16, **rest})

    def one(name: str, made: Page, code: str) -> Damage:
        return Damage(name, make_tiff(made), (code,))

    for code in (6, 34925, 34887, 33003, 34712, 34934, 50002, 34933, 34676, 32809, 32909, 1234):
        yield one(f"compression{code}", page().set(259, SHORT, code), "TIFF_COMPRESSION")
    tables = make_page(picture(), photometric=RGB, compression=JPEG)
    yield one("jpeg-tables-are-a-number", tables.set(347, LONG, 9), "TIFF_CORRUPT")
    old = page(compression=LZW)
    old.segments[0] = b"\0\1" + old.segments[0][2:]
    yield one("old-lzw", old, "TIFF_COMPRESSION")
    yield one("ndpi", page().set(65420, LONG, 1), "TIFF_LAYOUT")
    yield one("predictor9", page(compression=LZW).set(317, SHORT, 9), "TIFF_COMPRESSION")
    for code in (4, 6, 10, 32803, 32844, 34892, 999):
        yield one(f"photometric{code}", page().set(262, SHORT, code), "TIFF_PHOTOMETRIC")
    five = np.concatenate([picture(), picture()[..., :2]], -1)
    yield one("inks5", make_page(five, photometric=CMYK).set(334, SHORT, 5), "TIFF_INKS")
    yield one("inks3", make_page(picture(), photometric=CMYK), "TIFF_INKS")
    other = make_page(picture(8, 4), photometric=CMYK).set(332, SHORT, 2)
    yield one("not-cmyk", other, "TIFF_INKS")
    yield one("no-profile", make_page(picture(8, 4), photometric=CMYK), "CMYK_NO_PROFILE")
    yield one("volume", page().set(32997, LONG, 4), "TIFF_LAYOUT")
    for bits, kind in ((8, 2), (16, 2), (32, 1), (64, 3), (64, 1), (24, 1), (6, 1), (32, 6)):
        made = page().set(258, SHORT, bits, bits, bits).set(339, SHORT, kind, kind, kind)
        yield one(f"samples-{bits}-{kind}", made, "TIFF_SAMPLE")
    yield one("mixed-depths", page().set(258, SHORT, 5, 6, 5), "TIFF_SAMPLE")
    yield one("mixed-formats", page().set(339, SHORT, 1, 1, 2), "TIFF_SAMPLE")
    light = np.full((HEIGHT, WIDTH, 3), np.nan, np.float32)
    yield one("nan", make_page(light, photometric=RGB), "TIFF_SAMPLE")
    raw = page().set(254, LONG, 1)
    raw.parts = [page()]
    yield one("preview-of-a-raw-file", raw, "TIFF_LAYOUT")
    small = make_page(picture()[::2, ::2], photometric=RGB)
    small.parts = [page()]
    yield one("preview-of-a-part", small, "TIFF_LAYOUT")
    pair = make_tiff(page(), page())
    yield Damage("two-pages", pair, ("TIFF_MULTIPAGE",))
    cmyk = pyvips.Image.profile_load("cmyk")
    yield one("other-profile", page().set(ICC_PROFILE, UNDEFINED, *cmyk), "ICC_MISMATCH")
    yield one("no-profile-at-all", page().set(ICC_PROFILE, UNDEFINED, *b"x" * 200), "ICC_INVALID")
    places = make_page(picture(4, 1), photometric=PALETTE, bits=4)
    yield one("palette-without-map", places, "TIFF_CORRUPT")
    yield one("palette-short", places.set(COLOR_MAP, SHORT, *[9] * 24), "TIFF_CORRUPT")
    yield one("rgb-of-one", make_page(picture(8, 1), photometric=RGB), "TIFF_CORRUPT")
