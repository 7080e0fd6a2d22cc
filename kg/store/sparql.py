"""SPARQL: the answer is computed in a worker process, and comes back as text in the standard result formats."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pyoxigraph import (
    BlankNode,
    Literal,
    NamedNode,
    QueryBoolean,
    QueryResultsFormat,
    QuerySolutions,
    RdfFormat,
    Store,
    Triple,
    parse,
    parse_query_results,
)

from kg.errors import UserError

Term = NamedNode | BlankNode | Literal | Triple


@dataclass(frozen=True)
class Solutions:
    """What a SELECT found: one row a solution, its terms in the order of `variables`, None where unbound."""

    variables: list[str]
    rows: list[tuple[Term | None, ...]]


Results = Solutions | bool | list[Triple]


def answer(
    progress: Callable[[dict[str, Any]], None], database: str, query: str, prefixes: dict[str, str]
) -> dict[str, Any]:
    """What the worker does: the results as SPARQL JSON, or N-Triples for a CONSTRUCT or DESCRIBE."""
    with damage_named(database):
        opened = _opened(database)
    try:
        found = opened.query(query, prefixes=prefixes, use_default_graph_as_union=True)
    except SyntaxError as error:
        raise UserError(f"query: {_brief(str(error))}") from None
    except (ValueError, RuntimeError) as error:  # a prefix that is no IRI, a function that does not exist
        raise UserError(f"query: {error}") from None
    with damage_named(database):
        if isinstance(found, QueryBoolean):
            return {"boolean": bool(found)}
        if isinstance(found, QuerySolutions):
            return {"solutions": _text(found.serialize(format=QueryResultsFormat.JSON))}
        return {"triples": _text(found.serialize(format=RdfFormat.N_TRIPLES))}


@contextmanager
def damage_named(place: str | Path) -> Iterator[None]:
    """What the database says of its own damaged or missing files, as a UserError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise UserError(f"{place}: the database cannot be read: {' '.join(str(error).split())}") from None


def results(answered: dict[str, Any]) -> Results:
    """What `answer` sent, as terms."""
    if "boolean" in answered:
        return bool(answered["boolean"])
    if "triples" in answered:
        return [quad.triple for quad in parse(answered["triples"], RdfFormat.N_TRIPLES, lenient=True)]
    found = parse_query_results(answered["solutions"], QueryResultsFormat.JSON)
    assert isinstance(found, QuerySolutions)
    return Solutions([variable.value for variable in found.variables], [tuple(solution) for solution in found])


@lru_cache(maxsize=1)
def _opened(database: str) -> Store:
    """One worker serves one generation for many queries; it opens the database for the first."""
    return Store.read_only(database)


def _brief(message: str) -> str:
    """The parser lists every character it would have taken: the place and what came are enough."""
    place, _, expected = message.partition(": expected ")
    return f"{place}: expected {expected[:60]}..." if len(expected) > 60 else message


def _text(serialized: bytes | None) -> str:
    assert serialized is not None  # None only where a file was given to write to
    return serialized.decode()
