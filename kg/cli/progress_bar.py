"""How far a long piece of work is, on stderr: a bar on a terminal, elsewhere a line now and then."""

import time
from collections import deque
from collections.abc import Callable
from typing import final

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from kg.cli import console
from kg.errors import visible
from kg.progress import Progress, duration

_SECONDS_BETWEEN = 0.1  # of a bar ...
_SECONDS_BETWEEN_LINES = 30.0  # ... and of lines, where stderr is a file or a pipe
_MARKS = 64  # of the past of a piece of work


@final
class ConsoleProgress(Progress):
    """Shown on stderr for as long as a `with` lasts: what is being done, how much of it, how fast or how much longer.

    A bar is for a person's eyes: gone when done. Where stderr is a file or a pipe there is a line every 30 seconds, and
    a last one of a piece of work that took longer.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(6),
            TextColumn("{task.fields[counts]}", markup=False),
        )
        err = console.err
        self._bar = Bar(*columns, console=err, transient=True, disable=not err.is_terminal, auto_refresh=False)
        self._every = _SECONDS_BETWEEN_LINES if self._bar.disable else _SECONDS_BETWEEN
        self._task: TaskID | None = None
        self._clock = clock
        self._paces: dict[str, Pace] = {}
        self._shown = clock() if self._bar.disable else float("-inf")
        self._unsaid: tuple[Pace, str, int | None, Callable[[], str] | None] | None = None  # of long work, the last

    def __enter__(self) -> "ConsoleProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._unsaid:
            self._say(*self._unsaid)
        self._bar.stop()

    def note(self, text: str) -> None:
        console.note(text)

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        now = self._clock()
        pace = self._paces.get(what)
        if pace is None or done < pace.done:  # it has begun anew
            pace = self._paces[what] = Pace(now)
        pace.add(now, done)
        if self._bar.disable:
            self._line(now, pace, what, total, figures)
        elif now - self._shown >= _SECONDS_BETWEEN:
            self._shown = now
            description = "" if figures else what  # figures say what is done, and fill a line of 80 columns
            self._draw(description, done, total, counts(done, total, pace.a_second(), figures() if figures else ""))

    def _draw(self, description: str, done: int, total: int | None, said: str) -> None:
        if self._task is None:
            self._task = self._bar.add_task(description, counts="")
        self._bar.update(
            self._task, total=total, completed=done, description=visible(description), counts=visible(said)
        )
        self._bar.refresh()

    def _line(self, now: float, pace: "Pace", what: str, total: int | None, figures: Callable[[], str] | None) -> None:
        is_long = now - pace.began > _SECONDS_BETWEEN_LINES
        self._unsaid = (pace, what, total, figures) if is_long else None
        if now - self._shown >= _SECONDS_BETWEEN_LINES or (is_long and pace.done == total):
            self._shown, self._unsaid = now, None
            self._say(pace, what, total, figures)

    def _say(self, pace: "Pace", what: str, total: int | None, figures: Callable[[], str] | None) -> None:
        said = counts(pace.done, total, pace.a_second(), figures() if figures else "")
        numbers = f"{pace.done:,} of {total:,}, " if figures and total else ""
        self.note(f"{what}: {numbers}{said}")


@final
class Pace:
    """How fast a piece of work goes: over the later half of the time since it began here, with all that happened
    between its units (an epoch's validation, a checkpoint).
    """

    def __init__(self, now: float) -> None:
        self.began, self.now, self.done = now, now, 0
        self._marks: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """So many units are done now."""
        marks = self._marks
        if not marks or now - marks[-1][0] >= (now - self.began) / _MARKS:
            marks.append((now, done))
        while len(marks) > 1 and marks[1][0] <= (self.began + now) / 2:
            marks.popleft()
        self.now, self.done = now, done

    def a_second(self) -> float:
        """Units; 0 where nothing is known yet."""
        since, first = self._marks[0]
        return (self.done - first) / (self.now - since) if self.now > since else 0.0


def counts(done: int, total: int | None, a_second: float, figures: str = "") -> str:
    """'1,000 of 4,000, 0:03 left', with the figures in place of the numbers where there are any; where nobody knows the
    total, '1,000, 500 a second'.
    """
    if total is None:
        return f"{done:,}, {a_second:,.0f} a second" if done and a_second else f"{done:,}" if done else ""
    figures = figures or f"{done:,} of {total:,}"
    if not 0 < done < total or not a_second:
        return figures
    return f"{figures}, {duration((total - done) / a_second)} left"
