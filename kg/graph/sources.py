"""A dataset from whatever lies at a path: a store, or a folder of files. Naming one imports that one alone."""

from collections.abc import Callable, Collection
from pathlib import Path
from pkgutil import resolve_name

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.progress import SILENT, Progress

SOURCES = {"store": "kg.graph.from_store:dataset_at", "folder": "kg.graph.from_folder:dataset_from_folder"}


def open_dataset(
    source: Path | str,
    *,
    relations: Collection[str] | None = None,
    graphs: Collection[str] | None = None,
    valid: float | None = None,
    test: float | None = None,
    seed: int = 0,
    restrictions: bool | None = None,
    language: str | None = None,
    progress: Progress = SILENT,
) -> Dataset:
    """The facts of a store, a part of them held out (kg.graph.from_store), or of a folder's files.

    progress is told of a header in a folder's files, and of what is made of a store. UserError for settings of a store
    where a folder is, whose files are the parts already; and where neither is.
    """
    path = Path(source)
    if path.is_file():
        raise UserError(f"{path} is a file: load it first (kg load STORE {path}), then train on the store")
    if not 0 <= seed < 2**63:
        raise UserError(f"seed must be at least 0 and below 2^63: got {seed}", setting="seed")
    asked = {"relations": relations, "graphs": graphs, "valid": valid, "test": test}
    asked |= {"restrictions": restrictions, "language": language}
    chosen = {name: value for name, value in asked.items() if value is not None}
    if (path / "CURRENT").exists() or (path / "1").is_dir():  # see kg.generations
        return _opener("store")(path, seed=seed, progress=progress, **chosen)
    for name in chosen:
        raise UserError(f"{name} chooses from a store: {path} is a folder of parts, taken as they are", setting=name)
    return _opener("folder")(path, progress=progress)


def _opener(kind: str) -> Callable[..., Dataset]:
    found: Callable[..., Dataset] = resolve_name(SOURCES[kind])
    return found
