"""VGG-19: its weights files, its numbers and its geometry."""

import os
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, max_pool2d, pad

from tests.vgg_files import RELUS, STATES, TORCHVISION, State, small_state
from tilestyle.config import Network as NetworkConfig
from tilestyle.errors import UserError
from tilestyle.images import open_source
from tilestyle.style.build import build_network, weights_file
from tilestyle.style.losses import gram
from tilestyle.style.network import Layer
from tilestyle.style.objective import Objective, Region, Weights
from tilestyle.style.vgg import VARIANTS, VGG, Padding, load_vgg
from tilestyle.style.weights import PUBLISHED

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
STYLE = [f"relu{block}_1" for block in range(1, 6)]


def noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth"


def by_hand(name: str, state: State, image: Tensor) -> dict[str, Tensor]:
    """relu1_1 to relu5_1 as the code that each file was published with computes them."""
    if name == "vgg19":
        keys = [f"features.{module}" for module in TORCHVISION]
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        x = ((image - mean[:, None, None]) / std[:, None, None])[None]
    elif name == "vgg19-caffe":
        keys = [relu.replace("relu", "conv") for relu in RELUS]
        mean = torch.tensor([0.40760392, 0.45795686, 0.48501961])
        x = 255 * (image[[2, 1, 0]] - mean[:, None, None])[None]
    else:
        keys = [f"conv{relu[4:].replace('_', '')}" for relu in RELUS]
        x = conv2d(image[None], state["conv0.weight"], state["conv0.bias"])
    mode = "reflect" if name == "vgg19-small" else "constant"
    found = {}
    for layer, key in zip(RELUS[:13], keys[:13], strict=True):
        if layer in STYLE[1:]:
            x = max_pool2d(x, 2, 2)
        padded = pad(x, (1, 1, 1, 1), mode=mode)
        x = conv2d(padded, state[f"{key}.weight"], state[f"{key}.bias"]).clamp(min=0)
        found[layer] = x[0]
    return found


@pytest.mark.parametrize("name", STATES)
def test_features_are_those_of_the_file(name: str, path: Path) -> None:
    state, image = STATES[name](), noise(64, 80)
    torch.save(state, path)
    assert path.stat().st_size < 2**20
    found = load_vgg(name, path).features(image, RELUS[:13])
    expected = by_hand(name, state, image)
    assert set(found) == set(expected)
    for relu, maps in expected.items():
        assert maps.std() > 1e-3
        assert (found[relu] - maps).norm() < 1e-5 * maps.norm()


def test_state_may_stand_under_model(path: Path) -> None:
    state = small_state()
    torch.save({"model": state, "epoch": 3}, path)
    vgg = load_vgg("vgg19-small", path)
    assert torch.equal(vgg.get_parameter("stem.weight"), state["conv0.weight"])


def test_pooling_can_be_the_average(path: Path) -> None:
    state = small_state()
    torch.save(state, path)
    found = load_vgg("vgg19-small", path, pooling="average").features(noise(48, 48), RELUS[1:3])
    pooled = pad(avg_pool2d(found["relu1_2"][None], 2), (1, 1, 1, 1), mode="reflect")
    expected = conv2d(pooled, state["conv21.weight"], state["conv21.bias"]).clamp(min=0)[0]
    torch.testing.assert_close(found["relu2_1"], expected)


def test_rescaled_layers_leave_relative_losses_as_they_are(path: Path) -> None:
    # so that it does not matter whether published weights have been normalised layer by layer
    state, image, style = small_state(), noise(64, 64), noise(64, 64, seed=1)
    rescaled = dict(state)
    factor = 1.0
    for relu in RELUS[:13]:
        name, before = f"conv{relu[4:].replace('_', '')}", factor
        factor = 0.5 if before == 1.0 else 1.0
        rescaled[f"{name}.weight"] = state[f"{name}.weight"] * (factor / before)
        rescaled[f"{name}.bias"] = state[f"{name}.bias"] * factor
    found = []
    for weighted in (state, rescaled):
        torch.save(weighted, path)
        vgg = load_vgg("vgg19-small", path)
        styles = {j: gram(maps) for j, maps in vgg.features(style, RELUS[:13]).items()}
        weights = Weights(vgg.preset.content, vgg.preset.style, alpha=0.05, beta=1.0)
        objective = Objective(vgg, weights, [Region(styles)])
        features = objective.features(image)
        terms = (
            objective.content_term(features, objective.content_features(style)),
            objective.style_term(objective.grams(features)),
        )
        found.append(torch.stack(terms))
    assert found[0].min() > 0
    torch.testing.assert_close(found[1], found[0])


