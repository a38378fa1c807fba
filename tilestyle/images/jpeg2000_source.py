"""JPEG 2000, decoded whole by OpenJPEG."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from tilestyle.config import Input
from tilestyle.errors import UserError
from tilestyle.images.bands import rebanded
from tilestyle.images.color import Pixels, pick_with_remark, srgb_profile, to_srgb
from tilestyle.images.fingerprint import Stamp
from tilestyle.images.limits import check_size, check_whole
from tilestyle.images.metadata import Metadata

JPEG2000_MAGIC = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
"""How a JP2 file begins, and a bare code stream."""

_HEADER = struct.Struct(">4x2xHIIII16xHB")
_OPENJPEG_BYTES = 4  # of a sample while it is decoded
_DEPTHS = range(8, 17)
# Methods of a colour box: a profile of a restricted kind, or of any, which JPX may have.
_RESTRICTED, _ANY = 2, 3
_PIECE = 1 << 22


class Jpeg2000Source:
    """A JPEG 2000 image, grey or RGB, of 8 to 16 bits.

    Args:
        path: The file.
        options: How images are read.

    Raises:
        UserError: It is too large, damaged, or of a kind that is not read.
    """

    alpha = None
    dpi = None
    metadata = Metadata()

    def __init__(self, path: Path, options: Input) -> None:
        self.name = path.name
        self._options = options
        self._stamp = Stamp.of(path)
        check_whole(self._stamp.size, name=self.name)
        data = path.read_bytes()
        start = data.find(JPEG2000_MAGIC[1])
        if start < 0 or len(data) < start + _HEADER.size:
            raise self._damaged("it holds no code stream")
        _, right, bottom, left, top, channels, depth = _HEADER.unpack_from(data, start)
        self.width, self.height, self._bits = right - left, bottom - top, depth + 1
        if min(self.width, self.height) < 1:
            raise self._damaged(f"its size is {self.width} x {self.height} pixels")
        check_size(self.width, self.height, options, name=self.name)
        check_whole(self.width * self.height * channels * _OPENJPEG_BYTES, name=self.name)
        if channels not in (1, 3) or self._bits not in _DEPTHS:
            problem = f"{channels} channels of {self._bits} bits are not read from JPEG 2000"
            raise UserError(f"{self.name}: {problem}; save it as TIFF")
        self.dtype: np.dtype[Any] = np.dtype(np.uint8 if self._bits == 8 else np.uint16)
        self.profile = srgb_profile()
        embedded = _embedded_profile(data[:start])
        self._conversion = pick_with_remark(embedded, channels, options, name=self.name)
        if options.working_space == "preserve" and channels == 3 and self._conversion:
            self.profile, self._conversion = self._conversion, None

    def rows(self, step: int) -> Iterator[Pixels]:
        """Bands of `step` rows; see `Source.rows`."""
        return rebanded(self._pieces(), step)

    def _pieces(self) -> Iterator[Pixels]:
        self._stamp.check()
        try:
            decoded = imagecodecs.jpeg2k_decode(_unconverted(self._stamp.path.read_bytes()))
        except Exception as error:  # the codec raises several types
            raise self._damaged(" ".join(str(error).split())) from error
        image = decoded.reshape(*decoded.shape[:2], -1)
        if image.shape[:2] != (self.height, self.width) or image.dtype != self.dtype:
            raise self._damaged(f"it decodes to {image.shape} samples of {image.dtype}")
        scale = np.iinfo(self.dtype).max / (2**self._bits - 1)
        high = max(1, _PIECE // self.width)
        for top in range(0, self.height, high):
            piece = image[top : top + high]
            if scale != 1:
                piece = np.rint(piece * scale).astype(self.dtype)
            intent = self._options.intent
            color = to_srgb(piece, self._conversion, name=self.name, intent=intent)
            planes = np.moveaxis(color, -1, 0)
            yield np.ascontiguousarray(np.broadcast_to(planes, (3, *planes.shape[1:])))
        self._stamp.check()

    def _damaged(self, reason: str) -> UserError:
        problem = f"the image is damaged or truncated ({reason})"
        return UserError(f"{self.name}: {problem}; copy or export it again")


def _profile_box(boxes: bytes) -> int | None:
    """Where the boxes before the code stream name one with an ICC profile; None for none."""
    at = boxes.find(b"colr")
    has_profile = at >= 4 and len(boxes) >= at + 7 and boxes[at + 4] in (_RESTRICTED, _ANY)
    return at if has_profile else None


def _embedded_profile(boxes: bytes) -> bytes | None:
    at = _profile_box(boxes)
    if at is None:
        return None
    length = int.from_bytes(boxes[at - 4 : at])
    return boxes[at + 7 : at - 4 + length]


def _unconverted(data: bytes) -> bytes:
    """The file as one whose profile the decoder does not know: others it converts to sRGB."""
    at = _profile_box(data[: data.find(JPEG2000_MAGIC[1])])
    return data if at is None else data[: at + 4] + bytes([_ANY]) + data[at + 5 :]
