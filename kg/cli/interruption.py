"""How a command that trains is stopped."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from kg.cli.console import note


@contextmanager
def saving(goes_on: str) -> Iterator[None]:
    """A training that is stopped has saved: say how it goes on, and exit 130."""
    from kg.training.train import Interrupted

    try:
        yield
    except Interrupted:
        note(f"Stopped and saved: {goes_on}")
        raise typer.Exit(130) from None
