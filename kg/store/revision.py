"""What a worker process does for Store.remove_files and Store.replace_files: files say what goes, or what stays."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import IO, final

from pyoxigraph import BlankNode, DefaultGraph, NamedNode, Quad, Store, Triple

from kg.errors import UserError
from kg.namespaces import ACCEPTED, DECISIONS
from kg.progress import SILENT, Progress
from kg.store.comparison import Graph, Held, lines_of, quads_of
from kg.store.draft import PROGRESS_EVERY, Counted, StoreDraft, draft_at, file_names, parsed
from kg.store.reading import read

AT_ONCE = 10_000  # quads that are compared together
LOOKED_FOR = 1000  # facts that are not there, of which it is asked whether another graph holds them
_OF_DECISIONS = (NamedNode(ACCEPTED), NamedNode(DECISIONS))


def check_changeable(graph: Graph) -> None:
    """UserError for the graphs that are made from what people decided."""
    if graph in _OF_DECISIONS:
        raise UserError(f"the graph {graph} is made from the journal of decisions: to take a decision back changes it")


# What goes


def remove(
    progress: Progress,
    directory: str,
    number: int,
    previous: str,
    sources: list[str],
    graph: str | None,
    base: str | None,
    syntax: str | None,
    header: bool | None,
) -> dict[str, int]:
    """Takes the facts of the sources away. Where none of them is there, the draft stays unfinished."""
    draft = StoreDraft(draft_at(directory, number, previous))
    removal = _Removal(draft, Store.read_only(f"{previous}/rdf"))
    for source in sources:
        removal.take(partial(read, source, graph=graph, base=base, syntax=syntax, header=header), progress)
    removal.tell(progress)
    if removal.removed:
        draft.finish({}, by="remove", of=file_names(sources))
    return {"read": removal.read, "removed": removal.removed, "missing": removal.missing}


@final
class _Removal:
    """read: facts of the sources so far; removed; missing: those that were not there when it began."""

    def __init__(self, draft: StoreDraft, before: Store) -> None:
        self.read = self.removed = self.missing = 0
        self._draft, self._before = draft, before
        self._nameless = 0  # missing ones with a blank node
        self._left_to_ask, self._elsewhere = LOOKED_FOR, ""

    def take(self, reader: Callable[..., Iterator[Quad]], progress: Progress) -> None:
        """What one source says. Its blank nodes are those that loading the very same file made; where the store has no
        fact of those, the ones that it calls so itself."""
        nameless, count = self._nameless, 0

        def quads() -> Iterator[Quad]:
            nonlocal count
            for quad in reader(progress=progress):
                check_changeable(quad.graph_name)
                self.read += 1
                if self.read % PROGRESS_EVERY == 0:
                    progress.at("facts", self.read)
                count += _has_blank_node(quad)
                yield quad

        self.removed += self._draft.remove(quads(), self._missed)
        if count and self._nameless - nameless == count:
            again = filter(_has_blank_node, reader(progress=SILENT, keep_labels=True))
            found = self._draft.remove(again)
            self.removed += found
            self.missing -= found
            self._nameless -= found

    def _missed(self, quad: Quad) -> None:
        if quad in self._before:  # the sources say it twice
            return
        self.missing += 1
        if _has_blank_node(quad):
            self._nameless += 1
        elif not self._elsewhere and self._left_to_ask:
            self._left_to_ask -= 1
            twin = next(self._before.quads_for_pattern(quad.subject, quad.predicate, quad.object, None), None)
            if twin:
                fact = f"{quad.subject} {quad.predicate} {quad.object}"
                self._elsewhere = f"{fact} is not in {_called(quad.graph_name)}, but in {_called(twin.graph_name)}"

    def tell(self, progress: Progress) -> None:
        if self._elsewhere:
            progress.note(self._elsewhere)
        if self._nameless:
            progress.note(
                f"{self._nameless:,} of the facts that are not there speak of blank nodes, which have no name but in "
                "the very file that was loaded, or as the store calls them"
            )


def _called(graph: Graph) -> str:
    return "the default graph" if isinstance(graph, DefaultGraph) else f"the graph {graph}"


def _has_blank_node(fact: Quad | Triple) -> bool:
    """Whether it speaks of a blank node, within a triple term, too."""
    if isinstance(fact, Quad) and isinstance(fact.graph_name, BlankNode):
        return True
    object_ = fact.object
    inner = isinstance(object_, Triple) and _has_blank_node(object_)
    return inner or isinstance(fact.subject, BlankNode) or isinstance(object_, BlankNode)


# What stays


def replace(
    progress: Progress,
    directory: str,
    number: int,
    previous: str | None,
    sources: list[str],
    graph: str | None,
    base: str | None,
    syntax: str | None,
    header: bool | None,
) -> dict[str, int]:
    """Each graph of which the sources state a fact holds what they state, and nothing else. Where all of it was so, the
    draft stays unfinished. UserError where they state nothing."""
    draft = StoreDraft(draft_at(directory, number, previous))
    before = Store.read_only(f"{previous}/rdf") if previous else Store()
    prefixes: dict[str, str] = {}
    reader = partial(read, graph=graph, base=base, syntax=syntax, header=header, progress=progress)
    counted = Counted(parsed(sources, reader, prefixes), progress)
    with tempfile.TemporaryFile(dir=directory) as text:
        replacement = _Replacement(before, text, progress)
        added = draft.insert(replacement.fresh(counted))
        if not counted.count:
            raise UserError(f"{', '.join(sources)}: no facts: a graph is not replaced by nothing, only removed")
        removed = sum(draft.remove(quads) for quads in replacement.unsaid())
    if added or removed:
        draft.finish(prefixes, by="replace", of=file_names(sources))
    return {"read": counted.count, "added": added, "removed": removed, "unchanged": replacement.unchanged}


@final
class _Replacement:
    """Compares what is stated with what the same graphs held."""

    def __init__(self, before: Store, text: IO[bytes], progress: Progress) -> None:
        self._before, self._text, self._progress = before, text, progress
        self._held: dict[Graph, Held] = {}

    @property
    def unchanged(self) -> int:
        """Facts that were there, and are stated again."""
        return sum(held.num_seen for held in self._held.values())

    def fresh(self, quads: Iterable[Quad]) -> Iterator[Quad]:
        """The quads that were not there; one that is stated twice may come twice."""
        stream = iter(quads)
        while batch := list(islice(stream, AT_ONCE)):
            by_graph: dict[Graph, list[Quad]] = {}
            for quad in batch:
                by_graph.setdefault(quad.graph_name, []).append(quad)
            for graph, some in by_graph.items():
                yield from self._fresh_in(graph, some)

    def _fresh_in(self, graph: Graph, quads: list[Quad]) -> Iterator[Quad]:
        if graph not in self._held:
            check_changeable(graph)
            self._held[graph] = Held(self._before, graph, self._text, self._told)
        held, lines = self._held[graph], lines_of(quads)
        for quad, line, seen in zip(quads, lines, held.see(lines), strict=True):
            # A literal that is kept by its value may be written in another way here than the database writes it.
            if not seen and not (b'"^^<' in line and self._is_kept(quad, held)):
                yield quad

    def _is_kept(self, quad: Quad, held: Held) -> bool:
        kept = list(self._before.quads_for_pattern(quad.subject, quad.predicate, quad.object, quad.graph_name))
        return bool(kept) and any(held.see(lines_of(kept)))

    def _told(self, count: int) -> None:
        self._progress.at("facts of before", count)

    def unsaid(self) -> Iterator[list[Quad]]:
        """What those graphs held and nobody stated, some at a time."""
        for graph, held in self._held.items():
            yield from (quads_of(lines, graph) for lines in held.each_unseen())
