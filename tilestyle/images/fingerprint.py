"""Telling whether a file is still the one that was opened, or that a run began with."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tilestyle.errors import refusal


@dataclass(frozen=True)
class Stamp:
    """Size and time of a file: enough to notice a change while it is read."""

    path: Path
    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """The stamp of a file as it is now."""
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)

    def check(self) -> None:
        """Refuse a file that is no longer the same.

        Raises:
            UserError: INPUT_CHANGED.
        """
        if not self.path.exists() or Stamp.of(self.path) != self:
            problem = "the file was changed while it was being read"
            raise refusal("INPUT_CHANGED", self.path.name, problem, "run again")


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    whole = hashlib.sha256()
    for part in sorted(part for part in path.rglob("*") if part.is_file()):
        whole.update(f"{part.relative_to(path)}\0{content_hash(part)}\n".encode())
    return whole.hexdigest()
