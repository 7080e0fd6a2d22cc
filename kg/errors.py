"""The one exception a person is meant to read."""


class UserError(Exception):
    """Something the user gave is wrong: one line that says what came and what was expected.

    The command line prints it and exits 1; a traceback means a defect of ours instead.
    """


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """UserError unless the value is one of these: types say so too, but nothing reads them when it runs."""
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(map(str, choices))}: got {value}")
