"""The two consoles of the command line: results go to stdout, all else to stderr. Nothing outside of kg/cli prints."""

import json
from typing import Any

from rich.console import Console
from rich.text import Text

out = Console()
err = Console(stderr=True)


def say(text: str) -> None:
    """A result, on stdout: the text as it is, neither read as markup nor broken into lines."""
    out.print(Text(text), soft_wrap=True)


def note(text: str) -> None:
    """What a person should know beside the result, on stderr."""
    err.print(Text(text), soft_wrap=True)


def error(text: str) -> None:
    err.print(Text.assemble(("error:", "red"), " ", text), soft_wrap=True)


def print_json(value: Any) -> None:
    out.file.write(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    out.file.flush()
