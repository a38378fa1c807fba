"""The same pixels in many TIFFs."""

import functools
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import imagecodecs
import numpy as np
import pyvips
import tifffile
from numpy.typing import NDArray

from tests.images.tiff_maker import (
    ASCII,
    BLACK_IS_ZERO,
    CIELAB,
    CMYK,
    DEFLATE,
    ICCLAB,
    JPEG,
    LONG,
    LZW,
    NONE,
    OLD_DEFLATE,
    PACKBITS,
    PALETTE,
    RGB,
    SHORT,
    UNDEFINED,
    WEBP,
    WHITE_IS_ZERO,
    YCBCR,
    ZSTD,
    Order,
    Page,
    make_page,
    make_tiff,
)
from tilestyle.config import Input
from tilestyle.images.color import lab_to_srgb

Array = NDArray[Any]

HEIGHT, WIDTH = 53, 61
ORDERS: tuple[Order, Order] = "<", ">"
ICC_PROFILE, EXTRA_SAMPLES, ORIENTATION, COLOR_MAP, SUBFILE, JPEG_TABLES = (
    34675,
    338,
    274,
    320,
    254,
    347,
)


@dataclass(frozen=True)
class Case:
    """A file, and the (3, height, width) that it has to give within `tolerance`."""

    name: str
    data: bytes
    expected: Array
    tolerance: float = 0
    options: Input = field(default_factory=Input)


@functools.cache
def picture(bits: int = 8, channels: int = 3) -> Array:
    """(HEIGHT, WIDTH, channels) waves with noise, over the whole range of `bits`."""
    y, x, c = np.indices((HEIGHT, WIDTH, channels))
    waves = 0.5 + 0.45 * np.sin(x / (5 + c) + y / (9 - c))
    noise = np.random.default_rng(3).random(waves.shape) * 0.05
    values = np.rint((waves * 0.95 + noise) * (2**bits - 1)).clip(0, 2**bits - 1)
    values[0, 0], values[-1, -1] = 0, 2**bits - 1
    return np.asarray(values, np.uint8 if bits <= 8 else np.uint16)


def wide(image: Array, bits: int) -> Array:
    """(3, height, width) of values of `bits`, spread over 8 or 16 bits, grey in three planes."""
    top = 255 if bits <= 8 else 65535
    scaled = np.rint(image / (2**bits - 1) * top)
    return np.moveaxis(np.broadcast_to(scaled, (*image.shape[:2], 3)), -1, 0)


def cases() -> Iterator[Case]:
    """All files that have to be read."""
    yield from _layouts()
    yield from _depths()
    yield from _greys()
    yield from _orientations()
    yield from _alphas()
    yield from _inks_and_lab()
    yield from _image_codecs()
    yield from _faxes()
    yield from _pages()
    yield from _quirks()


def _rgb(name: str, page: Page, **rest: Any) -> Case:
    return Case(name, make_tiff(page, **rest), wide(picture(), 8))


def _layouts() -> Iterator[Case]:
    layouts: dict[str, dict[str, Any]] = {
        "strips": {"rows": 7},
        "tiles": {"tile": (16, 32)},
        "planar-strips": {"rows": 10, "planar": True},
        "planar-tiles": {"tile": (32, 16), "planar": True},
    }
    codes = {NONE: 0, LZW: 1, DEFLATE: 1, OLD_DEFLATE: 0, PACKBITS: 0, ZSTD: 1}
    for n, ((layout, kw), (code, predict)) in enumerate(product(layouts.items(), codes.items())):
        order, big = ORDERS[n % 2], n % 3 == 0
        for predictor in {False, bool(predict)}:
            page = make_page(
                picture(), photometric=RGB, compression=code, predictor=predictor, order=order, **kw
            )
            name = (
                f"{layout}-{code}-predictor{int(predictor)}-{order}-{'big' if big else 'classic'}"
            )
            yield _rgb(name, page, order=order, big=big)


