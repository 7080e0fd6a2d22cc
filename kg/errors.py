"""The one exception a person is meant to read, and what makes its line."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something the user gave is wrong: one line that says what came and what was expected.

    setting: the parameter that the line is about, where it names one; the command line writes its option there, --top
    for `top`. It prints the line and exits 1; a traceback means a defect of ours instead.
    """

    def __init__(self, line: str, setting: str | None = None) -> None:
        super().__init__(line)
        self.setting = setting


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """UserError unless the value is one of these: types say so too, but nothing reads them when it runs."""
    if value not in choices:
        raise UserError(f"{name} must be one of {', '.join(map(str, choices))}: got {value}", name)


def check_at_least_one(**settings: int) -> None:
    """UserError for the first of these that is below 1."""
    for name, value in settings.items():
        if value < 1:
            raise UserError(f"{name} must be at least 1: got {value}", name)


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports of what an extra of this package installs: UserError in one line where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(f'{error.name} is not installed: pip install "kg[{name}]"') from error


def one_line(text: str) -> str:
    """At most 300 characters, all of which a terminal can show."""
    line = "".join(c if c.isprintable() else " " for c in text[:2000])
    line = " ".join(line.split())
    return line if len(line) <= 300 else f"{line[:300]}..."
