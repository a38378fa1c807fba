"""What libtiff and libjpeg, inside libvips, say of a strip or tile of JPEG or fax data.

Their own decoders fill what they cannot read with grey, white or noise, as all do, but they remark
on it. A segment is handed to them as a TIFF of its own, with no more tags than needed: remarks on
what a file has besides are no concern here.
"""

import struct
from dataclasses import dataclass

import pyvips
from tifffile import COMPRESSION, TiffPage

_START, _END = b"\xff\xd8", b"\xff\xd9"
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = {0xC0, 0xC1}
_SCAN = 0xDA
_ALONE = {0x01, *range(0xD0, 0xDA)}
_REMARKS = {0xFE, *range(0xE0, 0xF0)}
_FILL_ORDER, _T4_OPTIONS, _T6_OPTIONS, _SUBSAMPLING = 266, 292, 293, 530
_SHORTS = {258, 259, 262, 266, 277}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK, _YCBCR = 0, 1, 2, 5, 6


@dataclass(frozen=True)
class JpegStream:
    """A JPEG stream, taken apart.

    Attributes:
        width: In pixels.
        height: In pixels.
        head: All before the coded pixels, without remarks of applications.
        body: The coded pixels; None if their end is missing.
        sampling: Samples across and down of each component, for those of the first of all.
        depth: Bits of a sample.
        is_plain: It is sequential and of 8 bits, as nearly all are.
    """

    width: int
    height: int
    head: bytes
    body: bytes | None
    sampling: tuple[tuple[int, int], ...]
    depth: int
    is_plain: bool


def read_jpeg(tables: bytes, data: bytes) -> JpegStream | None:
    """Take a stream and its separate tables apart; None if it is no JPEG."""
    kept, mark, padding = tables.rpartition(_END)
    # Some writers fill the tables up to an even number of bytes.
    stream = kept + mark + padding.lstrip(b"\0") + data
    at, head, frame = 0, [_START], None
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4])
        if marker in _FRAMES:
            frame = marker, stream[at + 4 : end]
        if marker not in _REMARKS:
            head.append(stream[at:end])
        if marker == _SCAN:
            return _jpeg(frame, b"".join(head), stream[end:])
        at = end
    return None


def _jpeg(frame: tuple[int, bytes] | None, head: bytes, rest: bytes) -> JpegStream | None:
    if frame is None or len(frame[1]) < 6:
        return None
    marker, data = frame
    depth, height, width = struct.unpack_from(">BHH", data)
    sampling = tuple((part >> 4, part & 15) for part in data[7::3])
    body, end, _ = rest.partition(_END)
    is_plain = marker in _SEQUENTIAL and depth == 8
    return JpegStream(width, height, head, body if end else None, sampling, depth, is_plain)


def jpeg_complaint(jpeg: JpegStream) -> str | None:
    """What libjpeg remarks on a stream whose end is there; None for nothing.

    Streams of unusual kinds are not checked.
    """
    across_down, *others = jpeg.sampling
    photometric = {1: _BLACK_IS_ZERO, 3: _RGB, 4: _CMYK}.get(len(jpeg.sampling))
    if not jpeg.is_plain or photometric is None or {*others} - {(1, 1)} or jpeg.body is None:
        return None
    tags = {256: jpeg.width, 257: jpeg.height, 258: 8, 259: int(COMPRESSION.JPEG)}
    tags |= {262: photometric, 277: len(jpeg.sampling)}
    if across_down != (1, 1) and others:
        # Two shorts in the place of one long.
        tags |= {262: _YCBCR, _SUBSAMPLING: across_down[1] << 16 | across_down[0]}
    found = _complaint(_tiff(tags, jpeg.head + jpeg.body + _END))
    # Some writers fill up with bytes that mean nothing.
    unpadded = jpeg.body.rstrip(b"\0\xff")
    if found and unpadded != jpeg.body:
        found = _complaint(_tiff(tags, jpeg.head + unpadded + _END))
    return found


def fax_complaint(data: bytes, rows: int, columns: int, page: TiffPage) -> str | None:
    """What libtiff remarks on fax data; None for nothing."""
    tags = {256: columns, 257: rows, 258: 1, 259: int(page.compression)}
    tags |= {262: _WHITE_IS_ZERO, 277: 1}
    for code in (_FILL_ORDER, _T4_OPTIONS, _T6_OPTIONS):
        if code in page.tags:
            tags[code] = int(page.tags.valueof(code))
    return _complaint(_tiff(tags, data))


def _complaint(data: bytes) -> str | None:
    try:
        image = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="warning")
        image.avg()
    except pyvips.Error as error:
        lines = [" ".join(line.split()) for line in str(error).split("\n")[1:] if line.strip()]
        return lines[0] if lines else "libjpeg finds its data corrupt"
    return None


def _tiff(tags: dict[int, int], data: bytes) -> bytes:
    """One strip as a TIFF."""
    tags = {**tags, 278: tags[257], 279: len(data)}
    tags[273] = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = (
        struct.pack("<HHIH2x", code, 3, 1, value)
        if code in _SHORTS
        else struct.pack("<HHII", code, *((3, 2) if code == _SUBSAMPLING else (4, 1)), value)
        for code, value in sorted(tags.items())
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return head + b"".join(entries) + bytes(4) + data
