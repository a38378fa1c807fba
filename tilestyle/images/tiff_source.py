"""TIFF and BigTIFF, decoded by tifffile and imagecodecs.

libvips does not decode here: it returns black pixels, without an error, for tiles that are
damaged or compressed in a way it does not know.
"""

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tifffile import TiffFile, TiffPage

from tilestyle.config import Input
from tilestyle.errors import refusal
from tilestyle.images.alpha import Filler
from tilestyle.images.bands import rebanded
from tilestyle.images.color import Pixels
from tilestyle.images.fingerprint import Stamp
from tilestyle.images.orientation import is_swapped, spans, upright
from tilestyle.images.tiff_codec import SegmentDecoder
from tilestyle.images.tiff_directory import DirectoryReader, choose_page
from tilestyle.images.tiff_metadata import read_metadata
from tilestyle.images.tiff_page import (
    check_page,
    dpi_of,
    header_errors,
    orientation_of,
    settled_samples,
)
from tilestyle.images.tiff_pixels import Stored, TiffPixels
from tilestyle.images.tiff_segments import find_segments, most_bytes

LOG = logging.getLogger(__name__)

_WORKERS = min(8, os.cpu_count() or 1)
# Decoded pixels held at a time, where the segments allow it, and segments decoded side by side.
_WINDOW_BYTES = 1 << 28
# Pixels converted at a time.
_PIECE = 1 << 22


