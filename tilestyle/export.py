"""What an export needs to know before it begins: colours, alpha, layout, tags."""

import hashlib
import json
import os
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tilestyle import __version__
from tilestyle.admm.grid import Box
from tilestyle.config import Color, Output
from tilestyle.images import Tags, output_format, plan_layout
from tilestyle.images.color import Pixels
from tilestyle.images.levels import cut
from tilestyle.images.metadata import Metadata, Resolution
from tilestyle.images.output_profile import Conversion, load_profile
from tilestyle.images.render import Rendering
from tilestyle.images.tiff_layout import Layout, pick_profile
from tilestyle.images.xmp import carried
from tilestyle.store.workspace import IMAGE_CHUNK, Workspace, read_box, read_pixels
from tilestyle.style.color import with_chroma_of

SOFTWARE = f"tilestyle {__version__}"
_ICC = "output.icc"
_READERS = min(8, os.cpu_count() or 1)
_DPI = 300.0
"""Of an image whose content tells no resolution."""


@dataclass(frozen=True)
class Plan:
    """How the result of a run is written; follows from its record, before there is a result.

    Attributes:
        record: Of the workspace; `pipeline.plan` makes it.
        output: The file to write.
        config: How to write it.
    """

    record: dict[str, Any]
    output: Path
    config: Output

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.record["shapes"][0]
        return height, width

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples; a deep zoom has 8 bits."""
        depth = self.config.depth
        deep = depth == "16" or (depth == "auto" and self.record["dtype"] == "uint16")
        deep = deep and output_format(self.output) != "deepzoom"
        return np.dtype(np.uint16 if deep else np.uint8)

    @cached_property
    def profile(self) -> bytes:
        """ICC profile of what is written."""
        return self.conversion.target if self.conversion else b64decode(self.record["profile"])

    @cached_property
    def conversion(self) -> Conversion | None:
        """Of the working space to `output.icc`."""
        if self.config.icc is None:
            return None
        source, target = b64decode(self.record["profile"]), load_profile(self.config.icc, _ICC)
        return Conversion(source, target, self.config.intent, self.config.black_point)

    @cached_property
    def alpha(self) -> bool:
        """Whether opacity is written."""
        if not self.record["alpha"] or output_format(self.output) != "tiff":
            return False
        if self.config.alpha != "auto":
            return self.config.alpha == "keep"
        raw = self.shape[0] * self.shape[1] * (self._colors + 1) * self.dtype.itemsize
        return pick_profile(raw, self.config) == "archive"

    @property
    def _colors(self) -> int:
        return self.conversion.colors if self.conversion else 3

    @cached_property
    def rendering(self) -> Rendering:
        """From X to the pixels of the file."""
        return Rendering(self.dtype, self.alpha, self.conversion)

    @cached_property
    def layout(self) -> Layout:
        """Of a TIFF.

        Raises:
            UserError: The image does not fit in what is asked for.
        """
        return plan_layout(
            self.shape, self.config, dtype=self.dtype, colors=self._colors, alpha=self.alpha
        )

    def resolution(self, metadata: Metadata) -> Resolution:
        """Of the result: as asked for, as the content's, or 300 dpi."""
        if self.config.dpi or metadata.resolution is None:
            return Resolution.of_dpi(self.config.dpi or self.record["dpi"] or _DPI)
        return metadata.resolution

    def tags(self, metadata: Metadata) -> Tags:
        """Of a TIFF; `metadata` is what the content's file tells."""
        kept = metadata if self.config.metadata == "carry" else Metadata()
        time = build_time()
        if time:
            kept = replace(kept, date=f"{time:%Y:%m:%d %H:%M:%S}")
        if self.config.metadata == "carry":
            name = self.record["inputs"][0]["name"]
            kept = replace(kept, xmp=carried(kept.xmp, self._step(time), name=name))
        return Tags(self.profile, self.resolution(metadata), SOFTWARE, kept)

    def _step(self, time: datetime | None) -> dict[str, str]:
        """What the history says of this run; the same run says the same."""
        of_run = json.dumps([self.record["identity"], self.record["inputs"]], sort_keys=True)
        step = {
            "action": "derived",
            "softwareAgent": SOFTWARE,
            "parameters": f"style transfer, run {hashlib.sha256(of_run.encode()).hexdigest()[:16]}",
        }
        return step | ({"when": time.isoformat()} if time else {})


def build_time() -> datetime | None:
    """The time that files are to carry, if SOURCE_DATE_EPOCH tells one.

    No clock is asked, so that the same run writes the same bytes.
    """
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdecimal() else None


@dataclass(frozen=True)
class Result:
    """The pixels of a finished run as they are written.

    Attributes:
        workspace: A finished run.
        rendering: How they are made.
        color: Whose colours they have.
    """

    workspace: Workspace
    rendering: Rendering
    color: Color

    @cached_property
    def _x(self) -> Callable[[Box], NDArray[np.float32]]:
        return result_reader(self.workspace, self.color)

    @cached_property
    def _alpha(self) -> Any:
        return self.workspace.array("alpha") if self.workspace.record["alpha"] else None

    def read(self, box: Box) -> Pixels:
        """One box, (samples, height, width)."""
        alpha = None if self._alpha is None else read_box(self._alpha, box)
        return self.rendering(self._x(box), alpha, box)

    def bands(self, step: int) -> Iterator[Pixels]:
        """All rows from top to bottom, `step` at a time; made in squares, since X takes more."""
        height, width = self.workspace.record["shapes"][0]
        with ThreadPoolExecutor(_READERS) as pool:
            for y in range(0, height, step):
                rows = min(step, height - y)
                squares = cut(Box(y, y + rows, 0, width), max(rows, IMAGE_CHUNK))
                yield np.concatenate(list(pool.map(self.read, squares)), axis=2)


def result_array(workspace: Workspace) -> Any:
    """The finest level's X, (3, height, width) float32."""
    generation = workspace.record["progress"]["iteration"] % 2
    return workspace.array(f"levels/0/x/{generation}")


def result_reader(workspace: Workspace, color: Color) -> Callable[[Box], NDArray[np.float32]]:
    """Reads the result on a box, (3, height, width) float32, in the colours that it is to have."""
    x = result_array(workspace)
    if color.keep != "luminance":
        return lambda box: read_box(x, box)
    content = workspace.array("content/0")
    return lambda box: with_chroma_of(read_pixels(content, box), read_box(x, box))
