"""Conversion to the colours of a press, and the soft proof."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from numpy.typing import NDArray

from tests.output.press import cmyk_profile
from tests.output.test_round_trip import adobe_rgb, through
from tilestyle.errors import UserError
from tilestyle.images import open_source, srgb_profile
from tilestyle.images.output_profile import Conversion, load_profile
from tilestyle.proof import Press, proof

Array = NDArray[Any]


def patches(*colors: tuple[int, int, int]) -> Array:
    """(30, 20 n, 3) uint8: squares side by side."""
    return np.repeat(np.broadcast_to(np.array(colors, np.uint8), (30, len(colors), 3)), 20, axis=1)


def write(path: Path, image: Array, profile: bytes | None = None) -> Path:
    tifffile.imwrite(path, image, photometric="rgb", iccprofile=profile or srgb_profile())
    return path


@pytest.mark.parametrize("depth", ["8", "16"])
@pytest.mark.parametrize("profile", ["print", "archive"])
def test_a_result_in_the_inks_of_a_press(tmp_path: Path, depth: str, profile: str) -> None:
    image = patches((255, 255, 255), (128, 128, 128), (150, 100, 90), (60, 90, 60))
    press = cmyk_profile()
    options = [f"output.depth={depth!r}", f"output.profile={profile}", f"output.icc={press}"]
    through(write(tmp_path / "c.tif", image), tmp_path / "r.tif", *options)
    with tifffile.TiffFile(tmp_path / "r.tif") as file:
        page = file.pages[0]
        assert page.photometric == tifffile.PHOTOMETRIC.SEPARATED
        assert page.tags.valueof(332) == 1  # InkSet: CMYK
        assert page.iccprofile == press.read_bytes()
        assert page.dtype == np.dtype(f"uint{depth}")
        inks = page.asarray()
    assert inks.shape == (30, 80, 4)
    assert inks[5, 5].max() == 0  # white is no ink
    seen = np.concatenate(list(open_source(tmp_path / "r.tif").rows(30)), axis=1)
    seen = np.moveaxis(seen, 0, -1) / (1 if depth == "8" else 257)
    assert np.abs(seen - image).max() < 5


def test_the_conversion_is_that_of_libvips(tmp_path: Path) -> None:
    press = cmyk_profile()
    image = np.random.default_rng(1).integers(0, 65536, (3, 20, 30)).astype(np.uint16)
    vips = pyvips.Image.new_from_array(np.moveaxis(image, 0, -1)).copy(interpretation="rgb16")
    vips.set_type(pyvips.GValue.blob_type, "icc-profile-data", srgb_profile())
    for intent in ("relative", "perceptual", "saturation", "absolute"):
        found = Conversion(srgb_profile(), press.read_bytes(), intent, black_point=False)(image)
        expected = vips.icc_transform(
            str(press), embedded=True, intent=intent, depth=16, black_point_compensation=False
        ).numpy()
        off = np.abs(np.moveaxis(found, 0, -1).astype(int) - expected)
        assert off.mean() < 300  # of 65535: one interpolates tables, the other colours


def test_another_rgb(tmp_path: Path) -> None:
    icc = tmp_path / "adobe.icc"
    icc.write_bytes(adobe_rgb())
    image = patches((255, 0, 0), (128, 128, 128), (100, 200, 80))
    through(write(tmp_path / "c.tif", image), tmp_path / "r.tif", f"output.icc={icc}")
    found = tifffile.imread(tmp_path / "r.tif")
    # sRGB's red in Adobe RGB (1998), by IEC 61966-2-1 and the primaries of the latter
    np.testing.assert_allclose(found[5, 5], (219, 0, 0), atol=1)
    with tifffile.TiffFile(tmp_path / "r.tif") as file:
        assert file.pages[0].iccprofile == adobe_rgb()
    seen = np.moveaxis(np.concatenate(list(open_source(tmp_path / "r.tif").rows(30)), 1), 0, -1)
    assert np.abs(seen.astype(int) - image).max() <= 2


def test_profiles_that_do_not_do(tmp_path: Path) -> None:
    bad = tmp_path / "bad.icc"
    for content, message in [(b"x" * 200, "no ICC profile of RGB or CMYK"), (None, "cannot be")]:
        if content:
            bad.write_bytes(content)
        else:
            bad.unlink()
        with pytest.raises(UserError, match=message):
            load_profile(str(bad), "output.icc")
    cut = srgb_profile()[:200]
    bad.write_bytes(cut)
    with pytest.raises(UserError, match="nothing can be converted"):
        load_profile(str(bad), "output.icc")
    bad.write_bytes(adobe_rgb())
    with pytest.raises(UserError, match=r"output\.icc is for a TIFF"):
        through(
            write(tmp_path / "c.tif", patches((1, 2, 3))), tmp_path / "r.dzi", f"output.icc={bad}"
        )


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_a_proof_counts_what_inks_cannot_show(tmp_path: Path, suffix: str) -> None:
    press = Press(cmyk_profile())
    image = patches((255, 255, 255), (128, 128, 128), (150, 100, 90), (0, 255, 0))
    output = tmp_path / f"p.{suffix}"
    assert proof(write(tmp_path / "c.tif", image), output, press) == 25
    seen = pyvips.Image.new_from_file(str(output)).numpy()
    assert seen.shape == image.shape
    off = np.abs(seen.astype(int) - image).max(axis=(0, 2))
    assert off[:60].max() < 4
    assert off[60:].min() > 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tif", output.name]


def test_a_proof_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise pyvips.Error("unable to call pngsave\n  write error")

    monkeypatch.setattr(pyvips.Image, "pngsave", fail, raising=False)
    picture = write(tmp_path / "c.tif", patches((1, 2, 3)))
    with pytest.raises(UserError, match=r"p\.png: cannot be written .*free space") as caught:
        proof(picture, tmp_path / "p.png", Press(cmyk_profile()))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["c.tif"]


def test_a_proof_shows_paper_and_sees_beyond_srgb(tmp_path: Path) -> None:
    image = patches((255, 255, 255), (0, 255, 0))
    press = Press(cmyk_profile(), paper=True)
    assert proof(write(tmp_path / "c.tif", image, adobe_rgb()), tmp_path / "p.tif", press) == 50
    paper = tifffile.imread(tmp_path / "p.tif")[5, 5]
    assert 180 < paper.min() < 250
    easy = Press(cmyk_profile(), tolerance=200)
    assert proof(tmp_path / "c.tif", tmp_path / "p.tif", easy) == 0
    with pytest.raises(UserError, match=r"end in \.tif or \.png"):
        proof(tmp_path / "c.tif", tmp_path / "p.jpg", press)
