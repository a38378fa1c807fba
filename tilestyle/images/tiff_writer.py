"""TIFF and BigTIFF, written in one pass and verified before they get their name.

Encoding and writing are apart: `encode` is pure and runs anywhere, `append` alone touches the
file and takes the encoded segments of each page in order. What encodes in between is a `Feed`:
`_Pool` here, in this process's threads.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol

import numpy as np
from tifffile import TiffWriter

from tilestyle.errors import UserError
from tilestyle.images.bands import rebanded
from tilestyle.images.color import Pixels
from tilestyle.images.levels import halve
from tilestyle.images.partial import partial_file, sync
from tilestyle.images.tiff_encode import Segment, encode
from tilestyle.images.tiff_layout import Compression, Layout, Page
from tilestyle.images.tiff_tags import Tags
from tilestyle.images.tiff_verify import reads_back

_COMPRESSIONS: dict[Compression, str | None] = {
    "lzw": "lzw",
    "deflate": "adobe_deflate",
    "none": None,
    "zstd": "zstd",
    "webp": "webp",
    "jpeg": "jpeg",
}
_UNPREDICTED = {"none", "webp", "jpeg"}
# What offsets of 32 bits reach, less 90 MB for tags.
_CLASSIC_BYTES = 4_200_000_000
_REDUCED = 1
_WORKERS = min(8, os.cpu_count() or 1)
_LOOK_AHEAD = 2 * _WORKERS


class Feed(Protocol):
    """Where the encoded segments of all pages come from."""

    def segments(self, level: int) -> Iterator[Segment]:
        """Those of one page in order; called for the pages in order, each once, to its end."""


def write_tiff(path: Path, bands: Iterable[Pixels], layout: Layout, tags: Tags) -> None:
    """Write a TIFF from bands; memory holds two bands at most.

    The levels of a pyramid are made on the way and wait, encoded, in an unnamed temporary file
    beside the output, since they come after the image.

    Args:
        path: The output; an existing file is replaced.
        bands: (samples, rows, width) bands from top to bottom, of any heights.
        layout: What is written.
        tags: What the file says of itself.

    Raises:
        UserError: The folder is missing or not writable, the disk is full, or the file does not
            read back as it was written.
        ValueError: The bands do not fit the layout.
    """
    with (
        partial_file(path) as unfinished,
        ThreadPoolExecutor(_WORKERS) as pool,
        TemporaryFile(dir=path.parent) as spool,
    ):
        write_partial(unfinished, _Pool(bands, layout.pages, pool, spool), layout, tags)


def write_partial(unfinished: Path, feed: Feed, layout: Layout, tags: Tags) -> None:
    """Write, sync and verify a file that has yet to get its name.

    Args:
        unfinished: The file to write; its name ends in .partial.
        feed: Encodes the pages of the layout.
        layout: What is written.
        tags: What the file says of itself.

    Raises:
        UserError: The file does not read back as it was written (TIFF_VERIFY).
    """
    checks = append(unfinished, feed, layout, tags)
    sync(unfinished)
    if not reads_back(unfinished, layout, checks):
        name = unfinished.name.removesuffix(".partial")
        raise UserError(
            f"TIFF_VERIFY: {name}: the file reads back differently from what was written; check "
            "the disk and write it again"
        )


def append(unfinished: Path, feed: Feed, layout: Layout, tags: Tags) -> list[list[int]]:
    """Write all pages, segment after segment; returns the checksums of each page's segments.

    Raises:
        UserError: The encoded pixels do not fit in a classic TIFF.
    """
    big = layout.profile == "archive"
    checks: list[list[int]] = [[] for _ in layout.pages]
    size = 0

    def noted(level: int, segment: Segment) -> bytes:
        nonlocal size
        size += len(segment.data)
        if size > _CLASSIC_BYTES and not big:
            name = unfinished.name.removesuffix(".partial")
            problem = f"its compressed pixels take more than {_CLASSIC_BYTES / 1e9:.1f} GB"
            raise UserError(f"{name}: {problem}; set output.profile: archive")
        checks[level].append(segment.check)
        return segment.data

    with TiffWriter(unfinished, bigtiff=big, byteorder="<") as writer:
        for level, page in enumerate(layout.pages):
            # a map, because tifffile would close a generator before it is at its end
            encoded = map(partial(noted, level), feed.segments(level))
            writer.write(
                encoded,
                shape=(page.height, page.width, page.samples),
                dtype=page.dtype,
                tile=(page.rows, page.columns) if page.tiled else None,
                rowsperstrip=None if page.tiled else page.rows,
                photometric="rgb" if page.colors == 3 else "separated",
                planarconfig="contig",
                extrasamples=["unassalpha"] if page.alpha else None,
                compression=_COMPRESSIONS[page.compression],
                predictor=page.compression not in _UNPREDICTED,
                subsampling=(1, 1) if page.compression == "jpeg" else None,
                subifds=len(layout.pages) - 1 if level == 0 else None,
                subfiletype=_REDUCED if level else 0,
                metadata=None,
                maxworkers=1,
                **tags.options(level, page.colors),
            )
            if next(encoded, None) is not None:  # lets the feed find its end, too
                raise ValueError(f"page {level} has more than {page.count} segments")
    return checks


class _Pool:
    """Encodes in threads, a few segments ahead of the file."""

    def __init__(
        self,
        bands: Iterable[Pixels],
        pages: Sequence[Page],
        pool: ThreadPoolExecutor,
        spool: IO[bytes],
    ) -> None:
        self._bands, self._pages, self._pool, self._spool = bands, pages, pool, spool
        self._spooled: list[list[tuple[int, int, int]]] = [[] for _ in pages]

    def segments(self, level: int) -> Iterator[Segment]:
        """See `Feed`; those of the image come while it is read, the others from the spool."""
        if level:
            for offset, size, check in self._spooled[level]:
                self._spool.seek(offset)
                yield Segment(self._spool.read(size), check)
            return
        for n, segment in self._encoded():
            if n == 0:
                yield segment
            else:
                entry = self._spool.tell(), len(segment.data), segment.check
                self._spooled[n].append(entry)
                self._spool.write(segment.data)

    def _encoded(self) -> Iterator[tuple[int, Segment]]:
        """The segments of all pages, each page's in order."""
        pending: deque[tuple[int, Future[Segment]]] = deque()
        for level, band in levels_of(_checked(self._bands, self._pages[0]), self._pages):
            page = self._pages[level]
            for left in range(0, page.width, page.columns):
                part = band[:, :, left : left + page.columns].copy()
                pending.append((level, self._pool.submit(encode, part, page)))
                if len(pending) > _LOOK_AHEAD:
                    n, done = pending.popleft()
                    yield n, done.result()
        for n, done in pending:
            yield n, done.result()


