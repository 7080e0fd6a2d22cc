"""SHACL: which candidates the user's own shapes speak against. pyshacl, of the extra kg[shacl], judges."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, final

import pyoxigraph as ox

from kg.errors import UserError, extra, one_line
from kg.namespaces import BASE, SHACL
from kg.progress import SILENT, Progress
from kg.query.candidates.candidate import Candidate, Candidates
from kg.store.interop import to_rdflib
from kg.store.reading import read
from kg.store.store import Store

if TYPE_CHECKING:
    import rdflib
    from rdflib.term import Node

_Result = tuple["Node | None", ...]
_SAME = ("focusNode", "resultPath", "value", "sourceConstraintComponent", "sourceShape", "resultMessage")


@final
class Shapes:
    """A copy in memory of all that a store says, and the shapes of a file. O(facts) to make; a candidate costs two
    validations of its two ends: it breaks what is broken with it, and not without it."""

    def __init__(self, store: Store, file: Path) -> None:
        """UserError where a file cannot be read, holds no shapes, or pyshacl is not installed."""
        with extra("shacl"):
            import pyshacl  # noqa: F401
            import rdflib  # noqa: F401

        database = ox.Store()
        database.extend(read(file))
        self._file, self._shapes = file, _in_memory(to_rdflib(database, {}, triple_terms=False))
        self._facts = _in_memory(store.to_rdflib())
        if not any(str(predicate).startswith(SHACL) for predicate in self._shapes.predicates()):
            raise UserError(f"{file}: no SHACL shapes", "shapes")
        self._results([f"{BASE}nothing"], are_new=True)  # what is wrong with a shape is said before the search

    def broken_by(self, subject: str, predicate: str, object_: str) -> tuple[str, ...]:
        """What the shapes say of a fact between entities (IRIs) that is not known, each message once."""
        from rdflib import URIRef

        fact = URIRef(subject), URIRef(predicate), URIRef(object_)
        before = self._results([subject, object_])
        self._facts.add(fact)
        after = self._results([subject, object_])
        self._facts.remove(fact)
        return tuple(sorted({one_line(str(each[-1])) for each in after - before}))

    def _results(self, focus: Iterable[str], are_new: bool = False) -> set[_Result]:
        """are_new: the shapes are held against those of SHACL itself, too."""
        from pyshacl import validate
        from pyshacl.errors import ConstraintLoadError, ReportableRuntimeError, ShapeLoadError
        from rdflib import Graph, URIRef

        try:
            _, report, text = validate(
                self._facts, shacl_graph=self._shapes, focus_nodes=list(focus), inplace=True, meta_shacl=are_new
            )
        except (ConstraintLoadError, ShapeLoadError, ReportableRuntimeError) as error:
            raise UserError(f"{self._file}: {one_line(str(error))}", "shapes") from None
        if not isinstance(report, Graph):
            raise UserError(f"{self._file}: {one_line(text)}", "shapes")
        nodes = report.objects(None, URIRef(SHACL + "result"))
        return {tuple(report.value(node, URIRef(SHACL + name)) for name in _SAME) for node in nodes}


def with_shapes(candidates: Candidates, shapes: Shapes, most: int, progress: Progress = SILENT) -> Candidates:
    """The candidates, the note of each of the first `most` with what the shapes say against it."""
    found: list[Candidate] = []
    for done, each in enumerate(candidates[:most], 1):
        against = [
            f"a shape forbids it: {message}" for message in shapes.broken_by(each.subject, each.predicate, each.object)
        ]
        found.append(replace(each, note="; ".join([*([each.note] if each.note else []), *against]) or None))
        progress.at("shapes", done, min(most, len(candidates)))
    return replace(candidates, items=(*found, *candidates.items[most:]))


def _in_memory(dataset: "rdflib.Dataset") -> "rdflib.Graph":
    from rdflib import Graph

    copy = Graph(bind_namespaces="none")
    for triple in dataset.triples((None, None, None)):
        copy.add(triple)
    return copy
