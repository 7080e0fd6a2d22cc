"""Store: RDF facts on disk, as a directory that changes by whole generations."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pyoxigraph as ox

from kg import generations
from kg.errors import UserError
from kg.manifest import first_damage, manifest_sha256, verify
from kg.namespaces import APART, KG, PREDICTIONS, RDF
from kg.progress import SILENT, Progress
from kg.store import draft, guard, interop, revision, sandbox, sparql
from kg.store.draft import StoreDraft
from kg.store.facts import Difference, Facts, Mark, Rows
from kg.store.labels import labels
from kg.store.sparql import Answer, Results
from kg.store.syntaxes import syntax_of
from kg.store.terms import term_of, term_text
from kg.store.writes import Loaded, Removed, Replaced, Source, by_worker, from_rdflib, writing
from kg.store.writing import write

if TYPE_CHECKING:
    import networkx
    import rdflib

Pattern = str | ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple | None
GraphName = str | ox.NamedNode | ox.BlankNode | ox.DefaultGraph | None

QUERY_SECONDS = 30.0
_PREDICTIONS = ox.NamedNode(PREDICTIONS)
_APART = tuple(map(ox.NamedNode, APART))
_REIFIES = ox.NamedNode(RDF + "reifies")


@final
class Store:
    """The published generation of the store at `path`: it stays the same until this object writes.

    The graphs APART hold what models said (kg.query.candidates.publish) and people (kg.decisions.folding). match() and
    dump() read them as any other; what is learnt from does not: facts(), entity_pairs() and texts().

    `create`: a path where nothing is yet is an empty store, made by the first write. Without it, and for a path that
    holds something else, UserError. `generation`: this one, as long as another reader or its age keeps it there, and
    not the published one. Any number of readers; one writer at a time, in whatever process (UserError "the
    store is in use by process N"). Close it, or use it in a `with`.
    """

    def __init__(self, path: Source, *, create: bool = False, generation: int | None = None) -> None:
        self.path = Path(path)
        self._worker: sandbox.Worker | None = None
        self._reader: generations.Reader | None = None
        empty = create and not generations.is_begun(self.path)
        if empty:
            generations.check_root(self.path)
        self._open(generation, empty=empty)

    def _open(self, generation: int | None = None, *, empty: bool = False) -> None:
        self.close()
        directory = None
        if not empty:
            self._reader = generations.Reader(self.path, generation)
            directory = self._reader.path
        self.generation = generations.number(directory) if directory else 0
        self.manifest: dict[str, Any] = draft.read_manifest(directory) if directory else draft.EMPTY
        self.database = _read_only(directory) if directory else ox.Store()
        self._facts = Facts(directory, self.manifest["files"])

    def close(self) -> None:
        """Lets the generation go and ends the query worker. The object is of no use afterwards."""
        if self._worker:
            self._worker.close()
            self._worker = None
        if self._reader:
            self._reader.close()
            self._reader = None

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def prefixes(self) -> dict[str, str]:
        """prefix -> namespace, as the loaded files declared them."""
        return dict(self.manifest["prefixes"])

    @property
    def id(self) -> str | None:
        """Its identity, whatever it is called and wherever it lies: made by the first write, kept by every later one,
        and by every copy. None where nothing was written, or the last write was by kg 0.2 or older."""
        found: str | None = self.manifest.get("id")
        return found

    def verify(self) -> None:
        """Reads every file of the generation. UserError naming the first whose bytes changed since it was written, or
        what does not agree: see `check`."""
        if self._reader:
            verify(self._reader.path)
        self.check()

    def check(self) -> None:
        """Compares what the manifest, the database and the arrays say, which no checksum sees. O(facts).

        UserError naming what is no array of facts, no text, an id of no term, a term of two ids, or another count.
        """
        if self._reader:
            self._facts.check()
            self._rows()
            with sparql.damage_named(self._reader.path):
                found, wanted = len(self.database), self.manifest["facts"]
            if found != wanted:
                raise UserError(f"{self._reader.path}: {found:,} facts in the database, {wanted:,} in the manifest")

    # Writing: each of these publishes a new generation, and this object moves on to it.

    def load(
        self,
        sources: "Source | Sequence[Source] | rdflib.Graph",
        graph: str | None = None,
        base: str | None = None,
        *,
        syntax: str | None = None,
        header: bool | None = None,
        quarantine: Source | None = None,
        progress: Progress = SILENT,
    ) -> Loaded:
        """Adds the facts of files (parsed in a worker process) or of an rdflib graph: all of them, or none.

        `graph`: the graph, an IRI or by a prefix of the store, that takes what the files say outside any graph. `base`:
        what relative IRIs and the plain names of TSV are relative to. `syntax`: by name, else by suffix. `header`:
        whether the first line of a TSV or CSV names its columns (None: if it names those of a fact). `quarantine`: a
        file that takes the bad lines of N-Triples, N-Quads, TSV and CSV; without it a bad line is a UserError with
        file, line and column. `progress` is told the number of facts read so far, and by notes which lines were headers
        and which files hold no facts.
        """
        started = time.monotonic()
        named = self._graph(graph)
        if isinstance(sources, (str, Path, Sequence)):
            files = _files(sources)
            if quarantine and any(Path(quarantine).resolve() == Path(source).resolve() for source in files):
                raise UserError(f"{quarantine}: the quarantine would overwrite a file that is to be loaded")
            how = {"graph": named, "base": base, "syntax": syntax, "header": header}
            aside = str(quarantine) if quarantine else None
            counts = by_worker(f"{draft.__name__}:load", self.path, files, progress, quarantine=aside, **how)
        else:
            counts = from_rdflib(self.path, sources, named, progress)
        self._open()
        return Loaded(**counts, seconds=time.monotonic() - started, generation=self.generation)

    def remove_files(
        self,
        sources: Source | Sequence[Source],
        graph: str | None = None,
        base: str | None = None,
        *,
        syntax: str | None = None,
        header: bool | None = None,
        progress: Progress = SILENT,
    ) -> Removed:
        """Takes the facts of files away, all that are there, in one generation; where none is, nothing is written.

        `graph`: where what the files say outside any graph is taken from; None: the default graph. The others as for
        load. A blank node of a file is the one that loading the very same file made; where the store has no fact of
        those in a file, it is the one that the store calls so itself, as what dump wrote does. `progress` is told by
        notes, too, of facts that are in another graph, or that speak of blank nodes and were not found.
        """
        how = {"graph": self._graph(graph), "base": base, "syntax": syntax, "header": header}
        if not self._reader:
            raise UserError(f"{self.path} is empty or closed: there is nothing to remove")
        return Removed(**self._revised("remove", sources, how, progress))

    def replace_files(
        self,
        sources: Source | Sequence[Source],
        graph: str | None = None,
        base: str | None = None,
        *,
        syntax: str | None = None,
        header: bool | None = None,
        progress: Progress = SILENT,
    ) -> Replaced:
        """Each graph of which the files state a fact becomes what they state of it, and nothing else: the difference is
        computed, and written as one generation; where there is none, nothing is written.

        `graph`: which graph is meant by what the files say outside any graph; None: the default graph. The others as
        for load. A blank node of a file that has changed is another one than before. UserError where the files state no
        fact: remove_graph takes a graph away.
        """
        how = {"graph": self._graph(graph), "base": base, "syntax": syntax, "header": header}
        return Replaced(**self._revised("replace", sources, how, progress))

    def _revised(
        self, function: str, sources: Source | Sequence[Source], how: dict[str, Any], progress: Progress
    ) -> dict[str, Any]:
        started = time.monotonic()
        counts = by_worker(f"{revision.__name__}:{function}", self.path, _files(sources), progress, **how)
        self._open()
        return {**counts, "seconds": time.monotonic() - started, "generation": self.generation}

    def remove_graph(self, graph: str, progress: Progress = SILENT) -> Removed:
        """A named graph, an IRI or by a prefix of the store, is gone, with all its facts. UserError if there is no such
        graph, or it is made from decisions."""
        started, name = time.monotonic(), ox.NamedNode(self.term(graph).value)
        revision.check_changeable(name)
        if not self.database.contains_named_graph(name):
            raise UserError(f"{self.path} has no graph {name}")
        with writing(self.path) as new:
            filled = StoreDraft(new)
            removed = filled.clear([name], progress)
            filled.finish({}, by="remove", of=[name.value])
        self._open()
        return Removed(0, removed, 0, time.monotonic() - started, self.generation)

    def _graph(self, graph: str | None) -> str | None:
        """The IRI of a graph that may be named by a prefix of the store."""
        if graph is not None and graph.partition(":")[0] in self.manifest["prefixes"]:
            return self.term(graph).value
        return graph

    def add(self, quads: Iterable[ox.Quad | ox.Triple]) -> int:
        """How many of the facts were new. A Triple goes to the default graph."""
        return self._changed(lambda filled: filled.insert(map(_quad, quads)), by="add")

    def remove(self, quads: Iterable[ox.Quad | ox.Triple]) -> int:
        """How many of the facts were there. A Triple means the one in the default graph."""
        return self._changed(lambda filled: filled.remove(map(_quad, quads)), by="remove")

    def replace(
        self,
        graphs: Mapping[str, Iterable[ox.Quad | ox.Triple]],
        prefixes: Mapping[str, str] | None = None,
        *,
        by: str = "replace",
    ) -> int:
        """Each of the named graphs holds these facts and no others, in one new generation: how many they held before.

        No facts: it is gone. Whatever graph the facts came from, they go into this one. `prefixes` join the store's.
        `by`: what the history says.
        """

        def change(filled: StoreDraft) -> int:
            count = filled.clear([ox.NamedNode(graph) for graph in graphs])
            for graph, quads in graphs.items():
                name = ox.NamedNode(graph)
                filled.insert(ox.Quad(fact.subject, fact.predicate, fact.object, name) for fact in quads)
            return count

        return self._changed(change, prefixes or {}, by=by, of=list(graphs))

    def _changed(
        self,
        change: Callable[[StoreDraft], int],
        prefixes: Mapping[str, str] = MappingProxyType({}),
        *,
        by: str,
        of: Sequence[str] = (),
    ) -> int:
        with writing(self.path) as new:
            filled = StoreDraft(new)
            count = change(filled)
            filled.finish(prefixes, by=by, of=of)
        self._open()
        return count

    # Reading

    def match(
        self, subject: Pattern = None, predicate: Pattern = None, object: Pattern = None, graph: GraphName = None
    ) -> Iterator[ox.Quad]:
        """The facts with these terms; None matches any term, and any graph.

        A term is pyoxigraph's, or a string: an IRI, `prefix:name` with a prefix of this store, or `_:label`.
        UserError for a string that is none of them.
        """
        terms = (subject, predicate, object, graph)
        pattern: list[Any] = [self.term(term) if isinstance(term, str) else term for term in terms]
        if isinstance(pattern[0], (ox.Literal, ox.Triple)) or not isinstance(pattern[1], (ox.NamedNode, NoneType)):
            return iter(())  # in RDF there is no such fact
        return self._matched(pattern)

    def _matched(self, pattern: list[Any]) -> Iterator[ox.Quad]:
        with sparql.damage_named(self.path):
            yield from self.database.quads_for_pattern(*pattern)

    def count(
        self, subject: Pattern = None, predicate: Pattern = None, object: Pattern = None, graph: GraphName = None
    ) -> int:
        """How many facts match() would yield. At once without any term, else in the time it takes to find them."""
        if subject is None and predicate is None and object is None and graph is None:
            return int(self.manifest["facts"])
        return sum(1 for _ in self.match(subject, predicate, object, graph))

    def has_graph(self, graph: str) -> bool:
        """Whether there is a named graph of this IRI, though it be empty."""
        return bool(self.database.contains_named_graph(ox.NamedNode(graph)))

    def counts(self) -> dict[str, int]:
        """facts, entities, relations and literals (facts with one, or with a triple term) outside of the graphs APART;
        predictions: how many are annotated there.
        """
        counts: dict[str, int] = {key: self.manifest[key] for key in ("facts", "entities", "relations", "literals")}
        inside = sum(draft.held(self.database, name) for name in _APART)
        if inside:
            between = len(self._rows()) - len(self.facts())
            counts["facts"] -= inside
            counts["literals"] -= inside - between
        return counts | {"predictions": draft.held(self.database, _PREDICTIONS, _REIFIES)}

    def entity_pairs(self, predicate: Pattern, subject: Pattern = None) -> Iterator[tuple[str, str]]:
        """(subject, object) as terms() writes them, of the facts between entities with this predicate, in any graph but
        those APART.
        """
        for quad in self._stated(predicate, subject):
            if isinstance(quad.object, (ox.NamedNode, ox.BlankNode)):
                yield term_text(quad.subject), term_text(quad.object)

    def texts(self, predicate: Pattern, subject: Pattern = None) -> Iterator[tuple[str, str, str | None]]:
        """(subject as terms() writes it, text, language or None) of the facts with this predicate and a literal, in any
        graph but those APART.
        """
        for quad in self._stated(predicate, subject):
            if isinstance(quad.object, ox.Literal):
                yield term_text(quad.subject), quad.object.value, quad.object.language

    def _stated(self, predicate: Pattern, subject: Pattern) -> Iterator[ox.Quad]:
        return (quad for quad in self.match(subject, predicate) if quad.graph_name not in _APART)

    def term(self, text: str) -> ox.NamedNode | ox.BlankNode:
        """The term a person wrote, with the prefixes of this store: see kg.store.terms.term_of."""
        return term_of(text, self.manifest["prefixes"])

    def sparql(
        self, query: str, *, with_predictions: bool = False, timeout_seconds: int | float = QUERY_SECONDS
    ) -> Results:
        """Solutions for SELECT, a bool for ASK, a list of triples for CONSTRUCT and DESCRIBE. See `answer`."""
        return self.answer(query, with_predictions=with_predictions, timeout_seconds=timeout_seconds).results()

    def answer(
        self, query: str, *, with_predictions: bool = False, timeout_seconds: int | float = QUERY_SECONDS
    ) -> Answer:
        """What a query finds, to be read as terms or written in a standard format.

        The default graph of a query is the union of all graphs, so that facts loaded into a named graph answer too; a
        fact in two of them answers twice. Published predictions are left out, unless `with_predictions` or GRAPH asks
        for them. With FROM the query says itself what it is put to. The store's prefixes need no declaration, nor does
        kg:. It runs in a worker process. UserError for a syntax error, an update, SERVICE and LOAD (nothing leaves this
        machine), nesting too deep, a missed deadline or too much memory.
        """
        request = self.request(query, with_predictions=with_predictions)
        if not self._worker:
            self._worker = sandbox.Worker(memory_bytes=sandbox.QUERY_MEMORY)
        target = f"{sparql.__name__}:answer"
        return Answer(**self._worker.call(target, request, timeout_seconds=float(timeout_seconds)))

    def request(self, query: str, *, with_predictions: bool = False) -> dict[str, Any]:
        """What `sparql.answer` needs in order to answer a query, in whatever worker. UserError as for `answer`."""
        guard.check_query(query)
        if not self._reader:
            raise UserError(f"{self.path} is empty or closed: there is nothing to query")
        return {
            "database": str(self._reader.path / "rdf"),
            "query": query,
            "prefixes": {"kg": KG} | self.prefixes,
            "with_predictions": with_predictions,
        }

    def dump(self, path: Source, *, syntax: str | None = None, graph: GraphName = None) -> int:
        """Writes the facts (of one graph, if named) to a file, whole or not at all; returns how many were written.

        `syntax`: by name, else by suffix. UserError if there is no such graph, or the syntax cannot hold the facts: no
        graph names in N-Triples, Turtle, RDF/XML and N3, unless the one graph is named here.
        """
        name = self.term(graph) if isinstance(graph, str) else graph
        if isinstance(name, (ox.NamedNode, ox.BlankNode)) and not self.database.contains_named_graph(name):
            raise UserError(f"{self.path} has no graph {name}")
        quads = self.match(graph=name)
        if name is not None and not syntax_of(path, syntax).graphs:
            quads = (ox.Quad(quad.subject, quad.predicate, quad.object) for quad in quads)
        return write(quads, path, syntax=syntax, prefixes=self.prefixes)

    def facts(self) -> Rows:
        """(F, 4) int64: subject, predicate, object, graph of every fact between entities; the default graph is -1.

        Those of the graphs APART are left out: a model that learnt from them would learn from its own errors.
        """
        self._verify("facts/", "terms/")
        rows, there = self._rows(), [name for name in _APART if self.database.contains_named_graph(name)]
        if not there:
            return rows
        terms = self.terms()
        apart = [terms.index(name.value) for name in there if name.value in terms]  # else all there has a literal
        stated: Rows = rows[~np.isin(rows[:, 3], apart)]
        return stated

    def _rows(self) -> Rows:
        rows, wanted = self._facts.rows(), self.manifest["facts"] - self.manifest["literals"]
        if len(rows) != wanted:
            place = f"{self.path}/{self.generation}"
            raise UserError(f"{place}: {len(rows):,} facts between entities, {wanted:,} in the manifest")
        return rows

    def terms(self) -> list[str]:
        """id -> term, for the ids of facts(): an IRI without brackets, or `_:label` for a blank node."""
        self._verify("terms/")
        return self._facts.terms()

    @property
    def mark(self) -> Mark:
        """What `since` needs to know of this generation later."""
        files = {
            name: sha256 for name, sha256 in self.manifest["files"].items() if name.startswith(("facts/", "terms/"))
        }
        return Mark(self.generation, manifest_sha256(self.manifest), files)

    def since(self, mark: Mark) -> Difference | None:
        """What changed since facts() and terms() were read; None where it can't be told: files have been merged since,
        or this is another store. O(what changed)."""
        files = self.mark.files
        if any(files.get(name) != sha256 for name, sha256 in mark.files.items()):
            return None
        if self.generation <= mark.generation and self.mark.sha256 != mark.sha256:
            return None
        self._verify(*(files.keys() - mark.files.keys()), *self._facts.labels_since(mark.generation))
        added, removed, terms = self._facts.since(mark.files)
        return Difference(added, removed, terms, self._facts.labelled_since(mark.generation, self.generation))

    def _verify(self, *beginnings: str) -> None:
        # One flipped byte here would be another fact, in silence: 0.02 s a million facts to know.
        if self._reader and self._reader.path.exists():  # a generation that someone removed is still mapped
            names = (name for name in self.manifest["files"] if name.startswith(beginnings))
            line = first_damage(self._reader.path, self.manifest, names)
            if line:
                raise UserError(f"{line} (kg verify {self.path} tells what else, and what to do)")

    def to_rdflib(self) -> "rdflib.Dataset":
        """This generation as an rdflib Dataset, through oxrdflib: not a copy, and read-only. Valid until close().

        Read without naming a graph it is the union of all graphs, each triple once; `.graph(name)` is one of them and
        `.default_graph` holds the facts outside any. Triple terms come out as RDF 1.1 reification, and base directions
        of literals are dropped: rdflib has neither. UserError on every attempt to change it.
        """
        return interop.to_rdflib(self.database, self.prefixes, triple_terms=self.manifest["triple_terms"])

    def to_rdflib_graph(self, graph: str | None = None) -> "rdflib.Graph":
        """One graph of to_rdflib(): the named one, or the default graph. UserError if there is no such graph."""
        dataset = self.to_rdflib()
        if graph is None:
            default: rdflib.Graph = dataset.default_graph  # a property that rdflib leaves untyped
            return default
        name = self.term(graph)
        if not self.database.contains_named_graph(name):
            raise UserError(f"{self.path} has no graph {graph}")
        return interop.context(dataset, name)

    def to_networkx(self) -> "networkx.MultiDiGraph":
        """The facts between entities. Nodes are terms as in terms(), edges are keyed by their relation's.

        Both carry `label`: what the graph calls them, else the last part of the IRI. A fact that is in several graphs
        is one edge.
        """
        return interop.to_networkx(self.terms(), self.facts(), labels(self.texts))


def _files(sources: Source | Sequence[Source]) -> Sequence[Source]:
    return [sources] if isinstance(sources, (str, Path)) else sources


def _quad(fact: ox.Quad | ox.Triple) -> ox.Quad:
    return fact if isinstance(fact, ox.Quad) else ox.Quad(fact.subject, fact.predicate, fact.object)


def _read_only(directory: Path) -> ox.Store:
    with sparql.damage_named(directory):
        return ox.Store.read_only(str(directory / "rdf"))
