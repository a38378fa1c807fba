"""Presses and outputs for tests."""

from pathlib import Path

from tests.conftest import missing

_CMYK = Path("/usr/share/color/icc/ghostscript/default_cmyk.icc")


def cmyk_profile() -> Path:
    """The ICC file of a press; skips where there is none."""
    if not _CMYK.is_file():
        missing("a CMYK profile (make services)")
    return _CMYK
