"""The one exception a person is meant to read."""


class UserError(Exception):
    """Something the user gave is wrong: one line that says what came and what was expected.

    The command line prints it and exits 1; a traceback means a defect of ours instead.
    """
