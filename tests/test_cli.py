"""The command line as a user meets it: what it says, and the exit code."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pyvips
import tifffile
import torch
import zarr

from tests.vgg_files import small_state
from tilestyle import cli
from tilestyle.config import load_config
from tilestyle.store.lock import hold
from tilestyle.store.workspace import Workspace

Tilestyle = Callable[..., tuple[int, str, str]]

FAST = ["--cluster", "threads", "--workers", "1", "--set", "solver.steps=2"]


@pytest.fixture
def tilestyle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tilestyle:
    """Run a command in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tilestyle", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        output, errors = capsys.readouterr()
        return int(caught.value.code or 0), output, errors

    return call


@pytest.fixture
def images(tilestyle: Tilestyle) -> tuple[str, str]:
    assert tilestyle("sample", "content", "--size", "160x120", "-o", "c.tif")[0] == 0
    assert tilestyle("sample", "style", "--size", "160x120", "-o", "s.tif")[0] == 0
    return "c.tif", "s.tif"


def refuse(result: tuple[int, str, str], *words: str) -> None:
    code, _, errors = result
    assert code == 2
    assert len(errors.splitlines()) == 1
    assert "Traceback" not in errors
    for word in words:
        assert word in errors


def test_a_run_from_files_to_tiff(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    code, output, errors = tilestyle("run", *images, "-o", "r.tif", *FAST)
    assert (code, errors) == (0, "")
    assert "r.tif: 160 x 120 px" in output
    with tifffile.TiffFile("r.tif") as tiff:
        page = tiff.pages[0]
        assert not page.is_tiled
        assert page.shape == (120, 160, 3)
    vips = pyvips.Image.new_from_file("r.tif")
    assert vips.get_typeof("icc-profile-data")
    assert round(vips.xres * 25.4) == 300
    assert np.array_equal(vips.numpy(), tifffile.imread("r.tif"))
    assert not np.array_equal(vips.numpy(), tifffile.imread("c.tif"))


def test_the_same_command_again_and_status(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    tilestyle("run", *images, "-o", "r.tif", *FAST)
    first = Path("r.tif").read_bytes()
    code, output, _ = tilestyle("run", *images, "-o", "r.tif", *FAST)
    assert code == 0
    assert "iteration" not in output
    assert Path("r.tif").read_bytes() == first
    assert "stylize: done" in tilestyle("status", "r.tilestyle")[1]
    assert "objective" in tilestyle("score", "r.tilestyle")[1]
    assert "level 0 iteration 1" in Path("r.tilestyle/tilestyle.log").read_text()


def test_a_workspace_in_use(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    assert tilestyle("ingest", *images, "-w", "w", *FAST)[0] == 0
    with hold(Path("w")):
        assert "at work: process" in tilestyle("status", "w")[1]
        for command in (["run", *images, "-o", "r.tif", *FAST, "-w", "w"], ["pyramid", "-w", "w"]):
            code, _, errors = tilestyle(*command)
            assert code == 75
            assert errors.startswith("tilestyle: w: another run is at work there: process ")
    assert "process" not in tilestyle("status", "w")[1]
    assert not Path("r.tif").exists()


def test_an_address_that_is_no_workspace(tilestyle: Tilestyle) -> None:
    for address in ("gs://bucket/w", "s3://bucket", "s3://"):
        refuse(tilestyle("status", address), address, "s3://BUCKET/PREFIX")


def test_stage_by_stage_is_the_whole_run(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    tilestyle("run", *images, "-o", "r.tif", *FAST)
    assert tilestyle("ingest", *images, "-w", "w", *FAST)[0] == 0
    refuse(tilestyle("stylize", "-w", "w"), "w: pyramid comes before stylize")
    refuse(tilestyle("export", "-w", "w", "-o", "e.tif"), "stylize comes before export")
    for stage in ("pyramid", "stylize"):
        assert tilestyle(stage, "-w", "w")[0] == 0
    assert tilestyle("export", "-w", "w", "-o", "e.tif")[0] == 0
    assert Path("e.tif").read_bytes() == Path("r.tif").read_bytes()
    assert tilestyle("export", "-w", "w", "-o", "d.tif", "--set", "output.depth='16'")[0] == 0
    assert tifffile.imread("d.tif").dtype == np.uint16


def test_the_suffix_chooses_the_format(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    assert tilestyle("run", *images, "-o", "r.ome.zarr", *FAST)[0] == 0
    for name in ("r.tif", "r.ome.zarr", "r.dzi"):
        assert tilestyle("export", "-w", "r.tilestyle", "-o", name)[0] == 0
    pixels = np.moveaxis(tifffile.imread("r.tif"), -1, 0)
    finest = zarr.open_group("r.ome.zarr", mode="r")["0"]
    assert isinstance(finest, zarr.Array)
    np.testing.assert_array_equal(finest[:], pixels)
    tile = np.moveaxis(pyvips.Image.new_from_file("r_files/8/0_0.jpeg").numpy(), -1, 0)
    assert tile.shape == pixels.shape
    assert np.abs(tile.astype(int) - pixels).mean() < 12
    deep = ["--set", "output.depth='16'"]
    assert tilestyle("export", "-w", "r.tilestyle", "-o", "d.dzi", *deep)[0] == 0
    assert Path("d_files/8/0_0.jpeg").read_bytes() == Path("r_files/8/0_0.jpeg").read_bytes()
    refuse(tilestyle("export", "-w", "r.tilestyle", "-o", "r.tilestyle/x.zarr"), ".ome.zarr")
    Path("r.tilestyle").rename("w.ome.zarr")
    refuse(tilestyle("export", "-w", "w.ome.zarr", "-o", "w.ome.zarr"), "is no OME-Zarr")


def test_no_steps_give_the_content_back(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (70, 90, 3), dtype=np.uint16)
    tifffile.imwrite("deep.tif", deep, photometric="rgb", resolution=(240, 240), resolutionunit=2)
    for name in ("c.tif", "deep.tif"):
        options = ["-o", f"out-{name}", *FAST, "--set", "solver.steps=0"]
        assert tilestyle("run", name, images[1], *options)[0] == 0
        assert np.array_equal(tifffile.imread(f"out-{name}"), tifffile.imread(name))
    with tifffile.TiffFile("out-deep.tif") as tiff:
        assert tiff.pages[0].tags["XResolution"].value == (240, 1)


def test_two_styles(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    tilestyle("sample", "mosaic", "--size", "130x130", "-o", "m.tif")
    assert tilestyle("run", *images, "m.tif", "-o", "two.tif", *FAST)[0] == 0
    assert tilestyle("run", *images, "-o", "one.tif", *FAST)[0] == 0
    assert not np.array_equal(tifffile.imread("two.tif"), tifffile.imread("one.tif"))


def damaged(kind: str) -> str:
    """A file that cannot be used, of each kind that users have."""
    name = f"{kind}.tif"
    whole = Path("c.tif").read_bytes()
    match kind:
        case "empty":
            Path(name).touch()
        case "text":
            Path(name).write_text("not an image\n")
        case "truncated":
            Path(name).write_bytes(whole[: len(whole) // 2])
        case "folder":
            Path(name).mkdir()
        case "jpeg":
            pyvips.Image.new_from_file("c.tif").write_to_file("whole.jpg")
            name = "half.jpg"
            Path(name).write_bytes(Path("whole.jpg").read_bytes()[:4000])
        case "missing":
            pass
    return name


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "folder", "jpeg"])
@pytest.mark.parametrize("role", ["content", "style"])
def test_a_bad_image_is_refused_and_nothing_is_left(
    tilestyle: Tilestyle, images: tuple[str, str], kind: str, role: str
) -> None:
    bad = damaged(kind)
    pair = (bad, images[1]) if role == "content" else (images[0], bad)
    before = sorted(Path().iterdir())
    refuse(tilestyle("run", *pair, "-o", "r.tif", *FAST), bad)
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "solver.stps=3"], ["solver.stps", "solver.steps"]),
        (["--set", "patch.core=100"], ["patch.core: 100", "32"]),
        (["--set", "patch.overlap=256"], ["patch.overlap: 256", "128"]),
        (["--set", "patch.blend=200"], ["patch.blend: 200"]),
        (["--set", "network.name=vgg19", "--weights", "no.pth"], ["no.pth", "scattering"]),
        (["--set", "network.name=vgg19", "--weights", "c.tif"], ["c.tif", "weights"]),
        (["--weights", "c.tif"], ["c.tif", "scattering has no weights"]),
        (["--set", "loss.style_layers={nope: 1}"], ["no layer nope", "first.0"]),
        (["--set", "network.device=cuda"], ["network.device: cuda"]),
        (["-c", "no.yaml"], ["no.yaml"]),
        (["-o", "r.jpg"], ["r.jpg", ".tif"]),
        (["-o", "nowhere/r.tif"], ["nowhere", "folder"]),
        (["--cluster", "nowhere"], ["--cluster nowhere"]),
    ],
)
def test_a_bad_option_is_refused_and_nothing_is_left(
    tilestyle: Tilestyle, images: tuple[str, str], options: list[str], words: list[str]
) -> None:
    if "cuda" in options[-1]:
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
    before = sorted(Path().iterdir())
    refuse(tilestyle("run", *images, "-o", "r.tif", *FAST, *options), *words)
    assert sorted(Path().iterdir()) == before


def test_a_workspace_of_another_run(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    arguments = ["run", *images, "-o", "r.tif", *FAST]
    tilestyle(*arguments)
    refuse(tilestyle(*arguments, "--set", "solver.rate=0.1"), "solver.rate was 0.02, now 0.1")
    tilestyle("sample", "mosaic", "--size", "160x120", "-o", "s.tif")
    refuse(tilestyle(*arguments), "r.tilestyle", "s.tif")
    Path("mine").mkdir()
    Path("mine/diary.txt").write_text("dear diary")
    refuse(tilestyle(*arguments, "-w", "mine"), "mine: is not empty")
    assert Path("mine/diary.txt").read_text() == "dear diary"


def test_no_space_is_said_before_anything_is_written(
    tilestyle: Tilestyle, images: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    result = tilestyle("run", *images, "-o", "r.tif", *FAST)
    refuse(result, "not enough space", "GiB")
    assert not Path("r.tilestyle").exists()


def test_too_small_an_image(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    tifffile.imwrite("tiny.tif", np.zeros((3, 3, 3), np.uint8), photometric="rgb")
    refuse(tilestyle("run", "tiny.tif", images[1], "-o", "r.tif", *FAST), "3 x 3 px")


def test_an_image_alone_becomes_a_zarr_array(tilestyle: Tilestyle) -> None:
    pages = np.random.default_rng(1).integers(0, 65536, (2, 70, 90, 3), dtype=np.uint16)
    tifffile.imwrite("two.tif", pages, photometric="rgb")
    refuse(tilestyle("ingest", "two.tif", "-o", "a.zarr"), "TIFF_MULTIPAGE: two.tif: ", "--page")
    code, output, errors = tilestyle("ingest", "two.tif", "-o", "a.zarr", "--page", "2")
    assert code == 0
    assert output == "a.zarr: 90 x 70 px, uint16, from two.tif\n"
    assert errors == "tilestyle: two.tif: has no ICC profile, its numbers are taken for sRGB\n"
    np.testing.assert_array_equal(zarr.open_array("a.zarr")[:], np.moveaxis(pages[1], -1, 0))
    assert tilestyle("ingest", "a.zarr", "-o", "b.zarr")[0] == 0
    np.testing.assert_array_equal(zarr.open_array("b.zarr")[:], np.moveaxis(pages[1], -1, 0))
    refuse(tilestyle("ingest", "two.tif", "-o", "a.zarr", "--page", "2"), "a.zarr: exists")
    refuse(tilestyle("ingest", "two.tif", "--page", "2"), "-o OUT.zarr")


def test_nothing_is_left_of_a_damaged_image(tilestyle: Tilestyle) -> None:
    image = np.full((200, 200, 3), 9, np.uint8)
    tifffile.imwrite("d.tif", image, photometric="rgb", compression="zlib", tile=(64, 64))
    data = bytearray(Path("d.tif").read_bytes())
    data[-20:] = bytes(20)
    Path("d.tif").write_bytes(data)
    refuse(tilestyle("ingest", "d.tif", "-o", "d.zarr"), "TIFF_CORRUPT: d.tif: ")
    assert [path.name for path in Path().iterdir()] == ["d.tif"]


def test_an_image_that_changed_since_the_run_began(
    tilestyle: Tilestyle, images: tuple[str, str]
) -> None:
    assert tilestyle("ingest", *images, "-w", "w", *FAST)[0] == 0
    with Path(images[1]).open("ab") as file:
        file.write(b"\0")
    refuse(tilestyle("ingest", *images, "-w", "w", *FAST), "INPUT_CHANGED: s.tif: ")


@pytest.mark.parametrize("size", ["0x5", "5", "axb", "-3x4", ""])
def test_a_bad_size(tilestyle: Tilestyle, size: str) -> None:
    refuse(tilestyle("sample", "content", "--size", size, "-o", "x.tif"), "--size")


def test_help_and_version() -> None:
    run = [sys.executable, "-m", "tilestyle"]
    listed = subprocess.run([*run, "--help"], capture_output=True, text=True, check=True).stdout
    for command in ("run", "ingest", "pyramid", "stylize", "export", "status", "demo", "score"):
        assert command in listed
    assert subprocess.run([*run, "--version"], check=True, capture_output=True).stdout


@pytest.mark.slow
def test_the_demo_from_python_gives_the_bytes_of_the_command(
    tilestyle: Tilestyle, images: tuple[str, str]
) -> None:
    from tilestyle import stylize

    options = ["cluster.kind=threads", "solver.steps=2"]
    tilestyle("run", *images, "-o", "r.tif", *FAST)
    summary = stylize(images[0], images[1], "py.tif", overrides=options)
    assert summary.output.read_bytes() == Path("r.tif").read_bytes()
    assert (summary.height, summary.width) == (120, 160)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_goes_on(
    images: tuple[str, str], number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "tilestyle", "run", *images, "-o", "r.tif", "--workers", "1"]
    with subprocess.Popen(
        [*command, "--set", "solver.steps=400"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "iteration 3:" in line:
                os.killpg(process.pid, number) if number == signal.SIGINT else process.terminate()
                break
        errors = process.stderr.read()
    assert process.returncode == 75
    assert errors.strip() == "tilestyle: interrupted; run the same command again to go on"
    assert not list(Path().glob("*.partial"))
    done = Workspace.open(Path("r.tilestyle")).record["progress"]["iteration"]
    assert 3 <= done < 100


def test_preserved_colours_come_out_as_they_went_in(tilestyle: Tilestyle, tmp_path: Path) -> None:
    profile = bytes(pyvips.Image.profile_load("p3"))
    pixels = np.random.default_rng(5).integers(0, 65536, (192, 256, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "wide.tif", pixels, photometric="rgb", iccprofile=profile)
    run = ["run", "wide.tif", "wide.tif", "--working-space", "preserve", *FAST]
    run += ["--set", "solver.steps=0"]
    code, _, errors = tilestyle(*run, "-o", "out.tif")
    assert (code, errors) == (0, "")
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        np.testing.assert_array_equal(file.asarray(), pixels)
        assert file.pages.first.iccprofile == profile
    code, _, errors = tilestyle(*run, "-o", "other.dzi")
    assert code == 2
    assert "other.dzi: input.working_space: preserve" in errors
    code, _, errors = tilestyle("export", "-w", "out.tilestyle", "-o", "out.dzi")
    assert code == 2
    assert "let the output end in .tif" in errors


SHORT_FORMS = {
    "--edges": ["edges.strength=preset"],
    "--edges 0.7": ["edges.strength=0.7"],
    "--edge-mask m.png": ["edges.mask=m.png", "edges.strength=preset"],
    "--edge-mask m.png --set edges.strength=0.2": ["edges.mask=m.png", "edges.strength=0.2"],
    "--edge-mask m.png --edges 0": ["edges.mask=m.png"],
    "--mask m.png": ["style.masks=[m.png]"],
    "--mask m.png --mask n.png": ["style.masks=[m.png,n.png]"],
    "--style-mask m.png --style-mask n.png": ["style.own_masks=[m.png,n.png]"],
}


@pytest.mark.parametrize("flags", SHORT_FORMS)
def test_a_short_form_is_what_it_stands_for(
    tilestyle: Tilestyle, monkeypatch: pytest.MonkeyPatch, flags: str
) -> None:
    seen = []
    monkeypatch.setattr(cli, "_run", lambda *arguments: seen.append(arguments[-1]))
    assert tilestyle("run", "c.tif", "s.tif", "t.tif", "-o", "r.tif", *flags.split())[0] == 0
    assert seen == [load_config(None, SHORT_FORMS[flags])]


@pytest.mark.parametrize("name", ["nets #2/vgg.pth", "a: b.pth", "[x].pth", "Bäume \U0001f332.pth"])
def test_a_flag_is_taken_as_it_is(
    tilestyle: Tilestyle, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    seen = []
    monkeypatch.setattr(cli, "_run", lambda *arguments: seen.append(arguments[-1]))
    flags = ("--weights", name, "--cluster", name, "--working-space", "srgb", "--edge-mask", name)
    assert tilestyle("run", "c.tif", "s.tif", "-o", "r.tif", *flags)[0] == 0
    assert seen[0].network.weights == str(Path(name).resolve())
    assert seen[0].cluster.kind == seen[0].edges.mask == name


def test_a_stage_refuses_what_a_run_would(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    assert tilestyle("ingest", *images, "-w", "w", *FAST)[0] == 0
    refuse(tilestyle("pyramid", "-w", "w", "--workers", "-1"), "cluster.workers")


def test_other_weights_under_the_same_name(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    network = ["--set", "network.name=vgg19-small", "--weights", "w.pth"]
    torch.save(small_state(), "w.pth")
    assert tilestyle("ingest", *images, "-w", "w", *network)[0] == 0
    first = Path("w.pth").read_bytes()
    torch.save({k: 2 * v for k, v in small_state().items()}, "w.pth")
    refuse(tilestyle("ingest", *images, "-w", "w", *network), "weights was another")
    Path("moved.pth").write_bytes(first)
    moved = [*network[:-1], "moved.pth"]
    assert tilestyle("ingest", *images, "-w", "w", *moved)[0] == 0


def test_masks_and_edges_by_short_forms(tilestyle: Tilestyle, images: tuple[str, str]) -> None:
    half = np.zeros((60, 80), np.uint8)
    half[:, :40] = 255
    pyvips.Image.new_from_array(half).write_to_file("half.png")
    options = [*images, "c.tif", *FAST, "--mask", "half.png", "--edge-mask", "half.png"]
    assert tilestyle("run", *options, "-o", "r.tif")[0] == 0
    roles = [image["role"] for image in Workspace.open(Path("r.tilestyle")).record["inputs"]]
    assert roles == ["content", "style/0", "style/1", "mask/0", "edge_mask"]
    refuse(tilestyle("run", *images, "-o", "n.tif", *FAST, "--mask", "no.png"), "no.png")
    refuse(tilestyle("run", *images, "-o", "n.tif", *FAST, "--edges=-1"), "-1")
    refuse(tilestyle("run", "--edges", *images, "-o", "n.tif", *FAST), "--edges", "c.tif")
