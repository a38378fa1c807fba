"""The rules of CONTRIBUTING.md that an import can break."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "tilestyle"

FORBIDDEN = {
    "admm": {"dask", "distributed", "zarr", "torch"},
    "style": {"dask", "distributed", "zarr"},
    "store": {"dask", "distributed", "torch"},
    "images": {"dask", "distributed", "torch"},
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_layer_knows_nothing_of_what_is_above_it(package: str) -> None:
    modules = list((PACKAGE / package).rglob("*.py"))
    assert modules
    for module in modules:
        roots = {name.partition(".")[0] for name in imported(module)}
        assert not roots & FORBIDDEN[package], module


def test_losses_are_not_the_clusters_business() -> None:
    for module in (PACKAGE / "cluster").glob("*.py"):
        assert "tilestyle.style.losses" not in set(imported(module)), module


def test_only_the_zarr_formats_need_zarr() -> None:
    modules = [m for m in (PACKAGE / "images").rglob("*.py") if "zarr" in set(imported(m))]
    found = {module.name for module in modules}
    assert found == {"ome_zarr.py", "zarr_source.py", "zarr_writer.py"}
