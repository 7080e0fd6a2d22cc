"""How a command that is stopped says how to go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kg import generations
from kg.cli.console import note
from kg.interruption import Interrupted

INTERRUPTED = 130  # the exit code, of SIGTERM, too


@contextmanager
def saving(goes_on: str, model: Path | None = None) -> Iterator[None]:
    """Stopped, it says how what was saved goes on; where there is no such model yet, that the same command does."""
    try:
        yield
    except Interrupted:
        begun = model is None or generations.is_begun(model)
        note(f"Stopped and saved: {goes_on}" if begun else "Stopped before there was a model: the same command goes on")
        raise


@contextmanager
def leaving(model: Path) -> Iterator[None]:
    """Stopped, it says that the model has not changed."""
    try:
        yield
    except Interrupted:
        note(f"Stopped: {model} is as it was")
        raise
