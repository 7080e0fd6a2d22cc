"""What commands that train have in common: what they learn from, and how they stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kg.cli.console import note
from kg.errors import UserError

if TYPE_CHECKING:
    from kg.graph.dataset import Dataset


def open_dataset(
    source: Path,
    relations: list[str] | None = None,
    graphs: list[str] | None = None,
    valid: float | None = None,
    test: float | None = None,
    seed: int = 0,
    restrictions: bool = False,
) -> "Dataset":
    from kg.graph.dataset import Dataset
    from kg.store.store import Store, term_text

    if source.is_file():
        raise UserError(f"{source} is a file: load it first (kg load STORE {source}), then train on the store")
    if not 0 <= seed < 2**63:
        raise UserError(f"--seed must be at least 0 and below 2^63: got {seed}")
    if not (source / "CURRENT").exists():
        chosen = {"relations": relations, "graphs": graphs, "valid": valid, "test": test, "restrictions": restrictions}
        for option, value in chosen.items():
            if value not in (None, False):
                raise UserError(f"--{option} chooses from a store: {source} is a folder of parts, taken as they are")
        return Dataset.from_folder(source)
    with Store(source) as store:
        predicates = relations and [term_text(store.term(name)) for name in relations]
        names = graphs and [term_text(store.term(name)) if name else "" for name in graphs]
        held = {name: share for name, share in (("valid", valid), ("test", test)) if share is not None}
        return Dataset.from_store(store, predicates, names, seed=seed, restrictions=restrictions, **held)


@contextmanager
def saving(goes_on: str) -> Iterator[None]:
    """A training that is stopped has saved: say how it goes on, and exit 130."""
    from kg.training.train import Interrupted

    try:
        yield
    except Interrupted:
        note(f"Stopped and saved: {goes_on}")
        raise typer.Exit(130) from None
