"""The targets of the Makefile: real ones, in order, and a finished stage is not redone."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("ingest", "pyramid", "stylize", "export")


def make(*arguments: str) -> str:
    """What make would do, with the environment taken as set up."""
    command = ["make", "--dry-run", "--assume-old", ".venv/.ready", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def commands(output: str) -> list[str]:
    """Stages whose commands make would run."""
    lines = [line.split() for line in output.splitlines() if ".venv/bin/tilestyle " in line]
    return [words[1] for words in lines]


@pytest.fixture
def variables(tmp_path: Path) -> list[str]:
    for name in ("c.tif", "s.tif", "k.yaml"):
        (tmp_path / name).touch()
    names = {"CONTENT": "c.tif", "STYLE": "s.tif", "OUT": "r.tif", "CONFIG": "k.yaml"}
    return [f"{variable}={tmp_path / name}" for variable, name in names.items()]


@pytest.mark.parametrize("target", [*STAGES, "pipeline"])
def test_a_stage_needs_those_before_it(target: str, variables: list[str]) -> None:
    last = "export" if target == "pipeline" else target
    assert commands(make(*variables, target)) == list(STAGES[: STAGES.index(last) + 1])


def test_a_finished_stage_is_not_redone(tmp_path: Path, variables: list[str]) -> None:
    done = tmp_path / "r.tilestyle" / ".done"
    done.mkdir(parents=True)
    for stage in ("ingest", "pyramid"):
        (done / stage).touch()
    assert commands(make(*variables, "pipeline")) == ["stylize", "export"]


def test_help_names_every_target() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = (ROOT / "Makefile").read_text().splitlines()
    phony = next(line for line in lines if line.startswith(".PHONY")).split()[1:]
    assert {line.split()[0] for line in said.stdout.splitlines() if line} >= set(phony)
