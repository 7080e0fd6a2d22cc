"""Candidates as RDF, in every syntax that has literals: the facts annotated, not stated (annotations.py)."""

from pathlib import Path
from typing import Any, final

from pyoxigraph import DefaultGraph, NamedNode, Quad

from kg.errors import UserError, one_line
from kg.namespaces import PREDICTIONS
from kg.progress import Progress
from kg.query.candidates.annotations import PREFIXES, Origin, annotations, read_annotations
from kg.query.candidates.candidate import Candidate, Candidates
from kg.query.candidates.format import Format
from kg.store import sandbox
from kg.store.reading import read
from kg.store.syntaxes import SYNTAXES, syntax_of
from kg.store.writing import write

SUFFIXES = tuple(  # .json may be a list of anything
    suffix for syntax in SYNTAXES.values() if syntax.literals for suffix in syntax.suffixes if suffix != ".json"
)


@final
class Rdf(Format):
    """With RDF 1.2 reifiers, or as RDF 1.1 with rdf:Statement. In syntaxes with named graphs all of it is in
    PREDICTIONS, so that a store takes none of it for something to learn; the others have no graph, and `kg load --graph
    urn:kg:predictions` gives them that."""

    is_rdf = True

    def check_writable(self, path: Path, rdf11: bool) -> None:
        """UserError for a syntax without triple terms (JSON-LD, N3) unless RDF 1.1 is asked for."""
        syntax = syntax_of(path)
        if not syntax.triple_terms and not rdf11:
            raise UserError(f"{path}: {syntax.name} has no RDF 1.2 reifiers: ask for RDF 1.1, or for .trig or .nq")

    def write(self, candidates: Candidates, path: Path, run: Origin, rdf11: bool = False) -> None:
        graph = NamedNode(PREDICTIONS) if syntax_of(path).graphs else DefaultGraph()
        said = annotations(candidates, run, rdf11)
        write((Quad(each.subject, each.predicate, each.object, graph) for each in said), path, prefixes=PREFIXES)

    def read(self, path: Path) -> tuple[Candidates, Origin | None]:
        """In a worker: a parser may die of what it is given."""
        found = sandbox.run(
            f"{__name__}:rows",
            {"path": str(path)},
            timeout_seconds=None,
            memory_bytes=sandbox.load_memory(),
        )
        origin = found["origin"]
        return Candidates(tuple(Candidate(*row) for row in found["rows"])), origin and Origin.from_json(origin)


def rows(progress: Progress, path: str) -> dict[str, Any]:
    """What the worker does: the candidates and the run of an RDF file, as JSON."""
    try:
        candidates, origin = read_annotations(read(path, keep_labels=True))
    except ValueError as error:
        raise UserError(f"{path}: {one_line(str(error))}") from None
    if not candidates and origin is None:  # to publish them would take away what is published, for a file of nothing
        raise UserError(f"{path}: no candidates are in it, and no run that found none")
    return {"rows": [list(each.to_json().values()) for each in candidates], "origin": origin and origin.to_json()}
