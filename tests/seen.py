"""What a long piece of work told."""

from collections.abc import Callable

from kg.progress import Progress


class Seen(Progress):
    """Keeps what it is told: (what, done, total), or the line of a note."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int | None] | str] = []

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        self.told.append((what, done, total))

    def note(self, text: str) -> None:
        self.told.append(text)
