"""The one exception that a user is meant to read."""


class UserError(Exception):
    """A mistake that the user can mend: bad file, bad key, missing weights, no space.

    The message is one line that names the file or the key, says what is wrong and what to do.
    The command line prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 2
