"""The images of the benchmarks: photographs and paintings where they are, samples elsewhere."""

from dataclasses import dataclass
from pathlib import Path

import pyvips

from tilestyle.images.samples import sample, save

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
PAINTINGS = ("starry_night", "the_scream")


@dataclass(frozen=True)
class Images:
    """A content and a style, as files."""

    name: str
    content: Path
    style: Path


def photograph(folder: Path, width: int) -> list[Images]:
    """A photograph with each of two paintings; without the photograph the sample content."""
    if not DATA.is_dir():
        return sampled(folder, width, width * 3 // 4)
    content = _shrunk(DATA / "content" / "tubingen.jpg", folder / f"tubingen-{width}.tif", width)
    return [Images(f"tubingen {width}, {name}", content, _painting(name)) for name in PAINTINGS]


def sampled(folder: Path, width: int, height: int) -> list[Images]:
    """The sample content with two paintings; without them with two sample styles."""
    content = _saved("content", width, height, folder / f"sample-{width}x{height}.tif")
    if DATA.is_dir():
        styles = {name: _painting(name) for name in PAINTINGS}
    else:
        styles = {
            name: _saved(name, width // 2, height // 2, folder / f"{name}-{width}.tif")
            for name in ("strokes", "mosaic")
        }
    return [Images(f"sample {width}, {name}", content, style) for name, style in styles.items()]


def identity(folder: Path, width: int) -> list[Images]:
    """A painting as content and as style."""
    if not DATA.is_dir():
        painting = _saved("strokes", width, width * 3 // 4, folder / f"identity-{width}.tif")
    else:
        path = folder / f"identity-{width}.tif"
        painting = _shrunk(_painting(PAINTINGS[0]), path, width)
    return [Images(f"identity {width}", painting, painting)]


def _painting(name: str) -> Path:
    return DATA / "style" / f"{name}.jpg"


def _shrunk(source: Path, target: Path, width: int) -> Path:
    if not target.exists():
        pyvips.Image.thumbnail(str(source), width, height=10**6).write_to_file(str(target))
    return target


def _saved(name: str, width: int, height: int, path: Path) -> Path:
    if not path.exists():
        save(sample(name, width, height), path)
    return path
