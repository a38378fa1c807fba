"""How large an image may be."""

from tilestyle.config import Input
from tilestyle.errors import UserError, refusal

MOST_SIDE = 300_000
"""Pixels of a side: what the largest formats of image editors hold."""
MOST_WHOLE = 768 << 20
"""Bytes of an image that can only be decoded whole."""


def check_size(
    width: int, height: int, options: Input, *, name: str, code: str | None = None
) -> None:
    """Refuse an image that is larger than allowed.

    Args:
        width: In pixels.
        height: In pixels.
        options: How images are read.
        name: The name of the file, for messages.
        code: What the message begins with.

    Raises:
        UserError: It is too large.
    """
    if max(width, height) > MOST_SIDE:
        limit, remedy = f"a side may have {MOST_SIDE}", "cut or reduce the image"
    elif width * height > options.max_pixels:
        limit = f"at most {options.max_pixels} in all are allowed"
        remedy = "raise --max-pixels if that is meant"
    else:
        return
    raise too_big(f"its size is {width} x {height} pixels, {limit}", remedy, name=name, code=code)


def check_whole(size: int, *, name: str) -> None:
    """Refuse an image of `size` bytes whose format has to be decoded whole.

    Raises:
        UserError: It is more than MOST_WHOLE.
    """
    if size > MOST_WHOLE:
        problem = f"it takes {size >> 20} MiB, and its format has to be decoded whole"
        raise too_big(problem, "save it as TIFF", name=name)


def too_big(problem: str, remedy: str, *, name: str, code: str | None = None) -> UserError:
    """The error for an image that is too large."""
    if code is None:
        return UserError(f"{name}: {problem}; {remedy}")
    return refusal(code, name, problem, remedy)