class TiffSource:
    """One page of a TIFF or BigTIFF file, upright.

    Everything that the header tells is checked before any pixel is read. Memory holds a few
    bands, or rows of tiles or compressed strips where these are higher; where rows are stored as
    columns (orientation 5 to 8), strips are decoded again for every 256 MB of the image.

    Args:
        path: The file.
        options: How images are read.

    Raises:
        UserError: With one of the codes of docs/images.md.
    """

    def __init__(self, path: Path, options: Input) -> None:
        self.name = path.name
        self._stamp = Stamp.of(path)
        with header_errors(self.name), path.open("rb") as raw:
            reader = DirectoryReader(raw, self.name)
            chosen = choose_page(reader.pages(options.page), options.page, name=self.name)
            if options.page is None:
                reader.check_parts(chosen)
            reader.check_tags(chosen)
            with TiffFile(raw, name=self.name) as file:
                file.filehandle.seek(chosen.offset)
                page = TiffPage(file, index=0)
                check_page(page, options, self.name)
                self._samples = settled_samples(page, self.name)
                self._segments = find_segments(page, reader.size, name=self.name)
                self._pixels = TiffPixels(page, self._samples, options, name=self.name)
                self._decode = SegmentDecoder(page, self._segments, self.name)
                self._turn = orientation_of(page, self.name)
                swapped = is_swapped(self._turn)
                self.dpi = dpi_of(page, vertical=swapped)
                self.metadata = read_metadata(page, raw, swapped=swapped, name=self.name)
        self._page = page
        self._stored = page.imagelength, page.imagewidth
        sides = self._stored[::-1] if is_swapped(self._turn) else self._stored
        self.height, self.width = map(int, sides)
        self.dtype = self._pixels.dtype
        self.profile = self._pixels.profile
        self.alpha = None if self._samples.alpha is None else self._opacity
        self._check_window()

    def rows(self, step: int) -> Iterator[Pixels]:
        """Bands of `step` rows; see `Source.rows`."""
        return rebanded(self._colors(step), step)

    def _opacity(self, step: int) -> Iterator[Pixels]:
        return rebanded(map(self._pixels.to_alpha, self._pieces(step, with_alpha=True)), step)

    def _colors(self, step: int) -> Iterator[Pixels]:
        premultiplied = self._samples.premultiplied
        fill = Filler()
        self._pixels.clipped = 0
        for stored in self._pieces(step, with_alpha=premultiplied):
            color = self._pixels.to_rgb(stored)
            yield fill(color, self._pixels.to_alpha(stored)) if premultiplied else color
        if count := self._pixels.clipped:
            LOG.warning("%s: %d samples outside 0 to 1 were clipped", self.name, count)

    def _pieces(self, step: int, *, with_alpha: bool) -> Iterator[Stored]:
        """Upright (rows, width, samples) as stored, of few enough rows to be converted."""
        count = self._count(with_alpha=with_alpha)
        high = max(1, _PIECE // self.width)
        self._stamp.check()
        for window in self._windows(step, count):
            for top in range(0, len(window), high):
                yield window[top : top + high]
        self._stamp.check()

    def _count(self, *, with_alpha: bool) -> int:
        """Leading samples to read: the colours, or all up to the opacity if there is one."""
        samples = self._samples
        return samples.alpha + 1 if with_alpha and samples.alpha is not None else samples.channels

    def _windows(self, step: int, count: int) -> Iterator[Stored]:
        """The leading `count` samples, upright, in windows of whole rows or columns of segments."""
        swapped = is_swapped(self._turn)
        length = self._stored[1 if swapped else 0]
        unit, line = self._unit(count)
        lines = min(length if swapped else step, max(1, _WINDOW_BYTES // line))
        whole = range(self._stored[0]), range(self._stored[1])
        workers = min(_WORKERS, max(1, _WINDOW_BYTES // self._segments.decoded))
        with self._stamp.path.open("rb") as file, ThreadPoolExecutor(workers) as pool:
            for span in spans(length, unit * max(1, lines // unit), self._turn):
                rows, columns = (whole[0], span) if swapped else (span, whole[1])
                stored = self._read(file.fileno(), pool.map, rows, columns, count)
                yield upright(stored, self._turn)

    def _unit(self, count: int) -> tuple[int, int]:
        """Lines (stored rows, or columns if swapped) that go together, and the bytes of one."""
        segments = self._segments
        swapped = is_swapped(self._turn)
        # Strips can be cut anywhere across.
        width = segments.width if segments.across > 1 else 1
        other = self._stored[0 if swapped else 1]
        unit = width if swapped else min(segments.height, self._stored[0])
        return unit, other * count * self._page.dtype.itemsize

    def _check_window(self) -> None:
        unit, line = self._unit(self._count(with_alpha=True))
        if unit * line > most_bytes(self._page):
            problem = f"a row of its strips or tiles takes {unit * line >> 20} MiB when decoded"
            remedy = "save it with smaller tiles"
            raise refusal("TIFF_TOO_BIG", self.name, problem, remedy)

    def _read(
        self,
        file: int,
        map_all: Callable[..., Iterator[None]],
        rows: range,
        columns: range,
        count: int,
    ) -> Stored:
        """Decode the leading samples of a window, (rows, columns, count)."""
        page = self._page
        planes = tuple(range(count)) if page.planarconfig == 2 else (0,)
        indices = list(self._segments.indices(planes, rows, columns))
        if len(indices) == 1:  # may be as large as the image: spare the copy
            data, (_, y, x) = self._segment(file, indices[0])
            return data[
                rows.start - y : rows.stop - y, columns.start - x : columns.stop - x, :count
            ]
        out = np.empty((len(rows), len(columns), count), page.dtype)

        def place(index: int) -> None:
            data, (plane, y, x) = self._segment(file, index)
            top, left = max(y, rows.start), max(x, columns.start)
            bottom, right = min(y + len(data), rows.stop), min(x + data.shape[1], columns.stop)
            target = out[top - rows.start : bottom - rows.start]
            part = data[top - y : bottom - y, left - x : right - x, :count]
            samples = slice(plane, plane + part.shape[2])
            target[:, left - columns.start : right - columns.start, samples] = part

        for _ in map_all(place, indices):
            pass
        return out

    def _segment(self, file: int, index: int) -> tuple[Stored, tuple[int, int, int]]:
        size, offset = self._segments.sizes[index], self._segments.offsets[index]
        data = os.pread(file, size, offset)
        if len(data) < size:
            self._stamp.check()
        return self._decode(data, index)