def _depths() -> Iterator[Case]:
    for bits, planar, order in product((1, 2, 4, 8, 10, 12, 14, 16), (False, True), ORDERS):
        image = picture(bits)
        layout: dict[str, Any] = {"tile": (16, 16)} if planar else {"rows": 11}
        page = make_page(
            image, photometric=RGB, bits=bits, planar=planar, order=order, compression=LZW, **layout
        )
        yield Case(f"rgb{bits}-{planar}-{order}", make_tiff(page, order=order), wide(image, bits))
    for kind, predictor, order in product(("f2", "f4"), (False, True), ORDERS):
        light = (picture(16) / 65535 * 1.5 - 0.25).astype(kind)
        expected = wide(np.clip(light.astype(np.float32), 0, 1) * 65535, 16)
        page = make_page(
            light, photometric=RGB, rows=9, compression=DEFLATE, predictor=predictor, order=order
        )
        name = f"float-{kind}-predictor{int(predictor)}-{order}"
        yield Case(name, make_tiff(page, order=order), expected, 1)


def _greys() -> Iterator[Case]:
    for bits, white in product((1, 2, 4, 8, 12, 16), (False, True)):
        image = picture(bits, 1)
        stored = 2**bits - 1 - image if white else image
        photometric = WHITE_IS_ZERO if white else BLACK_IS_ZERO
        page = make_page(stored, photometric=photometric, bits=bits, rows=8, compression=PACKBITS)
        yield Case(
            f"grey{bits}-{'white' if white else 'black'}-is-0", make_tiff(page), wide(image, bits)
        )
    for bits, is_low, order in product((1, 2, 4, 8), (False, True), ORDERS):
        places = picture(bits, 1)
        colors = np.random.default_rng(bits).integers(0, 256, (3, 2**bits))
        colors[0, 0] = 255
        page = make_page(places, photometric=PALETTE, bits=bits, tile=(16, 48), order=order)
        page.set(COLOR_MAP, SHORT, *(colors * (1 if is_low else 257)).ravel().tolist())
        name = f"palette{bits}-{'low' if is_low else 'high'}-{order}"
        yield Case(name, make_tiff(page, order=order), colors[:, places[..., 0]])


def _orientations() -> Iterator[Case]:
    upright = wide(picture(), 8)
    stored = {
        1: upright,
        2: upright[:, :, ::-1],
        3: upright[:, ::-1, ::-1],
        4: upright[:, ::-1],
        5: upright.swapaxes(1, 2),
        6: np.rot90(upright, 1, (1, 2)),
        7: np.rot90(upright, 2, (1, 2)).swapaxes(1, 2),
        8: np.rot90(upright, -1, (1, 2)),
    }
    layouts: list[dict[str, Any]] = [{"rows": 9}, {"tile": (16, 32)}, {"rows": 5, "planar": True}]
    for (turn, image), (n, layout) in product(stored.items(), enumerate(layouts)):
        pixels = np.moveaxis(image, 0, -1).astype(np.uint8)
        page = make_page(pixels, photometric=RGB, compression=LZW, **layout)
        yield _rgb(f"orientation{turn}-{n}", page.set(ORIENTATION, SHORT, turn))


