"""The directories of a TIFF, walked before anything trusts what they say.

tifffile leaves out tags that it cannot read and goes on with their defaults. Here a tag that
matters has to lie inside the file, and the chains of directories have to end.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tilestyle.errors import UserError, refusal

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TYPE_BYTES |= {13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _SUBDIRECTORIES = 254, 255, 256, 257, 330
_SAMPLE_FORMAT = 339
# What pixels depend on: sizes, sample layout, colours, segments, JPEG tables, ICC profile.
_VITAL = {254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 317, 320, 322}
_VITAL |= {323, 324, 325, 332, 334, 338, 339, 347, 34675}
_REDUCED_OR_MASK = 0b101
# Tags that some writers leave empty for none.
_MAY_BE_EMPTY = {338, 347, 34675}
_MOST_DIRECTORIES = 100_000
_MOST_TAGS = 4096
_MOST_VALUES = 64_000_000
# Offsets and sizes: enough for tiles of 256 in three planes of the largest image.
_SEGMENTS = {273, 279, 324, 325}
_MOST_SEGMENTS = 5_000_000


@dataclass(frozen=True)
class _Form:
    """Widths in bytes, and codes of struct, of the numbers in a directory."""

    count: str
    count_width: int
    number: str
    width: int
    entry: int
    first: int


_CLASSIC = _Form("H", 2, "I", 4, 12, 4)
_BIG = _Form("Q", 8, "Q", 8, 20, 8)


@dataclass(frozen=True)
class Entry:
    """One tag: its code, data type, number of values and where these lie in the file."""

    code: int
    kind: int
    count: int
    offset: int


@dataclass(frozen=True)
class Directory:
    """One page, or a part of one.

    Attributes:
        offset: Where it lies in the file.
        entries: Its tags by code; of two with the same code the first.
        width: In pixels, 0 if it tells none.
        height: In pixels, 0 if it tells none.
        is_reduced: It is flagged as a preview or a mask.
    """

    offset: int
    entries: dict[int, Entry]
    width: int
    height: int
    is_reduced: bool


class DirectoryReader:
    """Reads the directories of one TIFF or BigTIFF file.

    Args:
        file: Open for reading.
        name: The name of the file, for messages.

    Raises:
        UserError: TIFF_TRUNCATED or TIFF_CORRUPT.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file.fileno()
        self._name = name
        self._seen = 0
        self._parts: dict[int, int] = {}
        """Pixels of the parts that were walked, by offset; 0 for previews and masks."""
        self.size = os.fstat(self._file).st_size
        head = self._bytes(0, 8, "the header lies")
        self._order = "<" if head[:2] == b"II" else ">"
        self._form = _BIG if head[2:4] in (b"+\0", b"\0+") else _CLASSIC
        if self._form is _BIG and head[4:] != struct.pack(self._order + "HH", 8, 0):
            raise self._corrupt("the header of the BigTIFF is not one")
        self._first = self._unpack(
            self._form.number, self._bytes(self._form.first, self._form.width, "the header lies")
        )

    def pages(self, wanted: int | None = None) -> list[Directory]:
        """The directories of the main chain; those of their parts are walked, too.

        Args:
            wanted: A page counted from 1: the file may be cut off behind it.

        Raises:
            UserError: There is none, a chain runs in a circle (TIFF_CORRUPT) or leaves the file
                (TIFF_TRUNCATED).
        """
        pages: list[Directory] = []
        try:
            pages.extend(self._chain(self._first, frozenset()))
        except UserError as error:
            if error.code != "TIFF_TRUNCATED" or wanted is None or wanted > len(pages):
                raise
        if not pages:
            raise self._corrupt("it holds no image")
        for page in pages:
            self._walk_parts(page, frozenset())
        return pages

    def check_parts(self, page: Directory) -> None:
        """Refuse a page that is but a preview of one of its parts.

        A mask may be finer than its image.

        Raises:
            UserError: TIFF_LAYOUT.
        """
        parts = self._integers(page.entries.get(_SUBDIRECTORIES))
        if max((self._parts.get(part, 0) for part in parts), default=0) > _pixels(page):
            problem = "its page is smaller than a part of it (a SubIFD)"
            remedy = "export the image alone, or read the page with --page"
            raise refusal("TIFF_LAYOUT", self._name, problem, remedy)

    def check_tags(self, directory: Directory) -> None:
        """Refuse a page with a tag that matters and cannot be read.

        Raises:
            UserError: TIFF_TRUNCATED or TIFF_CORRUPT; TIFF_SAMPLE if channels differ in format.
        """
        for code in sorted(_VITAL & directory.entries.keys()):
            entry = directory.entries[code]
            least = 0 if code in _MAY_BE_EMPTY else 1
            most = _MOST_SEGMENTS if code in _SEGMENTS else _MOST_VALUES
            if entry.kind not in _TYPE_BYTES or not least <= entry.count <= most:
                raise self._corrupt(f"its tag {code} cannot be read")
            if entry.offset + entry.count * _TYPE_BYTES[entry.kind] > self.size:
                raise self._truncated(f"the values of tag {code} lie")
        if len(set(self._integers(directory.entries.get(_SAMPLE_FORMAT)))) > 1:
            problem, remedy = "its channels differ in sample format", "save it with 8 or 16 bits"
            raise refusal("TIFF_SAMPLE", self._name, problem, remedy)

    def _chain(self, offset: int, above: frozenset[int]) -> Iterator[Directory]:
        """A directory and its successors up to a part that was walked.

        Args:
            offset: Where the first lies, 0 for none.
            above: Those that they are parts of.
        """
        passed = set(above)
        while offset and offset not in self._parts:
            if offset in passed:
                raise self._corrupt("its directories run in a circle")
            passed.add(offset)
            self._seen += 1
            if self._seen > _MOST_DIRECTORIES:
                raise self._corrupt(f"it has more than {_MOST_DIRECTORIES} directories")
            directory, offset = self._directory(offset)
            yield directory

    def _walk_parts(self, directory: Directory, above: frozenset[int]) -> None:
        """Follow all chains below a directory; parts outside the file are of no concern."""
        above |= {directory.offset}
        for offset in self._integers(directory.entries.get(_SUBDIRECTORIES)):
            chain = self._chain(offset, above)
            walked = {}
            while part := self._next_part(chain):
                self._walk_parts(part, above)
                walked[part.offset] = 0 if part.is_reduced else _pixels(part)
            # Not before: a part of one of them that leads back to them is a circle.
            self._parts |= walked

    def _next_part(self, chain: Iterator[Directory]) -> Directory | None:
        try:
            return next(chain, None)
        except UserError as error:
            if error.code == "TIFF_TRUNCATED":
                return None
            raise

    def _directory(self, offset: int) -> tuple[Directory, int]:
        """The directory at an offset, and the offset of the next, 0 for none."""
        form, where = self._form, f"the directory at byte {offset} lies"
        count = self._unpack(form.count, self._bytes(offset, form.count_width, where))
        if not 0 < count <= _MOST_TAGS:
            raise self._corrupt(f"the directory at byte {offset} claims to have {count} tags")
        start = offset + form.count_width
        data = self._bytes(start, count * form.entry, where)
        entries: dict[int, Entry] = {}
        for place in range(0, len(data), form.entry):
            entry = self._entry(data[place : place + form.entry], start + place)
            entries.setdefault(entry.code, entry)
        # Some writers leave out the offset of the next directory at the end of the file.
        after = os.pread(self._file, form.width, start + len(data))
        following = self._unpack(form.number, after) if len(after) == form.width else 0
        flags = self._integer(entries, _SUBFILE)
        if not flags and self._integer(entries, _OLD_SUBFILE) == 2:
            flags = _REDUCED_OR_MASK
        width, height = self._integer(entries, _WIDTH), self._integer(entries, _HEIGHT)
        is_reduced = bool(flags & _REDUCED_OR_MASK)
        return Directory(offset, entries, width, height, is_reduced), following

    def _entry(self, data: bytes, place: int) -> Entry:
        form = self._form
        code, kind, count = struct.unpack_from(self._order + "HH" + form.number, data)
        value = form.entry - form.width
        if count * _TYPE_BYTES.get(kind, 1) > form.width:
            return Entry(code, kind, count, self._unpack(form.number, data[value:]))
        return Entry(code, kind, count, place + value)

    def _integer(self, entries: dict[int, Entry], code: int) -> int:
        return next(iter(self._integers(entries.get(code))), 0)

    def _integers(self, entry: Entry | None) -> tuple[int, ...]:
        """The values of a tag of few integers; none if it is missing or something else."""
        if entry is None or entry.kind not in _INTEGERS or entry.count > _MOST_TAGS:
            return ()
        if entry.offset >= self.size:
            return ()
        data = os.pread(self._file, entry.count * _TYPE_BYTES[entry.kind], entry.offset)
        count = len(data) // _TYPE_BYTES[entry.kind]
        return struct.unpack_from(f"{self._order}{count}{_INTEGERS[entry.kind]}", data)

    def _unpack(self, number: str, data: bytes) -> int:
        return int(struct.unpack(self._order + number, data)[0])

    def _bytes(self, offset: int, size: int, what: str) -> bytes:
        data = os.pread(self._file, size, offset) if offset < self.size else b""
        if len(data) < size:
            raise self._truncated(what)
        return data

    def _corrupt(self, problem: str) -> UserError:
        return refusal("TIFF_CORRUPT", self._name, problem, "export the image again")

    def _truncated(self, what: str) -> UserError:
        problem = f"{what} beyond the end of the file"
        return refusal("TIFF_TRUNCATED", self._name, problem, "get the file again")


