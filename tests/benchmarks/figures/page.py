"""The sections of a page that are made by a command, between marks that a reader does not see."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Section:
    """What a figure says.

    Attributes:
        name: Of its marks and its plates: figure-3.
        title: What is claimed.
        text: Markdown, paragraph by paragraph.
        missed: What does not hold, one sentence each.
    """

    name: str
    title: str
    text: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def expect(self, holds: bool, sentence: str) -> None:
        """Keep the sentence where the claim that it denies does not hold."""
        if not holds:
            self.missed.append(sentence)

    def markdown(self, command: str) -> str:
        """The section, with the command that makes it."""
        verdict = "Holds." if not self.missed else "Does not hold: " + "; ".join(self.missed) + "."
        parts = [f"### {self.title}", *self.text, f"{verdict} `{command}`"]
        return "\n\n".join(parts)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(row)} |" for row in (columns, *rows)]
    lines.insert(1, f"|{'---|' * len(columns)}")
    return "\n".join(lines)


def numbers(values: Iterable[float], form: str = ".4f") -> list[str]:
    """Cells of a table."""
    return [format(value, form) for value in values]


def replaced(page: str, name: str, body: str) -> str:
    """A page with a new text between the marks of a section, or with both at its end."""
    begin, end = f"<!-- {name}: made by make figures -->", f"<!-- end of {name} -->"
    marked = f"{begin}\n{body}\n{end}"
    if begin not in page:
        return f"{page.rstrip()}\n\n{marked}\n"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{marked}{after}"


def update(path: Path, name: str, body: str) -> None:
    """Do that to a file."""
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(replaced(page, name, body), encoding="utf-8")
