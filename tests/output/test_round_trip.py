"""A picture that goes through the whole pipeline unchanged comes out as it went in."""

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import pyvips
import tifffile
from numpy.typing import NDArray

from tilestyle import pipeline
from tilestyle.config import load_config
from tilestyle.errors import UserError

Array = NDArray[Any]

XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    b' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Credit="The archive"'
    b' xmlns:dc="http://purl.org/dc/elements/1.1/" tiff:Orientation="6">'
    b"<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>\xc3\x89tude</rdf:li></rdf:Alt></dc:title>"
    b"</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
)
IPTC = b"\x1c\x02\x50\x00\x09Erika M.!\x1c\x02\x74\x00\x06(c) EM"
TEXTS = {270: "A lake, by night", 315: "Érika M.", 33432: "(c) 2024 Érika M.", 269: "lake.psd"}
DATE = "2024:05:06 07:08:09"
BLOB = b"8BIM of the original"


@cache  # a profile tells when it was made
def adobe_rgb() -> bytes:
    return bytes(imagecodecs.cms_profile("adobergb"))


def content(path: Path, image: Array, **options: Any) -> None:
    """Write (height, width, samples) as an image editor would, with everything it may carry."""
    extra = [(code, 2, len(data), data, True) for code, data in _texts()]
    extra += [(700, 1, len(XMP), XMP, True), (33723, 7, len(IPTC), IPTC, True)]
    extra += [(34377, 7, len(BLOB), BLOB, True)]
    settings: dict[str, Any] = {
        "photometric": "rgb",
        "iccprofile": adobe_rgb(),
        "resolution": ((300, 1), (300, 1)),
        "resolutionunit": "inch",
        "datetime": DATE,
        "software": "An editor",
        "extratags": extra,
        "metadata": None,
    }
    tifffile.imwrite(path, image, **(settings | options))


def _texts() -> list[tuple[int, bytes]]:
    return [(code, text.encode() + b"\0") for code, text in TEXTS.items()]


def through(content: Path, output: Path, *overrides: str) -> None:
    """The whole pipeline without a step."""
    style = content.with_name("style.tif")
    tifffile.imwrite(style, np.full((64, 64, 3), 99, np.uint8), photometric="rgb")
    # no weights of this name are there, and none are needed
    options = ["cluster.kind=threads", "solver.steps=0", "network.name=vgg19", *overrides]
    config = load_config(overrides=[*options, "network.weights=/nowhere/vgg19.pth"])
    pipeline.run(content, [style], output, config)


def picture(dtype: str, samples: int) -> Array:
    top = np.iinfo(dtype).max
    image = np.random.default_rng(4).integers(0, top, (150, 200, samples), dtype, endpoint=True)
    if samples == 4:
        image[40:80, 30:90, 3] = 0
        image[90:, :50, 3] = top
    return image


@pytest.mark.parametrize("profile", ["print", "archive"])
@pytest.mark.parametrize(("dtype", "samples"), [("uint16", 4), ("uint16", 3), ("uint8", 4)])
def test_pixels_alpha_and_tags(tmp_path: Path, profile: str, dtype: str, samples: int) -> None:
    image = picture(dtype, samples)
    alpha = {"extrasamples": ["unassalpha"]} if samples == 4 else {}
    content(tmp_path / "c.tif", image, **alpha)
    options = [f"output.profile={profile}", "output.alpha=keep", "input.working_space=preserve"]
    through(tmp_path / "c.tif", tmp_path / "r.tif", *options)
    with tifffile.TiffFile(tmp_path / "r.tif") as file:
        page = file.pages[0]
        np.testing.assert_array_equal(page.asarray(), image)
        assert page.iccprofile == adobe_rgb()
        assert page.extrasamples == ((2,) if samples == 4 else ())
        tags = page.tags
        assert {code: tags.valueof(code) for code in TEXTS} == TEXTS
        assert tags.valueof(306) == DATE
        assert (tags.valueof(282), tags.valueof(283), tags.valueof(296)) == ((300, 1), (300, 1), 2)
        assert tags.valueof(274) == 1
        assert bytes(tags.valueof(33723)) == IPTC
        assert tags.valueof(305).startswith("tilestyle ")
        assert 34377 not in tags
        xmp = bytes(tags.valueof(700)).decode()
    assert '<rdf:li xml:lang="x-default">Étude</rdf:li>' in xmp
    assert 'photoshop:Credit="The archive"' in xmp
    assert "tiff:Orientation" not in xmp
    assert xmp.count("<stEvt:action>") == 1


def test_the_same_bytes_again_and_the_time_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content(tmp_path / "c.tif", picture("uint8", 3))
    for name in "ab":
        through(tmp_path / "c.tif", tmp_path / f"{name}.tif")
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    through(tmp_path / "c.tif", tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].tags.valueof(306) == "1970:01:02 00:00:00"
        assert b"<stEvt:when>1970-01-02" in file.pages[0].tags.valueof(700)


