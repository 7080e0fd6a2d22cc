"""Files into the next generation of a store, or out of it, by a worker process; and what came of it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg import generations
from kg.manifest import MANIFEST, Draft
from kg.progress import Progress
from kg.store import draft, interop, sandbox
from kg.store.draft import StoreDraft

if TYPE_CHECKING:
    import rdflib

Source = str | Path


@dataclass(frozen=True)
class Loaded:
    """What one Store.load did: facts read from the sources, facts that were new, lines put into quarantine."""

    read: int
    added: int
    quarantined: int
    seconds: float
    generation: int


@dataclass(frozen=True)
class Removed:
    """What one Store.remove_files or remove_graph did: facts read from the files (a fact that they state twice counts
    twice), facts that are gone, facts that were not there. generation: the same as before where none is gone."""

    read: int
    removed: int
    missing: int
    seconds: float
    generation: int


@dataclass(frozen=True)
class Replaced:
    """What one Store.replace_files did: facts read from the files, and of the graphs that they speak of the facts that
    came, went and stayed. generation: the same as before where all stayed."""

    read: int
    added: int
    removed: int
    unchanged: int
    seconds: float
    generation: int


def writing(path: Path) -> AbstractContextManager[Draft]:
    """generations.write of a store, which keeps a history."""
    return generations.write(path, keep=draft.HISTORY)


def by_worker(target: str, path: Path, sources: Sequence[Source], progress: Progress, **how: Any) -> dict[str, int]:
    """What a function of a worker process counts, which fills a draft of the store's next generation by files; where
    nothing is added or removed by one that leaves such a draft unfinished, there is none."""
    with writing(path) as new:
        counts: dict[str, int] = sandbox.run(
            target,
            {
                "directory": str(new.path),
                "number": new.number,
                "previous": str(new.previous) if new.previous else None,
                "sources": [str(source) for source in sources],
                **how,
            },
            timeout_seconds=None,
            memory_bytes=sandbox.load_memory(),
            progress=progress,
        )
        if not (new.path / MANIFEST).exists():
            raise generations.Unchanged
    return counts


def from_rdflib(path: Path, source: "rdflib.Graph", graph: str | None, progress: Progress) -> dict[str, int]:
    """What Store.load counts, of an rdflib graph."""
    counted = draft.Counted(interop.from_rdflib(source, graph=graph), progress)
    with writing(path) as new:
        filled = StoreDraft(new)
        added = filled.insert(counted)
        filled.finish({prefix: str(namespace) for prefix, namespace in source.namespaces()}, by="load")
    return {"read": counted.count, "added": added, "quarantined": 0}
