"""Variants of a Run, whose settings lie in its algorithm; how parts are trained, and what was said on the way."""

import signal
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from kg import bundle
from kg.bundle import Bundle
from kg.graph.dataset import Dataset
from kg.progress import Progress
from kg.training.run import Run
from kg.training.train import resume, train


class Noted(Progress):
    """Keeps what is noted, and the figures of the last step that had some."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[str, int, int | None]] = []
        self.figures = ""

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        self.steps.append((what, done, total))
        self.figures = figures() if figures else self.figures

    def note(self, text: str) -> None:
        self.notes.append(text)


class Stopping(Noted):
    """Sends this process a signal at the n-th step, of these that it is told of or of all."""

    def __init__(self, what: str | None = None, number: int = 1, sent: signal.Signals = signal.SIGINT) -> None:
        super().__init__()
        self._what, self._left, self._sent = what, number, sent

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        super().at(what, done, total, figures)
        if self._what in (None, what):
            self._left -= 1
            if self._left == 0:
                signal.raise_signal(self._sent)


def varied(run: Run, **changes: Any) -> Run:
    """With these settings of the run or of its algorithm in their place."""
    own = {name: changes.pop(name) for name in [each.name for each in fields(Run)] if name in changes}
    return replace(run, **{"algorithm": replace(run.algorithm, **changes)} | own)


def train_part(dataset: Dataset, run: Run, folder: Path) -> Bundle:
    return resume(folder) if bundle.exists(folder) else train(dataset, run, folder)
