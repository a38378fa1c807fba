"""What the docs say of the code is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
METHOD = (ROOT / "docs" / "method.md").read_text(encoding="utf-8")
REFERENCES = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", METHOD)))


def names(body: list[ast.stmt], prefix: str = "") -> set[str]:
    """Functions, classes, constants and what classes hold, as `Class.name`."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(prefix + node.name)
        if isinstance(node, ast.ClassDef):
            found |= names(node.body, f"{prefix}{node.name}.")
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(prefix + node.target.id)
    return found


def test_the_method_names_functions() -> None:
    assert len(REFERENCES) > 40


@pytest.mark.parametrize(("file", "name"), REFERENCES)
def test_a_function_that_the_method_names_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / "tilestyle" / file).read_text(encoding="utf-8"))
    assert name in names(tree.body)


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.stem)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link
