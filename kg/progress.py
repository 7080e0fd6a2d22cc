"""How a long piece of work says how far it is. The library says nothing to a console: who calls it passes this on."""

from collections.abc import Callable


class Progress:
    """Is given how far the work is; this one shows nothing. The command line's draws a bar (kg/cli/progress_bar.py).

    It may be called very often: what takes long to compute comes as a function, called only when it is to be shown.
    """

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        """`done` of `total` units of this piece of work are done (None: nobody knows how many there will be)."""

    def note(self, text: str) -> None:
        """One line that a person should read now."""


SILENT = Progress()


def duration(seconds: float) -> str:
    """'1:05', '23:59:59', '2 d 4 h', '3 y 2 d' (a year has 365 days)."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    years, days = divmod(days, 365)
    if years:
        return f"{years:,} y {days} d"
    if days:
        return f"{days} d {hours} h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
