"""What other programs read of each kind of TIFF, and what is left of one that was killed."""

import itertools
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from numpy.typing import NDArray

from tests.conftest import missing
from tilestyle.config import Output
from tilestyle.images import Tags, plan_layout, srgb_profile, write_tiff
from tilestyle.images.metadata import Metadata, Resolution

Array = NDArray[Any]

TAGS = Tags(srgb_profile(), Resolution.of_dpi(300), "tilestyle test", Metadata(artist="É. M."))
KINDS = [
    pytest.param(profile, dtype, colors, alpha, id=f"{profile}-{dtype}-{colors}{'a' * alpha}")
    for profile, dtype, (colors, alpha) in itertools.product(
        ["print", "archive"], ["uint8", "uint16"], [(3, False), (3, True), (4, False)]
    )
]


def tool(*command: str | Path) -> str:
    """Run a program of Debian's; skips where it is missing."""
    if not shutil.which(command[0]):
        missing(f"{command[0]} (make services)")
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rror" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture
def written(
    tmp_path: Path, profile: str, dtype: str, colors: int, alpha: bool
) -> tuple[Path, Array]:
    """A file of one kind, and its (height, width, samples) pixels."""
    shape = (colors + alpha, 333, 415)
    top = np.iinfo(dtype).max
    image = np.random.default_rng(8).integers(0, top, shape, dtype, endpoint=True)
    options = Output.model_validate({"profile": profile, "tile": 64})
    layout = plan_layout(shape[1:], options, dtype=image.dtype, colors=colors, alpha=alpha)
    # a profile for RGB does not matter here, and none for CMYK is always there
    write_tiff(tmp_path / "a.tif", [image], layout, TAGS)
    return tmp_path / "a.tif", np.moveaxis(image, 0, -1)


@pytest.mark.parametrize(("profile", "dtype", "colors", "alpha"), KINDS)
def test_other_programs_read_the_same_pixels(written: tuple[Path, Array], tmp_path: Path) -> None:
    path, image = written
    found = pyvips.Image.new_from_file(str(path), fail_on="warning")
    np.testing.assert_array_equal(found.numpy(), image)

    said = tool("tiffinfo", path)
    assert f"Image Width: {image.shape[1]} Image Length: {image.shape[0]}" in said
    tifffile.imwrite(
        tmp_path / "b.tif",
        image,
        photometric="rgb" if image.shape[2] != 4 or "unassoc" in said else "separated",
        extrasamples=["unassalpha"] if "unassoc" in said else None,
        planarconfig="contig",
    )
    # strips, because tiffcmp does not compare tiles with them
    tool("tiffcp", "-s", "-c", "none", path, tmp_path / "c.tif")
    tool("tiffcmp", "-t", tmp_path / "c.tif", tmp_path / "b.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "c.tif"), image)

    raw = tmp_path / "d.raw"
    # as stored: GDAL makes RGB of CMYK of 8 bits
    source = f"GTIFF_RAW:{path}"
    tool("gdal_translate", "-q", "-of", "ENVI", "-co", "INTERLEAVE=BIP", source, raw)
    np.testing.assert_array_equal(np.fromfile(raw, image.dtype).reshape(image.shape), image)


@pytest.mark.parametrize(("profile", "dtype", "colors", "alpha"), KINDS)
def test_imagemagick_reads_the_same_pixels(written: tuple[Path, Array], tmp_path: Path) -> None:
    path, image = written
    kind = {3: "rgb", 4: "cmyk"}[image.shape[2]]
    if image.shape[2] == 4 and tifffile.TiffFile(path).pages[0].extrasamples:
        kind = "rgba"
    raw = tmp_path / f"a.{kind}"
    options = ["-depth", str(8 * image.itemsize), "-endian", "LSB"]
    tool("convert-im6.q16", f"{path}[0]", *options, f"{kind}:{raw}")
    np.testing.assert_array_equal(np.fromfile(raw, image.dtype).reshape(image.shape), image)


KILLED = """
import sys
from pathlib import Path
import numpy as np
from tilestyle.config import Output
from tilestyle.images import Tags, plan_layout, srgb_profile, write_tiff
from tilestyle.images.metadata import Resolution

image = np.random.default_rng(0).integers(0, 256, (3, 1500, 1500), dtype=np.uint8)
layout = plan_layout((1500, 1500), Output(profile=sys.argv[2]), dtype=image.dtype)
print("begins", flush=True)
tags = Tags(srgb_profile(), Resolution.of_dpi(300), "test")
write_tiff(Path(sys.argv[1]), (image[:, y : y + 100] for y in range(0, 1500, 100)), layout, tags)
"""


def kills() -> Iterator[float]:
    """Seconds after which an export is killed; the last one is not."""
    dice = random.Random(3)
    yield from (dice.uniform(0, 0.8) for _ in range(4))
    yield 600


@pytest.mark.parametrize("profile", ["print", "archive"])
def test_a_killed_export_leaves_no_wrong_file(tmp_path: Path, profile: str) -> None:
    path = tmp_path / "a.tif"
    image = np.random.default_rng(0).integers(0, 256, (3, 1500, 1500), dtype=np.uint8)
    for seconds in kills():
        command = [sys.executable, "-c", KILLED, str(path), profile]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            assert child.stdout.readline() == "begins\n"
            end = time.monotonic() + seconds
            while child.poll() is None and time.monotonic() < end:
                time.sleep(0.01)
            child.kill()
        if path.exists():  # complete, or not there
            np.testing.assert_array_equal(tifffile.imread(path), np.moveaxis(image, 0, -1))
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]