def _alphas() -> Iterator[Case]:
    for bits in (8, 16):
        top = 2**bits - 1
        image, alpha = picture(bits), np.maximum(picture(bits, 4)[..., 3:], top // 2)
        straight = np.concatenate([image, alpha], axis=-1)
        multiplied = np.concatenate([np.rint(image * (alpha / top)), alpha], -1).astype(image.dtype)
        for kind, planar in product((0, 1, 2), (False, True)):
            stored = multiplied if kind == 1 else straight
            page = make_page(stored, photometric=RGB, rows=8, planar=planar, compression=ZSTD)
            page.set(EXTRA_SAMPLES, SHORT, kind)
            name = f"extra{kind}-{bits}-{'planar' if planar else 'contiguous'}"
            yield Case(name, make_tiff(page), wide(image, bits), 1 if kind == 1 else 0)
    grey = picture(8, 1)
    two = np.concatenate([grey, grey], -1)
    for planar in (False, True):
        page = make_page(two, photometric=BLACK_IS_ZERO, tile=(16, 16), planar=planar)
        page.set(EXTRA_SAMPLES, SHORT, 2)
        yield Case(f"grey-and-alpha-{planar}", make_tiff(page), wide(grey, 8))


def _inks_and_lab() -> Iterator[Case]:
    profile = bytes(pyvips.Image.profile_load("cmyk"))
    for bits, planar in product((8, 16), (False, True)):
        inks = picture(bits, 4)
        image = pyvips.Image.new_from_array(inks).copy(interpretation="cmyk")
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
        found = image.icc_transform(
            "srgb", embedded=True, intent="relative", black_point_compensation=True, depth=bits
        )
        expected = np.moveaxis(found.numpy(), -1, 0)
        page = make_page(inks, photometric=CMYK, rows=16, planar=planar, compression=LZW)
        page.set(ICC_PROFILE, UNDEFINED, *profile)
        yield Case(f"cmyk{bits}-{planar}", make_tiff(page), expected, 1)
        if bits == 8:
            page.drop(ICC_PROFILE)
            options = Input(cmyk_profile="cmyk")
            yield Case(f"cmyk-untagged-{planar}", make_tiff(page), expected, 1, options)
    y, x = np.indices((HEIGHT, WIDTH))
    lab = np.stack([100 * y / (HEIGHT - 1), x - 30.0, 30.0 - y], -1)
    for bits, photometric in product((8, 16), (CIELAB, ICCLAB)):
        unit = 1 if bits == 8 else 256
        white = 65280 if (bits, photometric) == (16, ICCLAB) else 2**bits - 1
        shift = 128 * unit if photometric == ICCLAB else 0
        stored = np.concatenate([lab[..., :1] * (white / 100), lab[..., 1:] * unit + shift], -1)
        stored = np.rint(stored).astype(np.int32).astype(np.uint8 if bits == 8 else np.uint16)
        meant = lab.copy()
        meant[..., 0] = stored[..., 0] * (100 / white)
        expected = lab_to_srgb(meant.astype(np.float32), stored.dtype)
        page = make_page(stored, photometric=photometric, rows=10, compression=DEFLATE)
        yield Case(f"lab{bits}-{photometric}", make_tiff(page), np.moveaxis(expected, -1, 0), 1)


def _image_codecs() -> Iterator[Case]:
    y, x = np.indices((64, 64))
    smooth = np.stack([4 * y, 4 * x, 252 - 2 * (x + y)], -1).astype(np.uint8)
    expected = np.moveaxis(smooth, -1, 0)
    for layout in ({"tile": (32, 32)}, {"rows": 16}):
        page = make_page(smooth, photometric=RGB, compression=JPEG, **layout)
        yield Case(f"jpeg-rgb-{[*layout]}", make_tiff(page), expected, 4)
        page = make_page(picture(), photometric=RGB, compression=WEBP, **layout)
        yield _rgb(f"webp-{[*layout]}", page)
    for sampling in ("444", "422", "420"):
        page = make_page(smooth, photometric=YCBCR, compression=WEBP, tile=(32, 32))
        page.tags[259] = SHORT, (JPEG,)
        across, down = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}[sampling]
        page.set(530, SHORT, across, down)
        corners = product((0, 32), (0, 32))
        tiles = [smooth[top : top + 32, left : left + 32].copy() for top, left in corners]
        coded = [imagecodecs.jpeg_encode(tile, level=98, subsampling=sampling) for tile in tiles]
        page.segments = [bytes(part) for part in coded]
        yield Case(f"ycbcr-{sampling}", make_tiff(page), expected, 4 if sampling == "444" else 12)
        tables, page.segments = _shared_tables(page.segments)
        for name, padding in (("tables", b""), ("padded-tables", b"\0")):
            page.set(JPEG_TABLES, UNDEFINED, *tables, *padding)
            tolerance = 4 if sampling == "444" else 12
            yield Case(f"ycbcr-{name}-{sampling}", make_tiff(page), expected, tolerance)
    page = make_page(smooth, photometric=RGB, compression=DEFLATE, planar=True)
    page.tags[259] = SHORT, (JPEG,)
    planes = np.moveaxis(smooth, -1, 0)
    page.segments = [bytes(imagecodecs.jpeg_encode(plane.copy(), level=98)) for plane in planes]
    yield Case("jpeg-planar", make_tiff(page), expected, 4)
    grey = smooth[..., :1]
    page = make_page(smooth, photometric=BLACK_IS_ZERO, compression=JPEG, rows=64)
    page.segments = [bytes(imagecodecs.jpeg_encode(grey[..., 0].copy(), level=98))]
    page.set(258, SHORT, 8).set(277, SHORT, 1)
    yield Case("jpeg-grey", make_tiff(page), wide(grey, 8), 4)


