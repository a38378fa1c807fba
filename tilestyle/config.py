"""Every knob, with its unit, range and default, in one model."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tilestyle.errors import UserError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("take an odd number")
    return value


Weight = Annotated[float, Field(ge=0)]
Steps = Annotated[int, Field(ge=0)]


def at_level(value: Any, level: int, levels: int) -> Any:
    """A value that may be a list, coarsest level first, whose last is for all finer ones."""
    if not isinstance(value, list):
        return value
    return value[min(levels - 1 - level, len(value) - 1)]


class Input(_Section):
    """How image files are read; docs/images.md is the contract."""

    page: int | None = Field(default=None, ge=1)
    """Page of the content to read, counted from 1; None: the only one of full size."""
    max_pixels: int = Field(default=20_000_000_000, ge=1)
    """An image of more pixels is refused; a side may never exceed 300,000 pixels."""
    intent: Literal["perceptual", "relative", "saturation", "absolute"] = "relative"
    """Rendering intent of the conversion to sRGB; the black point is always compensated."""
    ignore_profile: bool = False
    """Read the numbers as if the file had no ICC profile."""
    cmyk_profile: str | None = None
    """ICC file of the inks of CMYK images without a profile, or cmyk: a generic one of libvips."""
    nan_to: float | None = Field(default=None, ge=0, le=1)
    """Value for floating point samples that are NaN or infinite, 0 black to 1; None: an error."""
    working_space: Literal["srgb", "preserve"] = "srgb"
    """What RGB images are worked on in: sRGB, or preserve: the numbers of their own profile."""


class Network(_Section):
    """The feature network."""

    name: Literal["scattering", "vgg19", "vgg19-caffe", "vgg19-small"] = "scattering"
    """scattering needs no weights; of VGG-19's, vgg19 has torchvision's, vgg19-caffe those of
    Gatys' code, vgg19-small a sixteenth of them; see docs/weights.md."""
    weights: str | None = None
    """File of weights; None: torch hub's cache, where `tilestyle weights pull` puts it."""
    padding: Literal["zeros", "reflect"] | None = None
    """Border of VGG's convolutions; None: what the weights were trained with."""
    pooling: Literal["max", "average"] = "max"
    """Between VGG's blocks. The weights were trained with max; Gatys et al. (2016) took average."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the network; losses are float32 always."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the workers compute; auto: a GPU where there is one."""


class Loss(_Section):
    """Eq. (1): alpha * content + beta * style, both relative to the features of the style.

    docs/method.md says when to touch what.
    """

    alpha: Weight | Annotated[list[Weight], Field(min_length=1)] | None = None
    """Weight of the content term; None: the network's preset. More keeps more of the content. A
    list: of each level, coarsest first; its last is for all finer ones."""
    beta: Weight | Annotated[list[Weight], Field(min_length=1)] = 1.0
    """Weight of the style term; a list as of alpha."""
    moments: Weight = 0.0
    """Weight of the features' means and standard deviations beside their correlations, as in SPST;
    0.3 steadies colours and contrast of large flat areas."""
    tv: Weight = 0.0
    """Weight of the total variation, the mean squared difference of neighbours; 1 smooths grain."""
    content_layers: dict[str, Weight] | None = None
    """Layer: weight; None: the network's preset."""
    style_layers: dict[str, Weight] | None = None
    """Layer: weight; None: the network's preset."""


class Style(_Section):
    """The style images, and where each is used."""

    weights: list[Weight] | None = None
    """Of several styles that are blended, the weight of each; None: all alike."""
    masks: list[str] = []
    """Image files, of any size: white where the style of the same place in the list is used. With
    one fewer than styles the last style is used where the others are not."""
    own_masks: list[str | None] = []
    """Image files: white where a style image shows the style; null: everywhere."""
    scale: float = Field(default=1.0, gt=0, le=16)
    """Short side of the style over that of the content, at every level; smaller: finer strokes.
    A style with fewer pixels than that keeps its own size."""


class Edges(_Section):
    """Edges of the content; see docs/adr/0020."""

    strength: Weight | Literal["preset"] = 0.0
    """How much edges are kept: weight of the content's finest layers there. 0: not at all; preset:
    as much as costs the style little, by network."""
    weight: Weight | None = None
    """Eq. (2) to the letter: edges are a region of their own, and this is the weight of its style
    term beside 1 for the rest; None: one style term."""
    share: float = Field(default=0.15, gt=0, lt=1)
    """Part of a level that counts as edges: where its gradients are strongest."""
    width: Annotated[int, Field(ge=1, le=31), AfterValidator(_odd)] = 3
    """Width of what is an edge of one pixel, in pixels of every level, odd."""
    mask: str | None = None
    """Image file, of any size: white where edges are, instead of looking for them."""


