"""SPARQL: the answer is computed in a worker process, and comes back as text in the standard result formats."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pyoxigraph import (
    BlankNode,
    DefaultGraph,
    Literal,
    NamedNode,
    QueryBoolean,
    QueryResultsFormat,
    QueryTriples,
    RdfFormat,
    Store,
    Triple,
    parse,
    parse_query_results,
)

from kg.errors import UserError
from kg.namespaces import APART, KG, PREDICTIONS
from kg.progress import Progress
from kg.store import guard

Term = NamedNode | BlankNode | Literal | Triple
Functions = dict[NamedNode, Callable[..., Term | None]]


@dataclass(frozen=True)
class Solutions:
    """What a SELECT found: one row a solution, its terms in the order of `variables`, None where unbound."""

    variables: list[str]
    rows: list[tuple[Term | None, ...]]


Results = Solutions | bool | list[Triple]


@dataclass(frozen=True)
class Answer:
    """What the worker sent: SPARQL JSON results, or N-Triples where the query builds a graph.

    notes: what the person who asked should know beside it, a line each.
    """

    text: str
    is_graph: bool
    notes: Sequence[str] = ()

    def results(self) -> Results:
        """The same as terms."""
        if self.is_graph:
            return [quad.triple for quad in parse(self.text, RdfFormat.N_TRIPLES, lenient=True)]
        found = parse_query_results(self.text, QueryResultsFormat.JSON)
        if isinstance(found, QueryBoolean):
            return bool(found)
        return Solutions([variable.value for variable in found.variables], [tuple(solution) for solution in found])


def answer(
    progress: Progress,
    database: str,
    query: str,
    prefixes: dict[str, str],
    with_predictions: bool,
    functions: Functions | None = None,
) -> dict[str, Any]:
    """What the worker does: an Answer, in JSON."""
    with damage_named(database):
        graphs = _default_graph(database, query, with_predictions)
    try:
        found = _opened(database).query(query, prefixes=prefixes, custom_functions=functions, **graphs)
    except SyntaxError as error:
        raise UserError(f"query: {_brief(str(error))}") from None
    except (ValueError, RuntimeError) as error:  # a prefix that is no IRI, a function that does not exist
        if functions is None and f"<{KG}" in str(error):
            raise UserError("query: kg:score, kg:probability and kg:known need a model that answers them") from None
        raise UserError(f"query: {error}") from None
    with damage_named(database):
        if isinstance(found, QueryTriples):
            return {"text": _text(found.serialize(format=RdfFormat.N_TRIPLES)), "is_graph": True}
        return {"text": _text(found.serialize(format=QueryResultsFormat.JSON)), "is_graph": False}


def _default_graph(database: str, query: str, with_predictions: bool) -> dict[str, Any]:
    """The graphs that a pattern outside GRAPH matches: all, without or with the predictions, or those after FROM."""
    if guard.names_graphs(query):
        return {}
    apart = {NamedNode(name) for name in APART if not (with_predictions and name == PREDICTIONS)}
    if not any(_opened(database).contains_named_graph(name) for name in apart):
        return {"use_default_graph_as_union": True}
    # each of the graphs is looked into for each pattern: of thousands, a join takes a second where the union takes none
    return {"default_graph": _without(database, frozenset(apart))}


@contextmanager
def damage_named(place: str | Path) -> Iterator[None]:
    """What the database says of its own damaged or missing files, as a UserError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise UserError(f"{place}: the database cannot be read: {' '.join(str(error).split())}") from None


@lru_cache(maxsize=1)
def _opened(database: str) -> Store:
    """One worker serves one generation for many queries; it opens the database for the first."""
    return Store.read_only(database)


@lru_cache(maxsize=2)
def _without(database: str, graphs: frozenset[NamedNode]) -> list[NamedNode | BlankNode | DefaultGraph]:
    return [DefaultGraph(), *(name for name in _opened(database).named_graphs() if name not in graphs)]


def _brief(message: str) -> str:
    """The parser lists every character it would have taken: the place and what came are enough."""
    place, _, expected = message.partition(": expected ")
    return f"{place}: expected {expected[:60]}..." if len(expected) > 60 else message


def _text(serialized: bytes | None) -> str:
    assert serialized is not None  # None only where a file was given to write to
    return serialized.decode()
