"""The texts of an EXIF block as their bytes: libvips replaces those that are no UTF-8."""

import struct

_ASCII = 2
_ENTRY_BYTES = 12


def exif_texts(block: bytes) -> dict[int, bytes]:
    """The tags of type ASCII in the first directory of an EXIF block.

    Args:
        block: A TIFF header and what follows, with or without "Exif" before it.

    Returns:
        The bytes by tag; what is damaged is left out.
    """
    data = block.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return {}
    start = struct.unpack_from(order + "I", data, 4)[0] + 2
    (count,) = struct.unpack(order + "H", data[start - 2 : start].ljust(2, b"\0"))
    entries = data[start : start + count * _ENTRY_BYTES]
    whole = entries[: len(entries) // _ENTRY_BYTES * _ENTRY_BYTES]
    texts = {}
    for code, kind, size, place in struct.iter_unpack(order + "HHII", whole):
        if kind == _ASCII:
            # Up to four bytes stand where others have their place.
            short = struct.pack(order + "I", place)
            texts[code] = short[:size] if size <= len(short) else data[place : place + size]
    return texts
