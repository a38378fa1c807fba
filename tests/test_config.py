"""The configuration: files, overrides, errors."""

from pathlib import Path

import pytest

from tilestyle.config import Config, Solver, known_keys, load_config
from tilestyle.errors import UserError

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_is_valid_and_changes_something(path: Path) -> None:
    assert load_config(path) != Config()


def test_overrides_win_over_the_file_and_the_last_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("solver: {steps: 10, rho: 0.5}\npatch: {core: 256}\n")
    config = load_config(path, ["solver.steps=20", "solver.steps=30", "patch.core=null"])
    assert (config.solver.steps, config.solver.rho, config.patch.core) == (30, 0.5, None)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("# nothing\n")
    assert load_config(path) == Config()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("solver.stps=1", r"unknown key solver\.stps; did you mean solver\.steps\?"),
        ("slver.steps=1", r"unknown key slver; did you mean solver\?"),
        ("solver.steps=-1", r"solver\.steps: .* \(got -1\)"),
        ("solver.steps=many", r"solver\.steps: .* \(got 'many'\)"),
        ("network.name=vgg18", r"network\.name: .*vgg19.*got 'vgg18'"),
        ("solver.steps", r"--set solver\.steps: write it as section\.key=value"),
        ("solver.steps={", r"--set solver\.steps=\{: the value is not YAML"),
    ],
)
def test_a_bad_override_is_one_line_with_the_key(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_config(None, [override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("solver: {steps: 1", "line 1: not YAML"),
        ("- 1\n- 2\n", "a config is a mapping"),
        ("solver: 3\n", "solver: "),
        ("solver: !!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_a_bad_file_is_one_line_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file() -> None:
    with pytest.raises(UserError, match=r"no\.yaml: cannot read the config: No such file"):
        load_config(Path("no.yaml"))


def test_every_key_has_a_description() -> None:
    source = (Path(__file__).resolve().parents[1] / "tilestyle" / "config.py").read_text()
    for key in known_keys():
        _, dot, name = key.partition(".")
        if dot:
            _, found, after = source.partition(f"    {name}: ")
            assert found, key
            assert after.splitlines()[1].strip().startswith('"""'), key


def test_identity_leaves_out_who_computes_and_how_it_is_written() -> None:
    base = Config().identity()
    same = load_config(None, ["cluster.kind=threads", "cluster.workers=3", "output.dpi=72"])
    other = load_config(None, ["cluster.threads=2"])
    assert same.identity() == base
    assert other.identity() != base


def test_steps_fall_from_coarse_to_fine_down_to_the_least() -> None:
    solver = Solver(steps=160, decay=0.5, min_steps=20, inner_steps=5)
    assert [solver.iterations(level, 5) for level in range(5)] == [4, 4, 8, 16, 32]
    assert Solver(steps=0).iterations(0, 3) == 0
    assert Solver(steps=7, min_steps=20, inner_steps=5).iterations(2, 3) == 2
