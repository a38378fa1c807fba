"""TIFF reading: the same pixels in many encodings, odd samples, damaged files."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tilestyle.config import Input
from tilestyle.errors import UserError
from tilestyle.images import open_source, srgb_profile
from tilestyle.images.source import Source

Array = NDArray[Any]

HEIGHT, WIDTH = 75, 90
COMPRESSIONS = ["none", "lzw", "adobe_deflate", "packbits", "zstd"]


def picture(dtype: str = "uint8", channels: int = 3) -> Array:
    """(HEIGHT, WIDTH, channels): a ramp with noise, over the whole range of dtype."""
    top = np.iinfo(dtype).max
    ramp = np.linspace(0, 0.9, HEIGHT * WIDTH * channels).reshape(HEIGHT, WIDTH, channels)
    noise = np.random.default_rng(7).random(ramp.shape) * 0.1
    return ((ramp + noise) * top).astype(dtype)


def planes(image: Array) -> Array:
    return np.moveaxis(image, -1, 0)


def read(source: Source, step: int = 32) -> Array:
    bands = list(source.rows(step))
    assert all(band.flags.c_contiguous and band.dtype == source.dtype for band in bands)
    assert [band.shape[1] for band in bands[:-1]] == [step] * (len(bands) - 1)
    whole = np.concatenate(bands, axis=1)
    assert whole.shape == (3, source.height, source.width)
    return whole


def refused(path: Path, options: Input | None = None) -> str:
    """The message of the error that opening or reading raises."""
    with pytest.raises(UserError) as caught:
        read(open_source(path, options))
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


def retag(path: Path, code: int, value: Any) -> None:
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags[code].overwrite(value)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("tiled", [True, False], ids=["tiled", "stripped"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("bigtiff", [True, False], ids=["big", "classic"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_same_pixels_in_many_encodings(
    tmp_path: Path,
    compression: str,
    tiled: bool,
    planar: str,
    bigtiff: bool,
    byteorder: Any,
    dtype: str,
) -> None:
    image = picture(dtype)
    path = tmp_path / "a.tif"
    stored = image if planar == "contig" else planes(image)
    layout: dict[str, Any] = {"tile": (16, 32)} if tiled else {"rowsperstrip": 13}
    tifffile.imwrite(
        path,
        stored,
        bigtiff=bigtiff,
        byteorder=byteorder,
        photometric="rgb",
        planarconfig=planar,
        compression=compression,
        predictor=compression in ("lzw", "zstd"),
        **layout,
    )

    source = open_source(path)

    assert (source.width, source.height, source.dtype) == (WIDTH, HEIGHT, np.dtype(dtype))
    np.testing.assert_array_equal(read(source), planes(image))


@pytest.mark.parametrize("step", [1, 7, 16, 50, 1000])
@pytest.mark.parametrize("layout", [{"tile": (32, 16)}, {"rowsperstrip": 5}, {}])
def test_bands_of_any_height(tmp_path: Path, step: int, layout: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", **layout)
    source = open_source(path)
    np.testing.assert_array_equal(read(source, step), planes(picture()))
    np.testing.assert_array_equal(read(source, step), planes(picture()))  # a second pass


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_one_uncompressed_strip_is_read_in_pieces(tmp_path: Path, planar: str) -> None:
    path = tmp_path / "a.tif"
    image = np.random.default_rng(0).integers(0, 65536, (700, 600, 3), dtype=np.uint16)
    stored = image if planar == "contig" else planes(image)
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar)
    np.testing.assert_array_equal(read(open_source(path), 100), planes(image))


def test_step_must_be_positive(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), photometric="rgb")
    with pytest.raises(ValueError, match="step"):
        next(open_source(path).rows(0))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_grey_in_both_polarities(tmp_path: Path, dtype: str, photometric: str) -> None:
    grey = picture(dtype, 1)[..., 0]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, grey, photometric=photometric, rowsperstrip=8)
    expected = grey if photometric == "minisblack" else np.iinfo(dtype).max - grey
    np.testing.assert_array_equal(read(open_source(path)), np.stack([expected] * 3))


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("compression", ["none", "packbits", "lzw"])
def test_bilevel(tmp_path: Path, photometric: str, compression: str) -> None:
    bits = picture(channels=1)[..., 0] > 128
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, bits, photometric=photometric, compression=compression)
    white = bits if photometric == "minisblack" else ~bits
    np.testing.assert_array_equal(read(open_source(path)), np.stack([white * np.uint8(255)] * 3))


def test_fax(tmp_path: Path) -> None:
    grey = np.where(picture(channels=1) > 128, 255, 0).astype(np.uint8)
    path = tmp_path / "a.tif"
    image = pyvips.Image.new_from_array(grey)
    image.tiffsave(str(path), compression="ccittfax4", bitdepth=1)
    np.testing.assert_array_equal(read(open_source(path)), np.repeat(planes(grey), 3, 0))


@pytest.mark.parametrize("bits", [2, 4, 10, 12, 14])
def test_packed_depths_are_scaled_to_the_full_range(tmp_path: Path, bits: int) -> None:
    dtype = np.dtype(np.uint8 if bits <= 8 else np.uint16)
    values = picture("uint16") >> (16 - bits)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values.astype(dtype), photometric="rgb", bitspersample=bits)
    top = 255 if bits <= 8 else 65535
    expected = np.rint(values * (top / (2**bits - 1)))
    source = open_source(path)
    assert source.dtype == dtype
    np.testing.assert_array_equal(read(source), planes(expected))


def test_palette(tmp_path: Path) -> None:
    indices = picture(channels=1)[..., 0]
    colors = np.random.default_rng(1).integers(0, 256, (3, 256), dtype=np.uint16) * 257
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, indices, photometric="palette", colormap=colors)
    np.testing.assert_array_equal(read(open_source(path)), (colors >> 8)[:, indices])


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_alpha_is_dropped(tmp_path: Path, dtype: str) -> None:
    straight, top = picture(dtype, 4), np.iinfo(dtype).max
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, straight, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read(open_source(path)), planes(straight[..., :3]))

    alpha = np.maximum(straight[..., 3:], top // 2).astype(np.float64) / top
    stored = np.concatenate([np.rint(straight[..., :3] * alpha), alpha * top], -1).astype(dtype)
    tifffile.imwrite(path, stored, photometric="rgb", extrasamples=["assocalpha"])
    found = read(open_source(path)).astype(int)
    assert np.abs(found - planes(straight[..., :3])).max() <= 1


@pytest.mark.parametrize(("dtype", "predictor"), [("float32", 3), ("float32", 1), ("float16", 1)])
def test_float_is_clipped(tmp_path: Path, dtype: str, predictor: int) -> None:
    values = (picture("uint16") / 65535 * 1.5 - 0.25).astype(dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", compression="lzw", predictor=predictor)
    source = open_source(path)
    assert source.dtype == np.uint16
    expected = np.rint(np.clip(values.astype(np.float32), 0, 1) * 65535)
    np.testing.assert_array_equal(read(source), planes(expected))


def test_float_that_is_no_number_is_refused(tmp_path: Path) -> None:
    values = picture("uint16").astype(np.float32) / 65535
    values[40, 3, 1] = np.nan
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb")
    assert refused(path).startswith("TIFF_SAMPLE: a.tif: ")


def test_jpeg_compressed(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    ramp = np.linspace(0, 255, HEIGHT * WIDTH).astype(np.uint8).reshape(HEIGHT, WIDTH)
    image = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], -1)
    tifffile.imwrite(path, image, photometric="rgb", compression="jpeg", tile=(32, 32))
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.YCBCR
    expected = pyvips.Image.new_from_file(str(path), fail_on="warning").numpy().astype(int)
    assert np.abs(read(open_source(path)) - planes(expected)).max() <= 2


def test_cmyk_needs_a_profile(tmp_path: Path) -> None:
    inks = picture(channels=4)
    profile = pyvips.Image.profile_load("cmyk")
    tagged, bare = tmp_path / "tagged.tif", tmp_path / "bare.tif"
    tifffile.imwrite(tagged, inks, photometric="separated", iccprofile=profile, tile=(32, 32))
    tifffile.imwrite(bare, inks, photometric="separated")

    expected = pyvips.Image.new_from_file(str(tagged)).icc_transform(
        "srgb", embedded=True, intent="relative", black_point_compensation=True
    )
    np.testing.assert_array_equal(read(open_source(tagged)), planes(expected.numpy()))
    (tmp_path / "inks.icc").write_bytes(profile)
    for named in ("cmyk", str(tmp_path / "inks.icc")):
        source = open_source(bare, Input(cmyk_profile=named))
        np.testing.assert_array_equal(read(source), read(open_source(tagged)))
    assert refused(bare).startswith("CMYK_NO_PROFILE: bare.tif: ")
    with pytest.raises(UserError, match=r"no\.icc: No such file"):
        open_source(bare, Input(cmyk_profile="no.icc"))


def test_the_assumed_profile_is_for_its_colour_space_only(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), photometric="rgb")
    source = open_source(path, Input(cmyk_profile="cmyk"))
    np.testing.assert_array_equal(read(source), planes(picture()))


def test_profiles_are_checked_before_pixels_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", iccprofile=b"no profile" * 20)
    with pytest.raises(UserError, match=r"^ICC_INVALID: a\.tif: "):
        open_source(path)


@pytest.mark.parametrize(
    ("resolution", "unit", "dpi"),
    [((300, 150), 2, 300.0), ((118.11, 118.11), 3, 300.0), ((300, 300), 1, None)],
)
def test_resolution(
    tmp_path: Path, resolution: tuple[float, float], unit: int, dpi: float | None
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", resolution=resolution, resolutionunit=unit)
    assert open_source(path).dpi == (None if dpi is None else pytest.approx(dpi, abs=0.01))


@pytest.mark.parametrize(
    ("code", "dtype", "options"),
    [
        ("TIFF_COMPRESSION", "uint8", {"compression": "lzma"}),
        ("TIFF_PHOTOMETRIC", "uint8", {"photometric": "itulab"}),
        ("TIFF_SAMPLE", "float32", {"photometric": "cielab"}),
        ("TIFF_SAMPLE", "int16", {}),
        ("TIFF_SAMPLE", "uint32", {}),
        ("TIFF_SAMPLE", "float64", {}),
    ],
)
def test_unsupported_files_are_refused(
    tmp_path: Path, code: str, dtype: str, options: dict[str, Any]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture().astype(dtype), **{"photometric": "rgb", **options})
    assert refused(path).startswith(f"{code}: a.tif: ")


@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 4}, {}])
@pytest.mark.parametrize("compression", ["none", "adobe_deflate"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_truncated_files_are_refused_before_pixels_are_read(
    tmp_path: Path, layout: dict[str, Any], compression: str, kept: float
) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", compression=compression, **layout)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(UserError, match=r"^TIFF_(TRUNCATED|CORRUPT): scan\.tif: "):
        open_source(path)


def test_an_empty_segment_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", tile=(64, 64))
    with tifffile.TiffFile(path) as file:
        sizes = file.pages[0].databytecounts
    retag(path, 325, (*sizes[:-1], 0))
    assert refused(path).startswith("TIFF_TRUNCATED: scan.tif: tile 3 is empty")


@pytest.mark.parametrize("code", [256, 257])
def test_zero_sizes_are_refused(tmp_path: Path, code: int) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", tile=(64, 64))
    retag(path, code, 0)
    assert refused(path).startswith("TIFF_CORRUPT: scan.tif: the size is ")


def test_more_rows_than_segments_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", tile=(64, 64))
    retag(path, 257, 5000)
    assert refused(path).startswith("TIFF_TRUNCATED: scan.tif: only 4 of 158 ")


@pytest.mark.parametrize("compression", ["lzw", "adobe_deflate", "zstd", "jpeg", "packbits"])
@pytest.mark.parametrize("tiled", [True, False], ids=["tiled", "stripped"])
def test_damage_is_found_while_reading(tmp_path: Path, compression: str, tiled: bool) -> None:
    path = tmp_path / "scan.tif"
    layout: dict[str, Any] = {"tile": (64, 64)} if tiled else {"rowsperstrip": 40}
    tifffile.imwrite(path, picture(), photometric="rgb", compression=compression, **layout)
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages[0].dataoffsets[-1], file.pages[0].databytecounts[-1]
    data = bytearray(path.read_bytes())
    data[offset + size // 2 : offset + size] = bytes(size - size // 2)
    path.write_bytes(data)
    source = open_source(path)
    with pytest.raises(UserError, match=r"^TIFF_(CORRUPT|TRUNCATED): scan\.tif: "):
        read(source)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_hostile_headers_raise_nothing_but_user_errors(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, picture()[:20, :20], photometric="rgb", compression="lzw")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(4, 400))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(UserError):
        read(open_source(path))


def test_the_opacity_is_read_apart(tmp_path: Path) -> None:
    image = picture("uint16", 4)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, photometric="rgb", extrasamples=["unassalpha"], tile=(32, 32))
    alpha = open_source(path).alpha
    assert alpha is not None
    found = np.concatenate(list(alpha(16)), axis=1)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, planes(image[..., 3:]))
    tifffile.imwrite(path, image[..., :3], photometric="rgb")
    assert open_source(path).alpha is None


def test_what_lies_under_no_opacity_takes_a_neighbours_colour(tmp_path: Path) -> None:
    image = picture()
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[20:30, 10:] = 0
    stored = np.concatenate([image * (alpha > 0), alpha], -1)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="rgb", extrasamples=["assocalpha"])
    expected = image.copy()
    expected[20:30, 10:] = image[20:30, 9:10]
    np.testing.assert_array_equal(read(open_source(path)), planes(expected))


def test_preserve_keeps_the_numbers_and_their_profile(tmp_path: Path) -> None:
    profile = bytes(pyvips.Image.profile_load("p3"))
    preserve = Input(working_space="preserve")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), photometric="rgb", iccprofile=profile)
    source = open_source(path, preserve)
    assert source.profile == profile
    np.testing.assert_array_equal(read(source), planes(picture()))
    assert open_source(path).profile == srgb_profile()
    assert not np.array_equal(read(open_source(path)), planes(picture()))
    inks = bytes(pyvips.Image.profile_load("cmyk"))
    tifffile.imwrite(path, picture(channels=4), photometric="separated", iccprofile=inks)
    assert open_source(path, preserve).profile == srgb_profile()


def test_profiles_can_be_ignored_and_intents_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    inks = bytes(pyvips.Image.profile_load("cmyk"))
    tifffile.imwrite(path, picture(), photometric="rgb", iccprofile=inks)
    assert refused(path).startswith("ICC_MISMATCH: a.tif: ")
    found = read(open_source(path, Input(ignore_profile=True)))
    np.testing.assert_array_equal(found, planes(picture()))
    tifffile.imwrite(path, picture(channels=4), photometric="separated", iccprofile=inks)
    perceptual = read(open_source(path, Input(intent="perceptual")))
    assert not np.array_equal(perceptual, read(open_source(path)))


def test_numbers_that_are_none_can_be_replaced_and_clipping_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = picture("uint16").astype(np.float32) / 65535
    values[40, 3] = np.nan, np.inf, 1.5
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb")
    assert "2 samples" in refused(path)
    found = read(open_source(path, Input(nan_to=0.5)))
    assert found[:, 40, 3].tolist() == [32768, 32768, 65535]
    assert "a.tif: 1 samples outside 0 to 1 were clipped" in caplog.text


def test_a_file_that_changes_while_it_is_open_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), photometric="rgb")
    source = open_source(path)
    tifffile.imwrite(path, 255 - picture(), photometric="rgb", compression="zlib")
    with pytest.raises(UserError, match=r"^INPUT_CHANGED: a\.tif: "):
        read(source)


@pytest.mark.parametrize(("orientation", "dpi"), [(1, 300.0), (4, 300.0), (6, 150.0)])
def test_the_resolution_turns_with_the_image(tmp_path: Path, orientation: int, dpi: float) -> None:
    path = tmp_path / "a.tif"
    tag = (274, 3, 1, orientation, True)
    tifffile.imwrite(
        path, picture(), photometric="rgb", resolution=(300, 150), resolutionunit=2, extratags=[tag]
    )
    assert open_source(path).dpi == dpi


def test_columns_of_strips_are_read_in_bounded_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tilestyle.images.tiff_source._WINDOW_BYTES", 5000)
    path = tmp_path / "a.tif"
    tag = (274, 3, 1, 8, True)
    for layout in ({"tile": (16, 16)}, {"rowsperstrip": 9}):
        tifffile.imwrite(path, picture(), photometric="rgb", extratags=[tag], **layout)
        turned = np.rot90(planes(picture()), 1, (1, 2))
        np.testing.assert_array_equal(read(open_source(path)), turned)


@pytest.mark.parametrize(
    ("description", "kept"),
    [
        ("ImageJ=1.54f\nimages=1\n", False),
        ("SCIFIO=0.46\n", False),
        ('{"shape": [75, 90, 3]}', False),
        ("Aperio Image Library v12\n90x75", False),
        ("<OME></OME>\n", False),
        ("A picture of ImageJ=", True),
    ],
)
def test_a_description_of_the_layout_is_no_description_of_the_picture(
    tmp_path: Path, description: str, kept: bool
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, picture(), photometric="rgb", description=description, metadata=None, software=False
    )
    assert open_source(path).metadata.description == (description if kept else "")


def test_pages_are_chosen_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for shade in (10, 20, 30):
            writer.write(np.full((40, 50, 3), shade, np.uint8), photometric="rgb")
    assert "3 pages of full size (1, 2, 3)" in refused(path)
    assert read(open_source(path, Input(page=3))).max() == 30
    assert "no page 4, the file has 3" in refused(path, Input(page=4))


def test_a_stack_of_imagej_in_one_directory(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    stack = np.stack([picture(), 255 - picture()])
    tifffile.imwrite(path, stack, imagej=True, photometric="rgb", metadata={"axes": "ZYXS"})
    assert refused(path).startswith("TIFF_MULTIPAGE: a.tif: it has 2 pages")
    with tifffile.TiffWriter(path, imagej=True) as writer:
        writer.write(stack, photometric="rgb", truncate=True, metadata={"axes": "ZYXS"})
    assert refused(path).startswith("TIFF_MULTIPAGE: a.tif: it is a stack of 2 planes; ")
    np.testing.assert_array_equal(read(open_source(path, Input(page=1))), planes(picture()))
    told = {"description": "ImageJ=1.54f\nimages=2\n", "metadata": None}
    tifffile.imwrite(path, picture(), photometric="rgb", **told)
    np.testing.assert_array_equal(read(open_source(path)), planes(picture()))


def test_each_part_is_walked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(picture(), photometric="rgb", subifds=30)
        for _ in range(30):
            writer.write(picture()[::2, ::2], photometric="rgb", subfiletype=1)
    # The page lists all of its parts, and each is followed by the next.
    monkeypatch.setattr("tilestyle.images.tiff_directory._MOST_DIRECTORIES", 31)
    np.testing.assert_array_equal(read(open_source(path)), planes(picture()))


def test_alpha_takes_the_room_of_one_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    image = picture(channels=4)
    tifffile.imwrite(path, image, photometric="rgb", extrasamples=["unassalpha"], tile=(16, 16))
    monkeypatch.setattr("tilestyle.images.tiff_source.most_bytes", lambda page: 16 * WIDTH * 4)
    np.testing.assert_array_equal(read(open_source(path)), planes(image[..., :3]))
    monkeypatch.setattr("tilestyle.images.tiff_source.most_bytes", lambda page: 16 * WIDTH * 3)
    assert refused(path).startswith("TIFF_TOO_BIG: a.tif: ")


def test_the_limit_of_pixels_is_an_option(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture(), photometric="rgb")
    message = refused(path, Input(max_pixels=HEIGHT * WIDTH - 1))
    assert message.startswith("TIFF_TOO_BIG: a.tif: ")
    assert "--max-pixels" in message
    open_source(path, Input(max_pixels=HEIGHT * WIDTH))


@pytest.mark.parametrize("subifds", [True, False])
def test_ome_tiff(tmp_path: Path, subifds: bool) -> None:
    path = tmp_path / "a.ome.tif"
    image = picture()
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as writer:
        options: dict[str, Any] = {"photometric": "rgb", "tile": (32, 32), "compression": "zlib"}
        writer.write(image, metadata={"axes": "YXS"}, subifds=int(subifds), **options)
        if subifds:
            writer.write(image[::2, ::2], subfiletype=1, **options)
    np.testing.assert_array_equal(read(open_source(path)), planes(image))