def test_padding_can_be_overruled(path: Path) -> None:
    torch.save(small_state(), path)
    image = noise(48, 48)
    own, zeros = (
        load_vgg("vgg19-small", path, padding).features(image, ["relu2_1"])["relu2_1"]
        for padding in (None, "zeros")
    )
    torch.testing.assert_close(own[:, 2:-2, 2:-2], zeros[:, 2:-2, 2:-2])
    assert (own - zeros).abs()[:, 0].max() > 1e-3


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def refused(name: str, path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_vgg(name, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("vgg19", "features.28.bias"),
        ("vgg19-caffe", "conv5_4.weight"),
        ("vgg19-small", "conv0.weight"),
    ],
)
def test_a_missing_tensor_is_named(name: str, key: str, path: Path) -> None:
    state = STATES[name]()
    del state[key]
    torch.save(state, path)
    message = refused(name, path)
    assert name in message
    assert key in message
    assert "found nothing" in message


def test_a_wrong_shape_is_named(path: Path) -> None:
    state = small_state()
    state["conv31.weight"] = state["conv31.weight"][:, :16]
    torch.save(state, path)
    message = refused("vgg19-small", path)
    assert "conv31.weight should be (64, 32, 3, 3), found (64, 16, 3, 3)" in message


def test_weights_of_another_network(path: Path) -> None:
    torch.save(small_state(), path)
    assert "not the weights of vgg19" in refused("vgg19", path)


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99])
def test_a_truncated_file(kept: float, path: Path) -> None:
    torch.save(small_state(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if 0 < kept < 1 else int(kept)])
    assert "cannot be read" in refused("vgg19-small", path)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_file_with_code_is_not_run(writer: str, path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ran"
    state: dict[str, object] = {**small_state(), "extra": Bomb(folder)}
    if writer == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps({"extra": Bomb(folder)}, protocol=2))
    assert "cannot be read" in refused("vgg19-small", path)
    assert not folder.exists()


def test_the_bomb_is_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "ran")))  # noqa: S301
    assert (tmp_path / "ran").is_dir()


@pytest.mark.parametrize("text", ["", "<html>404: not found</html>\n", "\x80\x02}q"])
def test_a_text_file(text: str, path: Path) -> None:
    path.write_text(text, encoding="latin-1")
    assert "cannot be read" in refused("vgg19", path)


@pytest.mark.parametrize("stored", [[torch.zeros(3)], torch.zeros(3), {"model": 3}])
def test_a_file_without_a_state(stored: object, path: Path) -> None:
    torch.save(stored, path)
    assert "holds no state dict" in refused("vgg19", path)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "no such weights file" in refused("vgg19", tmp_path / "gone.pth")
    refused("vgg19", tmp_path)


@pytest.mark.parametrize("name", STATES)
def test_missing_weights_say_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    config = NetworkConfig.model_validate({"name": name})
    with pytest.raises(UserError) as caught:
        weights_file(config)
    place = tmp_path / "hub" / "checkpoints" / PUBLISHED[name].file
    message = str(caught.value)
    assert message.startswith(f"{place}: no weights for {name}")
    assert f"tilestyle weights pull {name}" in message
    assert "--weights FILE" in message
    assert f"put it at {place}" in message
    assert "network.name=scattering" in message
    assert "\n" not in message


def test_weights_are_found_where_they_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / "torch" / "hub" / "checkpoints" / "vgg19-small16x.pth"
    place.parent.mkdir(parents=True)
    place.touch()
    (tmp_path / "mine.pth").touch()
    assert weights_file(NetworkConfig(name="vgg19-small")) == place
    named = NetworkConfig(name="vgg19-small", weights="~/mine.pth")
    assert weights_file(named) == tmp_path / "mine.pth"
    with pytest.raises(UserError, match=r"gone\.pth: no weights"):
        weights_file(NetworkConfig(name="vgg19-small", weights=str(tmp_path / "gone.pth")))