def choose_page(pages: list[Directory], number: int | None, *, name: str) -> Directory:
    """The page to read: the only one of full size, or the one asked for.

    Pages flagged as previews or masks, and those of at most half the size of the largest, are
    no artwork of their own. Where all are flagged, it is the largest.

    Args:
        pages: The main chain.
        number: Counted from 1; None for the only one.
        name: The name of the file, for messages.

    Raises:
        UserError: There are several, or not as many (TIFF_MULTIPAGE), or only previews of what
            is stored elsewhere (TIFF_LAYOUT).
    """
    if number is not None:
        if number > len(pages):
            problem = f"there is no page {number}, the file has {len(pages)}"
            raise refusal("TIFF_MULTIPAGE", name, problem, "choose another with --page")
        return pages[number - 1]
    whole = [number for number, page in enumerate(pages) if not page.is_reduced]
    if not whole and _SUBDIRECTORIES in pages[0].entries:
        problem = "its pages are previews, the image is in parts as camera raw files have it"
        raise refusal("TIFF_LAYOUT", name, problem, "export it as TIFF")
    if not whole:
        return max(pages, key=_pixels)
    largest = max((pages[number] for number in whole), key=_pixels)
    full = [number + 1 for number in whole if not _is_half(pages[number], largest)]
    if len(full) > 1:
        listed = ", ".join(map(str, full[:5])) + (" ..." if len(full) > 5 else "")
        problem = f"it has {len(full)} pages of full size ({listed})"
        remedy = "choose one of the content with --page, or save it alone"
        raise refusal("TIFF_MULTIPAGE", name, problem, remedy)
    return pages[full[0] - 1]


def _pixels(page: Directory) -> int:
    return page.width * page.height


def _is_half(page: Directory, largest: Directory) -> bool:
    half = (largest.width + 1) // 2, (largest.height + 1) // 2
    return page is not largest and page.width <= half[0] and page.height <= half[1]
