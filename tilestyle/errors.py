"""The exceptions that a user is meant to read."""


class UserError(Exception):
    """A mistake that the user can mend: bad file, bad key, missing weights, no space.

    The message is one line that names the file or the key, says what is wrong and what to do.
    The command line prints it without a traceback and exits with `exit_code`.

    Attributes:
        code: The stable code that the message begins with, such as TIFF_TRUNCATED; None for most.
            docs/images.md lists them.
    """

    exit_code = 2
    code: str | None = None


class TryAgainError(UserError):
    """The run could not go on through no fault of its input; the same command may, later."""

    exit_code = 75


def refusal(code: str, name: str, problem: str, remedy: str) -> UserError:
    """The error for a file that is not read: "CODE: name: problem; remedy".

    Args:
        code: One of the codes of docs/images.md.
        name: The name of the file.
        problem: What is wrong with it.
        remedy: What the user can do.
    """
    error = UserError(f"{code}: {name}: {problem}; {remedy}")
    error.code = code
    return error