def test_a_built_network_is_frozen_and_cast(path: Path) -> None:
    torch.save(small_state(), path)
    config = NetworkConfig(
        name="vgg19-small", weights=str(path), precision="bfloat16", device="cpu"
    )
    rough = build_network(config)
    assert isinstance(rough, VGG)
    assert not any(p.requires_grad for p in rough.parameters())
    image = noise(64, 64)
    found = rough.features(image, STYLE)
    for relu, maps in load_vgg("vgg19-small", path).features(image, STYLE).items():
        assert found[relu].dtype == torch.bfloat16
        assert (found[relu] - maps).norm() < 0.05 * maps.norm()


def positive(padding: Padding) -> VGG:
    """Narrow, with all units active for a bright image: what can be seen, is seen."""
    variant = replace(VARIANTS["vgg19"], widths=(4,) * 5)
    vgg = VGG(variant, padding)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in vgg.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.1)
            if parameter.dim() == 4:
                parameter.div_(parameter.sum(dim=(1, 2, 3), keepdim=True))
    return vgg


def support(network: VGG, relu: str, index: int, side: int) -> tuple[int, int, int, int]:
    """First and last row and column that a feature depends on, for any of three images."""
    seen = torch.zeros(side, side)
    for seed in range(3):
        image = (0.7 + 0.3 * noise(side, side, seed)).requires_grad_(True)
        feature = network.features(image, [relu])[relu][:, index, index]
        seen += torch.autograd.grad(feature.sum(), image)[0].abs().sum(dim=0)
    ys, xs = seen.nonzero(as_tuple=True)
    return int(ys.min()), int(ys.max()), int(xs.min()), int(xs.max())


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("relu", ["relu1_1", "relu1_2", "relu2_1", "relu3_3", "relu4_2", "relu5_4"])
def test_margin_is_exact(relu: str, padding: Padding) -> None:
    network = positive(padding)
    layer = network.layers[relu]
    index = layer.margin // layer.stride + 1
    start, stop = index * layer.stride, (index + 1) * layer.stride
    first, last = start - layer.margin, stop + layer.margin - 1
    found = support(network, relu, index, (2 * index + 1) * layer.stride)
    assert found == (first, last, first, last)


def geometry(layers: Mapping[str, Layer]) -> dict[str, tuple[int, int]]:
    return {relu: (layer.stride, layer.margin) for relu, layer in layers.items()}


def test_published_margins() -> None:
    found = geometry(VGG(replace(VARIANTS["vgg19"], widths=(4,) * 5)).layers)
    assert list(found) == RELUS
    assert found["relu3_1"] == (4, 10)
    assert found["relu4_2"] == (8, 38)
    assert found["relu5_1"] == (16, 70)


@pytest.mark.parametrize("size", [(64, 96), (65, 79), (95, 64)])
def test_channels_and_strides_are_as_declared(size: tuple[int, int]) -> None:
    vgg = VGG(VARIANTS["vgg19-small"])
    assert list(vgg.layers) == RELUS[:13]
    for relu, maps in vgg.features(noise(*size), RELUS[:13]).items():
        layer = vgg.layers[relu]
        assert maps.shape == (layer.channels, size[0] // layer.stride, size[1] // layer.stride)


def test_features_are_deterministic_and_only_those_asked() -> None:
    vgg = VGG(VARIANTS["vgg19-small"])
    image = noise(64, 64)
    first, second = (vgg.features(image, ["relu1_2", "relu3_1"]) for _ in range(2))
    assert list(first) == ["relu1_2", "relu3_1"]
    assert all(torch.equal(first[relu], second[relu]) for relu in first)


def photograph(path: Path, side: int = 256) -> Tensor:
    rows = next(iter(open_source(path).rows(side)))
    return torch.from_numpy(rows[:, :, :side].copy()).float() / 255


@pytest.mark.skipif(
    not DATA.is_dir(), reason="no folder shared/data beside the repository, with trained weights"
)
def test_trained_network_sees_something() -> None:
    vgg = load_vgg("vgg19-small", DATA / "weights" / "vgg19-small16x.pth")
    names = ("content/tubingen.jpg", "style/starry_night.jpg", "style/the_scream.jpg")
    with torch.no_grad():
        photo, night, scream = (vgg.features(photograph(DATA / name), STYLE) for name in names)
    for relu in STYLE:
        active = (photo[relu] > 0).float().mean()
        assert 0.02 < active < 0.98
        assert (photo[relu].flatten(1).std(dim=1) > 0).float().mean() > 0.5
        target = gram(night[relu])
        assert (gram(scream[relu]) - target).norm() > 0.1 * target.norm()