def _shared_tables(streams: list[bytes]) -> tuple[bytes, list[bytes]]:
    """JPEG streams without their tables, and a stream of the tables alone."""
    tables, rest = b"", []
    for stream in streams:
        at, kept = 2, b""
        tables = b""
        while stream[at + 1] != 0xDA:
            end = at + 2 + int.from_bytes(stream[at + 2 : at + 4])
            if stream[at + 1] in (0xDB, 0xC4):
                tables += stream[at:end]
            else:
                kept += stream[at:end]
            at = end
        rest.append(b"\xff\xd8" + kept + stream[at:])
    return b"\xff\xd8" + tables + b"\xff\xd9", rest


# Codes of T.4 for the runs of a board of squares of 8 pixels.
_WHITE8, _BLACK8, _WHITE0, _EOL = "10011", "000101", "00110101", "000000000001"


def _faxes() -> Iterator[Case]:
    y, x = np.indices((48, 96))
    white = (y // 8 + x // 8) % 2 == 0
    expected = wide(white[..., None].astype(np.uint8), 1)
    lines = [("" if row[0] else _WHITE0) + _runs(row) for row in white]
    coded = {
        2: b"".join(_packed(line) for line in lines),
        3: _packed("".join(_EOL + line for line in lines) + _EOL * 6),
        4: g4(white),
    }
    for (code, data), fill in product(coded.items(), (1, 2)):
        page = make_page(white[..., None].astype(np.uint8), photometric=WHITE_IS_ZERO, bits=1)
        page.set(259, SHORT, code)
        page.segments = [data]
        if fill == 2:
            page.set(266, SHORT, 2)
            page.segments = [bytes(imagecodecs.bitorder_decode(data))]
        yield Case(f"fax{code}-fill{fill}", make_tiff(page), expected)


def _runs(row: Array) -> str:
    starts_white = bool(row[0])
    return "".join(
        _WHITE8 if (n % 2 == 0) == starts_white else _BLACK8 for n in range(len(row) // 8)
    )


def _packed(bits: str) -> bytes:
    padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return int(padded, 2).to_bytes(len(padded) // 8)


def g4(white: Array) -> bytes:
    """One strip of G4, as libtiff writes it; it takes 0 for white, libvips for black."""
    image = pyvips.Image.new_from_array(np.where(white, 0, 255).astype(np.uint8))
    data = image.tiffsave_buffer(compression="ccittfax4", bitdepth=1)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        offset, size = page.dataoffsets[0], page.databytecounts[0]
    return bytes(data[offset : offset + size])


def _pages() -> Iterator[Case]:
    def page(image: Array | None = None) -> Page:
        pixels = picture() if image is None else image
        return make_page(pixels, photometric=RGB, compression=LZW, rows=16)

    half, other = picture()[::2, ::2], 255 - picture()
    expected = wide(picture(), 8)
    reduced = page(other).set(SUBFILE, LONG, 1)
    yield Case("pyramid-of-pages", make_tiff(page(), page(half)), expected)
    yield Case("flagged-preview", make_tiff(page(), reduced), expected)
    yield Case("preview-first", make_tiff(page(half).set(SUBFILE, LONG, 1), page()), expected)
    yield Case("old-subfile-type", make_tiff(page(), page(other).set(255, SHORT, 2)), expected)
    mask = make_page(picture(1, 1), photometric=4, bits=1).set(SUBFILE, LONG, 4)
    yield Case("mask", make_tiff(page(), mask, big=True), expected)
    small = page(half).set(SUBFILE, LONG, 1)
    yield Case("all-flagged", make_tiff(small, page().set(SUBFILE, LONG, 1)), expected)
    finer = make_page(np.ones((200, 200, 1), np.uint8), photometric=4, bits=1)
    masked = page()
    masked.parts = [finer.set(SUBFILE, LONG, 4)]
    yield Case("finer-mask-in-a-part", make_tiff(masked), expected)
    around = page()
    around.parts = [page(np.kron(other, np.ones((2, 2, 1), np.uint8)))]
    yield Case("page-before-its-parts", make_tiff(around), expected, 0, Input(page=1))
    parts = page()
    parts.parts = [page(half), page(half[::2, ::2])]
    yield Case("pyramid-of-parts", make_tiff(parts), expected)
    yield Case("pyramid-of-parts-big", make_tiff(parts, big=True), expected)
    pair = make_tiff(page(other), page())
    yield Case("second-of-two", pair, expected, 0, Input(page=2))
    yield Case("first-of-two", pair, wide(other, 8), 0, Input(page=1))
    yield Case("cut-behind-the-page", _cut_second(page()), expected, 0, Input(page=1))


def _cut_second(page: Page) -> bytes:
    data = make_tiff(page, page)
    return data[: len(make_tiff(page)) + 40]


def _quirks() -> Iterator[Case]:
    def page(**rest: Any) -> Page:
        return make_page(picture(), photometric=RGB, **{"rows": 16, **rest})

    whole = page(rows=HEIGHT)
    yield _rgb("no-rows-per-strip", make_page(picture(), photometric=RGB, rows=HEIGHT).drop(278))
    yield _rgb("no-rows-per-strip-lzw", page(rows=HEIGHT, compression=LZW).drop(278))
    yield _rgb("endless-rows-per-strip", page(rows=HEIGHT).set(278, LONG, 2**32 - 1))
    for code in (NONE, LZW):
        no_sizes = page(compression=code)
        no_sizes.tags[279] = LONG, ()
        yield _rgb(f"no-byte-counts-{code}", no_sizes)
    yield _rgb("bogus-byte-count", page(rows=HEIGHT).set(279, LONG, 2**32 - 1))
    yield _rgb("byte-count-too-small", page(rows=HEIGHT).set(279, LONG, 5))
    yield _rgb("no-photometric", page().drop(262))
    yield _rgb("no-planar-configuration", page().drop(284))
    yield _rgb("one-bits-per-sample", page().set(258, SHORT, 8))
    yield _rgb("undefined-sample-format", page().set(339, SHORT, 4, 4, 4))
    yield _rgb("predictor-without-compression", page().set(317, SHORT, 2))
    yield _rgb("unknown-tags", page().set(65000, ASCII, *b"what\0").set(50000, LONG, 7))
    yield _rgb("rgb-with-subsampling", page(compression=LZW).set(530, SHORT, 2, 2))
    yield _rgb("no-such-orientation", page().set(ORIENTATION, SHORT, 9))
    yield _rgb("no-unit", page().set(296, SHORT, 1).set(282, 5, (72, 0)))
    yield Case("no-link-at-the-end", make_tiff(whole)[:-4], wide(picture(), 8))
    four = np.concatenate([picture(), picture(8, 1)], -1)
    yield _rgb("no-extra-samples", make_page(four, photometric=RGB, rows=16))
    for code in (DEFLATE, PACKBITS, ZSTD, LZW):
        last = page(rows=16, compression=code)
        full = np.pad(picture()[48:], [(0, 11), (0, 0), (0, 0)])
        last.segments[-1] = make_page(full, photometric=RGB, compression=code).segments[0]
        yield _rgb(f"full-last-strip-{code}", last)
    blank = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    yield Case(
        "blank", make_tiff(make_page(blank, photometric=RGB, compression=DEFLATE)), wide(blank, 8)
    )