def levels_of(bands: Iterable[Pixels], pages: Sequence[Page]) -> Iterator[tuple[int, Pixels]]:
    """Bands of all pages of a pyramid, made from those of the finest as they come.

    Args:
        bands: (samples, rows, width) bands of any heights.
        pages: Finest first; the rows of their segments are even, but for a single page.

    Yields:
        The number of a page and a band of it, as high as its segments, from top to bottom.
    """
    stream: Iterator[tuple[int, Pixels]] = ((0, b) for b in rebanded(bands, pages[0].rows))
    for level, page in enumerate(pages[1:], 1):
        stream = _with_half(stream, level, page.rows)
    return stream


def _with_half(
    finer: Iterator[tuple[int, Pixels]], level: int, rows: int
) -> Iterator[tuple[int, Pixels]]:
    held: list[Pixels] = []
    for n, band in finer:
        yield n, band
        if n == level - 1:
            held.append(halve(band))
            if sum(part.shape[1] for part in held) >= rows:
                yield level, np.concatenate(held, axis=1)
                held = []
    if held:
        yield level, np.concatenate(held, axis=1)


def _checked(bands: Iterable[Pixels], page: Page) -> Iterator[Pixels]:
    """The bands, if they make up the page."""
    top = 0
    for band in bands:
        rows = band.shape[1]
        if band.shape != (page.samples, rows, page.width) or band.dtype != page.dtype:
            raise ValueError(
                f"the band at row {top} is {band.dtype} {band.shape}, expected {page.dtype} "
                f"({page.samples}, rows, {page.width})"
            )
        top += rows
        if top > page.height:
            raise ValueError(f"the bands reach row {top} of {page.height}")
        yield band
    if top != page.height:
        raise ValueError(f"the bands end at row {top} of {page.height}")
