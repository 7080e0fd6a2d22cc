"""A store's next generation while it is written: the database and the arrays, in step.

rdf/            Oxigraph's database: all of RDF
facts/ terms/   the facts between entities as integers (facts.py)
labels/         which terms may have another label than a generation before (facts.py)
manifest.json   counts, prefixes, the store's identity, and the sha256 of every file
"""

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, final

from pyoxigraph import DefaultGraph, NamedNode, Quad, QuerySolutions, Store

from kg.errors import UserError
from kg.generations import current
from kg.manifest import Draft, made, manifest_sha256
from kg.manifest import read_manifest as read_any_manifest
from kg.namespaces import APART
from kg.progress import SILENT, Progress
from kg.store.facts import Facts, FactsDraft, Mark, counts
from kg.store.quarantine import Quarantine
from kg.store.reading import read

FORMAT = 1  # of a generation; a reader refuses another
HISTORY = 10  # generations that a store keeps, where they take no more disk than the published one: see generations
SMALL = 10_000  # quads: up to here each is looked up first (25 us), beyond a bulk load and one scan (0.3 s a million)
PROGRESS_EVERY = 20_000  # facts
EMPTY: dict[str, Any] = {  # the manifest of a store that was never written
    "format": FORMAT,
    "facts": 0,
    "literals": 0,  # facts whose object is a literal, or a triple term
    "entities": 0,  # distinct subjects and objects of the other facts, the graphs APART aside
    "relations": 0,  # and their distinct predicates
    "triple_terms": False,  # whether there ever were any
    "prefixes": {},
    "files": {},
}
_COUNTS = ("facts", "literals", "entities", "relations")


