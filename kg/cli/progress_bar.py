"""How far a long piece of work is, on stderr."""

import time
from collections.abc import Callable
from typing import final

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from kg.cli import console
from kg.errors import visible
from kg.progress import Progress

_SECONDS_BETWEEN = 0.1


@final
class ConsoleProgress(Progress):
    """A bar on stderr for as long as a `with` lasts: what is being done, how much of it, how fast or how much longer.

    It is for a person's eyes: gone when done, and where stderr is a file or a pipe only the notes are written.
    """

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(6),
            TextColumn("{task.fields[counts]}", markup=False),
        )
        self._bar = Bar(
            *columns, console=console.err, transient=True, disable=not console.err.is_terminal, auto_refresh=False
        )
        self._task: TaskID | None = None
        self._what = ""
        self._began = self._shown = 0.0

    def __enter__(self) -> "ConsoleProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        console.note(text)

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        if self._bar.disable:
            return
        now = time.monotonic()
        if what != self._what or self._task is None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(what, counts="")
            self._what, self._began = what, now
        elif done != total and now - self._shown < _SECONDS_BETWEEN:
            return
        self._shown = now
        said = counts(done, total, now - self._began, figures() if figures else "")
        description = "" if figures else what  # figures say what is done, and fill a line of 80 columns
        self._bar.update(
            self._task, total=total, completed=done, description=visible(description), counts=visible(said)
        )
        self._bar.refresh()


def counts(done: int, total: int | None, seconds: float, figures: str = "") -> str:
    """'1,000 of 4,000, 0:03 left', with the figures in place of the numbers where there are any; where nobody knows the
    total, '1,000, 500 a second'.
    """
    if total is None:
        return f"{done:,}, {done / seconds:,.0f} a second" if done and seconds else f"{done:,}" if done else ""
    figures = figures or f"{done:,} of {total:,}"
    if not 0 < done < total:
        return figures
    left = round(seconds * (total - done) / done)
    minutes, left = divmod(left, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{figures}, {f'{hours}:{minutes:02}' if hours else minutes}:{left:02} left"