class Color(_Section):
    """Whose colours the result has."""

    keep: Literal["none", "luminance", "match"] = "none"
    """none: the style's. luminance: the content's, under the result's luminance, put together
    when the file is written. match: the style's image first gets the mean and covariance of the
    content's colours. See docs/adr/0019."""


class Pyramid(_Section):
    """The Gaussian pyramid."""

    coarsest: int = Field(default=128, ge=32)
    """The coarsest level's short side is the smallest that is at least this, in pixels."""


class Patch(_Section):
    """The patches of every level."""

    core: int | None = Field(default=512, ge=64)
    """Largest core, in pixels, a multiple of 32; None: one patch, the whole image."""
    overlap: int = Field(default=64, ge=0)
    """Pixels that a patch adds to its core on each inner side, a multiple of 32."""
    blend: int = Field(default=4, ge=0)
    """Pixels of each band of 2 * overlap over which neighbours are averaged, even."""


class Solver(_Section):
    """The optimisation of every level."""

    mode: Literal["admm", "exact"] = "admm"
    """admm: patches, each solved by itself, that agree. exact: the whole image's gradient, tile by
    tile, in two passes a step; slower, and what one patch would give; see docs/adr/0008."""
    steps: Steps | Annotated[list[Steps], Field(min_length=1)] = 160
    """Inner steps of the coarsest level; 0: the content comes out as it went in. A list: of each
    level, coarsest first; its last is for all finer ones, and decay and min_steps do not count."""
    start: str = "content"
    """What the coarsest level starts from: content, noise, or an image file of any size."""
    seed: int = Field(default=0, ge=0)
    """Of the noise."""
    decay: float = Field(default=0.5, gt=0, le=1)
    """Steps of a level over those of the next coarser one."""
    min_steps: int = Field(default=20, ge=0)
    """No level takes fewer, unless steps is smaller."""
    inner_steps: int = Field(default=1, ge=1)
    """Steps of a z-update: K; a level takes steps / K iterations T, rounded up. More is faster and
    exchanges less, and is less exactly what the whole image would do; see docs/parity.md. In exact
    mode always 1."""
    optimizer: Literal["adam", "lbfgs"] = "adam"
    """admm starts each z-update of lbfgs afresh: give it inner_steps of 10 or more."""
    rate: float = Field(default=0.02, gt=0, le=1)
    """Step of Adam, and the longest of exact lbfgs (RMS), in units of the pixel range."""
    rho: float = Field(default=0.0, ge=0)
    """Weight of the proximal term, in the overlaps; see docs/adr/0005."""
    tolerance: float | None = Field(default=None, gt=0, lt=1)
    """Go on to the next level when both residuals are below this, in units of the pixel range, and
    over five iterations f has fallen by less than this part of it; None: take all steps."""

    @property
    def steps_each(self) -> int:
        """Steps of one iteration."""
        return 1 if self.mode == "exact" else self.inner_steps

    def iterations(self, level: int, levels: int) -> int:
        """T of a level; level 0 is the finest of `levels`."""
        if isinstance(self.steps, list):
            steps = at_level(self.steps, level, levels)
        else:
            steps = self.steps * self.decay ** (levels - 1 - level)
            steps = max(round(steps), min(self.min_steps, self.steps))
        return -(-int(steps) // self.steps_each)

    @property
    def idle(self) -> bool:
        """Whether no level takes any step."""
        return not (any(self.steps) if isinstance(self.steps, list) else self.steps)


class Output(_Section):
    """The finished file; docs/images.md is the contract."""

    profile: Literal["auto", "print", "archive"] = "auto"
    """Of a TIFF. print: classic, one page in strips. archive: BigTIFF in tiles with a pyramid.
    auto: print below 2 GB of raw pixels."""
    depth: Literal["auto", "8", "16"] = "auto"
    """Bits a sample; auto: as the content."""
    dpi: float | None = Field(default=None, gt=0, le=1e6)
    """Dots per inch; None: the content's resolution in its unit, 300 where it has none."""
    compression: Literal["auto", "lzw", "deflate", "none", "zstd", "webp", "jpeg"] = "auto"
    """Of a TIFF; auto: lzw at 8 bits, deflate at 16. jpeg loses a little; many programs cannot
    read zstd and webp."""
    tile: int = Field(default=512, ge=64, le=4096, multiple_of=16)
    """Side of a tile of an archive, in pixels."""
    alpha: Literal["auto", "keep", "white"] = "auto"
    """Opacity of the content in a TIFF. keep: as unassociated alpha; white: the result is laid on
    white. auto: archive keeps it, print does not. Other formats have white."""
    metadata: Literal["carry", "none"] = "carry"
    """carry: the content's description, artist, copyright, date, IPTC and XMP go into a TIFF."""
    icc: str | None = None
    """ICC file of RGB or CMYK that a TIFF is converted to; None: the working space, sRGB."""
    intent: Literal["perceptual", "relative", "saturation", "absolute"] = "relative"
    """Rendering intent of that conversion."""
    black_point: bool = True
    """Compensate the black point in that conversion."""
    memory: float = Field(default=1.0, ge=0.25)
    """GiB that writing may hold at a time, beside the program itself: where it is small, bands are
    lower, and fewer shards of an OME-Zarr are made side by side. One takes 0.25, at 16 bits 0.5."""


class Cluster(_Section):
    """Who computes; the result's bytes do not depend on it."""

    kind: str = "local"
    """local (processes), threads, cuda (this machine's GPUs), slurm, pbs, lsf (workers as jobs), a
    scheduler's address, or the path of a scheduler file; see docs/clusters.md."""
    workers: int | None = Field(default=None, ge=1)
    """Workers that are started, one a job or GPU. None: of local and threads as many as cores (by
    threads) and memory allow, of cuda all GPUs, else one."""
    tls: str | None = None
    """Folder of certificates, by `tilestyle cluster cert`; None: as Dask's own settings say."""
    threads: int = Field(default=1, ge=1)
    """Threads of one task. Another number may change the last bits of a result."""


class Config(_Section):
    """The whole configuration."""

    input: Input = Input()
    network: Network = Network()
    loss: Loss = Loss()
    style: Style = Style()
    edges: Edges = Edges()
    color: Color = Color()
    pyramid: Pyramid = Pyramid()
    patch: Patch = Patch()
    solver: Solver = Solver()
    output: Output = Output()
    cluster: Cluster = Cluster()

    def identity(self) -> dict[str, Any]:
        """What a workspace's pixels depend on: all but who computes and how it is written."""
        model = self.model_dump(
            mode="json",
            exclude={
                "input": {"max_pixels"},
                "network": {"weights"},  # told apart by what is in them, as the images below
                "style": {"masks", "own_masks"},
                "edges": {"mask"},
                "output": True,
                "cluster": {"kind", "workers", "tls"},
            },
        )
        if self.color.keep == "luminance":
            model["color"]["keep"] = "none"  # it is done when the file is written
        return dict(model)


def load_config(
    path: Path | None = None, overrides: Iterable[str] = (), base: Mapping[str, Any] | None = None
) -> Config:
    """The effective configuration.

    Args:
        path: YAML file; None for the defaults alone.
        overrides: `section.key=value`, the value in YAML; later ones win.
        base: Values below those of the file.

    Raises:
        UserError: No such file, not YAML, an unknown key (with the nearest known one), or a
            value out of range.
    """
    tree: dict[str, Any] = {}
    _merge(tree, base or {})
    if path is not None:
        _merge(tree, _read_yaml(path))
    for override in overrides:
        _merge(tree, _parse_override(override))
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"{path or 'config'}: {_explain(error)}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise UserError(f"{path}: cannot read the config: {reason}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{where}: not YAML; see configs/ for examples") from error
    if not isinstance(tree or {}, dict):
        raise UserError(f"{path}: a config is a mapping of sections; see configs/ for examples")
    return tree or {}


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {text}: write it as section.key=value, e.g. solver.steps=100")
    try:
        tree = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UserError(f"--set {text}: the value is not YAML") from error
    for part in reversed(key.strip().split(".")):
        tree = {part: tree}
    return dict(tree)


def _merge(tree: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = dict(value) if isinstance(value, Mapping) else value


_MEMBER = re.compile(r"constrained-|list\[|function-")


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    # of a union pydantic names the member too, e.g. list[constrained-float]
    key = ".".join(str(part) for part in first["loc"] if not _MEMBER.match(str(part)))
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0)
        return f"unknown key {key}; did you mean {near[0]}?"
    return f"{key}: {first['msg'].lower()} (got {first['input']!r})"


def known_keys() -> list[str]:
    """All keys as `section.key`."""
    sections = {name: field.annotation for name, field in Config.model_fields.items()}
    keys = [
        f"{name}.{key}"
        for name, section in sections.items()
        if isinstance(section, type) and issubclass(section, BaseModel)
        for key in section.model_fields
    ]
    return [*sections, *keys]
