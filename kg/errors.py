"""The one exception a person is meant to read, and what makes its line."""

import re
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


def check_above_zero(**settings: float | None) -> None:
    """UserError for the first of these that is not; None is no limit."""
    for name, value in settings.items():
        if value is not None and not value > 0:
            raise UserError(f"{name} must be above 0: got {value:g}", name)


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Around the imports of what an extra of this package installs: UserError in one line where it is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(f'{error.name} is not installed: pip install "kg[{name}]"') from error


# Cc, Cf, Cs, Zl and Zp, less newline, tab and the signs of Arabic, Syriac and Kaithi numbers, which show
UNSEEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text with every character that would command a terminal, or not show on it, as an escape: ESC as \\x1b.

    Those are control and format characters (bidirectional, zero-width, separators of lines) other than newline and tab,
    and what stands for a byte of a file name that is not UTF-8, which is shown as that byte.
    """
    return UNSEEN.sub(_escape, text)


def one_line(text: str) -> str:
    """At most 300 characters on one line, all of which a terminal can show."""
    line = visible(" ".join(text[:2000].split()))
    return line if len(line) <= 300 else f"{line[:300]}..."


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # as Python keeps a byte of a file name that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