def test_no_metadata_where_none_is_wanted(tmp_path: Path) -> None:
    content(tmp_path / "c.tif", picture("uint8", 3))
    through(tmp_path / "c.tif", tmp_path / "r.tif", "output.metadata=none")
    with tifffile.TiffFile(tmp_path / "r.tif") as file:
        tags = file.pages[0].tags
        assert not {270, 315, 33432, 269, 306, 700, 33723} & {tag.code for tag in tags.values()}
        assert tags.valueof(282) == (300, 1)


@pytest.mark.parametrize(
    ("x", "y", "unit"),
    [((118110, 1000), (118110, 1000), 3), ((1, 1), (2, 1), 1), ((2999, 10), (300, 1), 2)],
)
def test_resolution_stays_exact_in_its_unit(
    tmp_path: Path, x: tuple[int, int], y: tuple[int, int], unit: int
) -> None:
    image = picture("uint8", 3)
    content(tmp_path / "c.tif", image, resolution=(x, y), resolutionunit=unit)
    through(tmp_path / "c.tif", tmp_path / "r.tif")
    through(tmp_path / "c.tif", tmp_path / "d.tif", "output.dpi=254.5")
    with tifffile.TiffFile(tmp_path / "r.tif") as file:
        tags = file.pages[0].tags
        assert (Fraction(*tags.valueof(282)), Fraction(*tags.valueof(283)), tags.valueof(296)) == (
            Fraction(*x),
            Fraction(*y),
            unit,
        )
    with tifffile.TiffFile(tmp_path / "d.tif") as file:
        assert file.pages[0].tags.valueof(282) == (509, 2)
        assert file.pages[0].tags.valueof(296) == 2


def test_a_turned_picture_comes_out_upright(tmp_path: Path) -> None:
    image = picture("uint8", 3)
    turned = [(274, 3, 1, 6, True)]
    content(
        tmp_path / "c.tif",
        image,
        extratags=turned,
        resolution=((200, 1), (100, 1)),
        iccprofile=None,
    )
    through(tmp_path / "c.tif", tmp_path / "r.tif")
    with tifffile.TiffFile(tmp_path / "r.tif") as file:
        np.testing.assert_array_equal(file.pages[0].asarray(), np.rot90(image, -1))
        tags = file.pages[0].tags
        assert [tags.valueof(code) for code in (274, 282, 283)] == [1, (100, 1), (200, 1)]


def test_print_lays_what_is_transparent_on_white(tmp_path: Path) -> None:
    image = picture("uint8", 4)
    content(tmp_path / "c.tif", image, iccprofile=None, extrasamples=["unassalpha"])
    through(tmp_path / "c.tif", tmp_path / "r.tif")
    found = tifffile.imread(tmp_path / "r.tif")
    opacity = image[..., 3:] / 255
    assert found.shape == (150, 200, 3)
    assert np.abs(found - (image[..., :3] * opacity + 255 * (1 - opacity))).max() <= 1
    assert found[40:80, 30:90].min() == 255


def test_texts_that_no_tag_can_hold_as_they_are(tmp_path: Path) -> None:
    texts = {
        270: b"ImageJ=1.54f\nimages=3\n\0",
        306: "2024:05:06 07:08:0é\0".encode("latin-1"),
        315: b" \0\0Erika M. \0",
        33432: b"A photographer \0an editor\0",
    }
    tags = [(code, 2, len(data), data, True) for code, data in texts.items()]
    content(tmp_path / "c.tif", picture("uint8", 3), extratags=tags, datetime=None)
    through(tmp_path / "c.tif", tmp_path / "r.tif")
    with tifffile.TiffFile(tmp_path / "r.tif") as file:
        found = {code: file.pages[0].tags.valueof(code) for code in texts}
    assert found == {
        270: None,
        306: None,
        315: "Erika M.",
        33432: "A photographer; an editor",
    }


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_alpha_of_other_formats(tmp_path: Path, suffix: str) -> None:
    image = picture("uint8", 4)
    path = tmp_path / f"c{suffix}"
    pyvips.Image.new_from_array(image).copy(interpretation="srgb").write_to_file(
        str(path), **({"lossless": True} if suffix == ".webp" else {})
    )
    through(path, tmp_path / "r.tif", "output.alpha=keep")
    found = tifffile.imread(tmp_path / "r.tif")
    np.testing.assert_array_equal(found[..., 3], image[..., 3])
    seen = image[..., 3] > 0
    np.testing.assert_array_equal(found[seen], image[seen])


def test_what_cannot_be_written_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    content(tmp_path / "c.tif", picture("uint8", 3))
    for options, message in [
        (["output.compression=jpeg"], "needs tiles"),
        (["output.icc=/nowhere.icc"], r"/nowhere\.icc: cannot be read"),
    ]:
        with pytest.raises(UserError, match=message):
            through(tmp_path / "c.tif", tmp_path / "r.tif", *options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tif", "style.tif"]