@final
class StoreDraft:
    """Fills a draft with what the generation before holds, and with what is inserted or removed.

    That generation is compared with its manifest meanwhile. UserError by `finish` at the latest where a file of it is
    damaged; the draft is then not to be published.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._before = checked(draft.before, draft.previous) if draft.previous else EMPTY
        draft.begin_checks()
        with self._damage_first((OSError, RuntimeError, UserError)):
            if draft.previous:
                Store.read_only(str(draft.previous / "rdf")).backup(str(draft.path / "rdf"))
            self._database = Store(str(draft.path / "rdf"))
            self._facts = FactsDraft(Facts(draft.previous, self._before["files"]))
        self._added = self._removed = 0

    @contextmanager
    def _damage_first(self, errors: tuple[type[Exception], ...] = (OSError, RuntimeError)) -> Iterator[None]:
        """Where something fails, because of a damaged file of the generation before perhaps, the error says that."""
        try:
            yield
        except errors:
            self._draft.end_checks()
            raise

    def insert(self, quads: Iterable[Quad]) -> int:
        """How many of the quads were new. The database compares them: to it "01" and "1" are the same integer."""
        stream = iter(quads)
        few = list(islice(stream, SMALL))
        with self._damage_first():
            change = self._insert_few(few) if len(few) < SMALL else self._insert_many(chain(few, stream))
        self._added += change
        return change

    def _insert_few(self, quads: list[Quad]) -> int:
        database, count = self._database, 0
        for quad in self._facts.noted(quads):
            if quad not in database:
                database.add(quad)
                count += 1
        return count

    def _insert_many(self, quads: Iterator[Quad]) -> int:
        self._database.bulk_extend(self._facts.noted(quads))
        return len(self._database) - self.count

    @property
    def count(self) -> int:
        """How many facts there are now."""
        return int(self._before["facts"]) + self._added - self._removed

    def remove(self, quads: Iterable[Quad], missing: Callable[[Quad], None] | None = None) -> int:
        """How many of the quads were there; `missing` is told of each that was not, or is not any more."""
        database, count = self._database, 0
        with self._damage_first():
            for quad in self._facts.noted(self._there(quads, missing), gone=True):
                database.remove(quad)
                count += 1
        self._removed += count
        return count

    def _there(self, quads: Iterable[Quad], missing: Callable[[Quad], None] | None) -> Iterator[Quad]:
        database = self._database
        for quad in quads:
            if quad in database:
                yield quad
            elif missing:
                missing(quad)

    def clear(self, graphs: Collection[NamedNode], progress: Progress = SILENT) -> int:
        """Takes graphs away, before anything else changes: how many facts they held."""
        with self._damage_first():
            count = self._clear(graphs, progress)
        for graph in graphs:
            self._facts.clear(graph.value)
        self._removed += count
        return count

    def _clear(self, graphs: Collection[NamedNode], progress: Progress) -> int:
        database, previous = self._database, self._draft.previous
        count = sum(held(database, graph) for graph in graphs)
        if previous and 2 * count > int(self._before["facts"]):  # each that goes costs what one that stays does
            before = Store.read_only(str(previous / "rdf"))
            others = [DefaultGraph(), *(name for name in before.named_graphs() if name not in graphs)]
            kept = (quad for name in others for quad in before.quads_for_pattern(None, None, None, name))
            database.clear()
            database.bulk_extend(Counted(kept, progress))
        else:
            progress.at("facts", 0)
            for graph in graphs:
                database.update(f"DELETE WHERE {{ GRAPH {graph} {{ ?s ?p ?o }} }}")
                database.remove_graph(graph)
        return count

    def finish(self, prefixes: Mapping[str, str], *, by: str, of: Sequence[str] = ()) -> dict[str, Any]:
        """Writes the arrays and the manifest, closes the database and returns the manifest. by, of: see `made`."""
        with self._damage_first():
            if self._removed > max(self.count, SMALL):  # else what went would take more disk than what stays
                self._database.optimize()
            self._database.flush()
            del self._database  # closes it
            if self._removed > SMALL:
                Store(str(self._draft.path / "rdf"))  # opened once more, it drops the log of what was removed
        for log in (self._draft.path / "rdf").glob("LOG*"):
            log.unlink()
        rows = self._facts.write(self._draft)
        self._draft.end_checks()
        contents = {
            "format": FORMAT,
            "facts": self.count,
            "literals": self.count - len(rows),
            **counts(self._facts.outside(rows, APART)),
            "triple_terms": self._before["triple_terms"] or self._facts.triple_terms,
            "prefixes": merged_prefixes(self._before["prefixes"], prefixes),
            "id": self._before.get("id") or secrets.token_hex(16),
            "made": made(by, of, added=self._added, removed=self._removed),
        }
        return self._draft.finish(contents)


def held(database: Store, graph: NamedNode, predicate: NamedNode | None = None) -> int:
    """How many facts a graph of the database holds, with this predicate if one is given. About 1 us each."""
    pattern = f"?s {predicate or '?p'} ?o"
    found = database.query(f"SELECT (COUNT(*) AS ?count) WHERE {{ GRAPH {graph} {{ {pattern} }} }}")
    assert isinstance(found, QuerySolutions)
    return int(next(found)["count"].value)


def load(
    progress: Progress,
    directory: str,
    number: int,
    previous: str | None,
    sources: list[str],
    graph: str | None,
    base: str | None,
    syntax: str | None,
    header: bool | None,
    quarantine: str | None,
) -> dict[str, int]:
    """What the worker process does for Store.load: parses the sources and writes the whole generation."""
    draft = StoreDraft(draft_at(directory, number, previous))
    prefixes: dict[str, str] = {}
    with Quarantine(quarantine) if quarantine else nullcontext() as bad:
        reader = partial(read, graph=graph, base=base, syntax=syntax, header=header, quarantine=bad, progress=progress)
        counted = Counted(parsed(sources, reader, prefixes), progress)
        added = draft.insert(counted)
    draft.finish(prefixes, by="load", of=file_names(sources))
    return {"read": counted.count, "added": added, "quarantined": bad.count if bad else 0}


def file_names(sources: Iterable[str]) -> list[str]:
    """What a manifest says of the paths of files: no folders, and what is no UTF-8 as question marks."""
    return [Path(source).name.encode(errors="replace").decode() for source in sources]


def draft_at(directory: str, number: int, previous: str | None) -> Draft:
    """The draft that the parent of a worker process began."""
    return Draft(Path(directory), number, Path(previous) if previous else None)


def parsed(sources: list[str], reader: Callable[..., Iterator[Quad]], prefixes: dict[str, str]) -> Iterator[Quad]:
    """The facts of all sources, and then their prefixes, together."""
    for source in sources:
        declared: dict[str, str] = {}
        yield from reader(source, prefixes=declared)
        prefixes.update(merged_prefixes(prefixes, declared))


@final
class Counted:
    """The same quads, counted; progress is told how many now and then."""

    def __init__(self, quads: Iterable[Quad], progress: Progress) -> None:
        self.count = 0
        self._quads, self._progress = quads, progress

    def __iter__(self) -> Iterator[Quad]:
        for count, quad in enumerate(self._quads, 1):
            if count % PROGRESS_EVERY == 0:
                self._progress.at("facts", count)
            self.count = count
            yield quad
        self._progress.at("facts", self.count)


def read_manifest(generation: Path) -> dict[str, Any]:
    """A store generation's manifest. UserError if it is damaged, of another format, or no store's."""
    return checked(read_any_manifest(generation), generation)


def checked(manifest: dict[str, Any], generation: Path) -> dict[str, Any]:
    """The manifest, if it says what that of a store has to say. UserError otherwise, or if it is of another format."""
    if not any(name.startswith("rdf/") for name in manifest["files"]):
        raise UserError(f"{generation.parent} is no store: it holds no database (a trained model, perhaps?)")
    if manifest.get("format") != FORMAT:
        raise UserError(
            f"{generation} is a store of format {manifest.get('format')}: this version reads format {FORMAT}"
        )
    counted = all(type(manifest.get(name)) is int and manifest[name] >= 0 for name in _COUNTS)
    prefixes = manifest.get("prefixes")
    named = isinstance(prefixes, dict) and all(isinstance(each, str) for each in prefixes.values())
    known = isinstance(manifest.get("id", ""), str) and isinstance(manifest.get("triple_terms"), bool)
    if not (counted and named and known):
        raise UserError(f"{generation}/manifest.json is not that of a store: expected counts, prefixes, an identity")
    return manifest


def is_at(store: Path, mark: Mark) -> bool:
    """Whether what is published there is what the mark was taken of: its database need not be opened for that."""
    return manifest_sha256(read_any_manifest(current(store))) == mark.sha256


def merged_prefixes(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Both; a prefix that meant another namespace before gets a number: `ex` stays, the new one becomes `ex1`."""
    merged = dict(old)
    for prefix, namespace in new.items():
        if namespace in merged.values() and merged.get(prefix) != namespace and prefix in merged:
            continue
        name, count = prefix, 0
        while merged.get(name, namespace) != namespace:
            count += 1
            name = f"{prefix}{count}"
        merged[name] = namespace
    return merged
