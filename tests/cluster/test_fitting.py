"""The patch size by free memory: it fits, it is kept, and it is chosen only where none is given."""

from pathlib import Path

import pytest
import torch

from tests.cluster.conftest import Run
from tilestyle.cluster import fitting
from tilestyle.cluster.fitting import RESERVE, bytes_per_pixel, fit_patches, largest_core
from tilestyle.config import load_config
from tilestyle.errors import UserError

GIB = 2**30


@pytest.fixture(autouse=True)
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU with 2 GiB to spare."""
    monkeypatch.setattr(fitting, "free_memory", lambda: 3 * GIB)


def test_the_largest_that_fits() -> None:
    config = load_config()
    pixel = bytes_per_pixel(config)
    core = largest_core(config, 3 * GIB)
    sides = [c + 2 * config.patch.overlap for c in (core, core + 256)]
    assert core % 256 == 0
    assert [pixel * side**2 + RESERVE <= 3 * GIB for side in sides] == [True, False]


def test_it_is_more_than_a_step_takes_on_a_cpu() -> None:
    # what is measured in docs/clusters.md
    assert 1024 < bytes_per_pixel(load_config()) < 3 * 1024


def test_too_little_memory() -> None:
    with pytest.raises(UserError, match=r"0\.5 GiB are free.*smaller patch\.core"):
        largest_core(load_config(), GIB // 2)


def test_a_given_size_is_taken(tmp_path: Path) -> None:
    given = load_config(overrides=["cluster.kind=cuda", "patch.core=512"])
    other = load_config(overrides=["cluster.kind=local"])
    assert fit_patches(given, tmp_path / "new") == given
    assert fit_patches(other, tmp_path / "new") == other


def test_a_workspace_keeps_its_size(tmp_path: Path, run: Run) -> None:
    config = load_config(overrides=["cluster.kind=cuda"])
    assert fit_patches(config, tmp_path / "new").patch.core == largest_core(config, 3 * GIB)
    run("old")
    assert fit_patches(config, tmp_path / "old.tilestyle").patch.core == 128


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_memory_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 0 < fitting.free_memory() <= torch.cuda.mem_get_info()[1]
