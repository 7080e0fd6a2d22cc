"""What a service has done beside it, in a process that it can kill (kg.store.sandbox): each answers with one line."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import final

from kg.api import recalibrated, said_of, trained_anew
from kg.bundle import Bundle
from kg.progress import Progress

_NICE = 10  # pages are answered first
_SECONDS_BETWEEN = 0.2  # of what is told


def recalibrate(model: str, progress: Progress) -> str:
    """Fits a model's probabilities anew, on its valid facts and on what people decided. UserError without any."""
    os.nice(_NICE)
    bundle = Bundle.load(model)
    said = said_of(bundle)
    recalibrated(bundle, said, Seldom(progress))
    decided = len(said.accepted) + len(said.rejected)
    return f"calibrated on {len(bundle.dataset.valid):,} valid facts and {decided:,} that people decided on"


def retrain(store: str, model: str, progress: Progress) -> str:
    """Trains a model anew on what its store holds now, decisions included: see kg.api.trained_anew."""
    os.nice(_NICE)
    bundle = trained_anew(Path(store), Path(model), progress=Seldom(progress))
    figures = bundle.metrics["valid"]
    measured = f", valid MRR {figures['mrr']:.4f}" if figures else ""
    return f"trained on {len(bundle.dataset.train):,} facts, {bundle.metrics['epochs']} epochs{measured}"


@final
class Seldom(Progress):
    """Passes on a new piece of work at once, how far it is now and then: another process reads each message."""

    def __init__(self, told: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._told, self._clock = told, clock
        self._what, self._next = "", 0.0

    def at(self, what: str, done: int, total: int | None = None, figures: Callable[[], str] | None = None) -> None:
        now = self._clock()
        if what != self._what or now >= self._next:
            self._what, self._next = what, now + _SECONDS_BETWEEN
            self._told.at(what, done, total)

    def note(self, text: str) -> None:
        self._told.note(text)
