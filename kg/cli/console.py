"""The two consoles of the command line: results go to stdout, all else to stderr. Nothing outside of kg/cli prints."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
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
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


class _Bar(Progress):
    """Gone when done, and for a person's eyes only: in a file or a pipe it would leave an empty line."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, console=err, transient=True, disable=not err.is_terminal)


@contextmanager
def facts_bar() -> Iterator[Callable[[int], None]]:
    text = TextColumn("{task.completed:,.0f} facts, {task.fields[rate]} facts/s")
    with _Bar(SpinnerColumn(), text, TimeElapsedColumn()) as bar:
        task = bar.add_task("", total=None, rate="-")

        def progress(facts: int) -> None:
            elapsed = bar.tasks[task].elapsed or 0.0
            bar.update(task, completed=facts, rate=f"{facts / elapsed:,.0f}" if elapsed else "-")

        yield progress


@contextmanager
def count_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.completed:,.0f} of {task.total:,.0f}"))
    with _Bar(*columns, TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=1)
        yield lambda done, total: bar.update(task, completed=done, total=total)
